"""Rules that select one of many encodings: weighted sums, and block-diagonal matrices."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from qualtran.bloqs.basic_gates import ZGate

from qdescent._array_checks import check_array
from qdescent._checks import argument_error
from qdescent.quantum.encodings.composition import Composition, Part, check_one_size
from qdescent.quantum.gates.loaders import DEFAULT_LOADER, Loader
from qdescent.quantum.gates.multiplexed import PatternFlip, TableRotation
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.gates.steps import Layout, Step
from qdescent.quantum.tables.angles import AngleTable, RotationTree, rotation_tree


@attrs.frozen
class WeightedSum(Composition):
    """sum_i c_i A_i: alpha = sum |c_i| alpha_i, epsilon = sum |c_i| epsilon_i + what the prepared
    weights miss.

    Args:
        weights: c_i.
        terms: A_i, of one system size.
        tree: prepares sqrt(|c_i| alpha_i/alpha); from `weighted_sum`.
        loader: of the tree's angles; the terms have their own.

    Registers: system; ancilla: which term, then the ancillas of the largest term, which all share.

    Cost: two preparations, one controlled call of each term. Controlled, only the calls are: the
        preparations cancel.

    References:
        Gilyen, Su, Low, Wiebe, arXiv:1806.01838, lemma 52; Childs, Wiebe, arXiv:1202.5822.
    """

    weights: tuple[float, ...]
    terms: tuple[Part, ...]
    tree: RotationTree
    loader: Loader = attrs.field(default=DEFAULT_LOADER, kw_only=True)

    @property
    def alpha(self) -> float:
        """sum |c_i| alpha_i."""
        return sum(abs(c) * term.alpha for c, term in zip(self.weights, self.terms, strict=True))

    @property
    def epsilon(self) -> float:
        """sum |c_i| epsilon_i, and the weights' own error: alpha times the l1 distance of the
        prepared ones.
        """
        wanted = np.zeros(2**self.tree.bitsize)
        wanted[: len(self.terms)] = [
            abs(c) * term.alpha for c, term in zip(self.weights, self.terms, strict=True)
        ]
        missed = float(np.abs(wanted - self.alpha * self.tree.prepared**2).sum())
        return missed + sum(
            abs(c) * term.epsilon for c, term in zip(self.weights, self.terms, strict=True)
        )

    def layout(self) -> Layout:
        """One system, and one ancilla behind the choice."""
        return _shared(self.terms, {"choice": self.tree.bitsize}, {})

    def scratch(self) -> dict[str, int]:
        """Whether a term is the chosen one."""
        return {"chosen": 1}

    def steps(self) -> list[Step]:
        """Prepare, call every term where it is chosen, with its sign, and prepare back."""
        prepare = RealStatePreparation(self.tree, loader=self.loader)
        steps: list[Step] = [(prepare, {"state": ("choice",)})]
        for i, (c, term) in enumerate(zip(self.weights, self.terms, strict=True)):
            sign: list[Step] = [(ZGate(), {"q": ("chosen",)})] if c < 0 else []
            steps += _where_chosen(self, i, self.tree.bitsize, term, sign)
        return [*steps, (prepare.adjoint(), {"state": ("choice",)})]


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
        >>> from qdescent.quantum.encodings.composition import Identity, Shift
        >>> encoding = block_diagonal((Shift(2), Identity(2), Shift(2).adjoint()), bits=10)
        >>> encoding.alpha, encoding.system_bitsize, encoding.ancilla_bitsize
        (1.0, 4, 2)
    """

    parts: tuple[Part, ...]
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
    def _block_bits(self) -> int:
        return (len(self.turn.indices) - 1).bit_length()

    def layout(self) -> Layout:
        """The block above the system of the parts, the flag above their ancillas."""
        return _shared(self.parts, {"flag": 1}, {"block": self._block_bits})

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
            steps += _where_chosen(self, i, self._block_bits, part, [], "block")
        return steps


def weighted_sum(
    weights: Sequence[float], terms: Sequence[Part], bits: int, loader: Loader = DEFAULT_LOADER
) -> WeightedSum:
    """sum_i c_i A_i.

    Args:
        weights: c_i, not all zero.
        terms: A_i, of one system size.
        bits: b, bits of an angle of the preparation.
        loader: of these angles.

    Raises:
        ArgumentError: weights and terms of unlike number, weights that are not real, or terms of
            unlike size.

    Example:
        >>> from qdescent.quantum.encodings.composition import Identity, Shift
        >>> encoding = weighted_sum([1.0, -0.5], [Identity(2), Shift(2)], bits=16)
        >>> encoding.alpha, encoding.ancilla_bitsize
        (1.5, 2)
    """
    check_one_size("terms", terms)
    if len(weights) != len(terms):
        raise argument_error(
            "weights", f"be {len(terms)} numbers, one for each term", f"{len(weights)} of them"
        )
    weights = check_array("weights", weights, (len(terms),)).tolist()
    shares = np.array([abs(c) * term.alpha for c, term in zip(weights, terms, strict=True)])
    return WeightedSum(
        tuple(weights), tuple(terms), rotation_tree(np.sqrt(shares), bits), loader=loader
    )


def block_diagonal(
    parts: Sequence[Part], bits: int, loader: Loader = DEFAULT_LOADER
) -> BlockDiagonal:
    """diag(A_0, A_1, ...), and zero blocks up to a power of two.

    Args:
        parts: A_i, of one system size.
        bits: b, bits of the angles that turn the smaller parts down.
        loader: of these angles.

    Raises:
        ArgumentError: parts of unlike size.

    Example:
        >>> from qdescent.quantum.encodings.composition import Identity
        >>> block_diagonal([Identity(1, 2.0), Identity(1, 0.5)], bits=16).alpha
        2.0
    """
    check_one_size("parts", parts)
    alphas = np.zeros(2 ** max(1, (len(parts) - 1).bit_length()))
    alphas[: len(parts)] = [part.alpha for part in parts]
    turn = AngleTable.nearest(np.arccos(alphas / alphas.max()), bits)
    controlled = AngleTable(np.stack([np.zeros_like(turn.indices), turn.indices]), bits)
    return BlockDiagonal(tuple(parts), turn, controlled, loader=loader)


def _shared(parts: Sequence[Part], choice: dict[str, int], block: dict[str, int]) -> Layout:
    """One system and one ancilla, the largest part's, for all parts: bit by bit, as a smaller one
    takes only the first.
    """
    bits = max(part.ancilla_bitsize for part in parts)
    return {
        "system": {**block, "system": parts[0].system_bitsize},
        "ancilla": {**choice, **{f"ancilla{i}": 1 for i in range(bits)}},
    }


def _where_chosen(
    rule: Composition, i: int, bits: int, part: Part, phase: list[Step], choice: str = "choice"
) -> list[Step]:
    """Mark that the choice is i (and the control 1), call the part under the mark, and unmark."""
    control = ("control",) if rule.is_controlled else ()
    pattern = (1,) * len(control) + tuple(i >> place & 1 for place in reversed(range(bits)))
    mark = (PatternFlip(pattern), {"register": (*control, choice), "mark": ("chosen",)})
    ancilla = tuple(f"ancilla{j}" for j in range(part.ancilla_bitsize))
    call = (part.controlled(), {"control": ("chosen",), "system": ("system",), "ancilla": ancilla})
    return [mark, *phase, call, mark]
