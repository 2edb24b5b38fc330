"""Every solver on every kind of system with a planted answer: real and complex, non-normal,
indefinite, 8 to 64 unknowns.
"""

import math
from dataclasses import replace

import attrs
import pytest
import torch
from solvers.conformance import conformance, forgotten, solver_classes
from torch.utils._python_dispatch import TorchDispatchMode

import qdescent as qd
from qdescent.linalg.chebyshev import inverse_degree
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.classical import GMRES, Direct
from qdescent.solvers.encodings import BalancedEntries, ColouredEntries
from qdescent.solvers.hhl import HHL
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.promise import conditioning, judgement
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status, solve

F64, C128 = torch.float64, torch.complex128


def draw(shape, dtype, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def well_conditioned(size, dtype):
    return draw((size, size), dtype, size) / size**0.5 + 2 * torch.eye(size, dtype=dtype)


def non_normal(size, dtype):
    """I - shift (x) a contraction, as history matrices are: all eigenvalues 1, far from normal."""
    matrix = torch.eye(size, dtype=dtype)
    matrix[range(1, size), range(size - 1)] = -0.8 if dtype is F64 else -0.8j
    return matrix


def indefinite(size, dtype):
    q, _ = torch.linalg.qr(draw((size, size), dtype, 3))
    spectrum = torch.linspace(-1, 1, size, dtype=F64)
    return q @ torch.diag(torch.where(spectrum.abs() < 0.25, 0.25, spectrum)).to(dtype) @ q.mH


def sparse_unsymmetric(size, dtype):
    matrix = draw((size, size), dtype, 5) * (
        torch.rand(size, size, generator=torch.Generator().manual_seed(6)) < 3 / size
    )
    return matrix.fill_diagonal_(2.5)


KINDS = {f.__name__: f for f in (well_conditioned, non_normal, indefinite, sparse_unsymmetric)}
SOLVERS = conformance()
CIRCUITS = {name: each for entry in SOLVERS.values() for name, each in entry.circuits.items()}


class Forgotten:
    """Planted: a solver that nobody entered."""

    def solve(self, system):
        return Direct().solve(system)


def test_no_solver_is_forgotten():
    """CONTRIBUTING, "Add a solver": `CONFORMANCE` in tests/solvers/test_<name>.py."""
    classes = set(solver_classes())
    assert {Direct, GMRES, QSVT, KernelReflection, HHL} <= classes
    assert forgotten(classes, SOLVERS) == []
    assert [one.__name__ for one in classes if one.__name__ not in qd.__all__] == []
    assert forgotten([*classes, Forgotten], SOLVERS) == ["Forgotten"]
    without = {**SOLVERS, "HHL": replace(SOLVERS["HHL"], circuits={})}
    assert forgotten(classes, without) == ["HHL(circuit=...)"]


@pytest.mark.parametrize("dtype", [F64, C128], ids=["real", "complex"])
@pytest.mark.parametrize("size", [8, 23, 64])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SOLVERS)
def test_planted_answer(name, kind, size, dtype):
    matrix, planted = KINDS[kind](size, dtype), draw((size,), dtype, size + 1)
    solver, tolerance = SOLVERS[name].solver, SOLVERS[name].error
    found = solve(LinearSystem(matrix.to_sparse_coo(), matrix @ planted), solver)
    assert found.status is Status.SOLVED
    assert found.value.dtype == dtype
    # the planted right-hand side is rounded: kappa eps
    off = (found.value - planted).norm() / planted.norm() - 1e-14
    assert off <= found.bound <= tolerance
    # planted wrong: the transposed and the conjugated system have other answers
    for wrong in (matrix.mT, matrix.conj()):
        if not torch.allclose(wrong, matrix):
            assert (
                torch.linalg.solve(wrong, matrix @ planted) - planted
            ).norm() / planted.norm() > 10 * tolerance


