"""A segment as a circuit: equal to its polynomials, its queries declared, its faults seen."""

import math
from dataclasses import replace

import attrs
import numpy as np
import pytest
import torch
from qualtran.testing import assert_valid_bloq_decomposition
from torch.nn.functional import mse_loss

import qdescent as qd
from qdescent.quantum.algorithms.selected_sequence import SelectedSequence
from qdescent.quantum.gates.loading.qroam import QROAMLoader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import rotation_tree
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.circuits.segment import build_segment, run_segment
from qdescent.solvers.encodings import DEFAULT_ENCODING, ColouredEntries
from qdescent.solvers.polynomials.matrix_route import apply_plan
from qdescent.solvers.polynomials.segment_search import plan_segment
from qdescent.solvers.segment.map_segment import SegmentStatus, fast_forward_map


def network_map(rate, steps):
    """Two weights of a network, as a map and as what descent is compared with."""
    network = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Tanh()).double()
    network[0].weight.data.fill_(0.4)
    network[0].bias.data.fill_(-0.2)
    data = torch.tensor([[0.5], [-1.0]]).double(), torch.tensor([[0.7], [0.1]]).double()
    task, space = qd.Task(network, mse_loss, data), qd.ParameterSpace(network)
    series = [qd.series_descent(task, space, order, steps, rate).value for order in (1, 2)]
    return qd.gradient_map(task, space, rate, degree=2), series


def random_map(n, seed, eta=0.4):
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((n, n))
    f2 = 0.05 * rng.standard_normal((n, n, n))
    f2 = ((f2 + f2.transpose(0, 2, 1)) / 2).reshape(n, n * n)
    return qd.PolynomialMap([0.1 * rng.standard_normal(n), np.eye(n) - eta * h @ h.T / n, f2])


def planned(f, steps, order, epsilon=1e-4, encoding=DEFAULT_ENCODING):
    return plan_segment(f, steps, order, epsilon, None, encoding)


def distance(found, exact):
    return float(np.linalg.norm(np.asarray(found) - np.asarray(exact)) / np.linalg.norm(exact))


@pytest.mark.parametrize("encoding", [DEFAULT_ENCODING, ColouredEntries()], ids=repr)
@pytest.mark.parametrize(
    ("n", "order", "steps"), [(1, 1, 6), (2, 1, 9), (3, 1, 7), (1, 2, 5), (2, 2, 4)]
)
@pytest.mark.parametrize("bits", [7, 24])
def test_the_circuit_is_the_polynomial_within_its_derived_error(n, order, steps, bits, encoding):
    plan = planned(random_map(n, seed=n), steps, order, encoding=encoding)
    circuit = build_segment(plan, bits, DEFAULT_LOADER)
    run, exact = run_segment(plan, circuit, 1e-4), apply_plan(plan)
    off = float(np.linalg.norm(run.value.numpy() - exact.value))
    assert off <= circuit.error
    if n > 1:  # one weight: F_1 - c is its own alpha, encoded to the last digit
        assert off > circuit.error / 1000  # the bound says something
    assert run.forward_queries + run.adjoint_queries == plan.queries == exact.queries
    if bits == 24:
        assert run.success_probability == pytest.approx(exact.probability, rel=1e-4)


@pytest.mark.parametrize("steps", [4, 20])
@pytest.mark.parametrize("order", [1, 2])
def test_two_weights_of_a_network(order, steps):
    f, series = network_map(0.1, steps)
    found = fast_forward_map(f, steps, order, 1e-3, circuit=True)
    assert found.status is SegmentStatus.REACHED
    assert distance(found.value, series[order - 1]) <= found.bound <= 1e-3
    assert found.cost.number("queries") == found.cost.number("declared_queries")
    assert_valid_bloq_decomposition(found.circuit)
    # planted: the other order is another answer
    assert distance(found.value, series[2 - order]) > 3 * found.bound


def test_three_weights_at_order_1_and_other_loaders():
    f = random_map(3, seed=4)
    plain = fast_forward_map(f, 8, 1, 1e-5)
    counts = {}
    for loader in (DEFAULT_LOADER, QROAMLoader(block=4)):
        found = fast_forward_map(f, 8, 1, 1e-5, circuit=Circuit(loader=loader))
        assert distance(found.value, plain.value) <= 1e-5
        counts[repr(loader)] = (
            found.cost.number("toffoli_gates"),
            found.cost.number("logical_qubits"),
        )
    assert len(set(counts.values())) == 2


