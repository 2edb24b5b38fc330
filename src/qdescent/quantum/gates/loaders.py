"""How a table of a circuit is loaded: the choice of loader, and what each declares a load to cost;
no Qualtran is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from qdescent._checks import (
    argument_error,
    check_boolean,
    check_choice,
    check_instance,
    check_integer,
)
from qdescent.quantum.tables.lookup import LookUpTable

MOST_LINES = 2**62  # an address of 62 bits
CLEARINGS = ("coherent", "measured")
NEAR = 4  # octaves around the balanced block that are tried


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
    """A way to load a table: in place, or leaving its work qubits filled until it is undone."""

    @property
    def clearing(self) -> str:
        """How what was read is cleared, one of `CLEARINGS`."""
        ...

    def __hash__(self) -> int:
        """Of its settings: what a load takes is kept by loader."""
        ...

    def load_cost(self, lines: int, bits: int) -> LoadCost:
        """Of |i>|t> -> |i>|t xor d_i>."""
        ...

    def read_cost(self, lines: int, bits: int) -> LoadCost:
        """Of |i>|0>|0> -> |i>|d_i>|w_i>."""
        ...

    def clear_cost(self, lines: int, bits: int) -> LoadCost:
        """Of |i>|d_i>|w_i> -> |i>|0>|0>, after use."""
        ...


@dataclass(frozen=True)
class QROMLoader:
    """Plain QROM, line after line by unary iteration: fewest qubits.

        N - 2 ANDs for N = 2^n lines; otherwise the lines beyond N cost one more for each 1 among
        the bits of 2^n - N.

    Equal neighbours are skipped: a table may cost less than declared.

    Args:
        clearing: way in which what was read is cleared: "coherent", by as many ANDs, or "measured",
            by about 2 sqrt N and a sign that depends on what was found.

    References:
        Babbush et al., arXiv:1805.03662, section III; Berry et al., arXiv:1902.02134, appendix C.

    Example:
        >>> QROMLoader().load_cost(lines=1000, bits=8)
        LoadCost(toffoli=1000, depth=1000, work_qubits=9)
        >>> QROMLoader("measured").clear_cost(lines=1000, bits=8).toffoli
        60
    """

    clearing: str = "coherent"

    def __post_init__(self) -> None:
        check_choice("clearing", self.clearing, CLEARINGS)

    def load_cost(self, lines: int, bits: int) -> LoadCost:
        """The iteration; it xors into any target."""
        lines, _ = _checked(lines, bits)
        ands = _iteration(lines)
        return LoadCost(ands, ands, max(0, (lines - 1).bit_length() - 1))

    def read_cost(self, lines: int, bits: int) -> LoadCost:
        """That of a load."""
        return self.load_cost(lines, bits)

    def clear_cost(self, lines: int, bits: int) -> LoadCost:
        """That of a load, or of the sign."""
        lines, bits = _checked(lines, bits)
        return fix_up_cost(lines) if self.clearing == "measured" else self.load_cost(lines, bits)


DEFAULT_LOADER = QROMLoader()  # fewest qubits


@dataclass(frozen=True)
class QROAMLoader:
    """Select-swap: QROM fetches l lines at once, controlled swaps bring the chosen one forward.

        clean:  a read (N/l - 2) + b (l - 1) Toffoli, a load twice that (read, copy by CNOTs, undo),
        dirty:  a load or a read 2 (N/l - 2) + 4 b (l - 1), its l b work qubits borrowed in any
        state and given back unchanged;
        measured: what a read leaves is cleared by about 2 sqrt N, whatever b is, so that a clean
        load takes a read and that.

    Args:
        block: l, a power of two; a table of 2^n selections takes at most 2^(n-1). None takes the l
            of fewest Toffoli gates for each table and form, 1 (plain QROM) among them.
        dirty: borrow the work qubits.
        clearing: as for `QROMLoader`.

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
    clearing: str = "coherent"

    def __post_init__(self) -> None:
        check_choice("clearing", self.clearing, CLEARINGS)
        check_boolean("dirty", self.dirty)
        if self.block is not None:
            object.__setattr__(self, "block", check_integer("block", self.block, 1, MOST_LINES))
            if self.block & (self.block - 1):
                raise argument_error("block", "be a power of two", self.block)

    def load_block(self, table: LookUpTable) -> int:
        """l of a load; 1, plain QROM, where no block makes up for fetching twice."""
        check_instance("table", table, LookUpTable)
        return self._load_block(len(table.padded), table.bits, table.ands)

    def read_block(self, table: LookUpTable) -> int:
        """l of a read; borrowed qubits cannot stay filled: their read is a load into empty ones."""
        check_instance("table", table, LookUpTable)
        lines, bits, ands = len(table.padded), table.bits, table.ands
        return self.load_block(table) if self.dirty else self._best(lines, bits, ands, 1, 1)

    def load_cost(self, lines: int, bits: int) -> LoadCost:
        """The cost of a load into any target."""
        lines, bits = _checked(lines, bits)
        block = self._load_block(lines, bits, _Rows(lines))
        if block == 1 or self.dirty or self.clearing == "coherent":
            return self._cost(lines, bits, block, 2, 4 if self.dirty else 2)
        read, clear = self._cost(lines, bits, block, 1, 1), fix_up_cost(lines)
        held = block * bits  # a target of its own, and what else the read leaves filled
        work = max(read.work_qubits + bits, held, clear.work_qubits)
        return LoadCost(read.toffoli + clear.toffoli, read.depth + clear.depth, work)

    def read_cost(self, lines: int, bits: int) -> LoadCost:
        """Into an empty target, which is the first line of the block."""
        lines, bits = _checked(lines, bits)
        if self.dirty:
            return self.load_cost(lines, bits)
        return self._cost(lines, bits, self._best(lines, bits, _Rows(lines), 1, 1), 1, 1)

    def clear_cost(self, lines: int, bits: int) -> LoadCost:
        """That of a read, or of the sign."""
        lines, bits = _checked(lines, bits)
        return fix_up_cost(lines) if self.clearing == "measured" else self.read_cost(lines, bits)

    def _load_block(self, lines: int, bits: int, ands: Callable[[int], int]) -> int:
        if self.dirty:
            return self._best(lines, bits, ands, 2, 4)
        if self.clearing == "coherent":
            return self._best(lines, bits, ands, 2, 2)
        return self._best(lines, bits, ands, 1, 1, fix_up_cost(lines).toffoli)

    def _best(
        self,
        lines: int,
        bits: int,
        ands: Callable[[int], int],
        fetches: int,
        networks: int,
        beside: int = 0,
    ) -> int:
        """l, where a fetch of rows of l lines takes ands(l), and any block but 1 `beside` more."""
        largest = (lines - 1).bit_length() - 1
        if self.block is not None:
            return min(self.block, 2 ** max(0, largest))
        tried = range(1, largest + 1)
        if isinstance(ands, _Rows):
            # both terms meet at l = sqrt(fetches N / (networks b)); farther off one alone is larger
            near = (fetches * lines // (networks * bits)).bit_length() // 2
            tried = range(max(1, near - NEAR), min(largest, near + NEAR) + 1)
        best, fewest = 1, ands(1)
        for k in tried:
            block = 2**k
            toffoli = fetches * ands(block) + networks * bits * (block - 1) + beside
            if toffoli < fewest:
                best, fewest = block, toffoli
        return best

    def _cost(self, lines: int, bits: int, block: int, fetches: int, networks: int) -> LoadCost:
        if block == 1:
            return DEFAULT_LOADER.load_cost(lines, bits)
        fetch = DEFAULT_LOADER.load_cost(-(-lines // block), bits * block)
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

    @property
    def clearing(self) -> str:
        """ "coherent": the routers lead the token back."""
        return CLEARINGS[0]

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

    def clear_cost(self, lines: int, bits: int) -> LoadCost:
        """That of a read, backwards."""
        return self.read_cost(lines, bits)


# the words of `qdescent circuit --loader`
LOADERS: dict[str, QROMLoader | QROAMLoader | BucketBrigade] = {
    "qrom": QROMLoader(),
    "qrom-measured": QROMLoader("measured"),
    "qroam": QROAMLoader(),
    "qroam-measured": QROAMLoader(clearing="measured"),
    "qroam-dirty": QROAMLoader(dirty=True),
    "bucket-brigade": BucketBrigade(),
}


def fix_up_block(lines: int) -> int:
    """The signs that a row of a `SignLookUp` holds, for fewest ANDs; the least such.

    Example:
        >>> fix_up_block(1024), fix_up_block(2)
        (32, 1)
    """
    bits = (check_integer("lines", lines, 1, MOST_LINES) - 1).bit_length()
    return 2 ** (bits // 2)  # 2^bits/l + l - 4 is least there


def fix_up_cost(lines: int) -> LoadCost:
    """What the sign takes that a measured register leaves: ceil(N/l) - 2 and l - 2 ANDs, N the next
    power of two.

    Example:
        >>> fix_up_cost(1024)
        LoadCost(toffoli=60, depth=34, work_qubits=36)
    """
    padded = 2 ** (check_integer("lines", lines, 1, MOST_LINES) - 1).bit_length()
    if padded == 1:
        return LoadCost(0, 0, 0)
    block = fix_up_block(lines)
    rows = DEFAULT_LOADER.load_cost(padded // block, block)
    layers = max(0, block.bit_length() - 2)
    return LoadCost(_sign_ands(padded, block), rows.depth + layers, block + rows.work_qubits)


def _sign_ands(padded: int, block: int) -> int:
    return _iteration(padded // block) + max(0, block - 2)


@dataclass(frozen=True)
class _Rows:
    """ANDs of a table without equal neighbours, by its block."""

    lines: int

    def __call__(self, block: int) -> int:
        return _iteration(-(-self.lines // block))


def check_loader(value: Loader) -> Loader:
    """Check that an argument `loader` is one of the three."""
    called = "a QROMLoader(), QROAMLoader() or BucketBrigade()"
    return check_instance("loader", value, QROMLoader, QROAMLoader, BucketBrigade, called=called)


def _checked(lines: int, bits: int) -> tuple[int, int]:
    return check_integer("lines", lines, 1, MOST_LINES), check_integer("bits", bits, 1)


def _iteration(lines: int) -> int:
    """ANDs of unary iteration over `lines` lines and the zeros behind them, each aligned run of
    zeros being one line.
    """
    if lines == 1:
        return 0
    return lines + (2 ** (lines - 1).bit_length() - lines).bit_count() - 2
