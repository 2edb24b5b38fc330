"""What a history is made of: a lift for each step, of maps in the unit of the fewest queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import ArgumentError, argument_error, check_integer, check_sequence
from qdescent.carleman.best_history import LARGEST_FACTOR, HistoryChoice, best_history
from qdescent.carleman.lifting.coordinates import Coordinates
from qdescent.carleman.lifting.lifted import LiftedField, LiftedMap
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.majorant import ORDER_LIMIT, norms_of, on_cpu
from qdescent.linalg.map_norms import MOST_STEPS, MapNorms
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import check_scale
from qdescent.linalg.tensors import real_tensor

# stored entries of M: 1.2 GB in COO, about three times that while it is assembled
ENTRY_LIMIT = 50_000_000
POWERS_LIMIT = 500  # variables: the norms of T powers of a larger F_1 would take minutes

Steps = PolynomialMap | LiftedMap | Sequence[PolynomialMap] | Sequence[LiftedMap]


def lifted_steps(
    f: Steps,
    u0: Tensor,
    steps: int | None,
    padding: int | None,
    order: int | None,
    scale: float | None,
    largest: int | None,
) -> tuple[list[LiftedMap], int, HistoryChoice | None]:
    """A lift for each step, the padding, and the choice; arguments as of `history_system`."""
    if isinstance(f, (PolynomialMap, LiftedMap)):
        if steps is None:
            raise argument_error("steps", "be given where one map serves every step", "None")
        size = f.size if isinstance(f, PolynomialMap) else f.dimension
        steps = check_integer("steps", steps, 1, ENTRY_LIMIT // size)
        each: list[PolynomialMap | LiftedMap] = [f] * steps
    else:
        steps = None if steps is None else check_integer("steps", steps, 1)
        if isinstance(f, (LiftedField, PolynomialField)):
            step = "euler_step" if isinstance(f, LiftedField) else "euler_map"
            must = f"be a map, as a step of an equation is (`{step}(h)` makes one)"
            raise argument_error("f", must, f"an equation, a {type(f).__name__}")
        called = "a PolynomialMap or a LiftedMap, or one for each step"
        each = list(check_sequence("f", f, PolynomialMap, LiftedMap, called=called, empty=True))
    if not each or steps not in (None, len(each)):
        must = "hold one map or one lift for each of the steps"
        raise argument_error("f", must, f"{len(each)} for {steps} steps")
    if padding is not None:
        padding = check_integer("padding", padding, 0, MOST_STEPS)
    choice = None
    if all(isinstance(one, PolynomialMap) for one in each):
        maps = cast("list[PolynomialMap]", each)
        if order is None:
            raise argument_error("order", "be given with a map", "None")
        order = check_integer("order", order, 1)
        choice = _best(maps, u0, order, padding, scale, largest)
        if choice is not None:
            padding, scale = choice.padding, choice.scale
        unit = 1.0 if scale is None else scale
        lifted = {id(one): carleman_linearize(one, order, scale=unit) for one in maps}
        lifts = [lifted[id(one)] for one in maps]
    else:
        if not all(isinstance(one, LiftedMap) for one in each):
            raise argument_error("f", "hold maps alone, or lifts alone", "a mixture")
        lifts = cast("list[LiftedMap]", each)
        for name, value in (("order", order), ("scale", scale), ("largest", largest)):
            if value is not None:
                raise argument_error(name, "be left out with a lift, which has its own", value)
    if any(one.coordinates != lifts[0].coordinates for one in lifts):
        must = "have the same n, order, form, coordinates and scale at every step"
        raise argument_error("f", must, "a mixture")
    return lifts, padding or 0, choice


def _best(
    maps: Sequence[PolynomialMap],
    u0: Tensor,
    order: int,
    padding: int | None,
    scale: float | None,
    largest: int | None,
) -> HistoryChoice | None:
    """The best unit and padding, by norms of the maps and the displacements that they make; None
    where nothing moves, or what moves diverges.
    """
    n, steps = maps[0].size, len(maps)
    if any(one.size != n for one in maps):
        raise argument_error("f", "have the same n at every step", "a mixture")
    D = Coordinates(n, order, "homogenised").dimension
    if scale is not None:
        scale = check_scale("scale", scale, order)
    most = min(LARGEST_FACTOR * steps, max(ENTRY_LIMIT // (4 * D) - steps, 0))
    if largest is not None:
        most = min(most, check_integer("largest", largest, 0, MOST_STEPS))
    here = {id(one): on_cpu(one) for one in maps}
    maps = [here[id(one)] for one in maps]
    path = [check_tensor("u0", real_tensor("u0", u0), (n,)).double().cpu()]
    for one in maps:
        path.append(one(path[-1]))
    lengths = torch.linalg.vector_norm(torch.stack(path), dim=1)
    if order > ORDER_LIMIT or not bool(lengths.isfinite().all()) or not bool(lengths[-1] > 0):
        return None
    try:
        return best_history(
            _norms(maps, order),
            order,
            steps,
            path=lengths,
            padding=padding,
            scale=scale,
            largest=most,
        )
    except ArgumentError:  # kappa overflows in every unit: a solver says so
        return None


def _norms(maps: Sequence[PolynomialMap], order: int) -> MapNorms:
    """Norms that hold at every step."""
    every = list({id(one): one for one in maps}.values())
    if len(every) == 1:
        return norms_of(every[0], len(maps) if every[0].size <= POWERS_LIMIT else None, order)
    found = [norms_of(one) for one in every]
    degrees = max(len(one.higher) for one in found)
    higher = np.zeros((len(found), degrees))
    for row, one in zip(higher, found, strict=True):
        row[: len(one.higher)] = one.higher
    return MapNorms(
        constant=max(one.constant for one in found),
        linear=max(one.linear for one in found),
        higher=tuple(higher.max(0, initial=0.0).tolist()),
    )
