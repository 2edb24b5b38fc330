"""docs/mathematics.md: its displayed formulas on ten random instances each, by plain NumPy, where
no other test holds them; with planted neighbours that fail.
"""

import math
from itertools import product

import numpy as np
import pytest
from numpy.polynomial import chebyshev

SEEDS = range(10)


def norm(x):
    return float(np.linalg.norm(x, 2))


def history(A, steps, padding):
    """M = I - sum |t+1><t| (x) A_t, dense."""
    n, blocks = len(A), steps + padding + 1
    M = np.eye(n * blocks)
    for t in range(blocks - 1):
        M[n * (t + 1) : n * (t + 2), n * t : n * (t + 1)] = -(A if t < steps else np.eye(n))
    return M


@pytest.mark.parametrize("seed", SEEDS)
def test_the_history_system(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(3, 3)) * rng.uniform(0.2, 0.7)
    steps, padding = int(rng.integers(2, 7)), int(rng.integers(4))
    M = history(A, steps, padding)
    assert norm(M) <= 1 + max(norm(A), 1.0 if padding else 0.0) + 1e-12
    powers = [norm(np.linalg.matrix_power(A, j)) for j in range(steps + 1)]
    total = 0.0
    for d in range(steps + padding + 1):
        # how many proper steps d successive ones may hold
        total += max(powers[max(0, d - padding) : min(d, steps) + 1])
    inverse = norm(np.linalg.inv(M))
    assert inverse <= total + 1e-12
    assert inverse > total / 20  # no bound without content
    blocks = padding + 2
    still = norm(np.linalg.inv(np.eye(blocks) - np.eye(blocks, k=-1)))
    assert still == pytest.approx(1 / (2 * math.sin(math.pi / (4 * blocks + 2))))
    # a neutral mode: kappa is about 4/pi a block, and 2 a block at most
    long = np.eye(200) - np.eye(200, k=-1)
    assert norm(long) * norm(np.linalg.inv(long)) == pytest.approx(4 * 200 / math.pi, rel=1e-2)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_no_weights_of_classes_can_undercut(seed):
    rng = np.random.default_rng(seed)
    A, b = rng.normal(size=(5, 5)) * rng.uniform(0.2, 0.7), rng.normal(size=5)
    steps, padding, kind = int(rng.integers(2, 6)), int(rng.integers(4)), np.array([0, 0, 1, 1, 2])
    M, blocks = history(A, steps, padding), steps + padding + 1
    B = np.concatenate([np.zeros(5), np.tile(b, steps), np.zeros(5 * padding)])
    Z, kinds = np.linalg.solve(M, B), np.tile(kind, blocks)
    end = (kinds == 0) & (np.arange(5 * blocks) >= 5 * steps)
    y = np.where(end, Z, 0) / norm(Z[end])
    w = np.linalg.solve(M.T, y)
    parts = [(norm(w[kinds == x]), norm(Z[kinds == x])) for x in range(3)]
    total = sum(a * c for a, c in parts)
    least = 2 * math.cos(math.pi / (2 * padding + 3)) * total / norm(Z[end])
    balanced = np.sqrt([a / c for a, c in parts])
    for d in (*np.exp(rng.normal(size=(20, 3))), balanced):
        D = (d / d[0])[kinds]
        scaled = D[:, None] * M / D[None, :]
        cost = norm(scaled) * norm(np.linalg.inv(scaled)) * norm(D * Z) / norm(Z[end])
        assert cost >= least * (1 - 1e-9)
    # these weights attain the sum: with the lengths of all of w and Z it would be no bound
    assert norm(w / D) * norm(D * Z) == pytest.approx(total)
    assert norm(w) * norm(Z) > total


@pytest.mark.parametrize("seed", SEEDS)
def test_lengths_and_success_in_other_units(seed):
    rng = np.random.default_rng(seed)
    order, unit, padding = int(rng.integers(1, 4)), rng.uniform(0.2, 3), int(rng.integers(4))
    path = [np.zeros(2), *rng.normal(size=(4, 2))]
    states = []
    for u in path:
        letters = np.concatenate([[1.0], u / unit])
        words = [
            math.prod(each) for j in range(1, order + 1) for each in product(letters, repeat=j)
        ]
        alone = order  # words in w alone, which are 1 each, are no unknowns
        states.append(sum(word**2 for word in words) - alone)
        assert states[-1] == pytest.approx(
            sum((1 + u @ u / unit**2) ** j - 1 for j in range(1, order + 1))
        )
    end = (padding + 1) * (path[-1] @ path[-1]) / unit**2
    found = end / (sum(states[:-1]) + (padding + 1) * states[-1])
    assert 0 < found < 1
    if order == 1:  # nothing but u itself: units cancel
        lengths = [u @ u for u in path]
        bare = (padding + 1) * lengths[-1]
        assert found == pytest.approx(bare / (sum(lengths[:-1]) + bare))


