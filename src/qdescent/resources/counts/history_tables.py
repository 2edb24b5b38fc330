"""What one query to the composed block-encoding of a history loads: the tables of a generic map,
from sizes alone, or those of a map that is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from qdescent.quantum.gates.loading.load_cost import Entries, Filled
from qdescent.quantum.tables.word_registers import WordRegisters
from qdescent.resources.counts.layout import QUARTER, Alike, Layout, Own, Piece, Table, axis
from qdescent.resources.counts.loads import bits_of
from qdescent.resources.counts.roles import (
    MOST_ROLE_BITS,
    degree_layout,
    role_layouts,
    swap_layout,
)

Levels = tuple[Entries, ...]


@dataclass(frozen=True)
class HistorySize(WordRegisters):
    """What the tables of a history's block-encoding are large by.

    Args:
        size: n, weights.
        order: N.
        steps: T.
        padding: p.
        colours: most entries of a row or a (first) column of F_1, F_2, ..., as far as there are.
        changing: a map a step (SGD): the letters' tables have an axis of steps.
        controlled: the query acts where a qubit is 1: the roles' tables and the flips know of it.
    """

    colours: tuple[int, ...]
    changing: bool = False
    controlled: bool = False

    @property
    def degree(self) -> int:
        """K, of the map as far as words of N letters see it."""
        return min(self.order, len(self.colours))

    def slot_degree(self, slot: int) -> int:
        """The highest k whose group of letters may begin here."""
        return min(self.degree, self.order - slot)

    def role_bits(self, slot: int) -> int:
        """Of a slot's role."""
        return max(1, (self.slot_degree(slot) + int(slot == 0 and self.padding > 0)).bit_length())

    def slot_colours(self, slot: int) -> list[int]:
        """Of G_1, G_2, ... in this slot."""
        return list(self.colours[: self.slot_degree(slot)])

    @property
    def is_forced(self) -> bool:
        """Whether F_0 stands in the matrix: words of one letter have it on the right-hand side."""
        return self.order > 1

    def colour_bits(self, slot: int) -> int:
        """Of a slot's colour: F_0 takes one for itself."""
        first, *others = self.slot_colours(slot)
        return bits_of(max([first + self.is_forced, *others]))

    @property
    def turns(self) -> int:
        """Rotations by loaded angles in a query: of roles, colours, and letters of F_0."""
        slots = range(self.order)
        spread = self.letter_bits if self.is_forced else 0
        each = (2 * (self.role_bits(slot) + self.colour_bits(slot)) + spread for slot in slots)
        return sum(each)


@dataclass(frozen=True)
class SlotLoads:
    """The tables of one slot.

    Args:
        prepare, unprepare: angles of its colour, a table a qubit.
        letters: what the colour does to the letter, and what undoes it.
        spread: angles of the letters that F_0 writes, a table a qubit; none where it is not here.
        tails: letters that must follow; None for one.
        tail_slots: how many slots it speaks of.
    """

    prepare: Levels
    unprepare: Levels
    letters: tuple[Entries, Entries]
    spread: Levels
    tails: Entries | None
    tail_slots: int


@dataclass(frozen=True)
class HistoryLoads:
    """All tables of a query, in the order of the circuit.

    Args:
        words: the registers that they act on.
        is_controlled: the query acts where a qubit is 1.
        role_bits, colour_bits: of each slot.
        prepare, unprepare: angles of the roles, a table a qubit.
        swaps: of each pair of slots, which letters written move.
        shift: where each role leads the step, and what undoes it.
        degrees: what the roles do to the degree; None at order 1.
        slots: of each slot; empty where they are counted apart.
    """

    words: WordRegisters
    is_controlled: bool
    role_bits: tuple[int, ...]
    colour_bits: tuple[int, ...]
    prepare: Levels
    unprepare: Levels
    swaps: Levels
    shift: tuple[Entries, Entries]
    degrees: Entries | None
    slots: tuple[SlotLoads, ...] = ()

    @property
    def ancilla_qubits(self) -> int:
        """Roles, colours, and a flag for the constant words and for each slot but the first."""
        flags = self.words.order if self.words.order > 1 else 0
        return sum(self.role_bits) + sum(self.colour_bits) + flags


