"""What a simulation will take: its gates counted beforehand, its memory, and the limits."""

import pytest
from qualtran import BloqBuilder, QBit
from qualtran.bloqs.basic_gates import Hadamard

from qdescent._checks import ArgumentError
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.simulator.forecast import Forecast, check_simulation
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.segment.map_segment import fast_forward_map


def many(bloq, times):
    """The same gate or circuit again and again on one qubit."""
    bb = BloqBuilder()
    q = bb.add_register_from_dtype("q", QBit())
    for _ in range(times):
        q = bb.add(bloq, q=q)
    return bb.finalize(q=q)


def test_gates_within_gates_are_counted_as_often_as_they_are_called():
    simulator, nested = Simulator(), many(many(many(Hadamard(), 3), 4), 5)
    expected = simulator.forecast(nested)
    assert (expected.gates, expected.qubits, expected.bytes) == (60, 1, 2 * 2 * 16)
    assert sum(simulator.run(nested).calls[gate] for gate in [Hadamard()]) == 60
    assert Forecast(10, 40).seconds == pytest.approx(10 * (5e-5 + 2e-8 * 2**40))
    assert Forecast(10, 5000).seconds == Forecast(10, 5000).bytes == float("inf")


def test_what_takes_too_long_or_too_much_memory_is_refused_by_its_number():
    expected = Forecast(1_000_000, 4)
    check_simulation(expected, 1.02 * expected.seconds, 1, on_cpu=True)
    with pytest.raises(ArgumentError, match="at least 152 .*000 gates on 4 qubits, .* 3 times"):
        check_simulation(expected, 2.9 * expected.seconds, 3, on_cpu=True)
    with pytest.raises(ArgumentError, match="`circuit` must fit into this machine's .* GiB"):
        check_simulation(Forecast(1, 50), float("inf"), 1, on_cpu=True)
    check_simulation(Forecast(1, 50), float("inf"), 1, on_cpu=False)


def test_a_segments_circuit_keeps_to_its_limit():
    f = PolynomialMap([[0.5, 0.5], [[1.0, 0.0], [0.0, 0.6]]])
    with pytest.raises(ArgumentError, match="Argument `most_seconds` must be at least"):
        fast_forward_map(f, 4, 1, circuit=Circuit(most_seconds=1e-9))
    found = fast_forward_map(f, 4, 1, circuit=Circuit(most_seconds=60))
    once = Simulator().forecast(found.circuit).seconds
    with pytest.raises(ArgumentError, match="for this circuit .* times; or take fewer"):
        fast_forward_map(f, 4, 1, circuit=Circuit(amplify=True, most_seconds=1.01 * once))
