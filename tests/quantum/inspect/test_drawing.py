"""A drawing shows the gates that the circuit has: against the call graph, and against a circuit
written by hand.
"""

import time
from collections import Counter

import attrs
import pytest
import torch
from qualtran import BloqBuilder, QAny
from qualtran.bloqs.basic_gates import CNOT, Hadamard

from qdescent.linalg.chebyshev import minimax_inverse
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.qsvt import ProjectorPhase
from qdescent.quantum.inspect.drawing import Drawing, Gate, draw, draw_solve
from qdescent.solvers.circuits.qsvt import build_circuit
from qdescent.solvers.encodings import BalancedEntries


@pytest.fixture(scope="module")
def circuit():
    matrix = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
    system = LinearSystem(matrix, torch.tensor([1.0, 1.0], dtype=torch.float64))
    return build_circuit(
        system, minimax_inverse(3.0, 1e-1), BalancedEntries().plan(system).encode(16)
    ).bloq


def test_the_whole_circuit_has_the_gates_of_the_call_graph(circuit):
    drawing = draw(circuit, lambda bloq: bloq == circuit.sequence)
    counted = Counter({"prepare": 1, "H": 2, "φ": len(circuit.sequence.phases)})
    for bloq, number in circuit.sequence.bloq_counts().items():
        if bloq == circuit.sequence.encoding:
            counted["U†"] += number
        elif bloq == circuit.sequence.encoding.adjoint():
            counted["U"] += number
    assert Counter(gate.label.split()[0] for gate in drawing.gates) == counted
    assert drawing.registers == (("system", 1), ("ancilla", 1), ("part", 1))
    assert drawing.gates[0] == Gate("prepare", ("system",), "RealStatePreparation")
    assert drawing.gates[3].label == "U†"  # the transform of the adjoint begins
    assert drawing.gates[3].registers == ("system", "ancilla")


def test_registers_are_followed_through_splits_and_fresh_qubits():
    bb = BloqBuilder()
    a, b = bb.add_register("a", 1), bb.add_register_from_dtype("b", QAny(2))
    bits = bb.split(b)
    a, bits[1] = bb.add(CNOT(), ctrl=a, target=bits[1])
    bits[0] = bb.add(Hadamard(), q=bits[0])
    drawing = draw(_Wrapped(bb.finalize(a=a, b=bb.join(bits, QAny(2)))))
    assert {(gate.label, gate.registers) for gate in drawing.gates} == {
        ("CNOT", ("a", "b")),
        ("H", ("b",)),
    }
    phase = draw(ProjectorPhase(0.25, 2))
    assert phase.registers == (("part", 1), ("ancilla", 2), ("work", 0))
    assert phase.gates[1].registers == ("part", "work")  # not the ancilla between them


class _Wrapped:
    """A composite bloq in the clothes of one that decomposes into it."""

    def __init__(self, composite):
        self.signature, self.decompose_bloq = composite.signature, lambda: composite
        self.call_graph = composite.call_graph


def test_shortened_says_what_it_leaves_out():
    gates = tuple(Gate(str(k), ("q",), "G") for k in range(9))
    first, left_out, last = Drawing((("q", 1),), gates, 0, ()).shortened(3, 2)
    assert [gate.label for gate in first + last] == ["0", "1", "2", "7", "8"]
    assert left_out == 4
    assert Drawing((("q", 1),), gates, 0, ()).shortened(5, 4) == (gates, 0, ())


@pytest.mark.parametrize("length", [2, 3, 24, 25, 26, 27, 60, 61])
def test_a_long_solve_is_drawn_as_the_ends_of_the_whole_one(circuit, length):
    """Against the drawing of every gate; the queries keep their turns, and what is left out is
    counted.
    """
    phases = tuple(0.1 * k for k in range(length))
    long = attrs.evolve(circuit, sequence=attrs.evolve(circuit.sequence, phases=phases))
    every, few = draw(long, lambda bloq: bloq == long.sequence), draw_solve(long)
    assert few.registers == every.registers
    assert len(few.gates) + few.left_out == len(every.gates)
    assert few.shortened(8, 4) == every.shortened(8, 4)
    assert len(few.gates) < 60


def test_ten_thousand_queries_are_drawn_at_once(circuit):
    phases = tuple(0.001 * k for k in range(20_001))
    long = attrs.evolve(circuit, sequence=attrs.evolve(circuit.sequence, phases=phases))
    start = time.process_time()
    drawing = draw_solve(long)
    assert time.process_time() - start < 2
    assert len(drawing.gates) + drawing.left_out == 1 + 2 + 20_001 + 20_000