@lru_cache(maxsize=1 << 8)
def generic_loads(size: HistorySize) -> HistoryLoads:
    """The tables as a generic map fills them, but for those of the slots (`generic_slot`): every
    row of the maximum degree, no two entries alike, alpha the norm of |M| itself.
    """
    slots = range(size.order)
    role_bits = tuple(size.role_bits(slot) for slot in slots)
    roles, kinds = sum(role_bits), (size.order, size.degree, role_bits)
    prepare, unprepare = _role_levels(size, role_bits)
    few = roles <= MOST_ROLE_BITS  # beyond, more than there are
    swaps = tuple(
        Table(swap_layout(*kinds, i, slot)) if few else front(roles + 1, roles)
        for i in slots[1:]
        for slot in slots[i + 1 :]
    )
    moving = size.slot_degree(0) + int(size.padding > 0)
    steps = axis(size.step_bits, 0, Piece(0, 2**size.step_bits, Own()))
    shift = Table(axis(role_bits[0], size.step_bits, Piece(1, 1 + moving, steps)))
    degrees: Entries | None = None
    if size.order > 1:
        degrees = Table(degree_layout(*kinds)) if few else front(2**size.order, roles)
    return HistoryLoads(
        words=size,
        is_controlled=size.controlled,
        role_bits=role_bits,
        colour_bits=tuple(size.colour_bits(slot) for slot in slots),
        prepare=prepare,
        unprepare=unprepare,
        swaps=swaps,
        shift=(shift, shift),
        degrees=degrees,
    )


def front(used: int, bits: int) -> Filled:
    """So many unlike entries, no more than there are, and zeros behind them."""
    return Filled(min(used, 1 << bits), 1 << bits)


def _role_levels(size: HistorySize, role_bits: tuple[int, ...]) -> tuple[Levels, Levels]:
    """A weight for each step and degree of a word and each beginning of a pattern of roles: of
    preparing, by where the word is, and of undoing, by where it was led.
    """
    # under a control the half that is not selected is zeros
    on, (T, p) = int(size.controlled), (size.steps, size.padding)
    if sum(role_bits) > MOST_ROLE_BITS:
        patterns = _patterns(size.order, size.degree) + 1 + int(p > 0)
        begun, address = (T + p + 1) * size.order, on + size.step_bits + size.degree_bits
        most = tuple(front(begun * min(2**k, patterns), address + k) for k in range(sum(role_bits)))
        return most, most
    prepare, undo = role_layouts(size.order, size.degree, role_bits, p > 0)
    ends = (0, T, T + p, T + p + 1, 2**size.step_bits), (1, T + 1, T + p + 1)
    begin = on << size.step_bits

    def levels(kinds: tuple[tuple[Layout, ...], ...], ends: tuple[int, ...]) -> Levels:
        pairs = list(pairwise(ends))
        return tuple(
            Table(
                axis(
                    on + size.step_bits,
                    size.degree_bits + k,
                    *(
                        Piece(begin + first, begin + last, kind)
                        for (first, last), kind in zip(pairs, level, strict=True)
                    ),
                )
            )
            for k, level in enumerate(zip(*kinds, strict=True))
        )

    return levels(prepare, ends[0]), levels(undo, ends[1])