def walk(shift, alpha, steps):
    """Chebyshev coefficients of sum_{t<T} (c + alpha s)^t."""
    power, total = np.array([1.0]), np.zeros(steps)
    for _ in range(steps):
        total[: len(power)] += power
        power = chebyshev.chebmul([shift, alpha], power)
    return total


@pytest.mark.parametrize("seed", SEEDS)
def test_the_polynomial_of_a_segment(seed):
    rng = np.random.default_rng(seed)
    alpha, steps = rng.uniform(0.05, 1.0), int(rng.integers(5, 60))
    p = walk(1 - alpha, alpha, steps)
    s = np.linspace(-1, 1, 101)
    y = 1 - alpha + alpha * s
    assert np.allclose(chebyshev.chebval(s, p), sum(y**t for t in range(steps)))
    assert p.min() >= 0
    assert p.sum() == pytest.approx(steps)  # p(1)
    for d in range(1, steps):
        tail = p[d + 1 :].sum() / steps
        assert tail <= 2 * math.exp(-(d**2) / (2 * (alpha * steps + d / 3)))
        cut = np.abs(chebyshev.chebval(s, p[: d + 1]) - chebyshev.chebval(s, p))
        assert cut.max() <= p[d + 1 :].sum() + 1e-9
    for delta in (1e-2, 1e-5):
        log = math.log(2 / delta)
        d = math.ceil(math.sqrt(2 * alpha * steps * log) + 2 / 3 * log)
        assert p[d + 1 :].sum() <= delta * steps
    # planted: about a shift below 0 they have both signs
    assert walk(-0.5, 1.0, 6).min() < 0
    # between y = 1 and 1 - 2/T the mean falls to a half or less
    if steps > 2:
        end = 1 - 2 / steps
        assert sum(end**t for t in range(steps)) / steps <= 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_an_inexact_query(seed):
    rng = np.random.default_rng(seed)
    A, E = (x + x.T for x in rng.normal(size=(2, 4, 4)))
    A, E = 0.9 * A / norm(A), 1e-3 * E / norm(E)
    found = []
    for k in range(1, 9):
        off = []
        for each in (A, A - E):
            values, vectors = np.linalg.eigh(each)
            off.append(vectors @ np.diag(chebyshev.chebval(values, [0] * k + [1])) @ vectors.T)
        found.append(norm(off[0] - off[1]) / (k**2 * norm(E)))
    assert max(found) <= 1 + 1e-9
    # it is reached: a perturbation along an eigenvector of the end
    slope = np.abs(chebyshev.chebval(1.0, chebyshev.chebder([0] * 7 + [1])))
    assert slope == pytest.approx(49)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_error_of_the_nodes_multiplies_the_coupling(seed):
    """u_2 in the eigenbasis, entry by entry, and Cauchy's bound on what E leaves."""
    rng = np.random.default_rng(seed)
    n, steps, count = 3, int(rng.integers(4, 20)), 2
    values, F0, F2 = rng.uniform(-0.5, 1, n), rng.normal(size=n), rng.normal(size=(n, n, n))
    middle, k = (steps - 1) / 2, np.arange(1, count)
    beside = k / 2 * np.sqrt((steps**2 - k**2) / (4 * k**2 - 1.0))
    nodes = middle + np.linalg.eigvalsh(np.diag(beside, 1) + np.diag(beside, -1))
    t = np.arange(steps)
    lines = [(t - nodes[1 - j]) / (nodes[j] - nodes[1 - j]) for j in range(2)]
    sums = np.array([[y**s for s in range(steps)] for y in values]).cumsum(1)
    sums = np.concatenate([np.zeros((n, 1)), sums], 1)  # S_t(y), t = 0 ... T

    def between(row, time):  # the polynomial through the steps nearest to a time
        near = np.sort(np.argsort(np.abs(np.arange(steps + 1) - time))[:10])
        weights = [
            math.prod((time - near[j]) / (near[i] - near[j]) for j in range(len(near)) if j != i)
            for i in range(len(near))
        ]
        return float(np.dot(weights, row[near]))

    b = np.array([[between(sums[i], node) for i in range(n)] for node in nodes])
    a = np.array([[(line * y ** (steps - 1 - t)).sum() for y in values] for line in lines])
    exact = np.einsum("lt,mt,nt->lmn", np.array([y ** (steps - 1 - t) for y in values]),
                      sums[:, :steps], sums[:, :steps])  # fmt: skip
    found = np.einsum("jl,jm,jn->lmn", a, b, b)
    difference = exact - found
    off = np.einsum("lmn,lmn,m,n->l", difference, F2, F0, F0)
    stepped = second = np.zeros(n)
    for _ in range(steps):
        stepped, second = (
            F0 + values * stepped,
            values * second + np.einsum("lmn,m,n->l", F2, stepped, stepped),
        )
    direct = np.einsum("lmn,lmn,m,n->l", exact, F2, F0, F0)
    assert np.allclose(direct, second)
    bound = np.abs(difference).max() * np.linalg.norm(F2) * (F0 @ F0)
    assert np.linalg.norm(off) <= bound
    assert np.linalg.norm(off) > bound / 1000


