"""No solver depends on the units of M and B, and none promises more than its numbers can hold."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.classical import GMRES, Direct
from qdescent.solvers.hhl import HHL
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status

A, B = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([1.0, 1.0])
X = np.array([0.4, 0.2])
SOLVERS = [QSVT(1e-3), KernelReflection(1e-3), HHL(1e-2), Direct(), GMRES()]
SCALES = [
    (1e-300, 1e-300),
    (1e-170, 1e-170),
    (1e-200, 1.0),
    (1.0, 1e-200),
    (1e160, 1e160),
    (1e300, 1e299),
    (1.0, 1e300),
    (1e150, 1e-150),
]


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_any_scale(solver, scales):
    a, b = scales
    found, plain = solver.solve(LinearSystem(A * a, B * b)), solver.solve(LinearSystem(A, B))
    assert found.status is Status.SOLVED
    assert found.value.numpy() / b * a == pytest.approx(X, rel=1.1e-2)
    assert found.answer.tolist() == found.value.tolist()
    assert found.residual == pytest.approx(plain.residual, rel=1e-3, abs=1e-12)
    if "alpha" in plain.cost:
        assert found.cost.number("alpha") == pytest.approx(plain.cost.number("alpha") * a)
        assert found.cost.number("kappa") == pytest.approx(plain.cost.number("kappa"))


@pytest.mark.parametrize("solver", [QSVT(1e-2, circuit=True), KernelReflection(1e-2, circuit=True)])
def test_circuits_at_any_scale(solver):
    for a, b in ((1e-170, 1e-170), (1.0, 1e160), (1e300, 1e300)):
        found = solver.solve(LinearSystem(1j * A * a, B * b))
        assert found.status is Status.SOLVED
        assert found.value.numpy() / b * a == pytest.approx(-1j * X, abs=1e-2)
        assert found.cost.number("alpha") == pytest.approx(3.618034 * a)


def test_a_given_norm_is_in_the_user_s_units():
    for scale in (1.0, 1e-170, 1e160):
        norm = float(np.linalg.norm(X)) / scale
        found = KernelReflection(1e-4, norm=norm).solve(LinearSystem(A * scale, B))
        assert found.status is Status.SOLVED
        assert found.cost.number("search_steps") == 0
        assert found.cost.number("norm_estimate") == pytest.approx(norm)


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_answer_beyond_its_type_is_said(solver):
    for a, b in ((1e-200, 1e200), (1e200, 1e-200)):
        with pytest.raises(
            ArgumentError,
            match=r"Argument `rhs` must leave an answer that torch.float64 can hold .* 1e[+-]",
        ):
            solver.solve(LinearSystem(A * a, B * b))


@pytest.mark.parametrize("circuit", [False, True])
@pytest.mark.parametrize("solver", [QSVT, KernelReflection, HHL])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_an_epsilon_that_no_number_holds_is_refused(solver, dtype, circuit):
    matrix, rhs = torch.from_numpy(A).to(dtype), torch.from_numpy(B).to(dtype)
    first = 1e-8 if dtype is not torch.float64 else 1e-13
    for epsilon in (first,) if solver is HHL else (first, 1e-15, 1e-30):
        with pytest.raises(
            ArgumentError, match="Argument `epsilon` must be at least .*, but is"
        ) as refusal:
            solver(epsilon, circuit=circuit).solve(LinearSystem(matrix, rhs))
    if dtype is not torch.float64:
        assert "2.4e-07" in str(refusal.value)
        assert "double precision" in str(refusal.value)


@pytest.mark.parametrize("solver", [QSVT, KernelReflection])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_what_single_precision_holds_is_kept(solver, dtype):
    found = solver(1e-6).solve(
        LinearSystem(torch.from_numpy(A).to(dtype), torch.from_numpy(B).to(dtype))
    )
    assert found.status is Status.SOLVED
    assert found.value.dtype is dtype
    assert np.linalg.norm(found.value.numpy() - X) / np.linalg.norm(X) <= found.bound <= 1e-6


@pytest.mark.parametrize("solver", [QSVT, KernelReflection])
def test_what_is_named_as_enough_is_enough(solver):
    for circuit in (False, True):
        with pytest.raises(ArgumentError) as refusal:
            solver(1e-12 if circuit else 1e-13, circuit=circuit).solve(LinearSystem(A, B))
        least = float(str(refusal.value).split("at least ")[1].split()[0])
        assert solver(least, circuit=circuit).solve(LinearSystem(A, B)).status is Status.SOLVED


def test_a_crude_epsilon_chooses_bits_that_do():
    """The fewest bits by the rule allowed 1.02 at .999; nobody had given any."""
    for epsilon in (0.999, 0.9):
        found = QSVT(epsilon, circuit=True).solve(LinearSystem(A, B))
        assert found.status is Status.SOLVED
        assert np.linalg.norm(found.value.numpy() - X) / np.linalg.norm(X) <= found.bound <= epsilon
