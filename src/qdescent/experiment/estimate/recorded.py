"""A circuit that was run, as rows of its record: what `price` takes of it, written and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from qdescent._checks import ArgumentError, argument_error, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.experiment.estimate.inputs import READ, read_of, read_run, round_of
from qdescent.experiment.estimate.settings import EstimateSettings
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
    "lambda_min": "spectrum", "lambda_max": "spectrum",
}  # fmt: skip
NUMBERS = (
    "n", "parameters", "order", "steps", "padding", "batch", "forward_macs", "coupling_sparsity",
    "learning_rate", "alpha_over_norm", "epsilon", *SAID,
)  # fmt: skip
NORMS = ("constant", "linear", "higher", "powers", "drift")
WORDS_OF_NORMS = "words_"
GRAM = f"{names.PRICED}gram/"  # <u_j, u_k> of every step, j <= k
AT, COUNT, NORM = names.PRICED, f"{names.PRICED}circuit/", f"{names.PRICED}norms/"
REASON = f"{AT}refused"
PARTS = ("query", "preparation")
# what may be said beside a circuit that was run: how it is read, on which machine, what is asked
BESIDE_CIRCUIT = (
    *READ, "from_", "error_rate", "cycle_time_ns", "budget", "machine", "sweep", "card",
)  # fmt: skip
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
    return [*_round_rows(spec), *_circuit_rows(circuit)]


def _round_rows(spec: RoundSpec) -> list[Row]:
    rows = []
    for name in NUMBERS:
        value = getattr(spec, name)
        if value is None:
            continue
        if name in SAID:
            word, source = (getattr(spec, f"{SAID[name]}_{end}") for end in ("evidence", "source"))
        else:
            word, source = spec.known.get(name, (Evidence.EXACT, "as the circuit was made"))
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
        rows += [
            Row(
                f"{GRAM}{j}_{k}", tuple(each[j][k] for each in spec.grams), "1",
                spec.norms_evidence, spec.norms_source,
            )
            for j, k in _pairs(spec.order)
        ]  # fmt: skip
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
    return any(row.name.startswith(AT) for row in record.rows)


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
        elif name not in ("padding", "coupling_sparsity", "epsilon"):
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
        order = round(given["order"])
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


def priced_of(
    settings: EstimateSettings, record: Record | None = None, name: str = "from"
) -> tuple[RoundSpec, CountedCircuit | None]:
    """The round that the settings ask for, and the circuit where the record is of one.

    Args:
        settings: of the command line, or the inputs of `price`.
        record: as of `round_of`.
        name: of the argument that the record was given by.

    Raises:
        ArgumentError: as `round_of` does; beside a circuit an input that it says itself.
    """
    if record is None and settings.from_:
        record = read_run(settings.from_, "from")
    if record is None or not is_of_circuit(record):
        return round_of(settings, record), None
    spec, circuit = read_circuit(record, name)
    for each in fields(settings):
        value = getattr(settings, each.name)
        if each.name not in BESIDE_CIRCUIT and value != each.default:
            raise argument_error(each.name, "be left out beside a circuit that was run", value)
    read = read_of(settings)
    return replace(spec, **read), circuit
