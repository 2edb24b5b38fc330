"""Circuits as lists of steps on named wires: joined for each step, split again behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from qualtran import Bloq, BloqBuilder, QAny, QDType, SoquetT
from qualtran.resource_counting import BloqCountDictT

# a bloq, and the wires that each of its registers takes, most significant first
Step = tuple[Bloq, Mapping[str, Sequence[str]]]
Layout = Mapping[str, Mapping[str, int]]  # register -> name -> bits, most significant first


def inverse(steps: Sequence[Step]) -> list[Step]:
    """The inverses of the steps, the last first."""
    return [(bloq.adjoint(), wires) for bloq, wires in reversed(steps)]


def add_steps(
    bb: BloqBuilder,
    soqs: Mapping[str, SoquetT],
    layout: Layout,
    steps: Sequence[Step],
    scratch: Mapping[str, int] | None = None,
) -> dict[str, SoquetT]:
    """Add every step to a circuit.

    Args:
        bb: the circuit.
        soqs: its registers as they arrive.
        layout: the names of their bits.
        steps: in their order.
        scratch: name -> bits of further wires that are |0> before and after.

    Returns:
        The registers as they leave.
    """
    scratch = scratch or {}
    widths = {name: bits for names in (*layout.values(), scratch) for name, bits in names.items()}
    held: dict[str, NDArray] = {}

    def take(joined: SoquetT, names: Sequence[str]) -> None:
        bits, start = bb.split(joined), 0
        for name in names:
            held[name] = bits[start : start + widths[name]]
            start += widths[name]

    def join(names: Sequence[str], dtype: QDType) -> SoquetT:
        return bb.join(np.concatenate([held.pop(name) for name in names]), dtype)

    for register, names in layout.items():
        take(soqs[register], list(names))
    for name, bits in scratch.items():
        take(bb.allocate(bits), [name])
    for bloq, wires in steps:
        registers = {register: bloq.signature.get_left(register).dtype for register in wires}
        given = bb.add_d(
            bloq,
            **{register: join(wires[register], dtype) for register, dtype in registers.items()},
        )
        for register, taken in wires.items():
            take(given[register], taken)
    for name, bits in scratch.items():
        bb.free(join([name], QAny(bits)))
    return {
        register: join(list(names), QAny(sum(names.values()))) for register, names in layout.items()
    }


def counted(steps: Sequence[Step]) -> BloqCountDictT:
    """How often each bloq stands in the list."""
    return dict(Counter(bloq for bloq, _ in steps))
