"""One query to the composed block-encoding of a history matrix, from sizes alone: what
`quantum.encodings.history.HistoryEncoding` is made of, part by part.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from qdescent.quantum.gates.loading.loader import LoadCosts
from qdescent.resources.counts.loads import (
    Part,
    TableSize,
    bits_of,
    loaded,
    loaded_and_cleared,
    prefixes,
    prepared,
    together,
)
from qdescent.resources.counts.roles import (
    MOST_ROLE_BITS,
    degree_entries,
    role_entries,
    swap_entries,
)


@dataclass(frozen=True)
class HistorySize:
    """What the tables of a history's block-encoding are large by.

    Args:
        n: weights.
        order: N.
        steps: T.
        padding: p.
        colours: most entries of a row or a (first) column of F_1, F_2, ..., as far as there are.
        changing: a map a step (SGD): the letters' tables have an axis of steps.
        controlled: the query acts where a qubit is 1: the roles' tables and the flips know of it.
    """

    n: int
    order: int
    steps: int
    padding: int
    colours: tuple[int, ...]
    changing: bool = False
    controlled: bool = False

    @property
    def degree(self) -> int:
        """K, of the map as far as words of N letters see it."""
        return min(self.order, len(self.colours))

    @property
    def letter_bits(self) -> int:
        """l, of a slot."""
        return self.n.bit_length()

    @property
    def step_bits(self) -> int:
        """Of t = 0 ... T + p."""
        return (self.steps + self.padding).bit_length()

    @property
    def degree_bits(self) -> int:
        """Of a word's degree."""
        return (self.order - 1).bit_length()

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
    def all_role_bits(self) -> int:
        """Of all slots' roles."""
        return sum(self.role_bits(slot) for slot in range(self.order))

    @property
    def system_qubits(self) -> int:
        """Step, degree and slots."""
        return self.step_bits + self.degree_bits + self.order * self.letter_bits

    @property
    def ancilla_qubits(self) -> int:
        """Roles, colours, and a flag for the constant words and for each slot but the first."""
        colours = sum(self.colour_bits(slot) for slot in range(self.order))
        return self.all_role_bits + colours + (self.order if self.order > 1 else 0)


@dataclass(frozen=True)
class QueryCost:
    """One query: its parts, and the qubits that it holds.

    Args:
        parts: in the order of the circuit.
        system_qubits, ancilla_qubits: of its registers.
    """

    parts: tuple[Part, ...]
    system_qubits: int
    ancilla_qubits: int

    @property
    def toffoli(self) -> int:
        """AND, Toffoli and controlled-swap gates."""
        return sum(part.toffoli for part in self.parts)

    @property
    def depth(self) -> int:
        """Layers of them."""
        return sum(part.depth for part in self.parts)

    @property
    def turns(self) -> int:
        """Rotations by a loaded angle."""
        return sum(part.turns for part in self.parts)

    @property
    def work_qubits(self) -> int:
        """Of the largest part, beyond the registers."""
        return max((part.work for part in self.parts), default=0)


def augmented_query(query: QueryCost, loader: LoadCosts, bits: int) -> QueryCost:
    """A query to diag(M, alpha/t), as kernel reflection asks for it: the controlled query to M, and
    a turn of a flag by the block.
    """
    turn = prepared("block", loader, [TableSize(2, 2)], bits)
    return QueryCost((*query.parts, turn), query.system_qubits + 1, query.ancilla_qubits + 1)


def dilated_query(query: QueryCost) -> QueryCost:
    """A query to [[0, M], [M^H, 0]] under a control, as phase estimation asks for it: the
    controlled query to M and its inverse.
    """
    parts = tuple(together(part.name, [part], times=2) for part in query.parts)
    return QueryCost(parts, query.system_qubits + 2, query.ancilla_qubits + 1)


@lru_cache(maxsize=1 << 14)
def history_query(size: HistorySize, loader: LoadCosts, bits: int) -> QueryCost:
    """The parts of one query, each with its gates.

    Entries are counted as generic maps fill them; runs of equal entries count once. A circuit's own
    tables may have more or less of those, so that declared and counted agree to a few tenths.

    Args:
        size: of the tables.
        loader: of all of them.
        bits: b, of an angle.

    Example:
        >>> from qdescent.quantum.gates.loading.loaders import LOADERS
        >>> small = HistorySize(n=3, order=1, steps=4, padding=0, colours=(2,))
        >>> [part.name for part in history_query(small, LOADERS["qrom"], 12).parts]
        ['roles', 'colours 0', 'letters 0', 'shift']
    """
    roles, slots = size.all_role_bits, range(size.order)
    on = int(size.controlled)
    kinds = size.order, size.degree, tuple(size.role_bits(slot) for slot in slots)
    parts: list[Part] = []
    if size.order > 1:
        parts.append(_flips("constant words", on + size.order * size.letter_bits))
    parts += [prepared("roles", loader, levels, bits) for levels in _role_levels(size)]
    for slot in slots:
        parts += _slot(size, slot, loader, bits)
    # letters that were written move together
    for i in slots[1:]:
        for slot in slots[i + 1 :]:
            few = roles <= MOST_ROLE_BITS
            entries = swap_entries(*kinds, i, slot) if few else roles + 1
            choice = loaded_and_cleared(
                "swaps", loader, TableSize(entries, 2**roles, aligned=True), 1
            )
            parts += [choice, Part("swaps", size.letter_bits, size.letter_bits)]
    first = size.role_bits(0)
    moving = size.slot_degree(0) + int(size.padding > 0)
    still = 1 + (2**first - 1 - moving).bit_count()  # roles that stay, in aligned runs
    entries = moving * 2**size.step_bits + still
    steps = TableSize(entries, 2 ** (first + size.step_bits), aligned=True)
    parts.append(loaded_and_cleared("shift", loader, steps, size.step_bits))
    if size.order > 1:
        entries = degree_entries(*kinds) if roles <= MOST_ROLE_BITS else 2**size.order
        parts.append(
            loaded("degrees", loader, TableSize(entries, 2**roles, aligned=True), size.degree_bits)
        )
    for slot in slots[1:]:
        for _ in range(slot):
            parts.append(_flips("blanks", on + size.degree_bits))
            parts.append(_flips("blanks", on + size.degree_bits + size.letter_bits))
    return QueryCost(_merged(parts), size.system_qubits, size.ancilla_qubits)


