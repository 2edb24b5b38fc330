"""Qubits of a bloq whose parts run one after the other, without a walk through them all."""

from __future__ import annotations

from collections.abc import Iterable

from qualtran import Bloq
from qualtran.resource_counting import QubitCount, get_cost_value


def qubits_in_turn(bloq: Bloq, parts: Iterable[Bloq]) -> int:
    """The registers of a bloq and the largest workspace of any part.

    Args:
        bloq: what runs.
        parts: one of each kind that differs in its workspace; an inverse has that of its original.

    Example:
        >>> from qualtran.bloqs.basic_gates import CNOT
        >>> from qualtran.bloqs.mcmt import MultiControlX
        >>> # two ANDs hold two bits
        >>> qubits_in_turn(MultiControlX((0, 0, 0)), [CNOT(), MultiControlX((0, 0, 0))])
        6
    """
    key = QubitCount()
    return bloq.signature.n_qubits() + max(
        get_cost_value(part, key) - part.signature.n_qubits() for part in parts
    )