@lru_cache(maxsize=1 << 8)
def generic_slot(size: HistorySize, slot: int) -> SlotLoads:
    """What a slot's role says: the colour, the letter, the letters that must follow."""
    colours, letter, width = size.slot_colours(slot), size.letter_bits, size.colour_bits(slot)

    def by_role(inner: int, what: list[Layout]) -> Table:
        """A layout for each role, by the step where the maps change."""
        pieces = [Piece(k, k + 1, each) for k, each in enumerate(what, 1)]
        found = axis(size.role_bits(slot), inner, *pieces)
        if size.changing:
            found = axis(size.step_bits, found.bits, Piece(0, size.steps, found))
        return Table(found)

    def weights(k: int, *, forth: bool) -> Table:
        what = [
            weight_layout(size, count, width, k, forth=forth, has_force=size.is_forced and not i)
            for i, count in enumerate(colours)
        ]
        return by_role(letter + k, what)

    # a value for each colour and letter that has an entry, but for w and the diagonal of F_1, which
    # stay where they are
    line = axis(letter, 0, Piece(1, size.size + 1, Own()))
    lines = [axis(width, letter, Piece(0, count, line)) for count in colours]
    moved = axis(width, letter, Piece(1, colours[0], line))
    letters = by_role(width + letter, [moved, *lines[1:]])
    spread: Levels = ()
    if size.is_forced:  # what F_0 writes in the place of w, by the last colour of the first role
        spread = tuple(
            by_role(width + k, [_last(width, vector_level(1, size.size + 1, letter, k))])
            for k in range(letter)
        )
    tails = by_role(width + letter, [Alike(width + letter), *lines[1:]])
    return SlotLoads(
        prepare=tuple(weights(k, forth=True) for k in range(width)),
        unprepare=tuple(weights(k, forth=False) for k in range(width)),
        letters=(letters, letters),
        spread=spread,
        tails=tails if len(colours) > 1 else None,
        tail_slots=len(colours) - 1,
    )


def weight_layout(
    size: HistorySize, count: int, width: int, k: int, *, forth: bool, has_force: bool
) -> Layout:
    """The angles of the colour's k-th qubit under one role, letter by letter.

    Args:
        size: of the history.
        count: colours that a letter has.
        width: bits of a colour.
        k: qubit.
        forth: of the letter read, else of the letter written.
        has_force: the last colour is that of F_0, which reads w and writes any letter.
    """
    last = 2**width - 1
    usual = colour_level(count, None if forth or not has_force else last, width, k)
    # what is not written has the first colour: no turn
    w: Layout = Alike(k)
    none: Layout = Alike(k)
    if forth:  # what is not read is wasted on the last colour that is free
        w = colour_level(int(has_force), last, width, k)
        none = colour_level(0, last - int(has_force), width, k)
    pieces = (
        Piece(0, 1, w),
        Piece(1, size.size + 1, usual),
        Piece(size.size + 1, 1 << size.letter_bits, none),
    )
    return axis(size.letter_bits, k, *pieces)


@lru_cache(maxsize=1 << 11)
def colour_level(count: int, extra: int | None, width: int, k: int) -> Layout:
    """The angles of the k-th qubit that prepares the colours 0 ... count - 1 and one more, by the
    qubits before it: only where both halves have weight, an angle of its own.

    Example:
        >>> colour_level(3, None, 2, 0), colour_level(0, 3, 2, 0)
        (Own(bits=0), Alike(bits=0, value=2))
    """
    half = 1 << width - k - 1
    both = max(0, -(-(count - half) // (2 * half)))
    pieces = [Piece(0, both, Own())]
    if extra is not None and extra & half and (index := extra >> width - k) >= both:
        beside = 2 * half * index < count
        pieces.append(Piece(index, index + 1, Own() if beside else Alike(0, QUARTER)))
    return axis(k, 0, *pieces)


def vector_level(first: int, last: int, width: int, k: int) -> Layout:
    """The angles of the k-th qubit that prepares a value at each of first ... last - 1; that of a
    right half alone counts as its own.
    """
    half = 1 << width - k - 1
    begin = max(0, -(-(first - 2 * half + 1) // (2 * half)))
    return axis(k, 0, Piece(begin, max(begin, -(-(last - half) // (2 * half))), Own()))


def _last(width: int, what: Layout) -> Layout:
    """By the last colour alone."""
    return axis(width, what.bits, Piece(2**width - 1, 2**width, what))


def _patterns(order: int, largest: int) -> int:
    """Ways to write 1 ... N as ordered sums of parts up to K."""
    ways = [1]
    for total in range(1, order + 1):
        ways.append(sum(ways[total - part] for part in range(1, min(total, largest) + 1)))
    return sum(ways[1:])
