"""What the ledger of the main job needs and the run has not yet seen: norms of the map and entries
of the Hessian's rows, both measured at the starting point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qdescent._evidence import Evidence, Row
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.run.training import Pruned
from qdescent.learning.curvature.hessian import hessian
from qdescent.linalg.map_norms import MapNorms, descent_norms
from qdescent.linalg.spectra.sparsity import BLOCK, RowSparsity, row_sparsity
from qdescent.resources.history_choice import MOST_STEPS
from qdescent.rows import names
from qdescent.solvers.segment.map_norms import NetworkNorms, map_norms
from qdescent.solvers.segment.needed_sparsity import needed_sparsity

PRODUCTS, CHAINS = 24, 6  # of the norms: 24 + 6 k 2^k calls of a series at degrees k = 2 ... N
DEAREST_ORDER = 3  # beyond it the chains take longer than a spectrum
SAMPLED_ROWS = 16
# kept weights up to which all of H is stored: as many products, seconds of them
MOST_STORED, PRODUCTS_AT_ONCE = 1000, 8


@dataclass(frozen=True)
class Sparsity:
    """s, non-zeros a row, and how it is known."""

    entries: int
    evidence: Evidence
    source: str


def is_affordable(order: int, steps: int) -> bool:
    """Whether the norms of a round's map are measured, and its kappa looked for by them."""
    return order <= DEAREST_ORDER and steps <= MOST_STEPS


def calls_of(order: int) -> int:
    """How often `measured_norms` reports."""
    return PRODUCTS + sum(CHAINS * 2**degree for degree in range(2, order + 1))


def measured_norms(
    settings: Settings, pruned: Pruned, order: int, on_call: Callable[[], None]
) -> tuple[MapNorms, Evidence, list[Row]]:
    """||F_0||, ..., ||F_N|| at the run's learning rate, their word, and the rows at a rate of 1."""
    found = map_norms(
        pruned.tasks[0],
        pruned.space,
        1.0,
        order,
        products=PRODUCTS,
        samples=CHAINS,
        seed=settings.seed,
        vectors=0,  # a drift is that of one rate
        check=False,  # the rounds have compared this series with the loss moved
        on_call=on_call,
    )
    eta = settings.learning_rate
    norms = descent_norms(found.constant, found.extremes, found.higher, eta)
    return norms, found.evidence, norm_rows(found)


def norm_rows(found: NetworkNorms) -> list[Row]:
    """The norms of a map at eta = 1, and the ends of the spectrum that they stand on."""
    rows = [
        Row(f"norms/eta-1/{row.name.partition('/')[2]}", row.value, row.unit, row.evidence,
            row.source)
        for row in found.rows()
    ]  # fmt: skip
    source = "taken to hold the spectrum"
    return [*rows, Row(names.NORM_EXTREMES, found.extremes, "1", found.evidence, source)]


def measured_sparsity(
    settings: Settings, pruned: Pruned, order: int, steps: int, on_rows: Callable[[], None]
) -> tuple[Sparsity, list[Row]]:
    """s of the ledger: as set; of few weights the entries a row that the segment needs for 1 %,
    measured with all of H stored; of more the entries that carry 99 % of a row's squared norm, the
    mean of sampled rows, and what the segment needs stands beside it by a law.
    """
    if settings.sparsity:
        given = min(settings.sparsity, pruned.space.n)
        source = "setting `sparsity`, the paper's condition"
        if given < settings.sparsity:
            source += f"; a row has no more entries than there are kept weights, {given:,}"
        return Sparsity(given, Evidence.ASSUMED, source), []
    task, space = pruned.tasks[0], pruned.space
    if space.n <= MOST_STORED:
        return _needed(settings, pruned, order, steps, on_rows)
    operator = hessian(task, space, space.theta, check=False)
    found = row_sparsity(operator, SAMPLED_ROWS, settings.seed, on_rows=lambda _: on_rows())
    how = f"{len(found.rows)} rows of {space.n:,}, first batch of {task.batch}"
    entries = max(1, round(found.mean_carrying[0]))
    source = f"entries that carry 99 % of a row's squared norm, mean of {how}"
    return Sparsity(entries, Evidence.MEASURED, source), mean_rows(found, how)


def _needed(
    settings: Settings, pruned: Pruned, order: int, steps: int, on_rows: Callable[[], None]
) -> tuple[Sparsity, list[Row]]:
    """The entries a row without which a round's segment is off by one per cent."""
    task, space, eta = pruned.tasks[0], pruned.space, settings.learning_rate
    found = needed_sparsity(
        task, space, steps, eta, order=min(order, 2), on_rows=lambda _: on_rows()
    )
    entries = min(found.needed(0.01), float(space.n))
    how = (
        f"entries a row from which on a segment of {steps} steps at eta = {eta:g}, order"
        f" {found.order}, is within 1 %; all of H of {space.n:,} weights, first batch of"
        f" {task.batch}"
    )
    rows = [
        Row(name, value, unit, Evidence.MEASURED, how)
        for name, value, unit in (
            (names.NEEDED_WEIGHTS, space.n, "weights"),
            (names.NEEDED_FOR_1_PERCENT, entries, "entries"),
        )
    ]
    return Sparsity(max(1, math.ceil(entries)), Evidence.MEASURED, how), rows


def needed_of(rows: list[Row]) -> dict[str, Any]:
    """What the ledger is told of the entries that the segment needs, where they were measured."""
    row = next((row for row in rows if row.name == names.NEEDED_FOR_1_PERCENT), None)
    if row is None:
        return {}
    return {
        "needed_sparsity": row.number,
        "needed_evidence": row.evidence,
        "needed_source": row.source,
    }


def mean_rows(found: RowSparsity, how: str) -> list[Row]:
    """The mean entries that count in a row, by either threshold, with their standard errors."""
    return [
        Row(names.row_entries(kind, "mean"), mean, "entries", Evidence.MEASURED, how, error)
        for kind, (mean, error) in (
            (names.ABOVE_ONE_THOUSANDTH, found.mean_above),
            (names.CARRYING_99_PERCENT, found.mean_carrying),
        )
    ]


def blocks_of(settings: Settings, n: int) -> int:
    """How often `measured_sparsity` reports."""
    if settings.sparsity:
        return 0
    return -(-n // PRODUCTS_AT_ONCE) if n <= MOST_STORED else -(-min(SAMPLED_ROWS, n) // BLOCK)
