"""The circuit: equal to the direct solve within its bound, to the matrix polynomial beyond it, and
counted as it ran.
"""

import math
from collections import Counter

import pytest
import torch
from qualtran.resource_counting import QECGatesCost, get_cost_value

from qdescent._checks import ArgumentError
from qdescent._evidence import Row
from qdescent.linalg.chebyshev import inverse_degree, minimax_inverse
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.gates.loading.bucket_brigade import BucketBrigade
from qdescent.quantum.gates.loading.qroam import QROAMLoader
from qdescent.quantum.gates.loading.qrom import QROMLoader
from qdescent.quantum.gates.multiplexed import TableRotation
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.circuits.qsvt import build_circuit, run_circuit
from qdescent.solvers.encodings import BalancedEntries, ColouredEntries
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status

F64, C128 = torch.float64, torch.complex128
STEPS = 4


def history(padding, n=10, seed=0):
    """I - shift (x) A of a contraction with a small nilpotent coupling u <- z_2, two blocks, as the
    homogenised map has it.
    """
    generator = torch.Generator().manual_seed(seed)
    coupling = 0.05 * torch.randn(n, n, generator=generator, dtype=F64)
    A = 0.9 * torch.eye(n, dtype=F64)
    A[:2, :2] += coupling[:2, :2]
    A[:2, 2:6] = coupling[:2, 2:6]
    A[2:6, 2:6] += coupling[2:6, 2:6]
    A[2:6, 6:] = coupling[2:6, 6:]
    blocks = STEPS + padding + 1
    matrix = torch.eye(n * blocks, dtype=F64)
    rhs = torch.zeros(n * blocks, dtype=F64)
    rhs[:n] = torch.randn(n, generator=generator, dtype=F64)
    for t in range(blocks - 1):
        matrix[(t + 1) * n : (t + 2) * n, t * n : (t + 1) * n] = -(
            A if t < STEPS else torch.eye(n, dtype=F64)
        )
        rhs[(t + 1) * n : (t + 1) * n + 2] = 0.05 if t < STEPS else 0
    answer = torch.stack([t * n + torch.arange(2) for t in range(STEPS, blocks)])
    return LinearSystem(matrix.to_sparse_coo(), rhs, answer)


@pytest.mark.parametrize("padding", [0, 3, 4])
def test_history_system_is_solved_by_its_circuit(padding):
    system = history(padding)
    direct = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
    found = QSVT(epsilon=1e-4, circuit=True).solve(system)
    assert found.status is Status.SOLVED
    assert (found.value - direct).norm() / direct.norm() <= found.bound <= 1e-4
    u_T = system.extract(direct)
    assert (found.answer - u_T).norm() / u_T.norm() < 1e-3

    of = found.cost.number
    assert of("qubits") < of("logical_qubits")
    assert of("alpha_over_norm") < 1.5
    copies = direct[system.answer_index]
    assert of("answer_probability") == pytest.approx(
        float(copies.norm() / direct.norm()) ** 2, rel=1e-3
    )
    assert all(isinstance(row, Row) for row in found.cost)


