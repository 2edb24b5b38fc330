"""Tables by what stands where, not entry by entry: as many runs of rows as a loader finds, for
tables of any size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from qdescent._arrays import Ints
from qdescent.quantum.tables.lookup import aligned_runs

# what stands where nothing does; as angles no turn, half of one, and a quarter
ZERO, HALF, QUARTER = 0, 1, 2


class Alike(NamedTuple):
    """One value throughout.

    Args:
        bits: of its address.
        value: equal ones stand for equal entries.
    """

    bits: int = 0
    value: int = ZERO


class Own(NamedTuple):
    """One value throughout that no neighbour has: an entry of a generic map.

    Args:
        bits: of its address.
    """

    bits: int = 0


class Piece(NamedTuple):
    """What stands at the indices first ... last - 1 of an axis.

    Args:
        first, last: indices.
        what: at each of them; if it is not `Alike`, each has values of its own.
    """

    first: int
    last: int
    what: Layout


@dataclass(frozen=True, eq=False)
class Given:
    """Entries one by one, not all of one value; equal to itself alone.

    Args:
        entries: 2^bits of them.
    """

    entries: Ints

    @cached_property
    def bits(self) -> int:
        """Of their address."""
        return len(self.entries).bit_length() - 1

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """Aligned runs of rows of 1, 2, 4, ... entries."""
        return tuple(aligned_runs(self.entries.reshape(-1, 2**k)) for k in range(self.bits + 1))


class Axis(NamedTuple):
    """Indices behind each other, at each a table of 2^inner entries.

    Args:
        bits: of the whole address.
        inner: of the address at one index.
        pieces: in order; zeros stand between and behind them.
    """

    bits: int
    inner: int
    pieces: tuple[Piece, ...]


Layout = Alike | Own | Given | Axis


@dataclass(frozen=True)
class Table:
    """A table of this layout, as loaders pay for it (`Entries`).

    Args:
        layout: what stands where.

    Example:
        >>> three = axis(2, 0, Piece(0, 3, Own()))
        >>> eight = Table(axis(3, 2, Piece(1, 7, three)))
        >>> eight.addresses, eight.ands(), eight.ands(block=4), eight.ands(block=8)
        (32, 24, 6, 2)
    """

    layout: Layout
    _known: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def addresses(self) -> int:
        """2^n."""
        return 1 << self.layout.bits

    def ands(self, block: int = 1) -> int:
        """Two less than the runs of its rows, as `LookUpTable.ands` finds them."""
        found = self._known.get(block)
        if found is None:
            found = max(0, rows(self.layout, block.bit_length() - 1) - 2)
            self._known[block] = found
        return found


def axis(index_bits: int, inner: int, *pieces: Piece) -> Layout:
    """An axis of 2^index_bits tables of 2^inner entries; what is empty or zero is left out.

    Args:
        index_bits, inner: bits.
        pieces: in order.
    """
    zero, filled, alike = Alike(inner), 0, True
    kept = []
    for piece in pieces:
        first, last, what = piece
        if last > first and what != zero:
            kept.append(piece)
            filled += last - first
            alike = alike and type(what) is Alike and what == kept[0][2]
    if not kept:
        return Alike(index_bits + inner)
    if index_bits == 0:
        return kept[0].what
    if alike and filled == 1 << index_bits:
        return Alike(index_bits + inner, kept[0].what.value)  # type: ignore[union-attr]
    return Axis(index_bits + inner, inner, tuple(kept))


def given(values: Ints, own: int) -> Layout:
    """Entries one by one, of a number that is a power of two; from `own` on they are values that
    no neighbour has.

    Example:
        >>> import numpy as np
        >>> given(np.array([1, 1]), 4), rows(given(np.array([0, 5]), 4), 0)
        (Alike(bits=1, value=1), 2)
    """
    bits = len(values).bit_length() - 1
    if (values == values[0]).all():
        return Alike(bits, int(values[0])) if values[0] < own else Own(bits)
    return Given(values)


def rows(layout: Layout, row_bits: int) -> int:
    """Aligned runs of one value, in rows of 2^row_bits entries: a row of several values is a run of
    its own.

    A hundred thousand times a sweep: so it is written for speed.
    """
    if type(layout) is not Axis:
        return layout.rows[min(row_bits, layout.bits)] if type(layout) is Given else 1
    bits, inner, pieces = layout
    if bits <= row_bits:
        return 1
    group = row_bits - inner if row_bits > inner else 0  # indices of a row, as a power of two
    # 1. intervals of one value, zeros between the pieces among them; and what is not of one value
    found, uniform = 0, []
    start, end, value = 0, 0, ZERO
    for first, last, what in pieces:
        if first > end:
            if value != ZERO:
                uniform.append((start, end))
                start, value = end, ZERO
            end = first
        if type(what) is Alike:
            if what.value != value:
                uniform.append((start, end))
                start, value = first, what.value
            end = last
        else:
            uniform.append((start, end))
            if not group:
                each = 1 if type(what) is Own else rows(what, row_bits)
                found += (last - first) * each
            start = end = last
            value = ZERO
    indices = 1 << bits - inner
    if end < indices and value != ZERO:
        uniform.append((start, end))
        start = end
    uniform.append((start, indices))
    # 2. in an interval, runs of whole rows that begin at multiples of their length
    whole = 0
    for start, end in uniform:
        first, last = (-(-start >> group), end >> group) if group else (start, end)
        if last > first:
            whole += last - first
            bit = (first ^ last).bit_length() - 1
            middle = last >> bit << bit
            found += (middle - first).bit_count() + (last - middle).bit_count()
    # 3. rows of several indices that are not alike
    return found + (indices >> group) - whole if group else found
