"""From settings, and from what a run has measured, to the round that is priced."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qdescent._checks import ArgumentError, argument_error
from qdescent._evidence import Evidence, Row, derived
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.linalg.map_norms import descent_norms
from qdescent.report.record import Record, installed_versions, read_record
from qdescent.resources.round_spec import RoundSpec
from qdescent.rows import names

# Smooth ResNet-18 (widths 48, 96, 208, 400), two epochs of Fashion-MNIST, pruned to a tenth, batch
# of 32: benchmarks/results/map_norms_7M.json
MEASURED = "7 million trained weights, benchmarks/map_norms.py"
DEFAULTS: dict[str, Any] = {
    "n": 697_740, "order": 2, "steps": 20, "batch": 512, "sparsity": 10, "learning_rate": 0.02,
}  # fmt: skip
NORMS = {"gradient_norm": 0.72167301, "second_norm": 262.48054521}
SPECTRUM = {"lambda_min": -2.23878277, "lambda_max": 6.20837893}
PARAMETERS_OF_N, MACS_OF_P = 10, 9
DEFAULT = "default, of the network of 7 million weights that was measured"
DEFAULT_SPARSITY = "default, the paper's wish"
MACS = "9 P, as of a smooth ResNet-18 on images of 28 x 28"
SET_DEGREE = 2  # of the norms that settings have; a record may have more

# in a record: what each input may be called, the first that is there
ROWS: dict[str, tuple[str, ...]] = {
    "n": (names.NETWORK_KEPT, names.LEDGER + names.LEDGER_N),
    "parameters": (names.NETWORK_PARAMETERS,),
    "order": (names.ledger_input("order"),),
    "steps": (names.ledger_input("steps"),),
    "padding": (names.ledger_input("padding"),),
    "kappa": (names.LEDGER + names.LEDGER_KAPPA,),
    "plain_kappa": (names.LEDGER + names.LEDGER_PLAIN_KAPPA,),
    "success_probability": (names.ledger_input("success_probability"),),
    "learning_rate": (names.SETTING_LEARNING_RATE, names.ledger_input("learning_rate")),
    "gradient_norm": (names.NORM_OF_GRADIENT,),
    "second_norm": (names.NORM_OF_SECOND,),
    "lambda_min": (names.during("before", names.LAMBDA_MIN), names.LAMBDA_MIN,
                   names.ledger_input("lambda_min")),
    "lambda_max": (names.during("before", names.LAMBDA_MAX), names.LAMBDA_MAX,
                   names.ledger_input("lambda_max")),
    "sparsity": (names.row_entries(names.CARRYING_99_PERCENT, "mean"),
                 names.LEDGER + names.LEDGER_SPARSITY),
    "batch": (names.ledger_input("batch"),),
    "forward_macs": (names.ledger_input("forward_macs"),),
    "alpha_over_norm": (names.ledger_input("alpha_over_norm"),),
    "shots": (names.ledger_input("shots"),),
}  # fmt: skip
READ = ("readout", "readout_error", "shots", "largest")
SAMPLING = "sampling"
WHOLE = ("n", "parameters", "order", "steps", "padding", "sparsity", "batch", "forward_macs")


@dataclass(frozen=True)
class Found:
    """A value, and how it is known."""

    value: Any
    evidence: Evidence
    source: str


ALONE = Found(1, Evidence.ASSUMED, "1, of which the ends of a spectrum say all")
UNIT = Found(1.0, Evidence.EXACT, "||F_0|| as the unit")


def round_of(settings: EstimateSettings, record: Record | None = None) -> RoundSpec:
    """The round that the settings ask for; each input from a flag, the run, or the defaults.

    Args:
        settings: of the command line, or the inputs of `price`.
        record: the run; None: the one that the settings name, if any.

    Raises:
        ArgumentError: a run of another version, or without a ledger's inputs; contradictions.
    """
    if record is None and settings.from_:
        record = read_run(settings.from_, "from")

    of_other_round = () if record is None else _of_other_round(settings, record)

    def find(name: str, default: Callable[[], Found | None]) -> Found | None:
        given = getattr(settings, name)
        if given is not None:
            return Found(given, Evidence.ASSUMED, f"setting `{name}`")
        row = None if record is None or name in of_other_round else _row(record, name)
        if name == "sparsity" and record is not None:
            row = _needed_of_all(record) or row
        if row is not None:
            value = max(1, round(row.number)) if name in WHOLE and name != "padding" else row.number
            value = round(value) if name == "padding" else value
            return Found(value, row.evidence, f"{record.name}: {row.source}")  # type: ignore[union-attr]
        return default()

    def standard(name: str) -> Found:
        source = DEFAULT_SPARSITY if name == "sparsity" else DEFAULT
        known = find(name, lambda: Found(DEFAULTS[name], Evidence.ASSUMED, source))
        assert known is not None
        return known

    found: dict[str, Found] = {name: standard(name) for name in ("n", "steps", "batch")}
    n = found["n"].value
    parameters = find(
        "parameters", lambda: Found(PARAMETERS_OF_N * n, Evidence.ASSUMED, "ten times n")
    )
    assert parameters is not None
    macs = find("forward_macs", lambda: Found(MACS_OF_P * parameters.value, Evidence.ASSUMED, MACS))
    assert macs is not None
    rate, sparsity = standard("learning_rate"), standard("sparsity")
    if sparsity.source == DEFAULT_SPARSITY:
        sparsity = replace(sparsity, value=min(sparsity.value, n))
    # bounds and measurements of another network serve only where nothing of this one is known
    own = record is not None
    ends = {
        name: find(name, lambda name=name: None if own else  # type: ignore[misc]
                   Found(SPECTRUM[name], Evidence.BOUNDED, MEASURED))
        for name in SPECTRUM
    }  # fmt: skip
    norms = {
        name: find(name, lambda name=name: None if own else  # type: ignore[misc]
                   Found(NORMS[name], Evidence.BOUNDED, MEASURED))
        for name in NORMS
    }  # fmt: skip
    kappa = find("kappa", lambda: None)
    alone = kappa is None and None not in ends.values() and None in norms.values()
    # the ends of a spectrum alone say all of order 1, in units of F_0
    found["order"] = (alone and find("order", lambda: ALONE)) or standard("order")
    order = found["order"].value
    # beside a kappa of the record, its own in units of 1
    own_kappa = record is not None and settings.kappa is None and not of_other_round
    unscaled = _row(record, "plain_kappa") if own_kappa else None  # type: ignore[arg-type]
    padding = find("padding", lambda: None)
    success = find("success_probability", lambda: None)
    found |= {"parameters": parameters, "forward_macs": macs}
    given: dict[str, Any] = {
        **{name: each.value for name, each in found.items()},
        "known": {
            name: (each.evidence, each.source)
            for name, each in {**found, "learning_rate": rate}.items()
        },
        **_sparse(sparsity, n),
        **({} if record is None else _needed(record, n)),
        **_spectral(rate, ends),
        **_normed(rate, norms, ends, kappa, order, _higher(settings, record)),
        **_known("kappa", kappa),
        **({} if unscaled is None else {"plain_kappa": unscaled.number}),
        **({"padding": padding.value} if padding is not None else {}),
        **_known("success", success, "success_probability"),
        "coupling_sparsity": settings.coupling_sparsity,
        "fresh_batches": settings.fresh_batches,
    }
    for name in ("alpha_over_norm", "epsilon"):
        given[name] = getattr(settings, name)
    read = read_of(settings)
    taken = None if record is None else _row(record, "shots")
    # those of the run, where nothing else is said of how well its u_T is read
    if taken and read["readout"] == SAMPLING and not {"shots", "readout_error"} & set(read):
        read["shots"] = max(1, round(taken.number))
        where = record.name  # type: ignore[union-attr]
        given["known"]["shots"] = taken.evidence, f"{where}: {taken.source}"
    return RoundSpec(**given, **read)


def read_of(settings: EstimateSettings) -> dict[str, Any]:
    """What the settings say of the readout."""
    found = {name: getattr(settings, name) for name in READ}
    return {name: value for name, value in found.items() if value is not None}


def _of_other_round(settings: EstimateSettings, record: Record) -> tuple[str, ...]:
    """What a run says of its own round alone: not used where flags ask for another one and norms
    of the map say what that one has.
    """
    moved = any(
        getattr(settings, name) is not None
        and (row := _row(record, name)) is not None
        and getattr(settings, name) != row.number
        for name in ("order", "steps", "learning_rate")
    )
    known = all(
        getattr(settings, name) is not None or _row(record, name) is not None
        for name in (*NORMS, *SPECTRUM)
    )
    return ("kappa", "padding", "success_probability") if moved and known else ()


def read_run(directory: str | os.PathLike[str], name: str) -> Record:
    """The record of a run of this version.

    Args:
        directory: of the run.
        name: of the argument that it was given by.

    Raises:
        ArgumentError: there is none, it is of another version, or of an estimate, which has
            measured nothing.
    """
    try:
        record = read_record(Path(directory))
    except ArgumentError as error:
        raise error.called(path=name) from None
    version, own = record.versions.get("qdescent"), installed_versions()["qdescent"]
    if version is not None and version != own:
        must = f"be a run of this version, {own} (run it again)"
        raise argument_error(name, must, f"of version {version}")
    if "from_" in record.config:  # a setting of `EstimateSettings` alone
        must = "be a run that has measured something (give the flags of an estimate again)"
        raise argument_error(name, must, "an estimate")
    return record


def _row(record: Record, name: str) -> Row | None:
    for place in ROWS.get(name, ()):
        if place in record.rows:
            row = record.rows[place]
            if isinstance(row.value, (int, float)) and not isinstance(row.value, bool):
                return row
    return None


def _needed_of_all(record: Record) -> Row | None:
    """The entries a row that a segment needs, where all kept weights were looked at."""
    rows = record.rows
    kept = _row(record, "n")
    if names.NEEDED_FOR_1_PERCENT not in rows or names.NEEDED_WEIGHTS not in rows or kept is None:
        return None
    found = rows[names.NEEDED_FOR_1_PERCENT]
    whole = rows.number(names.NEEDED_WEIGHTS) == kept.number and math.isfinite(found.number)
    return replace(found, value=math.ceil(found.number)) if whole else None


def _higher(settings: EstimateSettings, record: Record | None) -> list[Found]:
    """||F_3||, ||F_4||, ... at eta = 1 as far as the run has them; beside an ||F_2|| that was set
    none, for they belong to another map.
    """
    found: list[Found] = []
    if record is None or settings.second_norm is not None:
        return found
    while (name := f"{names.NORMS_AT_1}{SET_DEGREE + 1 + len(found)}") in record.rows:
        row = record.rows[name]
        found.append(Found(row.number, row.evidence, f"{record.name}: {row.source}"))
    return found


def _sparse(found: Found, n: int) -> dict[str, Any]:
    return {
        "sparsity": min(found.value, n) if found.evidence is not Evidence.ASSUMED else found.value,
        "sparsity_evidence": found.evidence,
        "sparsity_source": found.source,
    }


def _needed(record: Record, n: int) -> dict[str, Any]:
    """Entries a row that a segment needs, as the record has them: of all weights, or of some, from
    which they are scaled: the share of a row does not fall with n (`needed_entries`).
    """
    rows = record.rows
    if names.NEEDED_FOR_1_PERCENT not in rows or names.NEEDED_WEIGHTS not in rows:
        return {}
    row, of = rows[names.NEEDED_FOR_1_PERCENT], rows.number(names.NEEDED_WEIGHTS)
    if not math.isfinite(row.number) or of < 1:
        return {}
    whole = of == n
    scaled = "" if whole else f", times {n:,}/{of:,.0f} weights (a share of the row, modelled)"
    return {
        "needed_sparsity": min(row.number * n / of, float(n)),
        "needed_evidence": row.evidence if whole else derived(row.evidence, Evidence.MODELLED),
        "needed_source": f"{record.name}: {row.source}{scaled}",
    }


def _spectral(rate: Found, ends: Mapping[str, Found | None]) -> dict[str, Any]:
    low, high = ends["lambda_min"], ends["lambda_max"]
    if low is None or high is None:
        return {}
    return {
        "learning_rate": rate.value,
        "lambda_min": low.value,
        "lambda_max": high.value,
        "spectrum_evidence": max((low.evidence, high.evidence), key=list(Evidence).index),
        "spectrum_source": low.source if low.source == high.source else
        f"{low.source}; {high.source}",
    }  # fmt: skip


def _normed(
    rate: Found, norms: Mapping[str, Found | None], ends: Mapping[str, Found | None],
    kappa: Found | None, order: int, higher: list[Found],
) -> dict[str, Any]:  # fmt: skip
    """The norms of the map at this learning rate, where all of them are known."""
    if order == 1 and kappa is None and None in norms.values():
        # no F_2 stands in it, and F_0 sets the unit alone
        norms = {"gradient_norm": norms["gradient_norm"] or UNIT}
    parts = [*norms.values(), *ends.values()]
    if any(part is None for part in parts):
        if kappa is None:
            must = "be given where a run has neither it nor the norms of its map"
            raise argument_error("kappa", must, "missing")
        return {}
    found = {name: part for name, part in {**norms, **ends}.items() if part is not None}
    extremes = [found[end].value for end in SPECTRUM]
    second = [found["second_norm"].value] if "second_norm" in found else []
    used = higher[: max(0, order - SET_DEGREE)]
    degree = min(order, SET_DEGREE + len(used))
    parts = [*found.values(), *used]
    return {
        "norms": descent_norms(
            found["gradient_norm"].value,
            extremes,
            (*second, *(each.value for each in used)),
            rate.value,
        ),
        # a bound only as far as norms are known
        "norms_evidence": derived(
            *(part.evidence for part in parts if part is not None),
            *([Evidence.MODELLED] if order > degree else []),
        ),
        "norms_source": "; ".join(dict.fromkeys(part.source for part in parts if part is not None))
        + (f"; F_{degree + 1} and higher left out" if order > degree else ""),
    }


def _known(name: str, found: Found | None, field: str | None = None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        field or name: found.value,
        f"{name}_evidence": found.evidence,
        f"{name}_source": found.source,
    }