def test_queries_used_are_queries_declared(monkeypatch):
    """Every query turns the entries' table once: counted at the table's leaf, below the simulator's
    own counts.
    """
    turned = Counter()
    leaf = TableRotation.fast_kernel

    def counted(self, dtype, device):
        apply = leaf(self, dtype, device)

        def count_and_apply(state, spare):
            turned[self.table] += 1
            return apply(state, spare)

        return count_and_apply

    system, epsilon = history(2), 1e-3
    kappa = 12.0
    polynomial = minimax_inverse(kappa, epsilon / 2)
    circuit = build_circuit(system, polynomial, ColouredEntries().plan(system).encode(20))
    monkeypatch.setattr(TableRotation, "fast_kernel", counted)
    run = run_circuit(system, circuit, epsilon)
    entries = circuit.encoding.tables.entries
    assert turned[entries] == run.forward_queries
    assert turned[entries.negated] == run.adjoint_queries
    declared = inverse_degree(kappa, epsilon / 2)  # closed form, no polynomial built
    assert (run.forward_queries, run.adjoint_queries) == (declared // 2, declared - declared // 2)


@pytest.mark.parametrize(
    "encoding", [BalancedEntries(), ColouredEntries()], ids=["balanced", "coloured"]
)
def test_the_loader_changes_the_count_and_not_the_answer(encoding):
    matrix = torch.tensor(
        [[1.0, 0.3, 0.0, 0.0], [0.0, 0.8, -0.2, 0.0], [0.0, 0.0, 1.0, 0.4], [0.1, 0.0, 0.0, 0.7]],
        dtype=F64,
    )
    system = LinearSystem(matrix, torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=F64))
    loaders = (
        QROMLoader(),
        QROAMLoader(block=4),
        QROAMLoader(block=4, dirty=True),
        BucketBrigade(),
    )
    plain, clean, dirty, tree = (
        QSVT(1e-1, circuit=Circuit(loader=loader), encoding=encoding).solve(system)
        for loader in loaders
    )
    # the tree is small on 8 lines
    qubits = [found.cost.number("logical_qubits") for found in (plain, tree, clean, dirty)]
    assert qubits[0] < min(qubits[1], qubits[2]) < qubits[3]
    assert plain.cost.number("toffoli_gates") == plain.cost.number("and_gates")
    for found in (clean, dirty, tree):
        assert torch.equal(found.value, plain.value)
        assert found.cost.number("toffoli_gates") != plain.cost.number("toffoli_gates")
        assert found.cost.number("rotations") == plain.cost.number("rotations")
    assert tree.cost["loader"].value == "BucketBrigade()"

    # a router tree skips nothing, so that its count is a sum of declared costs
    bits, loader = int(tree.cost.number("angle_bits")), loaders[3]
    tables = tree.circuit.sequence.encoding.tables
    lines, system_bits = tables.permutations.forward.size, tables.system_bits
    colour_bits = (len(tables.permutations.forward) - 1).bit_length()

    def prepared(bitsize, selection=0):
        return sum(
            2 * loader.read_cost(2**level, bits).toffoli
            for level in range(max(1, selection), selection + bitsize)
        )

    query = 2 * loader.load_cost(lines, system_bits).toffoli
    if isinstance(encoding, ColouredEntries):
        query += 2 * loader.read_cost(lines, bits).toffoli + 2 * prepared(colour_bits)
    else:
        query += 2 * prepared(colour_bits, system_bits)
    # the colours, and a flag if they have one
    ancillas = tree.circuit.sequence.encoding.ancilla_bitsize
    phases = (
        2 * (tree.cost.number("degree") + 1) * (ancillas - 1)
    )  # ANDs of all ancillas found at 0
    assert (
        tree.cost.number("toffoli_gates")
        == tree.cost.number("queries") * query + prepared(system_bits) + phases
    )


SMALL = {
    "toeplitz": (
        torch.eye(8, dtype=F64)
        - (torch.diag(torch.ones(7), 1) + torch.diag(torch.ones(7), -1)).double() / 3
    ),
    "non-normal": torch.eye(6, dtype=F64) + torch.diag(torch.full((5,), 1.2, dtype=F64), 1),
    "indefinite": torch.diag(torch.tensor([1.0, -0.4, 0.7, -1.0], dtype=F64)).roll(1, 0),
    "dense": torch.randn(5, 5, generator=torch.Generator().manual_seed(3), dtype=F64),
    "scalar": torch.tensor([[-3.0]], dtype=F64),
}


@pytest.mark.parametrize("name", SMALL)
def test_circuit_is_the_matrix_polynomial(name):
    matrix = SMALL[name]
    system = LinearSystem(matrix, matrix @ torch.arange(1, len(matrix) + 1, dtype=F64))
    polynomial = QSVT(1e-3).solve(system)
    circuit = QSVT(1e-3, circuit=Circuit(angle_bits=40)).solve(system)
    # calls while simulating, products while multiplying
    assert circuit.cost.number("queries") == polynomial.cost.number("queries")
    assert (circuit.value - polynomial.value).norm() / polynomial.value.norm() < 1e-6
    assert (circuit.value - torch.arange(1, len(matrix) + 1)).norm() / circuit.value.norm() < 1e-3


@pytest.mark.parametrize("name", ["toeplitz", "non-normal", "scalar"])
def test_amplified_circuit_gives_the_same_value_for_certain(name):
    matrix = SMALL[name]
    system = LinearSystem(matrix, torch.linspace(1, 2, len(matrix), dtype=F64))
    bare, sure = (
        QSVT(1e-1, circuit=Circuit(amplify=amplify)).solve(system) for amplify in (False, True)
    )
    assert sure.status is Status.SOLVED
    assert (sure.value - bare.value).norm() / bare.value.norm() < 1e-9
    rounds, p = sure.cost.number("amplification_rounds"), bare.cost.number("success_probability")
    assert sure.cost.number("bare_success_probability") == p < 0.97
    assert sure.cost.number("success_probability") >= max(
        1 - 1e-9, math.sin((2 * rounds + 1) * math.asin(math.sqrt(p))) ** 2 - 1e-9
    )
    assert (
        sure.cost.number("queries")
        == sure.cost.number("declared_queries")
        == (2 * rounds + 1) * bare.cost.number("queries")
    )
    assert sure.cost.number("t_gates") > (2 * rounds + 1) * bare.cost.number("t_gates") * 0.8


