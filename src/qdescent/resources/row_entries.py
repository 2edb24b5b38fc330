"""How many entries a row of F_1, F_2, ... has, as far as sizes say it."""

from __future__ import annotations

import math

from qdescent._checks import argument_error

MOST_ENTRIES = 2**62  # of all tables: what a loader's address can hold


def row_entries(n: int, order: int, sparsity: int, pairs: int | None) -> tuple[int, ...]:
    """Entries a row of F_1, ..., F_N: s, s_2, and from F_3 on s_2^(k/2), no more than n^k.

    All pairs in an entry of F_k are entries of F_2's row (structurally), and a set whose every pair
    is one of s_2 has at most s_2^(k/2) members (Loomis and Whitney 1949).

    Args:
        n: weights.
        order: N.
        sparsity: s.
        pairs: s_2; None: s^2, the pairs of a row's neighbours; 0: F_1 alone.

    Example:
        >>> row_entries(10**4, 3, 100, 400)
        (100, 400, 8000)
    """
    pairs = min(sparsity, n) ** 2 if pairs is None else pairs
    if order == 1 or not pairs:
        return (sparsity,)
    higher = (min(1 + math.isqrt(pairs**k - 1), n**k) for k in range(2, order + 1))
    return (sparsity, *higher)


def check_entries(n: int, colours: tuple[int, ...], entries: int, pairs: int | None) -> None:
    """Check that all tables together can be addressed.

    Raises:
        ArgumentError: naming the order where F_1 and F_2 alone could be.
    """
    if entries <= MOST_ENTRIES:
        return
    must = f"make tables of at most {MOST_ENTRIES:.2g} entries"
    size = f"of about 1e{math.log10(entries):.0f}"  # as a float it might overflow
    if len(colours) > 2 and n * sum(colours[:2]) <= MOST_ENTRIES:
        must += " (`coupling_sparsity` 0 loads F_1 alone)"
        raise argument_error("order", must, f"{len(colours)}, {size}")
    raise argument_error("sparsity" if pairs is None else "coupling_sparsity", must, size)
