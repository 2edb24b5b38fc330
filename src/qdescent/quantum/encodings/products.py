"""Products of block-encodings, tensor products, and the shift by which a history advances."""

from __future__ import annotations

import math
from typing import ClassVar

import attrs
from qualtran.bloqs.basic_gates import XGate

from qdescent.quantum.encodings.composition import Composition, check_one_size
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.multiplexed import PatternFlip
from qdescent.quantum.gates.steps import Layout, Step


class OfFactors:
    """alpha and epsilon of whatever multiplies its factors."""

    factors: tuple[BlockEncoding, ...]

    @property
    def alpha(self) -> float:
        """prod alpha_i."""
        return math.prod(factor.alpha for factor in self.factors)

    @property
    def epsilon(self) -> float:
        """prod (alpha_i + epsilon_i) - prod alpha_i: every A_i is alpha_i B_i + E_i; the terms with
        at least one E_i.
        """
        return math.prod(factor.alpha + factor.epsilon for factor in self.factors) - self.alpha

    @property
    def angle_bits(self) -> int:
        """The most of any factor."""
        return max(factor.angle_bits for factor in self.factors)


@attrs.frozen
class TensorProduct(OfFactors, Composition):
    """A_1 (x) A_2 ...: alpha = prod alpha_i, epsilon = prod (alpha_i + epsilon_i) - alpha.

    Args:
        factors: the first is the most significant.

    Registers: system and ancilla of the factors, one behind the other.

    Cost: one call of each factor.

    Example:
        >>> TensorProduct((Shift(2), Shift(1))).alpha
        1.0
    """

    label: ClassVar[str] = "⊗"
    factors: tuple[BlockEncoding, ...]

    def layout(self) -> Layout:
        """A system and an ancilla for each factor."""
        return {
            "system": {
                f"system{i}": factor.system_bitsize for i, factor in enumerate(self.factors)
            },
            "ancilla": {
                f"ancilla{i}": factor.ancilla_bitsize for i, factor in enumerate(self.factors)
            },
        }

    def steps(self) -> list[Step]:
        """One factor after the other, on its own wires."""
        return [
            (
                self.part(factor),
                self.control | {"system": (f"system{i}",), "ancilla": (f"ancilla{i}",)},
            )
            for i, factor in enumerate(self.factors)
        ]


@attrs.frozen
class Product(OfFactors, Composition):
    """A_1 A_2 ... A_k: alpha = prod alpha_i, epsilon = prod (alpha_i + epsilon_i) - prod alpha_i.

    Args:
        factors: of one system size; the last acts first.

    Registers: system, and the factors' ancillas one behind the other.

    Cost: one call of each factor.

    References:
        Gilyen, Su, Low, Wiebe, arXiv:1806.01838, lemma 53.

    Example:
        >>> Product((Shift(2), Shift(2).adjoint())).ancilla_bitsize
        2
    """

    label: ClassVar[str] = "product"
    factors: tuple[BlockEncoding, ...] = attrs.field(
        validator=lambda _self, _field, parts: check_one_size("factors", parts)
    )

    def layout(self) -> Layout:
        """One system, an ancilla for each factor."""
        ancilla = {f"ancilla{i}": factor.ancilla_bitsize for i, factor in enumerate(self.factors)}
        return {"system": {"system": self.factors[0].system_bitsize}, "ancilla": ancilla}

    def steps(self) -> list[Step]:
        """The last factor first."""
        return [
            (self.part(factor), self.control | {"system": ("system",), "ancilla": (f"ancilla{i}",)})
            for i, factor in reversed(list(enumerate(self.factors)))
        ]


@attrs.frozen
class Shift(Composition):
    """sum_{t < 2^s - 1} |t+1><t|, exactly: an increment whose carry leaves for the ancilla.

    Args:
        bits: s.

    Registers: system (s bits), ancilla (1 bit).

    Cost: s + 1 flips, with 0 to s controls.
    """

    label: ClassVar[str] = "+ 1"
    bits: int

    @property
    def alpha(self) -> float:
        """1."""
        return 1.0

    @property
    def epsilon(self) -> float:
        """0."""
        return 0.0

    def layout(self) -> Layout:
        """The carry above the most significant bit."""
        return {
            "system": {f"bit{i}": 1 for i in reversed(range(self.bits))},
            "ancilla": {f"bit{self.bits}": 1},
        }

    def steps(self) -> list[Step]:
        """Each bit flips where all below it are 1, the highest first."""
        steps: list[Step] = []
        for i in reversed(range(self.bits + 1)):
            below = (
                *(("control",) if self.is_controlled else ()),
                *(f"bit{j}" for j in reversed(range(i))),
            )
            flip = (PatternFlip((1,) * len(below)), {"register": below, "mark": (f"bit{i}",)})
            steps.append(flip if below else (XGate(), {"q": (f"bit{i}",)}))
        return steps