@pytest.mark.parametrize("name", SOLVERS)
def test_a_singular_system_is_never_called_solved(name):
    matrix = torch.diag(torch.tensor([1.0, 0.5, 0.0], dtype=F64))
    rhs = torch.ones(3, dtype=F64)
    found = solve(LinearSystem(matrix, rhs), SOLVERS[name].solver)
    assert not found.solved
    assert math.isinf(found.bound)


@pytest.mark.parametrize(
    ("name", "kind", "dtype"),
    [
        pytest.param(name, kind, dtype, id=f"{name}, {kind}, {dtype}")
        for name in CIRCUITS
        for kind in ("well_conditioned", "non_normal", "indefinite")
        for dtype in (F64, C128)
        if dtype is C128 or name != "HHL"  # three seconds each: the harder half
    ],
)
def test_planted_answer_of_a_circuit(name, kind, dtype):
    matrix, planted, solver = KINDS[kind](3, dtype), draw((3,), dtype, 4), CIRCUITS[name]
    system = LinearSystem(matrix, matrix @ planted)
    found = solve(system, solver)
    assert found.status is Status.SOLVED
    assert found.value.dtype == dtype
    assert (found.value - planted).norm() / planted.norm() <= found.bound <= solver.epsilon
    if dtype is C128:  # planted wrong: a real part alone, and the conjugate
        wrong = min(10 * solver.epsilon, 0.25)
        assert (found.value.real - planted).norm() / planted.norm() > wrong
        assert (found.value.conj() - planted).norm() / planted.norm() > wrong


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=["real", "complex"])
@pytest.mark.parametrize("name", CIRCUITS)
def test_a_circuit_takes_single_precision(name, dtype):
    matrix, planted, solver = well_conditioned(3, dtype), draw((3,), dtype, 4), CIRCUITS[name]
    found = solve(LinearSystem(matrix, matrix @ planted), solver)
    assert found.status is Status.SOLVED
    assert found.value.dtype == dtype
    assert (found.value - planted).norm() / planted.norm() <= 2 * solver.epsilon


@pytest.mark.parametrize(
    "solver",
    [QSVT(1e-2, circuit=True), KernelReflection(1e-2, circuit=True)],
    ids=["QSVT", "reflection"],
)
@pytest.mark.parametrize("complex_matrix", [True, False], ids=["matrix", "right-hand side"])
def test_a_circuit_takes_one_part_complex(solver, complex_matrix):
    matrix, rhs = (
        well_conditioned(3, C128 if complex_matrix else F64),
        draw((3,), F64 if complex_matrix else C128, 2),
    )
    found = solve(LinearSystem(matrix, rhs), solver)
    exact = torch.linalg.solve(matrix.to(C128), rhs.to(C128))
    assert found.status is Status.SOLVED
    assert (found.value - exact).norm() / exact.norm() <= found.bound <= 1e-2


class Conjugated:
    """Planted: the phase table of the entries negated, in the very circuit."""

    def __init__(self, encoding):
        self.encoding = encoding

    def plan(self, system):
        right = self.encoding.plan(system)

        def build(bits, loader):
            encoding = right.encode(bits, loader)
            tables = replace(encoding.tables, phases=encoding.tables.phases.negated)
            return attrs.evolve(encoding, tables=tables)

        return replace(right, build=build)


@pytest.mark.parametrize(
    "encoding", [BalancedEntries(), ColouredEntries()], ids=["balanced", "coloured"]
)
def test_conjugated_phases_are_not_called_solved(encoding):
    matrix = well_conditioned(3, C128)
    system = LinearSystem(matrix, draw((3,), C128, 2))
    for solver in (QSVT, KernelReflection):
        assert (
            solve(system, solver(1e-2, circuit=True, encoding=Conjugated(encoding))).status
            is Status.INACCURATE
        )


