"""Weighted sums of block-encodings (linear combinations of unitaries)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import attrs
import numpy as np
from qualtran.bloqs.basic_gates import ZGate

from qdescent._array_checks import check_array
from qdescent._checks import argument_error
from qdescent.quantum.encodings.composition import (
    Composition,
    check_one_size,
    shared_registers,
    where_chosen,
)
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.gates.steps import Layout, Step
from qdescent.quantum.tables.angles import RotationTree, rotation_tree


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

    label: ClassVar[str] = "sum"
    weights: tuple[float, ...]
    terms: tuple[BlockEncoding, ...]
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

    @property
    def angle_bits(self) -> int:
        """Those of the weights, or more where a term has more."""
        return max(self.tree.levels[0].bits, *(term.angle_bits for term in self.terms))

    def layout(self) -> Layout:
        """One system, and one ancilla behind the choice."""
        return shared_registers(self.terms, {"choice": self.tree.bitsize}, {})

    def scratch(self) -> dict[str, int]:
        """Whether a term is the chosen one."""
        return {"chosen": 1}

    def steps(self) -> list[Step]:
        """Prepare, call every term where it is chosen, with its sign, and prepare back."""
        prepare = RealStatePreparation(self.tree, loader=self.loader)
        steps: list[Step] = [(prepare, {"state": ("choice",)})]
        for i, (c, term) in enumerate(zip(self.weights, self.terms, strict=True)):
            sign: list[Step] = [(ZGate(), {"q": ("chosen",)})] if c < 0 else []
            steps += where_chosen(self, i, self.tree.bitsize, term, sign)
        return [*steps, (prepare.adjoint(), {"state": ("choice",)})]


def weighted_sum(
    weights: Sequence[float],
    terms: Sequence[BlockEncoding],
    bits: int,
    loader: Loader = DEFAULT_LOADER,
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
        >>> from qdescent.quantum.encodings.composition import Identity
        >>> from qdescent.quantum.encodings.products import Shift
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