@pytest.mark.parametrize("seed", SEEDS)
def test_the_polynomial_of_one_over_x(seed):
    rng = np.random.default_rng(seed)
    kappa, epsilon = rng.uniform(2, 60), 10.0 ** -rng.uniform(1, 5)
    m, c = math.ceil(kappa * math.log(2 / epsilon) / 2), 1 / kappa**2
    x = np.linspace(1 / kappa, 1, 400)

    def first_kind(y):
        return np.cosh(m * np.arccosh(y.astype(complex))).real

    y = (1 + c - 2 * x**2) / (1 - c)
    left = np.abs(first_kind(y) / first_kind(np.array([(1 + c) / (1 - c)])))
    assert left.max() <= epsilon
    half = np.abs(np.cosh(m // 2 * np.arccosh(np.array([(1 + c) / (1 - c)]))))
    assert 1 / half[0] > epsilon  # planted: half the degree


@pytest.mark.parametrize("seed", SEEDS)
def test_amplitude_amplification(seed):
    a = math.asin(math.sqrt(np.random.default_rng(seed).uniform(1e-4, 0.9)))
    r = math.ceil(math.pi / (4 * a) - 0.5)
    lowered = math.pi / (2 * (2 * r + 1))
    assert lowered <= a + 1e-12  # one rotated qubit can only lower it
    assert math.sin((2 * r + 1) * lowered) ** 2 == pytest.approx(1)
    assert r == 0 or math.pi / (2 * (2 * r - 1)) > a  # one round fewer is not enough


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_gradient_drifts(seed):
    """||u_1(t)|| <= ||c(t)|| + eta sum ||F_1^{t-1-s}|| ||C c(s)|| on any space that has g."""
    rng = np.random.default_rng(seed)
    n, d, eta = 6, 2, 0.2
    H = rng.normal(size=(n, n))
    H, g = (H + H.T) / 2, rng.normal(size=n)
    W, _ = np.linalg.qr(np.column_stack([g, rng.normal(size=(n, d - 1))]))
    A, step = W.T @ H @ W, np.eye(n) - eta * H
    leaves = H @ W - W @ A
    u, c, missed = np.zeros(n), np.zeros(d), []
    for t in range(12):
        powers = [norm(np.linalg.matrix_power(step, k)) for k in range(t)]
        bound = np.linalg.norm(c) + eta * sum(
            p * x for p, x in zip(powers[::-1], missed, strict=True)
        )
        assert np.linalg.norm(u) <= bound + 1e-12
        missed.append(np.linalg.norm(leaves @ c))
        u, c = u - eta * (H @ u + g), c - eta * (A @ c + W.T @ g)
    assert np.linalg.norm(u - W @ c) > 1e-3  # the space does miss something


def on_the_marked_vector(N, between, marked, unmarked):
    """Root mean square over v of what k queries of v v^T (x) marked + (1 - v v^T) (x) unmarked,
    with unitaries between them, leave on v.
    """
    dim = 2 * N
    found = []
    for v in range(N):
        U = np.kron(np.eye(N), unmarked)
        U[2 * v : 2 * v + 2, 2 * v : 2 * v + 2] = marked
        state = between[0] @ np.kron(np.full(N, N**-0.5), [1.0, 0.0])
        for W in between[1:]:
            state = W @ (U @ state)
        assert state.shape == (dim,)
        found.append(norm(state[2 * v : 2 * v + 2, None]))
    return float(np.sqrt(np.mean(np.square(found))))


@pytest.mark.parametrize("queries", [1, 2, 3])
def test_what_no_method_avoids(queries):
    """(2k + 1) a on v, whatever stands between the queries; a search comes within a tenth of it and
    is above the planted (k + 1) a.
    """
    N, rng = 128, np.random.default_rng(queries)
    a = N**-0.5
    reflections = [
        np.array([[x, math.sqrt(1 - x * x)], [math.sqrt(1 - x * x), -x]])
        for x in rng.uniform(-1, 1, 2)
    ]
    between = [np.linalg.qr(rng.normal(size=(2 * N, 2 * N)))[0] for _ in range(queries + 1)]
    assert on_the_marked_vector(N, between, *reflections) <= (2 * queries + 1) * a
    still = [np.eye(2 * N)] * (queries + 1)
    assert on_the_marked_vector(N, still, *reflections) == pytest.approx(a)  # as f has it
    uniform = np.full((N, 1), a)
    search = [np.eye(2 * N)] + [np.kron(2 * uniform @ uniform.T - np.eye(N), np.eye(2))] * queries
    found = on_the_marked_vector(N, search, -np.eye(2), np.eye(2))
    assert found == pytest.approx(math.sin((2 * queries + 1) * math.asin(a)))
    assert max(0.9 * (2 * queries + 1), queries + 1) * a < found <= (2 * queries + 1) * a