def _role_levels(size: HistorySize) -> tuple[list[TableSize], list[TableSize]]:
    """A weight for each step and degree of a word and each beginning of a pattern of roles: of
    preparing, by where the word is, and of undoing, by where it was led.
    """
    # under a control the half that is not selected is one run
    on = int(size.controlled)
    words = 2 ** (on + size.step_bits + size.degree_bits)
    bits = tuple(size.role_bits(slot) for slot in range(size.order))
    if sum(bits) > MOST_ROLE_BITS:
        patterns = _patterns(size.order, size.degree) + 1 + int(size.padding > 0)
        begun = (size.steps + size.padding + 1) * size.order
        most = [TableSize(on + begun * min(2**k, patterns), words * 2**k) for k in range(sum(bits))]
        return most, most
    prepare, undo = role_entries(size.order, size.degree, bits, size.padding > 0)
    none = 2**size.step_bits - size.steps - size.padding - 1
    kinds = (size.steps, size.padding, 1, none)
    levels = []
    for entries, often, more in ((prepare, kinds, on), (undo, kinds[:2], on + 1)):
        totals = [
            more + sum(count * of for count, of in zip(each, often, strict=True))
            for each in zip(*entries, strict=True)
        ]
        levels.append([TableSize(of, words * 2**k, aligned=True) for k, of in enumerate(totals)])
    return levels[0], levels[1]


def _slot(size: HistorySize, slot: int, loader: LoadCosts, bits: int) -> list[Part]:
    """What a slot's role says: the colour, the letter, the letters that must follow."""
    colours, letter, width = size.slot_colours(slot), size.letter_bits, size.colour_bits(slot)
    maps = size.steps if size.changing else 1
    chosen = 2 ** (size.role_bits(slot) + (size.step_bits if size.changing else 0))
    letters = size.n + size.is_forced
    counts = [colours[0] + size.is_forced, *colours[1:]]
    # runs of zeros: in the place of w, and the aligned ones beyond n
    beyond = (2**letter - size.n - 1).bit_count()
    edges = int(not size.is_forced) + beyond
    # 1. a vector of weights for each role and letter, over the colours; a run of zeros behind it
    levels = []
    for k in range(width):
        begun = [prefixes(count, width)[k] for count in counts]
        used = sum(letters * (some + int(some < 2**k)) + edges for some in begun)
        levels.append(TableSize(maps * used, chosen * 2 ** (letter + k)))
    parts = [prepared(f"colours {slot}", loader, levels, bits, times=2)]
    # 2. a permutation of the letters for each colour
    table = TableSize(maps * sum(colours) * (letters + edges), chosen * 2 ** (width + letter))
    parts.append(loaded_and_cleared(f"letters {slot}", loader, table, letter))
    if size.is_forced:  # 3. what F_0 writes in the place of w, by one role and colour of all
        alone = size.role_bits(slot) + width
        levels = [
            TableSize(maps * (count + alone), chosen * 2 ** (width + k))
            for k, count in enumerate(prefixes(letters, letter))
        ]
        parts.append(prepared(f"force {slot}", loader, levels, bits))
    if len(colours) > 1:  # 4. the letters that an entry of F_2 asks for behind the first
        tails = sum(colours[1:]) * (size.n + 1 + beyond)
        table = TableSize(maps * tails, chosen * 2 ** (width + letter))
        parts.append(loaded(f"tails {slot}", loader, table, (len(colours) - 1) * letter))
    return parts


def _flips(name: str, bits: int) -> Part:
    """A flip where a register of so many bits holds one value."""
    return Part(name, max(0, bits - 1), max(0, bits - 1))


def _patterns(order: int, largest: int) -> int:
    """Ways to write 1 ... N as ordered sums of parts up to K."""
    ways = [1]
    for total in range(1, order + 1):
        ways.append(sum(ways[total - part] for part in range(1, min(total, largest) + 1)))
    return sum(ways[1:])


def _merged(parts: list[Part]) -> tuple[Part, ...]:
    """Parts of one name as one."""
    named: dict[str, list[Part]] = {}
    for part in parts:
        named.setdefault(part.name, []).append(part)
    return tuple(together(name, each) for name, each in named.items())
