"""How long a lifted state is, and how much of a history is its end."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from qdescent._array_checks import check_array, check_tensor
from qdescent._checks import argument_error, check_integer, check_interval


def end_probability(end: float, norms: Sequence[float], padding: int) -> float:
    """(p + 1) ||u_T||^2 / (sum_{t<T} ||z_t||^2 + (p + 1) ||z_T||^2): the probability of finding u_T
    in the history state.

    Args:
        end: ||u_T||.
        norms: ||z_t||, t = 0..T.
        padding: p.

    Example:
        >>> round(end_probability(3.0, [4.0, 5.0], padding=1), 6)  # 2 * 9 / (16 + 2 * 25)
        0.272727
    """
    end, padding = (
        check_interval("end", end, "[0, inf]"),
        check_integer("padding", padding, 0, 10**18),
    )
    lengths = check_array("norms", norms, (None,)).tolist()
    longest = max(lengths)
    if longest <= 0:
        raise argument_error("norms", "not be zero all together", "zero: there is no state")
    # relative to the longest: the square of a length may be below or above every number
    *before, last = ((norm / longest) ** 2 for norm in lengths)
    return (padding + 1) * (end / longest) ** 2 / (sum(before) + (padding + 1) * last)


def lifted_norm(gram: Tensor) -> float:
    """||z_t|| of the homogenised order-N lifted state, from the series terms' inner products.

    Args:
        gram: <u_k, u_l>, k, l = 1..N, shape (N, N).

    Example:
        >>> lifted_norm(torch.tensor([[9.0]], dtype=torch.float64))  # order 1: z = u
        3.0
    """
    return math.sqrt(sum(letter_weights(gram)))


def letter_weights(gram: Tensor) -> list[float]:
    """||z_t||^2 by the number m = 1..N of letters u of a word: of u / gamma they are gamma^{-2m}
    times as large.

    A word with m letters u and j - m letters w = 1 is the product of m series in eps, cut where its
    degree exceeds N - (j - m):
    ||z||^2 = sum_{m=1..N} sum_{j=m..N} C(j, m) sum_{K, L <= N - j + m} [a^K b^L] g(a, b)^m
    with g = sum_kl <u_k, u_l> a^k b^l.

    Args:
        gram: <u_k, u_l>, k, l = 1..N, shape (N, N).
    """
    gram = check_tensor("gram", gram, (None, None))
    order = gram.shape[0]
    check_tensor("gram", gram, (order, order))
    g = torch.zeros(order + 1, order + 1, dtype=torch.float64, device="cpu")
    g[1:, 1:] = gram.double()
    power, weights = torch.zeros_like(g), [0.0] * order
    power[0, 0] = 1.0
    for m in range(1, order + 1):
        longer = torch.zeros_like(g)  # power * g, both truncated at degree N in each variable
        for k in range(1, order + 1):
            for i in range(1, order + 1):
                longer[k:, i:] += g[k, i] * power[: order + 1 - k, : order + 1 - i]
        power = longer
        for j in range(m, order + 1):
            cut = order - j + m + 1
            weights[m - 1] += math.comb(j, m) * float(power[:cut, :cut].sum())
    return weights