@pytest.mark.parametrize("name", SOLVERS)
def test_a_real_matrix_takes_a_complex_right_hand_side(name):
    matrix, planted = well_conditioned(8, F64), draw((8,), C128, 1)
    solver, tolerance = SOLVERS[name].solver, SOLVERS[name].error
    for form in (matrix, matrix.to_sparse_coo()):
        found = solve(LinearSystem(form, matrix.to(C128) @ planted), solver)
        assert found.status is Status.SOLVED
        assert (found.value - planted).norm() / planted.norm() <= tolerance


FOUR = torch.tensor(
    [
        [0.78, -0.01, -0.16, -0.1],
        [-0.01, 0.57, -0.03, 0.08],
        [-0.16, -0.03, 0.69, -0.15],
        [-0.1, 0.08, -0.15, 0.88],
    ],
    dtype=F64,
)
TOEPLITZ = (
    torch.eye(8, dtype=F64)
    - (torch.diag(torch.ones(7), 1) + torch.diag(torch.ones(7), -1)).double() / 3
)


@pytest.mark.parametrize("name", SOLVERS)
def test_published_rows(name):
    solver, tolerance = SOLVERS[name].solver, SOLVERS[name].error
    e0 = torch.eye(8, dtype=F64)[0]
    two = solve(LinearSystem(TOEPLITZ[:2, :2], e0[:2]), solver).value
    assert two.tolist() == pytest.approx([1.125, 0.375], abs=2 * tolerance)
    eight = solve(LinearSystem(TOEPLITZ, e0), solver).value
    assert float(eight.norm()) == pytest.approx(1.2399109034, abs=2 * tolerance + 1e-9)
    exact = torch.linalg.solve(TOEPLITZ, e0)
    # an old HHL: fidelity .0076
    assert float((eight @ exact / eight.norm() / exact.norm()) ** 2) > 1 - tolerance**2 - 1e-12
    four = solve(LinearSystem(FOUR, torch.ones(4, dtype=F64)), solver).value
    assert (four / four.norm()).tolist() == pytest.approx(
        [0.51643917, 0.43808850, 0.60597747, 0.41732523], abs=tolerance + 1e-8
    )


class CountProducts(TorchDispatchMode):
    """Counts the matrix-vector products with a (size, size) matrix that torch executes, whoever
    asks for them.
    """

    def __init__(self, size):
        super().__init__()
        self.size, self.count = size, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (
            torch.ops.aten.mv,
            torch.ops.aten.mm,
            torch.ops.aten.addmv,
            torch.ops.aten.addmm,
        ):
            self.count += any(
                tuple(a.shape) == (self.size, self.size)
                for a in args
                if isinstance(a, torch.Tensor)
            )
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(
    "solver", [QSVT(1e-4), KernelReflection(1e-4), KernelReflection(1e-4, norm=3.0)]
)
def test_queries_used_are_queries_declared(solver, sparse):
    """Counted below the solver, by torch's own dispatcher; the residual and the a-posteriori
    check of the answer are not.
    """
    matrix = non_normal(23, F64)
    system = LinearSystem(matrix.to_sparse_coo() if sparse else matrix, torch.ones(23, dtype=F64))
    with CountProducts(23) as executed:
        found = solve(system, solver)
    assert found.status is Status.SOLVED
    kappa = found.cost.number("kappa")
    if isinstance(solver, QSVT):
        declared, checks = inverse_degree(kappa, 0.5e-4), 2 + inverse_degree(kappa, 0.1)
    else:
        declared = found.cost.number("reflections") * (inverse_degree(kappa, 0.25e-4) + 1)
        declared += found.cost.number("search_steps") * (inverse_degree(kappa, 0.1) + 1)
        checks = 1 + inverse_degree(kappa, 0.1) + 1
    assert executed.count - checks == found.cost.number("queries") == declared


