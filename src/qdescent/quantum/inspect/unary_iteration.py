"""A table look-up written out in gates: the walk over a binary tree of indices that its count
stands for (unary iteration).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from qualtran.bloqs.data_loading.qrom import QROM

from qdescent._arrays import Ints


class Operation(NamedTuple):
    """One gate: its name in OpenQASM's stdgates.inc, its qubits, a rotation's angle in radians."""

    name: str
    qubits: tuple[int, ...]
    angle: float | None = None


def look_up_gates(
    bloq: QROM, qubits: tuple[int, ...], take: Callable[[], int], give_back: Callable[[int], None]
) -> Iterator[Operation]:
    """|i>|t> -> |i>|t xor data[i]> in x, cx and ccx.

    One qubit marks a node of the tree of indices; an And takes it to a child, a CNOT to the child's
    sibling. Where all values below a node are equal the walk goes no deeper.

    Args:
        bloq: a look-up of one table without controls; a line may hold several values.
        qubits: the selection registers, then the target, as in its signature.
        take: a fresh qubit in |0>.
        give_back: a qubit that is in |0> again.

    Yields:
        Operation: as many pairs of ccx (an And and its inverse) as the bloq's call graph has Ands.
            Indices beyond the
        table are not told from others, as in the call graph.

    References:
        Babbush et al., arXiv:1805.03662, section III.A and C (unary iteration, QROM).

    Example:
        >>> table = QROM.build_from_data([0, 3], target_bitsizes=(2,))
        >>> [gate[:2] for gate in look_up_gates(table, (0, 1, 2), take=int, give_back=print)]
        [('x', (0,)), ('x', (0,)), ('cx', (0, 1)), ('cx', (0, 2))]
    """
    (data,), (bits,), (block,) = bloq.data, bloq.target_bitsizes, bloq.target_shapes
    entries = data.reshape(*bloq.data_shape, math.prod(block))
    starts = np.cumsum([0, *bloq.selection_bitsizes])
    selections = [qubits[start:stop] for start, stop in pairwise(starts)]
    target = qubits[starts[-1] :]

    def write(control: int | None, entry: Ints) -> Iterator[Operation]:
        for k, qubit in enumerate(target):
            if int(entry[k // bits]) >> (bits - 1 - k % bits) & 1:
                yield (
                    Operation("x", (qubit,))
                    if control is None
                    else Operation("cx", (control, qubit))
                )

    def visit(
        control: int | None, table: Ints, axis: int, depth: int, low: int
    ) -> Iterator[Operation]:
        """The node that holds the indices low ... high - 1 of one axis of a table, under all that
        is marked by `control`.
        """
        selection, length = selections[axis], table.shape[0]
        high = low + 2 ** (len(selection) - depth)
        # one index, or a run of equal entries: there is nothing left to tell apart on this axis
        if high <= length and (
            depth == len(selection) or (table[low:high] == table[low].flat[0]).all()
        ):
            if axis == len(selections) - 1:
                yield from write(control, table[low])
            else:
                yield from visit(control, table[low], axis + 1, 0, 0)
            return
        middle, bit = (low + high) // 2, selection[depth]
        if length <= middle:  # the upper half is beyond the table
            yield from visit(control, table, axis, depth + 1, low)
            return
        # the child marks control AND NOT bit, then, by one CNOT, control AND bit
        child = bit if control is None else take()
        yield Operation("x", (bit,))
        if control is not None:
            yield Operation("ccx", (control, bit, child))
            yield Operation("x", (bit,))
        yield from visit(child, table, axis, depth + 1, low)
        yield Operation("x", (bit,)) if control is None else Operation("cx", (control, child))
        yield from visit(child, table, axis, depth + 1, middle)
        if control is not None:
            yield Operation("ccx", (control, bit, child))
            give_back(child)

    yield from visit(None, entries, 0, 0, 0) if selections else write(None, entries)
