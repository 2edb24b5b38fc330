"""Rules of composition: block-encodings made of block-encodings, their normalisations and errors
with them.

Every rule takes parts with the registers `system` and `ancilla` (at least one bit each), alpha,
epsilon, `adjoint()` and `controlled()`, and is such a part again. A part encodes A with ||A - alpha
B|| <= epsilon, ||B|| <= 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import attrs
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.bloqs.basic_gates import XGate
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent._checks import argument_error
from qdescent.quantum.gates.multiplexed import PatternFlip
from qdescent.quantum.gates.steps import Layout, Step, add_steps, counted, inverse


class Part(Protocol):
    """A block-encoding that can be composed."""

    @property
    def alpha(self) -> float:
        """The normalisation."""
        ...

    @property
    def epsilon(self) -> float:
        """A bound on ||A - alpha <0|U|0>||_2."""
        ...

    @property
    def system_bitsize(self) -> int:
        """Bits of the register `system`."""
        ...

    @property
    def ancilla_bitsize(self) -> int:
        """Bits of the register `ancilla`."""
        ...

    def adjoint(self) -> Bloq:
        """The inverse circuit."""
        ...

    def controlled(self) -> Bloq:
        """The same with a further register `control` of one bit: where it is 0 and the ancilla |0>,
        nothing happens.

        So what stands at another ancilla stays orthogonal to |0> there, and parts may share their
        ancillas.
        """
        ...


@attrs.frozen
class Composition(Bloq):
    """A block-encoding as a list of steps on named wires: what all rules have in common.

    Args:
        is_adjoint: the inverse circuit.
        is_controlled: with a further register `control`, first (see `Part.controlled`).

    Registers: control (1 bit, if there is one), system, ancilla.
    """

    is_adjoint: bool = attrs.field(default=False, kw_only=True)
    is_controlled: bool = attrs.field(default=False, kw_only=True)

    def layout(self) -> Layout:
        """The names of the bits of system and ancilla."""
        raise NotImplementedError

    def steps(self) -> list[Step]:
        """The circuit that is not inverted, first step first."""
        raise NotImplementedError

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

    def controlled(self) -> Composition:
        """The same with a control."""
        return attrs.evolve(self, is_controlled=True)

    def part(self, encoding: Part) -> Bloq:
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


class OfFactors:
    """alpha and epsilon of whatever multiplies its factors."""

    factors: tuple[Part, ...]

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

    factors: tuple[Part, ...]

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

    factors: tuple[Part, ...] = attrs.field(
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


@attrs.frozen
class Identity(Composition):
    """A multiple of the identity as a part of sums and blocks: it has no steps, and an ancilla that
    it leaves alone.

    Args:
        bits: of the system.
        scale: what multiplies it, positive.
    """

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


def check_one_size(name: str, parts: Sequence[Part]) -> None:
    """Check that there are parts, all of one system size.

    Raises:
        ArgumentError: there are none, or their sizes differ.
    """
    sizes = [part.system_bitsize for part in parts]
    if len(set(sizes)) != 1:
        raise argument_error(
            name, "be at least one, all of the same system size", f"of sizes {sizes}"
        )
