"""Each theorem on the truncation error: its conditions and its bound at one map or equation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qdescent._arrays import Floats
from qdescent.carleman.truncation.bound import MOST, Bound, promised, silent
from qdescent.carleman.truncation.field_bounds import (
    FieldNorms,
    comparison_error_bound,
    comparison_time,
    field_norms,
    forced_error_bound,
    liu_error_bound,
    liu_number,
    rescaled_number,
)
from qdescent.carleman.truncation.map_bounds import (
    map_error_bounds,
    map_number,
    uniform_error_bounds,
)
from qdescent.carleman.truncation.norms import (
    change_coordinates,
    coefficient_norm,
    field_coordinates,
    map_coordinates,
)
from qdescent.linalg.polynomial_map import PolynomialMap

# entries of the largest F_k in other coordinates: eight changes of 80 MB, seconds
DENSE_LIMIT = 10_000_000
# How far the target rate stands from the best one (0) towards that of the l_2 norm (1): S grows as
# it nears 0. Any gives a theorem, so the least bound is taken.
FRACTIONS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)


MAJORANT = "composed norm series, proof in carleman/truncation/map_bounds.py"
LYAPUNOV = "one quadratic Lyapunov function (cf. Jennings et al. 2025); proof in carleman/"


def bounds_of_map(maps: Sequence[PolynomialMap], u0: Tensor, steps: int) -> list[Bound]:
    f, start = maps[0], float(u0.norm())
    each = np.zeros((len(maps), max(g.degree for g in maps) + 1))  # ||F_k|| at every step
    for row, g in zip(each, maps, strict=True):
        row[: g.degree + 1] = _norms(g.coefficients)
    a = each.max(0)  # each theorem takes any a_k >= ||F_k||
    varying = each if len(maps) > 1 else a
    form = "either" if a[0] == 0 else "homogenised"
    sizes = ", ".join(f"||F_{k}|| = {norm:.3g}" for k, norm in enumerate(a))
    bounds = [
        _series(
            "norm series", f"always; {sizes}, ||u_0|| = {start:.3g}", varying, start, steps, form
        )
    ]
    if a[0] > 0:
        bounds.append(_series("norm series, plain form", "always", varying, start, steps, "plain"))
    bounds.append(
        _uniform(
            "uniform in time (R_d)",
            "||F_1||",
            a,
            start,
            form,
            "proof in carleman/truncation/map_bounds.py",
        )
    )

    names = ("norm series, Lyapunov norm", "uniform in time, Lyapunov norm")
    if len(maps) > 1:
        reason = (
            "not tried: the map changes from step to step, and no norm is shared by construction"
        )
        return [
            *bounds,
            *(silent(name, reason, form, LYAPUNOV + "map_bounds.py") for name in names),
        ]
    if (entries := f.size ** (f.degree + 1)) > DENSE_LIMIT:
        return [
            *bounds,
            *(
                silent(name, _too_large(entries), form, LYAPUNOV + "map_bounds.py")
                for name in names
            ),
        ]
    radius = float(torch.linalg.eigvals(f.coefficients[1].to_dense().double()).abs().max())
    gap = a[1] - radius
    if gap <= 1e-9 * a[1]:
        reason = f"||F_1|| = {a[1]:.6g} is its spectral radius: no norm is better"
        return [
            *bounds,
            *(silent(name, reason, form, LYAPUNOV + "map_bounds.py") for name in names),
        ]
    tried = []
    for fraction in FRACTIONS:
        S = map_coordinates(f.coefficients[1], radius + fraction * gap)
        b, size = _norms(change_coordinates(f.coefficients, S)), float((S @ u0).norm())
        reason = f"||F_1|| = {a[1]:.4g} but {b[1]:.4g} in ||S u|| (spectral radius {radius:.4g})"
        series = _series(names[0], reason, b, size, steps, form, LYAPUNOV + "map_bounds.py")
        tried.append(
            (
                series,
                _uniform(names[1], "||S F_1 S^-1||", b, size, form, LYAPUNOV + "map_bounds.py"),
            )
        )
    return [*bounds, *(_least(list(each)) for each in zip(*tried, strict=True))]


def _too_large(entries: int) -> str:
    return f"not tried: F_k would be dense in other coordinates, {entries:.1e} entries"


def _norms(coefficients: Sequence[Tensor]) -> Floats:
    return np.array([coefficient_norm(F) for F in coefficients])


def _series(
    name: str,
    reason: str,
    a: ArrayLike,
    start: float,
    steps: int,
    form: str,
    source: str = MAJORANT,
) -> Bound:
    errors = map_error_bounds(a, start, steps, MOST, "plain" if form == "plain" else "homogenised")[
        -1
    ]
    if not np.isfinite(errors).any():
        reason += "; it overflows: the map expands too much for its norms to tell anything"
    return promised(name, reason, form, source, errors.tolist())


def _uniform(name: str, kind: str, a: Floats, start: float, form: str, source: str) -> Bound:
    R = map_number(a, start)
    if R >= 1:
        why = (
            f"{kind} = {a[1]:.6g} is not below 1" if a[1] >= 1 else f"R_d = {R:.4g} is not below 1"
        )
        return silent(name, why, form, source, number=R)
    errors = uniform_error_bounds(a, start, MOST).tolist()
    return promised(name, f"R_d = {R:.4g} < 1: at every time", form, source, errors, R)


def _least(tried: list[Bound]) -> Bound:
    """The best of several bounds of one kind, order by order, so that each entry is a theorem of
    its own.

    The one with the least error at order 4, or else the least R-number, lends its reason.
    """
    best = min(
        tried,
        key=lambda bound: (
            not bound.applies,
            bound.errors[3],
            math.inf if bound.number is None else bound.number,
        ),
    )
    return replace(best, errors=tuple(np.min([bound.errors for bound in tried], axis=0).tolist()))


def bounds_of_field(coefficients: Sequence[Tensor], u0: Tensor, time: float) -> list[Bound]:
    x = field_norms(coefficients, u0)
    form = "either" if x.forcing == 0 else "plain"
    bounds = [_liu(x, time, form)]
    krovi = "Krovi, arXiv:2202.01054 (condition); proof in carleman/truncation/field_bounds.py"
    pouly = "Forets and Pouly, arXiv:1711.02552, Theorem 4.3"
    bounds.append(_comparison("log-norm", "mu(F_1)", x, x.rate, time, form, krovi))
    bounds.append(_comparison("power series", "||F_1||", x, x.linear, time, form, pouly))
    forced = "proof in carleman/truncation/field_bounds.py, forced_error_bound"
    bounds.append(_forced("best rescaling", x, form, forced))

    name, gap, source = "Lyapunov norm", x.rate - x.abscissa, LYAPUNOV + "field_bounds.py"
    if gap <= 1e-9 * max(abs(x.abscissa), x.linear):
        return [
            *bounds,
            silent(name, "mu(F_1) is Re lambda_1: no quadratic norm is better", form, source),
        ]
    if (entries := coefficients[-1].numel()) > DENSE_LIMIT:
        return [*bounds, silent(name, _too_large(entries), form, source)]
    tried = []
    for fraction in FRACTIONS:
        S = field_coordinates(coefficients[1], x.abscissa + fraction * gap)
        y = field_norms(change_coordinates(coefficients, S), S @ u0)
        tried.append(
            _comparison(name, "mu in ||S u||", y, y.rate, time, form, source)
            if x.forcing == 0
            else _forced(name, y, form, source)
        )
    return [*bounds, _least(tried)]


def _liu(x: FieldNorms, time: float, form: str) -> Bound:
    source, name = "Liu et al., arXiv:2011.03185 (truncation error for R < 1)", "R-number"
    if x.abscissa >= 0:
        return silent(name, f"Re lambda_1 = {x.abscissa:.4g} is not below 0", form, source)
    R = liu_number(x.start, x.abscissa, x.quadratic, x.forcing)
    reasons = [f"R = {R:.4g} is not below 1"] if R >= 1 else []
    if not x.normal:
        reasons.append(
            f"F_1 is not normal: mu(F_1) = {x.rate:.4g} > Re lambda_1 = {x.abscissa:.4g}"
        )
    if x.forcing > 0:
        reasons.append("F_0 is not zero")
    if reasons:
        return silent(name, "; ".join(reasons), form, source, number=R)
    errors = (
        liu_error_bound(x.start, x.abscissa, x.quadratic, N, time) for N in range(1, MOST + 1)
    )
    return promised(name, f"R = {R:.4g} < 1, F_1 normal, no forcing", form, source, errors, R)


def _comparison(
    name: str, kind: str, x: FieldNorms, rate: float, time: float, form: str, source: str
) -> Bound:
    if x.forcing > 0:
        return silent(name, "F_0 is not zero", form, source)
    number = liu_number(x.start, rate, x.quadratic) if rate < 0 else None
    until = comparison_time(x.start, rate, x.quadratic)
    if time >= until:
        return silent(
            name,
            f"{kind} = {rate:.4g} bounds it only until t = {until:.4g}",
            form,
            source,
            number=number,
            time=until,
        )
    errors = (
        comparison_error_bound(x.start, rate, x.quadratic, N, time) for N in range(1, MOST + 1)
    )
    holds = "for every time" if math.isinf(until) else f"until t = {until:.4g}"
    return promised(name, f"{kind} = {rate:.4g}: {holds}", form, source, errors, number, until)


def _forced(name: str, x: FieldNorms, form: str, source: str) -> Bound:
    if x.rate >= 0:
        return silent(name, f"mu = {x.rate:.4g} is not below 0", form, source)
    R, gamma = rescaled_number(x.start, x.rate, x.quadratic, x.forcing)
    if R >= 1:
        return silent(
            name,
            f"R = {R:.4g} at its best gamma = {gamma:.4g} is not below 1",
            form,
            source,
            number=R,
        )
    errors = (
        forced_error_bound(x.start, x.rate, x.quadratic, x.forcing, N) for N in range(1, MOST + 1)
    )
    reason = f"R = {R:.4g} < 1 at gamma = {gamma:.4g}: at every time"
    return promised(name, reason, form, source, errors, R)