def test_norm_and_probability_agree():
    """||Z|| from the success probability and known constants alone."""
    system = history(3)
    polynomial = minimax_inverse(20.0, 1e-4)
    circuit = build_circuit(system, polynomial, ColouredEntries().plan(system).encode(26))
    run = run_circuit(system, circuit, 1e-4)
    direct = torch.linalg.solve(system.matrix.to_dense(), system.rhs)
    norm = (
        math.sqrt(run.success_probability)
        * float(system.rhs.norm())
        / (circuit.scale * circuit.encoding.alpha)
    )
    assert norm == pytest.approx(float(direct.norm()), rel=1e-4)
    assert norm == pytest.approx(float(run.value.norm()), rel=1e-12)
    assert run.t_gates == math.ceil(
        4 * run.gates.and_bloq + run.gates.t + run.t_per_rotation * run.gates.rotation
    )
    per_query = (run.gates.and_bloq - 100) / polynomial.degree
    colours, size = circuit.encoding.tables.permutations.forward.shape
    # four look-ups over colours x size values, n - 2 ANDs each at most, two colour preparations,
    # and the projector marks
    assert (
        per_query
        < 4 * (colours * size - 2) + 2 * 4 * colours + 2 * circuit.encoding.ancilla_bitsize
    )


def test_fewer_bits_are_worse_and_the_bound_says_so():
    system = LinearSystem(SMALL["toeplitz"], torch.ones(8, dtype=F64))
    direct = torch.linalg.solve(system.matrix, system.rhs)
    errors = []
    for bits in (10, 14, 18):
        found = QSVT(epsilon=0.4, kappa=8.0, circuit=Circuit(angle_bits=bits)).solve(system)
        fine = QSVT(epsilon=0.4, kappa=8.0).solve(system)
        errors.append(float((found.value - fine.value).norm() / direct.norm()))
        assert (found.value - direct).norm() / direct.norm() <= found.bound
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    with pytest.raises(
        ArgumentError,
        match=r"Argument `angle_bits` must be large enough for epsilon = 0\.0001 at kappa",
    ):
        QSVT(epsilon=1e-4, circuit=Circuit(angle_bits=10)).solve(system)


def test_kappa_too_small_is_an_outcome_of_the_circuit():
    system = history(3)
    found = QSVT(1e-4, circuit=True, kappa=5.0).solve(system)
    assert found.status is Status.KAPPA_REFUTED
    assert "kappa is too small" in found.status


def test_a_real_system_of_complex_type_has_the_circuit_of_the_real_one():
    matrix, rhs = SMALL["non-normal"], torch.ones(6, dtype=F64)
    real = QSVT(1e-2, circuit=True).solve(LinearSystem(matrix, rhs))
    mixed = QSVT(1e-2, circuit=Circuit(angle_bits=int(real.cost.number("angle_bits")))).solve(
        LinearSystem(matrix.to(C128), rhs.to(C128))
    )
    assert mixed.value.dtype is C128
    assert mixed.cost.number("t_gates") == real.cost.number("t_gates")
    assert (mixed.value - real.value).norm() < 1e-12


@pytest.mark.parametrize(
    "encoding", [BalancedEntries(), ColouredEntries()], ids=["balanced", "coloured"]
)
def test_a_complex_system_pays_for_its_phases_alone(encoding):
    """Of a query: two more loads over the entries, b more rotations; of |B>: the same over its
    entries.
    """
    matrix, rhs = SMALL["dense"], torch.arange(1, 6, dtype=F64)
    turned = torch.exp(1j * torch.arange(25, dtype=F64)).reshape(5, 5) * matrix
    systems = LinearSystem(matrix, rhs), LinearSystem(turned, 1j * rhs)
    real, complex_ = (
        build_circuit(one, minimax_inverse(9.0, 1e-1), encoding.plan(one).encode(12))
        for one in systems
    )
    of_query = (
        get_cost_value(complex_.encoding, QECGatesCost()).rotation
        - get_cost_value(real.encoding, QECGatesCost()).rotation
    )
    assert (
        of_query
        == get_cost_value(TableRotation(complex_.encoding.tables.phases), QECGatesCost()).rotation
        > 0
    )
    with_phases, without = (
        get_cost_value(c.bloq.right_side, QECGatesCost()).rotation for c in (complex_, real)
    )
    assert (
        with_phases - without
        == get_cost_value(TableRotation(complex_.bloq.right_side.phases), QECGatesCost()).rotation
    )
