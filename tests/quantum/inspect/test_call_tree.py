"""The call tree's numbers: against the cost of the whole, against sums over the parts, and against
the queries of a sequence.
"""

import pytest
import torch
from qualtran.resource_counting import QECGatesCost, get_cost_value

from qdescent.linalg.chebyshev import kernel_filter, minimax_inverse
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.inspect.call_tree import call_tree
from qdescent.solvers.circuits.kernel_reflection import build_kernel_circuit
from qdescent.solvers.circuits.qsvt import build_circuit
from qdescent.solvers.encodings import ColouredEntries

MATRIX = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.2, 0.0, 1.0]], dtype=torch.float64)
SYSTEM = LinearSystem(MATRIX, torch.tensor([1.0, 1.0, 0.5], dtype=torch.float64))


def circuits():
    encoding = ColouredEntries().plan(SYSTEM).encode(9)
    kernel = build_kernel_circuit(SYSTEM, encoding, 1.5, kernel_filter(3.0, 0.1), reflects=True)
    return {
        "qsvt": build_circuit(SYSTEM, minimax_inverse(3.0, 0.1), encoding).bloq,
        "kernel reflection": kernel.bloq,
    }


def parts_of(part):
    yield part
    for inner in part.parts:
        yield from parts_of(inner)


@pytest.mark.parametrize(("name", "bloq"), circuits().items())
def test_parts_add_up_to_the_cost_of_the_whole(name, bloq):
    tree = call_tree(bloq)
    cost = get_cost_value(bloq, QECGatesCost())
    assert (tree.ands, tree.rotations) == (cost.and_bloq + cost.toffoli, cost.rotation)
    opened = [part for part in parts_of(tree) if part.parts]
    assert {"SparseBlockEncoding", "TableRotation", "ColourPermutation", "QSVTSequence"} <= {
        part.kind for part in opened
    }
    for part in opened:
        assert part.ands == sum(inner.ands for inner in part.parts)
        assert part.rotations == sum(inner.rotations for inner in part.parts)
        assert [inner.ands for inner in part.parts] == sorted(
            (inner.ands for inner in part.parts), reverse=True
        )
    kinds = [part.kind for part in opened]
    assert len(kinds) == len(set(kinds))


def test_queries_and_phases_are_those_of_the_sequence():
    bloq = circuits()["qsvt"]
    (sequence,) = [part for part in call_tree(bloq).parts if part.kind == "QSVTSequence"]
    calls = {part.label: part.calls for part in sequence.parts}
    degree = bloq.sequence.degree
    assert (calls["U"], calls["U†"], calls["φ"]) == (degree // 2, (degree + 1) // 2, degree + 1)
