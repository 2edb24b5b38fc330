"""Block-encodings as lists of steps on named wires, and the block-diagonal matrix by which each of
them is augmented.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
import numpy as np
from qualtran import AddControlledT, Bloq, BloqBuilder, CtrlSpec, QAny, Signature, SoquetT
from qualtran.bloqs.mcmt.specialized_ctrl import get_ctrl_system_1bit_cv_from_bloqs
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent._arrays import Ints
from qdescent._checks import argument_error, check_interval, check_sequence
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.gates.multiplexed import PatternFlip, TableRotation
from qdescent.quantum.gates.steps import Layout, Step, add_steps, counted, inverse
from qdescent.quantum.tables.angles import AngleTable


@attrs.frozen
class Composition(BlockEncoding):
    """A block-encoding as a list of steps on named wires: what all of this package have in common.

    Args:
        is_adjoint: the inverse circuit.
        is_controlled: with a further register `control`, first (see `BlockEncoding`).

    Registers: control (1 bit, if there is one), system, ancilla.
    """

    is_adjoint: bool = attrs.field(default=False, kw_only=True)
    is_controlled: bool = attrs.field(default=False, kw_only=True)

    @abc.abstractmethod
    def layout(self) -> Layout:
        """The names of the bits of system and ancilla."""

    @abc.abstractmethod
    def steps(self) -> list[Step]:
        """The circuit that is not inverted, first step first."""

    def scratch(self) -> dict[str, int]:
        """Wires that are |0> before and after."""
        return {}

    @property
    def system_bitsize(self) -> int:
        """Bits of the register `system`."""
        return sum(self.layout()["system"].values())

    @property
    def ancilla_bitsize(self) -> int:
        """Bits of the register `ancilla`."""
        return sum(self.layout()["ancilla"].values())

    @property
    def signature(self) -> Signature:
        """control (1, if there is one), system, ancilla."""
        sizes = {"control": 1} if self.is_controlled else {}
        sizes |= {"system": self.system_bitsize, "ancilla": self.ancilla_bitsize}
        return Signature.build_from_dtypes(**{name: QAny(bits) for name, bits in sizes.items()})

    def adjoint(self) -> Composition:
        """The inverse circuit, which encodes the conjugate transpose."""
        return attrs.evolve(self, is_adjoint=not self.is_adjoint)

    def get_ctrl_system(self, ctrl_spec: CtrlSpec) -> tuple[Bloq, AddControlledT]:
        """What `controlled()` makes: for one bit, which must be 1, the circuit that knows of it."""
        return get_ctrl_system_1bit_cv_from_bloqs(
            self,
            ctrl_spec,
            current_ctrl_bit=1 if self.is_controlled else None,
            bloq_with_ctrl=attrs.evolve(self, is_controlled=True),
            ctrl_reg_name="control",
        )

    def augmented(self, norm_estimate: float) -> BlockEncoding:
        """diag(A, (alpha/t) I) by the rule of block-diagonal matrices."""
        t = check_interval("norm_estimate", norm_estimate, "[1, inf)")
        second = Identity(self.system_bitsize, self.alpha / t)
        return block_diagonal([self, second], self.angle_bits, self.loader)

    def part(self, encoding: BlockEncoding) -> Bloq:
        """A part as it stands in the circuit."""
        return encoding.controlled() if self.is_controlled else encoding

    @property
    def control(self) -> dict[str, tuple[str, ...]]:
        """The wire that a controlled part takes; none where nothing is controlled."""
        return {"control": ("control",)} if self.is_controlled else {}

    def directed(self) -> list[Step]:
        """The steps, inverted for the adjoint."""
        return inverse(self.steps()) if self.is_adjoint else self.steps()

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """The steps in their order."""
        control = {"control": {"control": 1}} if self.is_controlled else {}
        return add_steps(bb, soqs, {**control, **self.layout()}, self.directed(), self.scratch())

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """Each step once."""
        return counted(self.directed())


@attrs.frozen
class Identity(Composition):
    """A multiple of the identity as a part of sums and blocks: it has no steps, and an ancilla that
    it leaves alone.

    Args:
        bits: of the system.
        scale: what multiplies it, positive.
    """

    label: ClassVar[str] = "1"
    bits: int
    scale: float = 1.0

    @property
    def alpha(self) -> float:
        """The multiple."""
        return self.scale

    @property
    def epsilon(self) -> float:
        """0."""
        return 0.0

    def layout(self) -> Layout:
        """One name each."""
        return {"system": {"system": self.bits}, "ancilla": {"ancilla": 1}}

    def steps(self) -> list[Step]:
        """None."""
        return []


@attrs.frozen
class BlockDiagonal(Composition):
    """diag(A_0, A_1, ...): alpha = max alpha_i, each part turned down to it; epsilon = max
    (epsilon_i + what the turn misses).

    Args:
        parts: A_i, of one system size.
        turn: angles with cos(theta_i/2) = alpha_i/alpha; zero blocks for what is missing to a power
            of two; from `block_diagonal`.
        controlled_turn: the same below a control.
        loader: of these angles; the parts have their own.

    Registers: system: which block, then that of the parts; ancilla: a flag of the turn, then the
        ancillas of the largest part.

    Cost: one controlled call of each part, and one selected rotation.

    Example:
        >>> from qdescent.quantum.encodings.products import Shift
        >>> encoding = block_diagonal((Shift(2), Identity(2), Shift(2).adjoint()), bits=10)
        >>> encoding.alpha, encoding.system_bitsize, encoding.ancilla_bitsize
        (1.0, 4, 2)
    """

    label: ClassVar[str] = "diagonal"
    parts: tuple[BlockEncoding, ...]
    turn: AngleTable
    controlled_turn: AngleTable
    loader: Loader = attrs.field(default=DEFAULT_LOADER, kw_only=True)

    @property
    def alpha(self) -> float:
        """max alpha_i."""
        return max(part.alpha for part in self.parts)

    @property
    def epsilon(self) -> float:
        """max (epsilon_i + |alpha_i - alpha cos(theta_i/2)|)."""
        encoded = self.alpha * np.cos(self.turn.half_angles)
        return max(
            part.epsilon + abs(part.alpha - float(scale))
            for part, scale in zip(self.parts, encoded, strict=False)
        )

    @property
    def angle_bits(self) -> int:
        """Those of the turn."""
        return self.turn.bits

    @property
    def basis_states(self) -> Ints:
        """Those of each part in its block."""
        return np.concatenate(
            [(i << part.system_bitsize) + part.basis_states for i, part in enumerate(self.parts)]
        )

    @property
    def _block_bits(self) -> int:
        return (len(self.turn.indices) - 1).bit_length()

    def layout(self) -> Layout:
        """The block above the system of the parts, the flag above their ancillas."""
        return shared_registers(self.parts, {"flag": 1}, {"block": self._block_bits})

    def scratch(self) -> dict[str, int]:
        """Whether a part is the chosen one."""
        return {"chosen": 1}

    def steps(self) -> list[Step]:
        """Turn the flag, then call every part in its block."""
        if self.is_controlled:
            wires = {"selection0": ("control",), "selection1": ("block",), "target": ("flag",)}
            steps: list[Step] = [(TableRotation(self.controlled_turn, self.loader), wires)]
        else:
            steps = [
                (
                    TableRotation(self.turn, self.loader),
                    {"selection0": ("block",), "target": ("flag",)},
                )
            ]
        for i, part in enumerate(self.parts):
            steps += where_chosen(self, i, self._block_bits, part, [], "block")
        return steps


def block_diagonal(
    parts: Sequence[BlockEncoding], bits: int, loader: Loader = DEFAULT_LOADER
) -> BlockDiagonal:
    """diag(A_0, A_1, ...), and zero blocks up to a power of two.

    Args:
        parts: A_i, of one system size.
        bits: b, bits of the angles that turn the smaller parts down.
        loader: of these angles.

    Raises:
        ArgumentError: parts of unlike size.

    Example:
        >>> block_diagonal([Identity(1, 2.0), Identity(1, 0.5)], bits=16).alpha
        2.0
    """
    check_one_size("parts", parts)
    alphas = np.zeros(2 ** max(1, (len(parts) - 1).bit_length()))
    alphas[: len(parts)] = [part.alpha for part in parts]
    turn = AngleTable.nearest(np.arccos(alphas / alphas.max()), bits)
    controlled = AngleTable(np.stack([np.zeros_like(turn.indices), turn.indices]), bits)
    return BlockDiagonal(tuple(parts), turn, controlled, loader=loader)


def shared_registers(
    parts: Sequence[BlockEncoding], choice: dict[str, int], block: dict[str, int]
) -> Layout:
    """One system and one ancilla, the largest part's, for all parts: bit by bit, as a smaller one
    takes only the first.
    """
    bits = max(part.ancilla_bitsize for part in parts)
    return {
        "system": {**block, "system": parts[0].system_bitsize},
        "ancilla": {**choice, **{f"ancilla{i}": 1 for i in range(bits)}},
    }


def where_chosen(
    rule: Composition,
    i: int,
    bits: int,
    part: BlockEncoding,
    phase: list[Step],
    choice: str = "choice",
) -> list[Step]:
    """Mark that the choice is i (and the control 1), call the part under the mark, and unmark."""
    control = ("control",) if rule.is_controlled else ()
    pattern = (1,) * len(control) + tuple(i >> bit & 1 for bit in reversed(range(bits)))
    mark = (PatternFlip(pattern), {"register": (*control, choice), "mark": ("chosen",)})
    ancilla = tuple(f"ancilla{j}" for j in range(part.ancilla_bitsize))
    call = (part.controlled(), {"control": ("chosen",), "system": ("system",), "ancilla": ancilla})
    return [mark, *phase, call, mark]


def check_one_size(name: str, parts: Sequence[BlockEncoding]) -> None:
    """Check that there are parts, block-encodings of this package, all of one system size.

    Raises:
        ArgumentError: there are none, or their sizes differ.
    """
    kind: type[Any] = BlockEncoding
    check_sequence(name, parts, kind, called="block-encodings of this package", empty=True)
    sizes = [part.system_bitsize for part in parts]
    if len(set(sizes)) != 1:
        raise argument_error(
            name, "be at least one, all of the same system size", f"of sizes {sizes}"
        )
