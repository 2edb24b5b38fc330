"""Lanczos coefficients against the closed forms of Gauss quadrature and dense eigenvalues."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qdescent._checks import ArgumentError
from qdescent.linalg.operator import LinearOperator, Shard, as_operator
from qdescent.linalg.spectra.deflation import extreme_eigenpairs
from qdescent.linalg.spectra.density import quadrature, spectral_density
from qdescent.linalg.spectra.lanczos import lanczos, lanczos_start

ONE_TO_FIVE = as_operator(torch.diag(torch.arange(1.0, 6.0, dtype=torch.float64)))
ONES = torch.ones(5, 1, dtype=torch.float64)
NODES = {2: [1.585786437627, 4.414213562373], 3: [1.156091108541, 3, 4.843908891459]}
WEIGHTS = {2: [0.5, 0.5], 3: [5 / 17, 7 / 17, 5 / 17]}
MOMENTS = [1, 3, 11, 45, 195.8, 885]


def symmetric(n, seed=0, dtype=torch.float64):
    M = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return (M + M.T) / (2 * n) ** 0.5


def starts(n, probes, seed=1, dtype=torch.float64):
    return torch.randn(n, probes, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def assert_moments(nodes, weights, degree):
    for k in range(degree + 1):
        assert float((weights * nodes**k).sum()) == pytest.approx(MOMENTS[k], rel=1e-12)


@pytest.mark.parametrize("steps", [2, 3])
def test_published_quadrature(steps):
    rule = quadrature(lanczos(ONE_TO_FIVE, ONES, steps), 5)
    nodes, weights = rule.nodes[0], rule.weights[0]
    np.testing.assert_allclose(nodes, NODES[steps], atol=6e-13)
    np.testing.assert_allclose(weights, WEIGHTS[steps], atol=1e-14)
    assert_moments(nodes, weights, 2 * steps - 1)


def test_wrong_quadratures_are_rejected():
    rule = quadrature(lanczos(ONE_TO_FIVE, ONES, 3), 5)
    nodes, weights = rule.nodes[0], rule.weights[0]
    unsquared = weights.sqrt() / weights.sqrt().sum()
    with pytest.raises(AssertionError):
        assert_moments(nodes, unsquared, 5)
    with pytest.raises(AssertionError):
        assert_moments(
            *(
                x[0]
                for x in (
                    quadrature(lanczos(ONE_TO_FIVE, ONES, 2), 5).nodes,
                    torch.tensor([[0.5, 0.5]]),
                )
            ),
            4,
        )


def test_the_sign_of_beta_and_the_scale_of_the_start_do_not_matter():
    ours = lanczos(ONE_TO_FIVE, -7 * ONES, 3)
    torch.testing.assert_close(ours.alpha, lanczos(ONE_TO_FIVE, ONES, 3).alpha)
    assert bool((ours.beta >= 0).all())


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 9), steps=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_integrates_its_own_measure_to_degree_2k_minus_1(n, steps, seed):
    A, v = symmetric(n, seed), starts(n, 1, seed + 1)[:, 0]
    v = v / v.norm()
    rule = quadrature(lanczos(as_operator(A), v[:, None], steps), n)
    values, vectors = np.linalg.eigh(A.numpy())
    measure = (vectors.T @ v.numpy()) ** 2
    for k in range(2 * min(steps, n)):
        truth = float((measure * values**k).sum())
        assert float((rule.weights * rule.nodes**k).sum()) == pytest.approx(
            truth, abs=1e-10 * max(1, abs(values).max() ** k)
        )


@pytest.mark.parametrize("steps", [3, 8, 25])
def test_every_ritz_value_has_an_eigenvalue_within_its_residual(steps):
    A = symmetric(30)
    truth = torch.linalg.eigvalsh(A)
    rule = quadrature(lanczos(as_operator(A), starts(30, 3), steps), 30)
    distance = (rule.nodes[:, :, None] - truth).abs().amin(2)
    assert bool((distance <= rule.residuals + 1e-12).all())
    # the residual is no idle overestimate: most distances come within two orders of it
    if steps == 3:
        assert float((distance > 0.01 * rule.residuals).double().mean()) > 0.5


def test_more_steps_than_n_stops_at_the_invariant_subspace():
    state = lanczos(ONE_TO_FIVE, ONES, steps=50)
    assert state.length.tolist() == [5]
    assert state.steps == 5
    assert not bool(state.alive.any())
    rule = quadrature(state, 5)
    np.testing.assert_allclose(rule.nodes[0], [1, 2, 3, 4, 5], atol=1e-12)
    np.testing.assert_allclose(rule.weights[0], [0.2] * 5, atol=1e-12)


def test_the_zero_operator_has_one_node_of_weight_one():
    rule = quadrature(
        lanczos(as_operator(torch.zeros(7, 7, dtype=torch.float64)), starts(7, 2), 10), 7
    )
    assert rule.nodes.tolist() == [[0.0], [0.0]]
    assert rule.weights.tolist() == [[1.0], [1.0]]


def test_probes_end_each_at_its_own_time():
    e = torch.eye(5, dtype=torch.float64)
    vectors = torch.stack([e[0], e[1] + e[4], ONES[:, 0]], dim=1)
    state = lanczos(ONE_TO_FIVE, vectors, 9)
    assert state.length.tolist() == [1, 2, 5]
    rule = quadrature(state, 5)
    np.testing.assert_allclose(rule.weights.sum(1), 1, atol=1e-14)
    np.testing.assert_allclose(rule.nodes[1, :2], [2, 5], atol=1e-14)
    assert bool((rule.weights[0, 1:] == 0).all())
    assert rule.lambda_max[0] == pytest.approx(5, abs=1e-12)


def test_a_block_of_probes_is_each_probe_alone():
    A, V = as_operator(symmetric(20)), starts(20, 3)
    together = lanczos(A, V, 8)
    for i in range(3):
        alone = lanczos(A, V[:, i : i + 1], 8)
        torch.testing.assert_close(together.alpha[i : i + 1], alone.alpha, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(together.beta[i : i + 1], alone.beta, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_resumed_coefficients_are_the_same_bits(dtype, cut):
    A = as_operator(symmetric(12, dtype=dtype))
    V = starts(12, 3, dtype=dtype)
    # one probe is exhausted after two steps
    V[:, 1] = torch.linalg.eigh(symmetric(12, dtype=dtype))[1][:, :2].sum(1)
    saved = []
    whole = lanczos(A, V, 8, on_step=saved.append)
    resumed = lanczos(A, V, 8, state=saved[cut - 1])
    assert saved[cut - 1].steps == cut
    for name in ("alpha", "beta", "alive", "length", "current", "previous"):
        assert torch.equal(getattr(whole, name), getattr(resumed, name)), name


def test_single_precision_agrees_with_double():
    A, V = symmetric(300), starts(300, 4)
    double = quadrature(lanczos(as_operator(A), V, 10), 300)
    single = quadrature(lanczos(as_operator(A.float()), V.float(), 10), 300)
    for k in range(6):
        ours = (single.weights * single.nodes**k).sum(1)
        torch.testing.assert_close(
            ours, (double.weights * double.nodes**k).sum(1), rtol=2e-5, atol=2e-5
        )
    assert single.nodes.dtype == torch.float64


def test_errors():
    A = as_operator(torch.eye(3, dtype=torch.float64))
    V = starts(3, 2)
    with pytest.raises(
        ArgumentError, match="Argument `steps` must be an integer of at least 1, but is 0."
    ):
        lanczos(A, V, 0)
    with pytest.raises(ArgumentError, match="Argument `operator` must be square"):
        lanczos(as_operator(torch.ones(2, 3)), torch.ones(3, 1), 1)
    with pytest.raises(ArgumentError, match="Argument `vectors` must have no zero column"):
        lanczos_start(torch.stack([V[:, 0], torch.zeros(3).double()], 1))
    with pytest.raises(ArgumentError, match="Argument `vectors` must be finite"):
        lanczos_start(V / 0)
    # 32 eps = .25: every probe would count as exhausted after a few steps
    for half in (torch.bfloat16, torch.float16):
        with pytest.raises(
            ArgumentError, match="Argument `vectors` must be float32 or float64 numbers"
        ):
            lanczos_start(V.to(half))
    broken = LinearOperator((3, 3), lambda x: x * float("nan"))
    with pytest.raises(
        ArgumentError,
        match="must give finite products .* but is not, in 4 of 4 numbers",
    ):
        lanczos(broken, V, 2)


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-8])
def test_two_entries_of_2500_that_are_not_symmetric_are_found_where_they_do_harm(size):
    """Once the Krylov space of the rest is exhausted Lanczos divides by a beta as small as they
    are: eigenvalues near 1e-3 became -.675. Without them the same run is fine.
    """
    M = torch.diag(torch.cat([torch.ones(48), torch.tensor([1e-3, 2e-3])]).double())
    right = quadrature(lanczos(as_operator(M), starts(50, 8), 50), 50)
    assert right.lambda_min[0] == pytest.approx(1e-3)
    M[48, 49], M[49, 48] = size, -size
    with pytest.raises(ArgumentError, match="Argument `operator` must be symmetric, but is not"):
        lanczos(LinearOperator((50, 50), lambda x: M @ x), starts(50, 8), 50)


def test_a_shard_marks_its_rows_by_their_places_in_the_whole():
    """So that other processes can go on with a state; the other shard adds nothing here."""
    whole = torch.zeros(60, 2, dtype=torch.float64)
    whole[20:] = torch.randn(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mark = lanczos_start(whole).start
    shard = Shard(20, 60, lambda own: own)
    torch.testing.assert_close(lanczos_start(whole[20:], shard).start, mark)
    elsewhere = lanczos_start(whole[20:], Shard(19, 59, lambda own: own)).start
    assert bool(((elsewhere - mark).abs() > 1e-3).all())


def few_eigenvalues(seed, dtype):
    """A diagonal matrix whose Krylov spaces end after two to six steps, most entries alike."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(2 + seed % 5, generator=generator, dtype=torch.float64)
    diagonal = values[:1].repeat(1500 + 37 * seed)
    for value in values[1:]:
        diagonal[torch.randint(len(diagonal), (3,), generator=generator)] = value
    return diagonal.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("seed", range(12))