def of_planted_spectrum(seed):
    """One of three smallest singular values, spread or in two clusters; random answers, or all
    weight on the smallest.
    """
    u, v = (torch.linalg.qr(draw((12, 12), F64, seed + 100 * side))[0] for side in (1, 2))
    least = (0.2, 0.05, 1 / 60)[seed % 3]
    spectrum = torch.logspace(math.log10(least), 0, 12, dtype=F64)
    if seed % 2:
        spectrum = torch.where(torch.arange(12) < 6, least, 1.0).to(F64)
    matrix = u @ torch.diag(spectrum) @ v
    planted = draw((12,), F64, seed) if seed % 4 < 2 else v.mT @ (1 / spectrum)
    return LinearSystem(matrix, matrix @ planted), planted


CRUDE = (1, 4, 5, 9)  # those that pass without a check beyond 1/kappa, at an epsilon above .05
EVERY = tuple(range(12))  # each least singular value, spread or clustered, with each answer
HALF = (0, 2, 5, 7, 9, 10)  # the same by pairs


@pytest.mark.parametrize(
    ("solver", "epsilon", "seeds"),
    [
        *(
            (solver, epsilon, CRUDE)
            for solver in (QSVT, KernelReflection)
            for epsilon in (0.3, 0.1)
        ),
        (QSVT, 1e-2, EVERY),
        (QSVT, 1e-4, (2, 4, 7, 9)),
        (KernelReflection, 1e-2, HALF),
        (KernelReflection, 1e-4, (4, 9)),
        *(
            pytest.param(solver, epsilon, EVERY, marks=pytest.mark.slow)
            for solver, epsilon in (
                (QSVT, 1e-4),
                (KernelReflection, 1e-2),
                (KernelReflection, 1e-4),
            )
        ),
        (HHL, 0.3, CRUDE),
        (HHL, 0.1, (9,)),
        pytest.param(HHL, 0.1, CRUDE, marks=pytest.mark.slow),
    ],
)
def test_a_kappa_too_small_is_never_returned_as_an_answer(solver, epsilon, seeds, monkeypatch):
    """Three families of spectra, kappa at .2, .5 and .8 of the truth, nothing measured and no
    search for what refutes kappa: what is called solved is within epsilon. With the search nothing
    is called solved.
    """
    wrong = 0
    for seed in seeds:
        system, planted = of_planted_spectrum(seed)
        right = solver(epsilon).solve(system)
        assert right.status is Status.SOLVED
        for fraction in (0.2, 0.5, 0.8, 1.3):
            given = solver(epsilon, kappa=max(1.001, fraction * right.cost.number("kappa")))
            if fraction > 1:
                assert given.solve(system).status is Status.SOLVED
                continue
            with monkeypatch.context() as unseen:
                unseen.setattr(conditioning, "LARGEST_SVD", 0)
                checked = given.solve(system)
                unseen.setattr(judgement, "refuting_kappa", lambda *_: None)
                found = given.solve(system)
            off = float((found.value - planted).norm() / planted.norm()) > epsilon
            wrong += off
            assert found.status is (Status.INACCURATE if off else found.status)
            assert not checked.solved
            assert given.solve(system).status is Status.KAPPA_REFUTED
    assert wrong > len(seeds)  # the test has something to refuse


@pytest.mark.parametrize("solver", [QSVT, KernelReflection, HHL])
def test_without_the_check_beyond_1_over_kappa_a_wrong_answer_would_pass(solver, monkeypatch):
    """Planted: the a-posteriori check ends at the given 1/kappa, a fifth of the true one."""
    system, planted = of_planted_spectrum(5)
    given = solver(0.3, kappa=0.2 * solver(0.3).solve(system).cost.number("kappa"))
    monkeypatch.setattr(conditioning, "LARGEST_SVD", 0)
    assert given.solve(system).status is Status.KAPPA_REFUTED
    monkeypatch.setattr(judgement, "refuting_kappa", lambda *_: None)
    assert given.solve(system).status is Status.INACCURATE
    monkeypatch.setattr(judgement, "FAR", 1)
    found = given.solve(system)
    assert found.status is Status.SOLVED_IF_KAPPA_IS_RIGHT
    assert (found.value - planted).norm() / planted.norm() > 0.39
