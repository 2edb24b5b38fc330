"""The history system that is priced: its unit, padding, kappa and success, given or found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from qdescent._checks import argument_error, check_numbers, check_sequence
from qdescent._evidence import Evidence, derived
from qdescent.carleman.best_history import HistoryChoice, best_history
from qdescent.carleman.majorant import ORDER_LIMIT
from qdescent.linalg.inner_product import check_inner_products
from qdescent.linalg.map_norms import MapNorms

__all__ = ["MOST_STEPS", "ORDER_LIMIT", "History", "chosen_history"]

MOST_STEPS = 10_000  # of a search by norms: a second or two
Known = tuple[MapNorms, Evidence, str]
Grams = tuple[tuple[tuple[float, ...], ...], ...]
Success = tuple[float | None, Evidence, str]


@dataclass(frozen=True)
class History:
    """What is known of the linear system of all steps.

    Args:
        kappa, kappa_evidence, kappa_source: ||M|| ||M^-1||.
        padding, padding_source: p.
        success: probability of finding u_T in one solve (None: unknown), word and source.
        scale: gamma, the unit of the displacement.
    """

    kappa: float
    kappa_evidence: Evidence
    kappa_source: str
    padding: int
    padding_source: str
    success: Success
    scale: float = 1.0

    @property
    def probability(self) -> float:
        """Of finding u_T; unknown it counts as 1, in favour of the quantum side."""
        return 1.0 if self.success[0] is None else self.success[0]


def chosen_history(
    known: Known,
    order: int,
    steps: int,
    padding: int | None,
    scale: float | None,
    success: Success,
    grams: Grams | None = None,
    seen: Evidence = Evidence.ASSUMED,
) -> History:
    """The history whose kappa the norms bound, in the unit and with the padding of fewest queries.

    Args:
        known: norms, word and source.
        order, steps: N, T.
        padding: None: the best.
        scale: None: the best.
        success: given by the user, it stands; else it is the choice's own.
        grams: of displacements that were measured; None: they count as large as the norms allow.
        seen: how these are known.
    """
    norms, evidence, source = known
    found = _search(norms, order, steps, padding, scale, grams)
    unit = "units of 1" if scale is not None else f"units of {found.scale:.4g}, the best"
    word = derived(Evidence.BOUNDED, evidence)
    if success[0] is None:
        share = f"(p+1) ||u_T||^2 / ||Z||^2 in {unit}"
        success = (
            (min(1.0, found.probability), derived(seen), f"{share}, of the terms that were given")
            if found.measured
            else (
                min(1.0, found.probability),
                Evidence.MODELLED,
                f"{share}, u_t at its largest for the norms",
            )
        )
    return History(
        kappa=found.kappa_bound,
        kappa_evidence=word,
        kappa_source=f"majorant of {source}, in {unit}",
        padding=found.padding,
        padding_source="argument `padding`" if padding is not None else "of fewest queries",
        success=success,
        scale=found.scale,
    )


@lru_cache(maxsize=2**14)  # a sweep comes back to each T
def _search(
    norms: MapNorms,
    order: int,
    steps: int,
    padding: int | None,
    scale: float | None,
    grams: Grams | None,
) -> HistoryChoice:
    given = None if grams is None else torch.tensor(grams, dtype=torch.float64, device="cpu")
    return best_history(norms, order, steps, padding=padding, scale=scale, grams=given)


def check_grams(name: str, value: Grams) -> Grams:
    """Check that an argument is a square matrix of finite numbers for each step, and make tuples
    of it.
    """
    called = "a square matrix for each step"
    steps = check_sequence(name, value, list, tuple, called=called)
    for matrix in steps:
        rows = check_sequence(name, matrix, list, tuple, called=called)
        for row in rows:
            numbers = check_numbers(name, row, "(-inf, inf)", called)
            if len(numbers) != len(rows) or len(rows) != len(steps[0]):
                raise argument_error(name, f"be {called}", "rows of unlike length")
    check_inner_products(name, torch.tensor(steps, dtype=torch.float64, device="cpu"))
    return tuple(tuple(tuple(float(each) for each in row) for row in matrix) for matrix in steps)


def check_sizes(name: str, grams: Grams, steps: int, order: int) -> None:
    """Check that there is an order x order matrix for each step."""
    if (len(grams), len(grams[0])) != (steps, order):
        must = f"be {steps} matrices, {order} x {order}: of every step"
        size = f"{len(grams)} matrices, {len(grams[0])} x {len(grams[0])}"
        raise argument_error(name, must, size)