def test_a_krylov_space_that_is_exhausted_is_no_lack_of_symmetry(seed, dtype):
    """What is divided by the last beta is rounding: a vector that stands askew to all before."""
    d = few_eigenvalues(seed, dtype)
    found = spectral_density(diagonal(d), steps=14, probes=3, seed=seed)
    size = float(d.abs().max())
    for end, truth in ((found.lambda_min, d.min()), (found.lambda_max, d.max())):
        assert abs(end[0] - float(truth)) <= end[1] + 100 * torch.finfo(dtype).eps * size
    # another matrix is refused as before
    with pytest.raises(ArgumentError, match="must be symmetric"):
        spectral_density(diagonal(d, beside=0.3 * size), steps=14, probes=3, seed=seed)


def diagonal(d, beside=0.0):
    """diag(d), with another number beside the diagonal, on one side."""

    def apply(block):
        return d[:, None] * block + beside * block.roll(1, 0)

    return LinearOperator((len(d), len(d)), apply, apply, d.dtype)


@pytest.mark.parametrize("deflate", [1, 2, 3])
def test_what_is_left_when_all_is_taken_out_is_rounding(deflate):
    """Of rank one: what Lanczos sees beside it is rounding of a product 10^4 times as long."""
    x = torch.randn(3000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def apply(block):
        return 2 * x[:, None] * (x @ block)

    H = LinearOperator((3000, 3000), apply, apply)
    found = spectral_density(H, steps=20, probes=4, deflate=deflate)
    truth = 2 * float(x @ x)
    assert found.lambda_max[0] == pytest.approx(truth, rel=1e-10)
    assert found.trace[0] == pytest.approx(truth, rel=1e-10)


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_start_vectors_in_a_null_space_see_rounding_alone(scale):
    """[[1, -1], [-1, 1]] beside zeros, as the Hessian of two biases under cross entropy is: of
    equal signs all that products hold is rounding, which is not symmetric. The norm that it is
    rounding of is seen elsewhere; where the rest is all that there is, it is refused.
    """
    A = torch.zeros(6, 6)
    A[4:, 4:] = scale * torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    rounding = torch.zeros(6, 6)
    rounding[0, 4], rounding[1, 0] = 5e-8 * scale, 3e-8 * scale
    start = torch.tensor([[1.0, -1.0, 1.0, 1.0, -1.0, -1.0]]).T

    def spectrum(matrix):
        operator = LinearOperator((6, 6), lambda v: matrix @ v, dtype=torch.float32)
        return spectral_density(operator, steps=4, vectors=start)

    found = spectrum(A + rounding)
    assert max(abs(found.lambda_min[0]), abs(found.lambda_max[0])) <= 1e-7 * scale
    with pytest.raises(ArgumentError, match="must be symmetric"):
        spectrum(rounding)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_start_vectors_of_another_precision_are_taken_and_pairs_are_refused(dtype):
    other = torch.float64 if dtype == torch.float32 else torch.float32
    D = torch.diag(torch.tensor([1.0, 2.0, 5.0], dtype=dtype))
    assert spectral_density(D, vectors=torch.eye(3, dtype=other)).trace[0] == pytest.approx(8.0)
    run = lanczos(as_operator(D), torch.ones(3, 1, dtype=other), 2)
    assert float(run.alpha[0, 0]) == pytest.approx(8 / 3)
    with pytest.raises(ArgumentError, match="`vectors` must be on the operator's device"):
        lanczos(
            LinearOperator((3, 3), lambda v: v, device=torch.device("meta")), torch.ones(3, 1), 2
        )
    pairs = extreme_eigenpairs(D.to(other), 1)
    for check in (True, False):
        with pytest.raises(ArgumentError, match=f"`deflate` must hold {dtype} vectors of length 3"):
            spectral_density(D, deflate=pairs, check=check)
