"""Kernel reflection as circuits: equal to the matrix polynomial, within the bound of the direct
solve, counted as it ran.
"""

from collections import Counter

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.chebyshev import inverse_degree
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.amplification import AmplitudeAmplification
from qdescent.quantum.algorithms.qsvt import KernelTransform
from qdescent.quantum.encodings.kernel import VectorFlip
from qdescent.quantum.gates.loading.qroam import QROAMLoader
from qdescent.quantum.gates.loading.qrom import QROMLoader
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.solve import Status

F64 = torch.float64

SYSTEMS = {
    "toeplitz": (
        torch.eye(4, dtype=F64)
        - (torch.diag(torch.ones(3), 1) + torch.diag(torch.ones(3), -1)).double() / 3
    ),
    "non-normal": torch.eye(5, dtype=F64) + torch.diag(torch.full((4,), 0.8, dtype=F64), 1),
    "indefinite": torch.diag(torch.tensor([1.0, -0.4, 0.7, -1.0], dtype=F64)).roll(1, 0),
    "scalar": torch.tensor([[-3.0]], dtype=F64),
}


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("known", [True, False], ids=["norm known", "norm searched"])
def test_circuit_is_the_matrix_polynomial(name, known):
    matrix, planted = SYSTEMS[name], torch.arange(1, len(SYSTEMS[name]) + 1, dtype=F64)
    system = LinearSystem(matrix, matrix @ planted)
    norm = float(planted.norm()) if known else None
    circuit = KernelReflection(1e-3, norm=norm, circuit=Circuit(angle_bits=38)).solve(system)
    assert circuit.status is Status.SOLVED
    assert (circuit.value - planted).norm() / planted.norm() <= circuit.bound <= 1e-3
    assert circuit.cost.number("queries") == circuit.cost.number("declared_queries")
    # the circuit's filter has half the error of the polynomial's: at epsilon/2 both are the same
    # polynomial
    polynomial = KernelReflection(0.5e-3, norm=norm).solve(system)
    assert circuit.cost.number("norm_estimate") == pytest.approx(
        polynomial.cost.number("norm_estimate"), rel=1e-9
    )
    assert (circuit.value - polynomial.value).norm() / planted.norm() < 1e-6
    assert circuit.cost.number("success_probability") == pytest.approx(
        0.98**2 * polynomial.cost.number("success_probability"), abs=2e-3
    )


def test_queries_used_are_queries_declared(monkeypatch):
    """Every query flips the mark once: counted at the flip's leaf, below the simulator's own
    counts.
    """
    flips = Counter()
    leaf = VectorFlip.fast_kernel

    def counted(self, dtype, device):
        apply = leaf(self, dtype, device)

        def count_and_apply(state, spare):
            flips["all"] += 1
            return apply(state, spare)

        return count_and_apply

    monkeypatch.setattr(VectorFlip, "fast_kernel", counted)
    system = LinearSystem(SYSTEMS["toeplitz"], torch.tensor([1.0, 0.0, 2.0, 0.0], dtype=F64))
    found = KernelReflection(1e-2, kappa=8.0, circuit=True).solve(system)
    declared = found.cost.number("reflections") * (inverse_degree(8.0, 1e-2 / 8) + 1)
    declared += found.cost.number("search_steps") * (inverse_degree(8.0, 0.1) + 1)
    assert flips["all"] == found.cost.number("queries") == declared
    assert (
        found.cost.number("forward_queries")
        == found.cost.number("adjoint_queries")
        == found.cost.number("degree") / 2
    )


def test_the_loader_changes_the_count_and_not_the_answer():
    system = LinearSystem(SYSTEMS["toeplitz"], torch.tensor([1.0, 0.0, 2.0, 0.0], dtype=F64))
    plain, block = (
        KernelReflection(1e-1, kappa=8.0, norm=3.0, circuit=Circuit(loader=loader)).solve(system)
        for loader in (QROMLoader(), QROAMLoader(2))
    )
    assert torch.equal(plain.value, block.value)
    assert plain.cost.number("toffoli_gates") != block.cost.number("toffoli_gates")
    assert plain.cost.number("logical_qubits") < block.cost.number("logical_qubits")


@pytest.mark.parametrize("name", ["toeplitz", "scalar"])
def test_amplified_reflection_gives_the_same_value_for_certain(name):
    matrix = SYSTEMS[name]
    system = LinearSystem(matrix, torch.linspace(1, 2, len(matrix), dtype=F64))
    bare, sure = (
        KernelReflection(1e-1, circuit=Circuit(amplify=amplify)).solve(system)
        for amplify in (False, True)
    )
    assert sure.status is Status.SOLVED
    assert (sure.value - bare.value).norm() / bare.value.norm() < 1e-9
    assert (
        sure.cost.number("success_probability") > 1 - 1e-9 > bare.cost.number("success_probability")
    )
    assert sure.cost.number("amplification_rounds") == 1
    # what was run last
    assert (type(bare.circuit), type(sure.circuit)) == (KernelTransform, AmplitudeAmplification)
    assert (
        sure.cost.number("queries")
        == sure.cost.number("declared_queries")
        == bare.cost.number("queries") + 3 * bare.cost.number("degree")
    )
    assert sure.cost.number("forward_queries") + sure.cost.number(
        "adjoint_queries"
    ) == 3 * bare.cost.number("degree")


def test_outcomes_and_refusals():
    system = LinearSystem(SYSTEMS["non-normal"], torch.ones(5, dtype=F64))
    exact = torch.linalg.solve(system.matrix, system.rhs)
    found = KernelReflection(1e-3, kappa=3.0, circuit=True).solve(system)
    assert (found.value - exact).norm() / exact.norm() > 1e-2
    assert found.status is Status.KAPPA_REFUTED
    singular = LinearSystem(torch.ones(2, 2, dtype=F64), torch.ones(2, dtype=F64))
    assert KernelReflection(circuit=True).solve(singular).status is Status.SINGULAR
    with pytest.raises(
        ArgumentError,
        match=r"Argument `angle_bits` must be large enough for epsilon = 0\.001 at kappa",
    ):
        KernelReflection(1e-3, circuit=Circuit(angle_bits=9)).solve(system)
