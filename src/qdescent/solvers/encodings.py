"""How a solver encodes the matrix: its normalisation alpha, which sets kappa and the queries, and
the block-encoding of its circuit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import scipy.sparse as sparse
import torch

from qdescent._checks import (
    argument_error,
    check_field,
    check_instance,
    check_integer,
    check_methods,
    check_sequence,
)
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import check_scale
from qdescent.quantum.gates.loading.loader import Loader, check_loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.tables.angles import MOST_ANGLE_BITS
from qdescent.quantum.tables.balanced import balanced_matrix
from qdescent.quantum.tables.coloured import matrix_entries, matrix_tables
from qdescent.quantum.tables.colouring import coloured_entries
from qdescent.quantum.tables.history import MOST_ORDER, MOST_STEPS, HistoryTables, history_tables
from qdescent.quantum.tables.perron import absolute_matrix, absolute_norm
from qdescent.rows.numbers import at_least

if TYPE_CHECKING:  # Qualtran takes seconds to import: only what builds a circuit pays for it
    from qdescent.quantum.encodings.protocol import BlockEncoding

SAME = 1e-5  # of two matrices: above the rounding of maps in float32
TRIAL_BITS = 20  # alpha of a composed history does not depend on the bits


@dataclass(frozen=True, eq=False)
class EncodingPlan:
    """What an encoding of one system says before a circuit is built.

    Args:
        alpha: the normalisation, at least ||M||; the block-encoding has this very one.
        source: origin of alpha.
        build: the block-encoding, from the bits of an angle and the loader of its tables.
        build_hermitian: that of |1><1| (x) [[0, M], [M^H, 0]], with as many basis states; None: the
            dilation of `build`, which takes two queries.
    """

    alpha: float
    source: str
    build: Callable[[int, Loader], BlockEncoding] = field(repr=False)
    build_hermitian: Callable[[int, Loader], BlockEncoding] | None = field(default=None, repr=False)

    def encode(self, bits: int, loader: Loader = DEFAULT_LOADER) -> BlockEncoding:
        """The block-encoding whose angles have that many bits."""
        bits = check_integer("bits", bits, 3, MOST_ANGLE_BITS)
        return self.build(bits, check_loader(loader))

    @property
    def hermitian(self) -> EncodingPlan:
        """Of |1><1| (x) [[0, M], [M^H, 0]], Hermitian to the last bit, of the same alpha: what
        phase estimation evolves under.
        """

        def dilated(bits: int, loader: Loader) -> BlockEncoding:
            from qdescent.quantum.encodings.dilation import HermitianDilation

            return HermitianDilation(self.build(bits, loader))

        return EncodingPlan(self.alpha, self.source, self.build_hermitian or dilated)


class MatrixEncoding(Protocol):
    """A way to encode the matrix of a system."""

    def plan(self, system: LinearSystem) -> EncodingPlan:
        """alpha, and how the block-encoding is built."""
        ...


@dataclass(frozen=True)
class BalancedEntries:
    """The entries of the matrix with balanced weights: alpha = || |M| ||_2, the norm of the matrix
    of moduli. The default.

    alpha is the norm to rounding up to 512 unknowns, at most 1e-4 above it up to 65,536, and 1e-2
    beyond. Of the norm itself: it is never above the coloured one's alpha, and ||M|| where all
    entries have one sign.

    Example:
        >>> import torch
        >>> M = torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=torch.float64)
        >>> system = LinearSystem(M, torch.ones(2, dtype=torch.float64))
        >>> [
        ...     round(encoding.plan(system).alpha, 4)
        ...     for encoding in (BalancedEntries(), ColouredEntries())
        ... ]
        [1.2808, 1.5]
    """

    def plan(self, system: LinearSystem) -> EncodingPlan:
        """alpha as close to || |M| ||_2, from above, as `absolute_norm` brings it."""
        entries = matrix_entries(system)
        norm = absolute_norm(absolute_matrix(*entries, system.size))

        def build(bits: int, loader: Loader) -> BlockEncoding:
            from qdescent.quantum.encodings.balanced import BalancedEncoding

            tables = balanced_matrix(*entries, system.size, bits, norm)
            return BalancedEncoding(tables, loader=loader)

        source = "balanced weights: the norm of |M|, or close above it"
        return EncodingPlan(norm.alpha, source, build)


@dataclass(frozen=True)
class ColouredEntries:
    """The entries of the matrix by colours, no two of one colour in a row or a column: alpha =
    sum_c max |D_c|.

    Fewer AND gates a query than balanced weights where a matrix has few colours, and more queries.
    """

    def plan(self, system: LinearSystem) -> EncodingPlan:
        """alpha from the colouring of all entries."""
        entries = matrix_entries(system)
        colouring = coloured_entries(*entries)

        def build(bits: int, loader: Loader) -> BlockEncoding:
            from qdescent.quantum.encodings.coloured import SparseBlockEncoding

            tables = matrix_tables(*entries, system.size, bits, colouring)
            return SparseBlockEncoding(tables, loader=loader)

        def build_hermitian(bits: int, loader: Loader) -> BlockEncoding:
            from qdescent.quantum.encodings.coloured import hermitian_encoding

            return hermitian_encoding(*entries, system.size, bits, loader)

        source = "coloured entries: the sum over the colours of max |D_c|"
        return EncodingPlan(colouring.alpha, source, build, build_hermitian)


DEFAULT_ENCODING = BalancedEntries()  # the least alpha that the entries alone allow


@dataclass(frozen=True, eq=False)
class ComposedHistory:
    """The composed block-encoding of a map's `history_system`, in full coordinates.

    Its tables are those of F_0, F_1, ... and do not grow with the lifted dimension; alpha is the
    norm of a matrix of norms. With generic maps of 2 to 16 variables alpha was 1.00 to 1.22 ||M||,
    and a query took up to a hundred times fewer AND gates than one that loads M's entries
    (`benchmarks/block_encodings.py`); it takes more qubits.

    Args:
        maps: f, or one map a step (SGD), as they were linearised.
        order: N.
        steps: T; None: one for each map.
        padding: p.
        scale: gamma; the tables are those of gamma^{k-1} F_k.

    Raises:
        ArgumentError: when it is used, a system that is not this history.

    Example:
        >>> import torch
        >>> import qdescent as qd
        >>> f = PolynomialMap([torch.tensor([0.5, 1.0]), torch.diag(torch.tensor([0.5, 0.75]))])
        >>> system = qd.history_system(f, torch.zeros(2), steps=3, padding=0, order=1, scale=1.0)
        >>> round(ComposedHistory(f, order=1, steps=3).plan(system).alpha, 4)
        1.65
    """

    maps: PolynomialMap | Sequence[PolynomialMap] = field(repr=False)
    order: int
    steps: int | None = None
    padding: int = 0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.maps, PolynomialMap):
            called = "a PolynomialMap, or one for each step"
            object.__setattr__(
                self, "maps", check_sequence("maps", self.maps, PolynomialMap, called=called)
            )
        check_field(self, "order", check_integer, 1, MOST_ORDER)
        check_field(self, "padding", check_integer, 0, MOST_STEPS)
        object.__setattr__(self, "scale", check_scale("scale", self.scale, self.order))
        if self.steps is not None:
            check_field(self, "steps", check_integer, 1, MOST_STEPS)

    def plan(self, system: LinearSystem) -> EncodingPlan:
        """alpha of the rules of composition."""
        check_instance("system", system, LinearSystem)
        trial = self._tables(TRIAL_BITS)
        unknowns = len(trial.basis_states)
        if unknowns != system.size:
            raise argument_error(
                "encoding",
                f"encode {system.size} unknowns, as the system has",
                f"that of {unknowns}",
            )
        if not self._made(system):
            raise argument_error(
                "encoding",
                "be of the maps, steps, padding and scale that made the system",
                "of another history",
            )
        source = "composed of F_0, F_1, ...: the norm of a matrix of normalisations"
        return EncodingPlan(trial.alpha, source, self._build)

    def _made(self, system: LinearSystem) -> bool:
        """Whether the system's matrix is that of these maps, whatever its right-hand side."""
        maps: Sequence[PolynomialMap] = (
            (self.maps,) if isinstance(self.maps, PolynomialMap) else self.maps
        )
        lifts = [carleman_linearize(f, self.order, scale=self.scale) for f in maps]
        start = torch.ones(maps[0].size, dtype=torch.float64, device="cpu")
        own = history_system(
            lifts if maps is self.maps else lifts[0], start, self.steps, self.padding
        )
        matrices = []
        for each in (own, system):
            rows, columns, values = matrix_entries(each)
            matrices.append(
                sparse.csr_array(
                    sparse.coo_array((values, (rows, columns)), shape=(system.size, system.size))
                )
            )
        return bool(abs(matrices[0] - matrices[1]).sum() <= SAME * abs(matrices[0]).sum())

    def _build(self, bits: int, loader: Loader) -> BlockEncoding:
        from qdescent.quantum.encodings.history import HistoryEncoding

        return HistoryEncoding(self._tables(bits), loader=loader)

    def _tables(self, bits: int) -> HistoryTables:
        maps: PolynomialMap | list[PolynomialMap] = (
            self.maps.rescaled(self.scale)
            if isinstance(self.maps, PolynomialMap)
            else [f.rescaled(self.scale) for f in self.maps]
        )
        return history_tables(maps, self.order, self.steps, self.padding, bits=bits)


