"""Coefficients F_0, F_1, F_2, ... of a polynomial on R^n: what a map and a field have in common."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from qdescent._array_checks import check_shape
from qdescent._checks import argument_error, check_interval, check_iterable
from qdescent.linalg.inner_product import power_of_two
from qdescent.linalg.tensors import real_tensor

if TYPE_CHECKING:
    from scipy import sparse

Terms = tuple[Tensor, ...]
LEAST_SCALE = 1e-100  # its powers are still numbers


def checked_terms(coefficients: Sequence[Tensor]) -> Terms:
    """The coefficients as real tensors, F_0 as a column, after a check of every shape and entry.

    Raises:
        ArgumentError: fewer than two coefficients, a wrong shape, numbers that are not real or not
            finite, or more than one device.
    """
    terms = check_iterable("coefficients", coefficients, called="a list of F_0, F_1, ...")
    given = [real_tensor(f"coefficients[{k}]", F) for k, F in enumerate(terms)]
    if len(given) < 2:
        raise argument_error("coefficients", "hold at least F_0 and F_1", f"{len(given)} of them")
    if given[0].ndim == 1:
        given[0] = given[0].unsqueeze(1)
    if given[0].ndim != 2 or not given[0].numel():
        raise argument_error(
            "coefficients[0]",
            "have shape (n,) or (n, 1), n at least 1",
            f"of shape {tuple(given[0].shape)}",
        )
    n = given[0].shape[0]
    for k, F in enumerate(given):
        check_shape(f"coefficients[{k}]", F, (n, n**k))
        if F.device != given[0].device:
            raise argument_error(
                f"coefficients[{k}]",
                f"be on the device of F_0, {given[0].device}",
                f"on {F.device}",
            )
    return tuple(given)


def point(name: str, u: Tensor, size: int) -> Tensor:
    """A point of R^n as a floating-point tensor, (n,); one that is a tensor already keeps its type
    and its graph.
    """
    value = u if isinstance(u, Tensor) and u.is_floating_point() else real_tensor(name, u)
    return check_shape(name, value.to_dense(), (size,))


def digits_of(columns: Tensor, size: int, degree: int) -> list[Tensor]:
    """i_1, ..., i_k of the column indices i_1 n^{k-1} + ... + i_k."""
    return [
        torch.div(columns, size ** (degree - 1 - p), rounding_mode="floor") % size
        for p in range(degree)
    ]


def evaluate(terms: Terms, u: Tensor) -> Tensor:
    """sum_k F_k u^{(x)k}, (n,) -> (n,), in the type of u. A sparse F_k costs its own entries, never
    a vector of length n^k.

    Where powers of u would leave the numbers of its type though F_k times them does not, u is taken
    in units of a power of two, and the units are given back one by one.
    """
    unit = _unit(u, len(terms) - 1)
    u = u if unit == 1 else u / unit
    value, power = torch.zeros_like(u), torch.ones(1, dtype=u.dtype, device=u.device)
    dense_degree = max((k for k, F in enumerate(terms) if not F.is_sparse), default=0)
    for k, F in enumerate(terms):
        if F.is_sparse:
            rows, columns, part = _entries(F)
            part = part.to(u.dtype)
            for digit in digits_of(columns, len(u), k):
                part = part * u[digit]
            value = value.index_add(0, rows, _in_units(part, unit, k))
        else:
            value = value + _in_units(F.to(u.dtype) @ power, unit, k)
        if k < dense_degree:
            power = torch.kron(power, u)
    return value


def _unit(u: Tensor, degree: int) -> float:
    """1, or about the largest entry of u where its powers may overflow or underflow."""
    least = torch.finfo(u.dtype).tiny ** (0.5 / max(1, degree))
    size = u.detach().abs().amax().double()
    return 1.0 if least <= float(size) <= 1 / least else float(power_of_two(size))


def _in_units(term: Tensor, unit: float, degree: int) -> Tensor:
    """unit^degree term, of which neither the power nor the term need be a number's size."""
    for _ in range(degree if unit != 1 else 0):
        term = term * unit
    return term


def rescale(terms: Terms, gamma: float) -> Terms:
    """The same polynomial in x = u / gamma: F_k -> gamma^{k-1} F_k."""
    gamma = check_scale("gamma", gamma)
    return tuple(gamma ** (k - 1) * F for k, F in enumerate(terms))


def check_scale(name: str, scale: float, order: int = 1) -> float:
    """Check a unit gamma > 0 of which monomials up to degree N are numbers, too."""
    scale = check_interval(name, scale, "(0, inf)")
    least = LEAST_SCALE ** (1 / max(1, order - 1))
    if not least <= scale <= 1 / least:
        raise argument_error(name, f"be from {least:.3g} to {1 / least:.3g}", scale)
    return scale


def recentre(terms: Terms, pivot: Tensor) -> Terms:
    """The same polynomial in x = u - pivot, values left as they are: x -> sum_k F_k (pivot +
    x)^{(x)k}, multiplied out exactly.

    Each entry of F_k goes to all 2^k choices of the positions that keep x; at the others it is
    multiplied by the pivot.
    """
    n = terms[0].shape[0]
    pivot = real_tensor("pivot", pivot).to_dense()
    check_shape("pivot", pivot, (n,))
    gathered: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in terms]
    for k, F in enumerate(terms):
        rows, columns, values = _entries(F)
        digits = digits_of(columns, n, k)
        for m in range(k + 1):
            for kept in combinations(range(k), m):
                column, value = torch.zeros_like(columns), values
                for p, digit in enumerate(digits):
                    if p in kept:
                        column = column * n + digit
                    else:
                        value = value * pivot.to(value)[digit]
                gathered[m].append((rows, column, value))
    moved = []
    for m, parts in enumerate(gathered):
        rows, columns, values = (torch.cat(each) for each in zip(*parts, strict=True))
        F = torch.sparse_coo_tensor(
            torch.stack([rows, columns]),
            values,
            (n, n**m),
            check_invariants=True,
            device=values.device,
        ).coalesce()
        moved.append(F if all(each.is_sparse for each in terms[m:]) else F.to_dense())
    return tuple(moved)


def to_scipy(F: Tensor) -> sparse.csr_array:
    """F_k as a SciPy sparse array (float64), for assembling larger matrices out of it."""
    from scipy import sparse

    rows, columns, values = _entries(F.detach().cpu())
    return sparse.csr_array(
        (np.asarray(values, dtype=np.float64), (np.asarray(rows), np.asarray(columns))),
        shape=tuple(F.shape),
    )


def _entries(F: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    entries = (F if F.is_sparse else F.to_sparse_coo()).coalesce()
    return entries.indices()[0], entries.indices()[1], entries.values()
