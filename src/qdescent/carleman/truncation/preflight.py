"""Which truncation bounds apply to a map or an equation before it is lifted, and their promise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_integer,
    check_interval,
    check_sequence,
    check_text,
    shown,
)
from qdescent._evidence import Evidence, Row
from qdescent.carleman.truncation.bound import MOST, Bound
from qdescent.carleman.truncation.theorems import bounds_of_field, bounds_of_map
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.tensors import real_tensor

MOST_STEPS = 1_000_000  # of a map: each composes the norm series once more


@dataclass(frozen=True)
class Preflight:
    """What is known about a Carleman linearisation before it is run.

    Args:
        bounds: every bound, with its conditions and errors.
        orders: the orders N that are shown.
        error: the error at the end, in the l_2 norm and the unit of u, that an order is asked to
            reach.
        horizon: "10 steps", or "time 1".
    """

    bounds: tuple[Bound, ...]
    orders: tuple[int, ...]
    error: float
    horizon: str

    def __post_init__(self) -> None:
        bounds = check_sequence("bounds", self.bounds, Bound, called="a sequence of `Bound`s")
        object.__setattr__(self, "bounds", bounds)
        object.__setattr__(self, "orders", _checked_orders(self.orders))
        object.__setattr__(self, "error", check_interval("error", self.error, "(0, inf)"))
        check_text("horizon", self.horizon)

    def best(self, order: int) -> Bound | None:
        """The least finite bound at this order, 1 to 32; None where no theorem holds."""
        order = check_integer("order", order, 1, MOST)
        known = [
            bound
            for bound in self.bounds
            if bound.applies and math.isfinite(bound.errors[order - 1])
        ]
        return min(known, key=lambda bound: bound.errors[order - 1], default=None)

    @property
    def order(self) -> int | None:
        """The least order for which some bound is at most `error`; None: none up to 32."""
        return min(
            (N for bound in self.bounds if (N := bound.order_for(self.error)) is not None),
            default=None,
        )

    def rows(self) -> list[Row]:
        """Each bound that applies, its R-number and the order it asks for, with its source."""
        rows = []
        for bound in self.bounds:
            source = f"{bound.source}; {bound.form} form, after {self.horizon}"
            if bound.number is not None:
                rows.append(
                    Row(f"preflight/{bound.name}/R", bound.number, "1", Evidence.BOUNDED, source)
                )
            if bound.applies:
                for N in self.orders:
                    rows.append(
                        Row(
                            f"preflight/{bound.name}/order {N}",
                            bound.errors[N - 1],
                            "unit of u",
                            Evidence.BOUNDED,
                            source,
                        )
                    )
                rows.append(
                    Row(
                        f"preflight/{bound.name}/order needed",
                        bound.order_for(self.error),
                        "1",
                        Evidence.BOUNDED,
                        source,
                    )
                )
        return rows

    def __str__(self) -> str:
        width = max(len(bound.name) for bound in self.bounds)
        reached = (
            "no bound promises this" if self.order is None else f"order {self.order} reaches it"
        )
        head = f"{'':<{width}}  " + "".join(f"{f'N = {N}':>10}" for N in self.orders) + "    order"
        lines = [
            f"truncation error after {self.horizon} (on the way it may be larger), at most"
            f" {self.error:.3g} wanted: {reached}",
            head,
        ]
        for bound in self.bounds:
            if bound.applies:
                errors = "".join(f"{bound.errors[N - 1]:10.2e}" for N in self.orders)
                lines.append(
                    f"{bound.name:<{width}}  {errors}{bound.order_for(self.error) or '-':>9}"
                )
            else:
                lines.append(f"{bound.name:<{width}}  does not apply")
        lines += [
            f"- {bound.name} ({bound.form} form): {bound.reason} [{bound.source}]"
            for bound in self.bounds
        ]
        return "\n".join(lines)


def preflight(
    f: PolynomialMap | PolynomialField | Sequence[PolynomialMap],
    u0: Tensor,
    steps: float,
    orders: Sequence[int] = (1, 2, 3, 4),
    error: float = 1e-2,
) -> Preflight:
    """Which bounds on the truncation error at the end apply, what they promise, and which order
    reaches a given error there.

    On the way a state that shrinks is off by more than at its end: ask at other `steps`, too, or
    take `map_error_bounds`, which has every step, where a whole history is read.

    Args:
        f: a map (gradient descent: F_1 = I - eta H), a map for each step (SGD), or an autonomous
            equation of degree 2.
        u0: the start, (n,).
        steps: T for a map; for an equation, the time up to which it runs, in its own unit.
        orders: N, between 1 and 32, to show. The default is what explicit lifts and series reach.
        error: error that is asked for at the end, in the l_2 norm and the unit of u; the default is
            the package's 1 % for displacements of size one.

    Returns:
        Preflight; `print` shows it as a table with each bound's conditions.

    Raises:
        ArgumentError: orders outside 1..32; a number of maps that is not `steps`; more than 100,000
            steps of a map whose bounds do not come to rest; an equation of degree above 2, or with
            a forcing in time (give the bounds of `field_bounds` its largest norm).

    Cost: an n x n eigenvalue problem for each coordinate system, and T degree 32^2, some .4 ms a
        step until the bounds come to rest; dense coefficients, so small n.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.zeros(1), torch.tensor([[0.9]]), torch.tensor([[0.1]])])
        >>> found = preflight(f, torch.tensor([0.5]), steps=10)
        >>> found.order, found.best(4).name, round(found.best(4).errors[3], 8)
        (3, 'norm series', 0.00259581)
    """
    if isinstance(f, PolynomialMap | PolynomialField):
        systems: list[PolynomialMap | PolynomialField] = [f]
    else:
        systems = list(
            check_sequence(
                "f", f, PolynomialMap, called="a map or equation, or a map for each step"
            )
        )
        if check_integer("steps", cast(int, steps), 1) != len(systems):
            raise argument_error(
                "f", f"be one map, or one for each of the {steps} steps", f"{len(systems)} maps"
            )
    u0 = check_tensor("u0", real_tensor("u0", u0), (systems[0].size,)).cpu().double()
    error = check_interval("error", error, "(0, inf)")
    wanted = _checked_orders(orders)
    if not isinstance(f, PolynomialField):
        whole = check_integer("steps", cast(int, steps), 1, MOST_STEPS)
        maps = [f] if isinstance(f, PolynomialMap) else list(f)
        return Preflight(tuple(bounds_of_map(maps, u0, whole)), wanted, error, f"{whole} steps")
    steps = check_interval("steps", steps, "(0, inf)")
    if f.forcing is not None:
        raise argument_error(
            "f",
            "be autonomous (give `field_bounds` the largest norm of the forcing)",
            "forced in time",
        )
    return Preflight(
        tuple(bounds_of_field(f.coefficients, u0, float(steps))), wanted, error, f"time {steps:g}"
    )


def _checked_orders(orders: Sequence[int]) -> tuple[int, ...]:
    must = f"be one or more integers from 1 to {MOST}"
    found = check_sequence("orders", orders, object, called=must.removeprefix("be "))
    whole = tuple(check_integer("orders", N, 1) for N in found)  # type: ignore[arg-type]
    if max(whole) > MOST:
        raise argument_error("orders", must, shown(whole))
    return whole
