"""The interpreter: wires, ancillas, dtypes, refusals."""

import numpy as np
import pytest
import torch
from qualtran import BloqBuilder, QBit
from qualtran.bloqs.basic_gates import CNOT, Hadamard, Ry, Swap, Toffoli, XGate
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.bloqs.mcmt import And, MultiControlX

from qdescent._checks import ArgumentError
from qdescent.quantum.gates.multiplexed import TablePhase
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import AngleTable


def composite(qubits):
    bb = BloqBuilder()
    return bb, [bb.add_register_from_dtype(f"q{i}", QBit()) for i in range(qubits)]


def test_bell_state_and_qubit_order():
    bb, (a, b) = composite(2)
    a = bb.add(Hadamard(), q=a)
    a, b = bb.add(CNOT(), ctrl=a, target=b)
    b = bb.add(XGate(), q=b)
    state = Simulator().run(bb.finalize(q0=a, q1=b))
    torch.testing.assert_close(
        state.amplitudes.real, torch.tensor([0, 1, 1, 0], dtype=torch.float64) / 2**0.5
    )
    assert state.project(q0=0).real.tolist() == pytest.approx([0, 2**-0.5])
    assert state.calls[CNOT()] == 1


def test_crossed_outputs_are_returned_in_the_order_of_the_signature():
    bb, (a, b) = composite(2)
    a = bb.add(Ry(0.4), q=a)
    crossed = Simulator().run(bb.finalize(q0=b, q1=a)).amplitudes
    assert crossed.real.tolist() == pytest.approx([0.98006658, 0.19866933, 0, 0])


@pytest.mark.parametrize("controls", [1, 2, 3, 5])
def test_multi_controlled_not_reuses_its_ancillas(controls):
    bloq = MultiControlX((0, 1, 0, 1, 1)[:controls])
    n = controls + 1
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(2**n, generator=generator, dtype=torch.float64)
    hit = int("".join(map(str, (0, 1, 0, 1, 1)[:controls])), 2) * 2
    expected = state.clone()
    expected[[hit, hit + 1]] = state[[hit + 1, hit]]
    found = Simulator().run(bloq, state)
    torch.testing.assert_close(found.amplitudes.real, expected, rtol=0, atol=1e-14)
    assert found.peak_qubits <= 2 * controls


def test_swap_and_toffoli():
    state = torch.arange(8, dtype=torch.float64)
    assert Simulator().run(Toffoli(), state).amplitudes.real.tolist() == [0, 1, 2, 3, 4, 5, 7, 6]
    sixteen = torch.arange(16, dtype=torch.float64)
    swapped = Simulator().run(Swap(2), sixteen).amplitudes.real.reshape(4, 4)
    torch.testing.assert_close(swapped, sixteen.reshape(4, 4).mT)


def test_single_precision():
    bb, (a,) = composite(1)
    for _ in range(50):
        a = bb.add(Ry(0.1), q=a)
    circuit = bb.finalize(q0=a)
    double, single = (
        Simulator(dtype).run(circuit).amplitudes for dtype in (torch.complex128, torch.complex64)
    )
    assert single.dtype == torch.complex64
    assert 0 < (double - single).norm() < 1e-5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda():
    state = Simulator(device="cuda").run(Hadamard())
    assert state.amplitudes.device.type == "cuda"
    assert state.amplitudes.real.cpu().tolist() == pytest.approx([2**-0.5] * 2)


def test_refusals():
    with pytest.raises(
        ArgumentError, match="Argument `bloq` must have only registers that pass through"
    ):
        Simulator().run(And())
    with pytest.raises(
        ArgumentError, match=r"Argument `initial` must have shape \(4,\), but is of shape \(3,\)"
    ):
        Simulator().run(CNOT(), torch.ones(3))
    with pytest.raises(ArgumentError, match="Argument `initial` must be finite"):
        Simulator().run(XGate(), torch.tensor([1.0, float("nan")]))
    with pytest.raises(
        ArgumentError, match="Argument `bloq` must need at most 30 qubits, but is in need of 33"
    ):
        Simulator().compile(QROM.build_from_data([1, 0, 3, 2, 0, 0, 0, 1], target_bitsizes=(30,)))
    with pytest.raises(ArgumentError, match="Argument `dtype` must be one of"):
        Simulator(torch.float64)
    with pytest.raises(
        ArgumentError, match="Argument `register` must be one of 'ctrl', 'target', but is 'system'"
    ):
        Simulator().run(CNOT()).project(system=0)


def test_a_diagonal_acts_on_qubits_in_another_order_with_others_between():
    """Against the phases written out for each basis state; and the vector that was handed in stays
    what it was.
    """
    table = AngleTable(np.array([[1, 5], [2, 7]]), bits=4)
    bb, (a, b, c) = composite(3)
    c, a = bb.add(TablePhase(table), selection0=c, selection1=a)
    b = bb.add(Hadamard(), q=b)  # moves b to the front
    b, a = bb.add(TablePhase(table), selection0=b, selection1=a)
    circuit = bb.finalize(q0=a, q1=bb.add(Hadamard(), q=b), q2=c)
    initial = torch.complex(torch.arange(1.0, 9.0), torch.ones(8)).to(torch.complex128)
    initial /= initial.norm()
    before = initial.clone()
    phase = np.exp(1j * table.half_angles)
    expected = before.numpy().reshape(2, 2, 2) * phase.T[:, None, :]
    hadamard = np.array([[1, 1], [1, -1]]) / 2**0.5
    expected = np.einsum("xb,ba,by,ayc->axc", hadamard, phase, hadamard, expected)
    np.testing.assert_allclose(
        Simulator().run(circuit, initial).amplitudes.numpy(),
        expected.reshape(-1),
        rtol=0,
        atol=1e-15,
    )
    assert torch.equal(initial, before)