def check_encoding(encoding: MatrixEncoding) -> None:
    """Check that a solver's `encoding` has a plan.

    Raises:
        ArgumentError: an encoding without one, or a class in the place of its instance.
    """
    called = "BalancedEntries(), ColouredEntries() or a ComposedHistory(...)"
    check_methods("encoding", encoding, ("plan",), called)


def quantised(
    plan: EncodingPlan,
    kappa: float,
    epsilon: float,
    *,
    complex_rhs: bool,
    more: int = 0,
    setting: float | None = None,
    loader: Loader = DEFAULT_LOADER,
) -> BlockEncoding:
    """The block-encoding with the fewest bits for which kappa (epsilon of the encoding/alpha + pi
    levels/2^b) stays below epsilon/2.

    The encoding's error is the derived one of its very tables. The levels are angles off by at
    most pi/2^b: s of |B>, one more of its phases, and what else stands in the circuit.

    Args:
        plan: of the system.
        kappa: alpha ||M^-1||.
        epsilon: the share of the promised error that the angles may take.
        complex_rhs: |B> has phases.
        more: levels of what else stands in the circuit.
        setting: the epsilon that the caller knows, if it is not this one; for the message alone.
        loader: of its tables.

    Raises:
        ArgumentError: an epsilon that no angle within float64 could keep.

    Example:
        >>> import torch
        >>> system = LinearSystem(
        ...     torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
        ... )
        >>> quantised(
        ...     BalancedEntries().plan(system), kappa=20.0, epsilon=1e-4, complex_rhs=False
        ... ).angle_bits
        21
    """
    bits = max(3, math.ceil(math.log2(2.5 * kappa / epsilon)))
    while True:
        bits = min(bits, MOST_ANGLE_BITS)
        encoding = plan.encode(bits, loader)
        levels = encoding.system_bitsize + complex_rhs + more
        # 2.5 > 2: second-order terms
        off = 2.5 * kappa * (encoding.epsilon / encoding.alpha + math.pi * levels / 2**bits)
        if off <= epsilon:
            return encoding
        if bits >= MOST_ANGLE_BITS:
            given = epsilon if setting is None else setting
            least = (
                f"be at least {at_least(given * off / epsilon)} for a circuit at kappa ="
                f" {kappa:.4g}"
            )
            raise argument_error(
                "epsilon", f"{least}: its angles have at most {MOST_ANGLE_BITS} bits", given
            )
        bits = min(MOST_ANGLE_BITS, bits + max(1, math.floor(math.log2(off / epsilon))))


def more_bits(angle_bits: int | None, bits: int, epsilon: float, kappa: float, bound: float) -> int:
    """One bit more than the bits whose bound was too large.

    Raises:
        ArgumentError: bits that the caller chose, or no more of them to be had.

    Example:
        >>> more_bits(None, 6, epsilon=0.999, kappa=2.6, bound=1.05)
        7
    """
    if angle_bits is not None:
        must = f"be large enough for epsilon = {epsilon:g} at kappa = {kappa:.4g}"
        raise argument_error("angle_bits", must, f"{bits}, which allows {at_least(bound)}")
    if bits >= MOST_ANGLE_BITS:
        must = f"be at least {at_least(bound)} for a circuit at kappa = {kappa:.4g}"
        raise argument_error(
            "epsilon", f"{must}: its angles have at most {MOST_ANGLE_BITS} bits", epsilon
        )
    return bits + 1
