"""How a table of a circuit is loaded: the choice of loader, and what each declares a load to cost;
no Qualtran is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from qdescent._checks import argument_error, check_boolean, check_instance, check_integer
from qdescent.quantum.tables.lookup import LookUpTable

MOST_LINES = 2**62  # an address of 62 bits


@dataclass(frozen=True)
class LoadCost:
    """What one load of a table takes.

    Args:
        toffoli: AND, Toffoli and controlled-swap gates; clearing an AND by measurement is free.
        depth: layers of them, on the qubits counted here; a qubit that gates only read is read by
            all of them at once.
        work_qubits: beyond the selection and the target.
    """

    toffoli: int
    depth: int
    work_qubits: int


class Loader(Protocol):
    """A way to load a table, in two forms: in place, and leaving its work qubits filled until it is
    undone.
    """

    def load_cost(self, lines: int, bits: int) -> LoadCost:
        """Of |i>|t> -> |i>|t xor d_i>."""
        ...

    def read_cost(self, lines: int, bits: int) -> LoadCost:
        """Of |i>|0>|0> -> |i>|d_i>|w_i>, and as much again to undo it after use."""
        ...


@dataclass(frozen=True)
class QROMLoader:
    """Plain QROM, line after line by unary iteration: fewest qubits.

        N - 2 ANDs for N = 2^n lines; otherwise the lines beyond N cost one more for each 1 among
        the bits of 2^n - N.

    Equal neighbours are skipped: a table may cost less than declared.

    References:
        Babbush et al., arXiv:1805.03662, section III.

    Example:
        >>> QROMLoader().load_cost(lines=1000, bits=8)
        LoadCost(toffoli=1000, depth=1000, work_qubits=9)
    """

    def load_cost(self, lines: int, bits: int) -> LoadCost:
        """The iteration; it xors into any target."""
        lines, _ = _checked(lines, bits)
        ands = _iteration(lines)
        return LoadCost(ands, ands, max(0, (lines - 1).bit_length() - 1))

    def read_cost(self, lines: int, bits: int) -> LoadCost:
        """That of a load."""
        return self.load_cost(lines, bits)


DEFAULT_LOADER = QROMLoader()  # fewest qubits


@dataclass(frozen=True)
class QROAMLoader:
    """Select-swap: QROM fetches l lines at once, controlled swaps bring the chosen one to the
    front.

        clean:  a read (N/l - 2) + b (l - 1) Toffoli, a load twice that (read, copy by CNOTs, undo),
        dirty:  a load or a read 2 (N/l - 2) + 4 b (l - 1), its l b work qubits borrowed in any
        state and given back unchanged.

    Args:
        block: l, a power of two; a table of 2^n selections takes at most 2^(n-1). None takes the l
            of fewest Toffoli gates for each table and form, 1 (plain QROM) among them.
        dirty: borrow the work qubits.

    Raises:
        ArgumentError: a block that is not a power of two.

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954; Berry et al., arXiv:1902.02134, appendices A
        and B.

    Example:
        >>> QROAMLoader().read_cost(lines=1024, bits=8)
        LoadCost(toffoli=182, depth=129, work_qubits=62)
    """

    block: int | None = None
    dirty: bool = False

    def __post_init__(self) -> None:
        check_boolean("dirty", self.dirty)
        if self.block is not None:
            object.__setattr__(self, "block", check_integer("block", self.block, 1, MOST_LINES))
            if self.block & (self.block - 1):
                raise argument_error("block", "be a power of two", self.block)

    def load_block(self, table: LookUpTable) -> int:
        """l of a load; 1, plain QROM, where no block makes up for fetching twice."""
        check_instance("table", table, LookUpTable)
        return self._best(len(table.padded), table.bits, table.ands, 2, 4 if self.dirty else 2)

    def read_block(self, table: LookUpTable) -> int:
        """l of a read; borrowed qubits cannot stay filled, so that their read is a load into empty
        qubits.
        """
        check_instance("table", table, LookUpTable)
        return (
            self.load_block(table)
            if self.dirty
            else self._best(len(table.padded), table.bits, table.ands, 1, 1)
        )

    def load_cost(self, lines: int, bits: int) -> LoadCost:
        """Into any target."""
        return self._cost(lines, bits, 2, 4 if self.dirty else 2)

    def read_cost(self, lines: int, bits: int) -> LoadCost:
        """Into an empty target, which is the first line of the block."""
        return self.load_cost(lines, bits) if self.dirty else self._cost(lines, bits, 1, 1)

    def _best(
        self, lines: int, bits: int, ands: Callable[[int], int], fetches: int, networks: int
    ) -> int:
        """l, where a fetch of rows of l lines takes ands(l)."""
        largest = (lines - 1).bit_length() - 1
        if self.block is not None:
            return min(self.block, 2 ** max(0, largest))
        others = {
            2**k: fetches * ands(2**k) + networks * bits * (2**k - 1) for k in range(1, largest + 1)
        }
        toffoli = {1: ands(1), **others}
        return min(toffoli, key=lambda block: toffoli[block])

    def _cost(self, lines: int, bits: int, fetches: int, networks: int) -> LoadCost:
        lines, bits = _checked(lines, bits)
        block = self._best(
            lines, bits, lambda block: _iteration(-(-lines // block)), fetches, networks
        )
        if block == 1:
            return QROMLoader().load_cost(lines, bits)
        fetch = QROMLoader().load_cost(-(-lines // block), bits * block)
        toffoli = fetches * fetch.toffoli + networks * bits * (block - 1)
        depth = fetches * fetch.depth + networks * (block.bit_length() - 1)
        # a read's target is the first line of the block
        held = bits * (block if fetches == 2 else block - 1)
        return LoadCost(toffoli, depth, held + fetch.work_qubits)


@dataclass(frozen=True)
class BucketBrigade:
    """A tree of routers, one qubit each, that lead a token to the leaf that the selection names;
    the leaves hold the lines.

    Each bit of the selection is copied in at the root, led down by controlled swaps through the
    routers that are set, and sets the next level; the token follows, and CNOTs from the leaves
    write b bits. For N = 2^n leaves, however short the table:

        2 N - n - 2 controlled swaps a read, in 2 n - 2 layers (n > 1), on 5 N/2 - 3 work qubits; a
        load twice the gates and layers.

    References:
        Giovannetti, Lloyd, Maccone, arXiv:0708.1879; Jaques, Rattew, arXiv:2305.10310 (O(N) gates a
        query whatever the layout).

    Example:
        >>> BucketBrigade().read_cost(lines=1024, bits=8)
        LoadCost(toffoli=2036, depth=18, work_qubits=2557)
    """

    def load_cost(self, lines: int, bits: int) -> LoadCost:
        """Read, copied, and undone."""
        lines, bits = _checked(lines, bits)
        read = self.read_cost(lines, bits)
        if lines == 1:
            return read
        return LoadCost(2 * read.toffoli, 2 * read.depth, read.work_qubits + bits)

    def read_cost(self, lines: int, bits: int) -> LoadCost:
        """The tree stays filled until it is undone."""
        lines, _ = _checked(lines, bits)
        n = (lines - 1).bit_length()
        if n == 0:  # one line is no choice: CNOTs from the table itself
            return LoadCost(0, 0, 0)
        return LoadCost(2 * 2**n - n - 2, max(1, 2 * n - 2), 5 * 2**n // 2 - 3)


def _checked(lines: int, bits: int) -> tuple[int, int]:
    return check_integer("lines", lines, 1, MOST_LINES), check_integer("bits", bits, 1)


def _iteration(lines: int) -> int:
    """ANDs of unary iteration over `lines` lines and the zeros behind them, each aligned run of
    zeros being one line.
    """
    if lines == 1:
        return 0
    return lines + (2 ** (lines - 1).bit_length() - lines).bit_count() - 2
