"""What a flag or a run says of an input, and what follows from several of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qdescent._checks import argument_error
from qdescent._evidence import Evidence, Row, derived
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.linalg.map_norms import descent_norms
from qdescent.report.record import Record
from qdescent.rows import names

ENDS = ("lambda_min", "lambda_max")
SET_DEGREE = 2  # of the norms that settings have; a record may have more

# in a record: what each input may be called, the first that is there
ROWS: dict[str, tuple[str, ...]] = {
    "n": (names.NETWORK_KEPT, names.LEDGER + names.LEDGER_N),
    "parameters": (names.NETWORK_PARAMETERS,),
    "order": (names.ledger_input("order"),),
    "steps": (names.ledger_input("steps"),),
    "padding": (names.ledger_input("padding"),),
    "kappa": (names.LEDGER + names.LEDGER_KAPPA,),
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


@dataclass(frozen=True)
class Found:
    """A value, and how it is known."""

    value: Any
    evidence: Evidence
    source: str


UNIT = Found(1.0, Evidence.EXACT, "||F_0|| as the unit")


def row_of(record: Record, name: str) -> Row | None:
    for place in ROWS.get(name, ()):
        if place in record.rows:
            row = record.rows[place]
            if isinstance(row.value, (int, float)) and not isinstance(row.value, bool):
                return row
    return None


def found_in(record: Record, name: str) -> Found | None:
    """What a record says of an input."""
    row = row_of(record, name)
    return None if row is None else Found(row.number, row.evidence, f"{record.name}: {row.source}")


def ends_of_norms(
    settings: EstimateSettings, record: Record | None, ends: Mapping[str, Found | None]
) -> dict[str, Found | None]:
    """The ends of the spectrum that the norms of the map stand on: those by which a record bounds
    it, which hold more than the Ritz values that it has seen.
    """
    if record is None or names.NORM_EXTREMES not in record.rows:
        return dict(ends)
    row = record.rows[names.NORM_EXTREMES]
    bounds = zip(ends, row.curve, strict=True)
    return {
        name: ends[name]
        if getattr(settings, name) is not None
        else Found(bound, row.evidence, f"{record.name}: {row.source}")
        for name, bound in bounds
    }


def higher_of(settings: EstimateSettings, record: Record | None) -> list[Found]:
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


def spectrum_of(rate: Found, ends: Mapping[str, Found | None]) -> dict[str, Any]:
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


def norms_of(
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
    extremes = [found[end].value for end in ENDS]
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