@pytest.mark.parametrize("order", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_amplified_it_succeeds_for_certain_with_the_same_answer(order):
    f = random_map(2, seed=3)
    bare = fast_forward_map(f, 5, order, 1e-4, circuit=True)
    found = fast_forward_map(f, 5, order, 1e-4, circuit=Circuit(amplify=True))
    assert bare.cost.number("success_probability") < 0.9
    assert found.cost.number("success_probability") == pytest.approx(1, abs=1e-9)
    assert found.cost.number("bare_success_probability") == bare.cost.number("success_probability")
    assert distance(found.value, bare.value) < 1e-9
    runs = found.cost.number("queries") / bare.cost.number("queries")
    assert runs == 2 * found.cost.number("amplification_rounds") + 1
    assert found.cost.number("queries") == found.cost.number("declared_queries")
    assert found.cost.number("queries") == found.cost.number("amplified_queries")


def test_each_branch_is_its_polynomial():
    """The sequence alone, on every branch: even, odd, and the identity."""
    plan = planned(random_map(2, seed=3), 4, 2)
    circuit = build_segment(plan, 30, DEFAULT_LOADER)
    outer, inner = circuit.bloq.outer, circuit.bloq.inner
    assert isinstance(inner, SelectedSequence)
    values, vectors = np.linalg.eigh(plan.matrix.toarray() / plan.alpha)
    for sequence, polynomials in ((outer, [plan.first, *plan.outer]), (inner, plan.inner)):
        slots = 2 ** (sequence.choice_bits - 2)
        branches = [0, *range(slots, slots + len(plan.inner))]
        if sequence is inner:
            branches = branches[1:]
        for branch, p in zip(branches, polynomials, strict=True):
            for short in (0, 1):
                parity = (sequence.degree - short) % 2
                scale = 0.98 / (p.norms[parity] or math.inf)
                half = type(p)(p.halves[parity], 0.0)
                wanted = vectors @ np.diag(scale * half(values))
                got = _block(sequence, 2 * branch + short)
                np.testing.assert_allclose(got, wanted @ vectors.T, atol=1e-6)
    even = inner.degree % 2  # where the identity's number of queries is even
    np.testing.assert_allclose(_block(inner, even), np.eye(2), atol=1e-6)


def _block(sequence, choice):
    """<0|.|0> of one branch, column by column."""
    columns = []
    sizes = [each.total_bits() for each in sequence.signature]
    for i in range(2 ** sizes[0]):
        start = torch.zeros([2**size for size in sizes], dtype=torch.complex128)
        start[i, 0, 0, choice] = 1
        state = Simulator().run(sequence, start.reshape(-1))
        columns.append(state.project(ancilla=0, part=0, choice=choice).real.numpy())
    return np.array(columns).T


def test_planted_circuits_are_rejected():
    plan = planned(random_map(2, seed=3), 9, 1, 1e-6)
    right = build_segment(plan, 30, DEFAULT_LOADER)
    exact = apply_plan(plan).value
    assert distance(run_segment(plan, right, 1e-4).value, exact) < 1e-6

    def off(**changed):
        circuit = attrs.evolve(right.bloq, **changed)
        run = run_segment(plan, type(right)(circuit, 0.0, 30, 0.0, 0.0), 1e-4)
        return distance(run.value, exact)

    # the parities' weights exchanged
    turned = np.flip(right.bloq.weights.prepared).copy()
    assert off(weights=RealStatePreparation(rotation_tree(turned, 30))) > 1e-2
    # the branches' phases exchanged
    outer = right.bloq.outer
    assert off(outer=attrs.evolve(outer, phases=outer.phases[::-1])) > 1e-2
    # alpha left out: F_1 - c instead of (F_1 - c)/alpha
    scaled = planned(random_map(2, seed=3, eta=0.2), 9, 1, 1e-6)
    other = build_segment(scaled, 30, DEFAULT_LOADER).bloq.outer
    assert off(outer=attrs.evolve(outer, encoding=other.encoding)) > 1e-3


def test_gates_and_qubits_are_those_of_the_decomposition():
    plan = planned(random_map(1, seed=2), 4, 2, 1e-2)
    circuit = build_segment(plan, 6, DEFAULT_LOADER)
    assert_valid_bloq_decomposition(circuit.bloq)
    run = run_segment(plan, circuit, 1e-2)
    counts = [part.build_call_graph(None) for part in (circuit.bloq.outer, circuit.bloq.inner)]
    queries = {*circuit.queried, *(query.adjoint() for query in circuit.queried)}
    outer, inner = (sum(n for each, n in count.items() if each in queries) for count in counts)
    assert outer + 2 * inner + 1 == plan.queries
    assert run.logical_qubits >= run.simulated_qubits
    # all of it, by the gates that the parts list
    assert run.gates.and_bloq > circuit.bloq.outer.degree


def turned_away(slow=0.1):
    """Little of F_0 in the mode that hardly shrinks, in coordinates that mix the two."""
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    linear = turn @ np.diag([0.6, 1.0]) @ turn.T
    start = turn @ [math.sqrt(1 - slow**2), slow]
    return qd.PolynomialMap([start, linear, 0.03 * np.array([[1.0, 0, 0, 0.5], [0, 0.5, 0.5, -1]])])


@pytest.mark.parametrize(("order", "steps"), [(1, 12), (2, 8)])
@pytest.mark.parametrize("bits", [9, 24])
def test_a_sharpened_start_as_a_circuit(order, steps, bits):
    plan = planned(turned_away(), steps, order, 1e-3)
    assert plan.start.queries >= 3
    circuit = build_segment(plan, bits, DEFAULT_LOADER)
    run, exact = run_segment(plan, circuit, 1e-3), apply_plan(plan)
    off = float(np.linalg.norm(run.value.numpy() - exact.value))
    assert circuit.error / 1000 < off <= circuit.error
    assert run.forward_queries + run.adjoint_queries == plan.queries == exact.queries
    if bits == 24:
        assert run.success_probability == pytest.approx(exact.probability, rel=1e-4)


def test_planted_starts_are_rejected():
    plan = planned(turned_away(), 12, 1, 1e-3)
    right, exact = build_segment(plan, 24, DEFAULT_LOADER), apply_plan(plan).value
    start = right.bloq.start

    def off(changed):
        circuit = replace(right, bloq=attrs.evolve(right.bloq, start=changed))
        return distance(run_segment(plan, circuit, 1e-3).value, exact)

    assert off(start) < 1e-5
    assert off(attrs.evolve(start, rounds=start.rounds + 1)) > 1e-2
    assert off(attrs.evolve(start, rounds=0)) > 1e-2
    solve = start.solve
    assert off(solve.start) > 1e-2  # f as it is
    turned = np.flip(solve.weights.prepared).copy()  # the halves of g exchanged
    weights = RealStatePreparation(rotation_tree(turned, 24))
    assert off(attrs.evolve(start, solve=attrs.evolve(solve, weights=weights))) > 1e-2


def test_refusals():
    f = random_map(2, seed=3)
    with pytest.raises(qd.ArgumentError, match="`angle_bits` must be large enough for epsilon"):
        fast_forward_map(f, 9, 1, 1e-6, circuit=Circuit(angle_bits=6))
    with pytest.raises(qd.ArgumentError, match="`circuit` must fit into this machine's"):
        fast_forward_map(random_map(9, seed=1, eta=0.02), 20, 2, 1e-3, circuit=True)
    with pytest.raises(qd.ArgumentError, match="`circuit` must be True, False or a Circuit"):
        fast_forward_map(f, 9, 1, 1e-6, circuit="yes")


@pytest.mark.slow
def test_at_least_ten_times_fewer_queries_than_kernel_reflection():
    """One real network's two weights, the same epsilon, at large and small learning rates."""
    factors = {}
    for rate, steps, order in ((0.1, 4, 1), (0.1, 4, 2), (0.1, 20, 1), (0.1, 20, 2), (0.01, 20, 2)):
        f, _ = network_map(rate, steps)
        ours = fast_forward_map(f, steps, order, 1e-3)
        lift = qd.carleman_linearize(f, order)
        system = qd.history_system(lift, torch.zeros(2).double(), steps, padding=steps // 2)
        other = qd.solve(system, qd.KernelReflection(1e-3))
        factors[rate, steps, order] = other.cost.number("queries") / ours.cost.number("queries")
        expected = other.cost.number("expected_queries") / ours.cost.number("expected_queries")
        assert expected > 10
    assert min(factors.values()) > 10


@pytest.mark.slow
def test_three_weights_at_order_2():
    """Queries to F_1 and F_2 of three weights, against the steps."""
    f, steps = random_map(3, seed=4), 4
    found = fast_forward_map(f, steps, 2, 1e-3, circuit=True)
    F0, F1, F2 = (F.to_dense().numpy() for F in f.coefficients)
    first = second = np.zeros(3)
    for _ in range(steps):
        first, second = F0[:, 0] + F1 @ first, F1 @ second + F2 @ np.kron(first, first)
    assert found.status is SegmentStatus.REACHED
    assert distance(found.value, first + second) <= found.bound <= 1e-3
    assert distance(found.value, first) > 3 * found.bound  # planted: order 1
    assert found.cost.number("queries") == found.cost.number("declared_queries")


@pytest.mark.slow
def test_a_circuit_of_polynomials_that_are_let_down():
    """Bounded beyond the eigenvalues alone, by signs that F_1's moduli do not have."""
    vectors = np.linalg.qr(np.array([[1.0, 1, 1], [1, -1, 0.5], [1, 0.3, -1]]))[0]
    linear = vectors @ np.diag([1.0, 0.9, 0.2]) @ vectors.T
    f, steps = qd.PolynomialMap([[0.02, -0.01, 0.03], linear]), 96
    plan = planned(f, steps, 1, 1e-3)
    assert plan.shift + plan.alpha > 1.02
    assert plan.first.norm < (plan.shift + plan.alpha) ** steps / 10
    found = fast_forward_map(f, steps, 1, 1e-3, circuit=True)
    exact = sum(np.linalg.matrix_power(linear, t) for t in range(steps)) @ [0.02, -0.01, 0.03]
    assert found.status is SegmentStatus.REACHED
    assert distance(found.value, exact) <= found.bound <= 1e-3
    assert found.cost.number("queries") == plan.queries
