"""The round that a run priced, or a circuit that was run, as rows of a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from qdescent._checks import ArgumentError, argument_error, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.linalg.map_norms import MapNorms
from qdescent.report.record import Record
from qdescent.resources.counts.loads import Part
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.circuit import COUNTED, CountedCircuit
from qdescent.resources.ways.way import HISTORY, SEGMENT
from qdescent.rows import names

Circuit = tuple[RoundSpec, CountedCircuit]
# fields of a round whose word and source are fields, too, by the name of these
SAID = {
    "kappa": "kappa", "sparsity": "sparsity", "success_probability": "success",
    "lambda_min": "spectrum", "lambda_max": "spectrum", "needed_sparsity": "needed",
}  # fmt: skip
# whose word and source a round may be told, too
KNOWN = (
    "n", "parameters", "order", "steps", "batch", "forward_macs", "learning_rate",
    "alpha_over_norm", "shots", "masked_macs",
)  # fmt: skip
NUMBERS = (
    *KNOWN, *SAID, "padding", "coupling_sparsity", "epsilon", "readout_error",
)  # fmt: skip
UNTOLD = Evidence.ASSUMED, "no word and no source of its own"
OF_CIRCUIT = Evidence.EXACT, "as the circuit was made"
NORMS = ("constant", "linear", "higher", "powers", "drift")
WORDS_OF_NORMS = "words_"
GRAM = f"{names.PRICED}gram/"  # <u_j, u_k> of every step, j <= k
AT, COUNT, NORM = names.PRICED, f"{names.PRICED}circuit/", f"{names.PRICED}norms/"
REASON = f"{AT}refused"
PARTS = ("query", "preparation")
TEXTS = ("title", "loader", "encoding", "success_source")


def recorded(make: Callable[[], Circuit]) -> list[Row]:
    """The rows of a circuit; of one that cannot be priced, why.

    Args:
        make: its round and its count, or an `ArgumentError`.
    """
    try:
        spec, circuit = make()
    except ArgumentError as error:
        return [Row(REASON, str(error), "", Evidence.EXACT, "what `price` would say")]
    return [*round_rows(spec, OF_CIRCUIT), *_circuit_rows(circuit)]


def round_rows(spec: RoundSpec, untold: tuple[Evidence, str] = UNTOLD) -> list[Row]:
    """A round that reads by sampling, of one batch, as rows.

    Args:
        spec: the round.
        untold: word and source of an input that has none of its own.
    """
    rows = []
    for name in NUMBERS:
        value = getattr(spec, name)
        if value is None:
            continue
        if name in SAID:
            word, source = (getattr(spec, f"{SAID[name]}_{end}") for end in ("evidence", "source"))
        else:
            word, source = spec.known.get(name, untold)
        rows.append(Row(f"{AT}{name}", value, "1", word, source))
    norms = spec.norms
    if norms is not None:
        parts = {name: getattr(norms, name) for name in NORMS}
        parts |= {f"{WORDS_OF_NORMS}{k}": word for k, word in enumerate(norms.words or ())}
        rows += [
            Row(f"{NORM}{name}", value, "1", spec.norms_evidence, spec.norms_source)
            for name, value in parts.items()
            if value is not None
        ]
    if spec.grams is not None:
        word, source = spec.known.get("grams", UNTOLD)
        rows += [
            Row(f"{GRAM}{j}_{k}", tuple(each[j][k] for each in spec.grams), "1", word, source)
            for j, k in _pairs(spec.order)
        ]
    return rows


def _pairs(order: int) -> list[tuple[int, int]]:
    return [(j, k) for k in range(order) for j in range(k + 1)]


def _circuit_rows(circuit: CountedCircuit) -> list[Row]:
    values: dict[str, Any] = {
        each.name: getattr(circuit, each.name) for each in fields(circuit) if each.name not in PARTS
    }
    for part in PARTS:
        found = getattr(circuit, part)
        values |= {f"{part}_toffoli": found.toffoli, f"{part}_turns": found.turns}
    return [
        Row(f"{COUNT}{name}", value, "" if name in TEXTS else "1", Evidence.EXACT, COUNTED)
        for name, value in values.items()
    ]


def is_of_circuit(record: Record) -> bool:
    """Whether a record is that of `qdescent circuit`."""
    return any(row.name == REASON or row.name.startswith(COUNT) for row in record.rows)


def has_round(record: Record) -> bool:
    """Whether a record has the round that it priced."""
    return any(row.name.startswith(AT) for row in record.rows)


def read_round(record: Record, name: str) -> RoundSpec:
    """The round that a run priced, as it was recorded.

    Args:
        record: of the run.
        name: of the argument that it was given by.

    Raises:
        ArgumentError: a row is missing or was changed.
    """
    try:
        return _read_round(record)
    except (KeyError, ValueError, TypeError) as error:
        must = "be a whole record of a run"
        raise argument_error(name, must, f"one that is not: {error}") from None


def read_circuit(record: Record, name: str) -> Circuit:
    """The round of a circuit and its count, as they were recorded.

    Args:
        record: of `qdescent circuit`.
        name: of the argument that it was given by.

    Raises:
        ArgumentError: the circuit cannot be priced, or a row is missing or was changed.
    """
    if REASON in record.rows:
        raise argument_error(
            name, "hold a circuit that can be priced", f"one of which {record.rows[REASON].value}"
        )
    try:
        return _read_round(record), _read_count(record)
    except (KeyError, ValueError, TypeError) as error:
        must = "be a whole record of `qdescent circuit`"
        raise argument_error(name, must, f"one that is not: {error}") from None


def _read_round(record: Record) -> RoundSpec:
    rows, given = record.rows, dict[str, Any]()
    known: dict[str, tuple[Evidence, str]] = {}
    for name in NUMBERS:
        if f"{AT}{name}" not in rows:
            continue
        row = rows[f"{AT}{name}"]
        given[name] = row.number
        if name in SAID:
            given[f"{SAID[name]}_evidence"] = row.evidence
            given[f"{SAID[name]}_source"] = row.source
        elif name in KNOWN and (row.evidence, row.source) != UNTOLD:
            known[name] = row.evidence, row.source
    if f"{NORM}constant" in rows:
        first = rows[f"{NORM}constant"]
        parts = {name: rows[f"{NORM}{name}"].value for name in NORMS if f"{NORM}{name}" in rows}
        words: list[tuple[float, ...]] = []
        while (word := f"{NORM}{WORDS_OF_NORMS}{len(words)}") in rows:
            words.append(rows[word].curve)
        given["norms"] = MapNorms(**parts, words=tuple(words) or None)  # type: ignore[arg-type]
        given["norms_evidence"], given["norms_source"] = first.evidence, first.source
    if f"{GRAM}0_0" in rows:
        order, seen = round(given["order"]), rows[f"{GRAM}0_0"]
        if (seen.evidence, seen.source) != UNTOLD:
            known["grams"] = seen.evidence, seen.source
        found = {(j, k): rows[f"{GRAM}{j}_{k}"].curve for j, k in _pairs(order)}
        given["grams"] = tuple(
            tuple(tuple(found[min(j, k), max(j, k)][t] for k in range(order)) for j in range(order))
            for t in range(len(found[0, 0]))
        )
    return RoundSpec(**given, known=known)


def _read_count(record: Record) -> CountedCircuit:
    rows = record.rows

    def whole(name: str) -> int:
        return check_integer(f"{COUNT}{name}", rows[f"{COUNT}{name}"].value, 0, 10**30)  # type: ignore[arg-type]

    given: dict[str, Any] = {name: str(rows[f"{COUNT}{name}"].value) for name in TEXTS}
    if given["encoding"] not in (HISTORY, SEGMENT):
        raise ValueError(f"an encoding named {given['encoding']!r}")
    for part in PARTS:
        toffoli = whole(f"{part}_toffoli")
        label = "upload" if part == "preparation" else part
        given[part] = Part(label, toffoli, toffoli, whole(f"{part}_turns"))
    for each in fields(CountedCircuit):
        if each.name not in given and each.name != "success":
            given[each.name] = whole(each.name)
    given["success"] = check_interval(f"{COUNT}success", rows[f"{COUNT}success"].number, "(0, 1]")
    return CountedCircuit(**given)
