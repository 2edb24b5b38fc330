"""Kernel reflection against dense algebra: the kernel, its gap, what a filter's error does, and the
search for the norm.
"""

import math

import numpy as np
import pytest
import torch

from qdescent.linalg.chebyshev import kernel_filter
from qdescent.linalg.operator import as_operator
from qdescent.solvers.kernel_projection import (
    kernel_operator,
    least_overlap,
    project_on_kernel,
    projection_error,
    reflection_degree,
    search_norm,
)

C128 = torch.complex128


def instance(kappa, size=9, seed=0):
    """A complex matrix with singular values from 1/kappa to 1, a unit right-hand side, and the
    solution.
    """
    generator = torch.Generator().manual_seed(seed)
    u, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=C128))
    v, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=C128))
    A = (
        u
        @ torch.diag(torch.logspace(-math.log10(kappa), 0, size, dtype=torch.float64).to(C128))
        @ v
    )
    b = torch.randn(size, generator=generator, dtype=C128)
    b = b / b.norm()
    return A, b, torch.linalg.solve(A, b)


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
def test_the_kernel_and_its_gap(factor):
    kappa = 30.0
    A, b, x = instance(kappa)
    t = min(max(factor * float(x.norm()), 1.0), kappa)
    operator = kernel_operator(as_operator(A), b, t)
    G = operator.to_dense()
    b_t = torch.cat([b, torch.ones(1)]) / math.sqrt(2)
    written_out = (torch.eye(10) - torch.outer(b_t, b_t.conj())) @ torch.block_diag(
        A, torch.tensor([[1 / t]], dtype=C128)
    )
    torch.testing.assert_close(G, written_out)
    torch.testing.assert_close(operator.H.to_dense(), written_out.mH)
    assert (G @ torch.cat([x, torch.tensor([t], dtype=C128)])).norm() < 1e-13
    singular = torch.linalg.svdvals(G)
    assert singular[-1] < 1e-14
    assert singular[-2] >= (1 - 1e-12) / kappa
    assert singular[0] <= 1 + 1e-12
    # planted: without the projector there is no kernel, and with the adjoint it is another
    assert (
        torch.linalg.svdvals(torch.block_diag(A, torch.tensor([[1 / t]], dtype=C128)))[-1]
        > 0.9 / kappa
    )
    assert (
        kernel_operator(as_operator(A.mH), b, t).to_dense()
        @ torch.cat([x, torch.tensor([t], dtype=C128)])
    ).norm() > 1e-2


@pytest.mark.parametrize("kappa", [10.0, 50.0, 200.0])
@pytest.mark.parametrize("epsilon", [1e-2, 1e-4])
def test_with_the_norm_known_one_reflection_gives_the_solution(kappa, epsilon):
    A, b, x = instance(kappa, seed=int(kappa))
    kernel = kernel_filter(kappa, epsilon / 2)
    e = torch.eye(10, dtype=C128)[-1]
    reflected = 2 * project_on_kernel(as_operator(A), b, float(x.norm()), kernel) - e
    exact = torch.cat([x / x.norm(), torch.zeros(1)])
    # the reflection is off by 2 eta on what is orthogonal to the kernel, and e has sqrt(1/2) of
    # that
    assert (reflected - exact).norm() <= math.sqrt(2) * kernel.error * (1 + 1e-9)
    assert kernel.degree == pytest.approx(kappa * math.log(4 / epsilon), rel=0.06, abs=2)
    other = 2 * project_on_kernel(as_operator(A), b, 4 * float(x.norm()), kernel) - e
    assert abs(other[-1]) > 0.8  # planted: a wrong t leaves e behind


@pytest.mark.parametrize("factor", [0.2, 0.8, 1.0, 1.3, 3.0])
@pytest.mark.parametrize("eta", [1e-1, 1e-3])
def test_what_a_filter_leaves_is_bounded(factor, eta):
    kappa = 40.0
    for seed in range(4):
        A, b, x = instance(kappa, seed=seed)
        t = min(max(factor * float(x.norm()), 1.0), kappa)
        kernel = kernel_filter(kappa, eta)
        y = project_on_kernel(as_operator(A), b, t, kernel)
        overlap = t / math.hypot(t, float(x.norm()))
        assert least_overlap(float(y[-1].real), kernel.error) <= overlap + 1e-12
        relative, residual = projection_error(overlap, kernel.error)
        found = t * y[:-1] / y[-1]
        assert (found - x).norm() / x.norm() <= relative
        assert (A @ found - b).norm() <= t * residual
        if not math.isinf(relative):
            assert (found - x).norm() / x.norm() > relative / 300  # the bound says something


@pytest.mark.parametrize("kappa", [1.5, 20.0, 1e3, 1e8])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.8, 1.0])
def test_the_search_finds_every_norm(kappa, place):
    norm = kappa**place
    for seed in range(5):
        found = search_norm(lambda t: t * t / (t * t + norm * norm), kappa, shots=64, seed=seed)
        assert 0.55 < found.estimate / norm < 2.5 or found.estimate in (1.0, kappa)
        assert found.steps <= max(1, math.ceil(math.log2(math.log(kappa) / math.log(4))) + 1)
        assert found.shots == 64 * found.steps


def test_a_misread_projection_leads_astray():
    """Planted: successes and failures exchanged; the search ends far from the norm."""
    found = search_norm(lambda t: 100.0 / (t * t + 100.0), 1e4, shots=64, seed=0)
    assert not 0.3 < found.estimate / 10 < 3


@pytest.mark.parametrize(("kappa", "error"), [(3.0, 1e-2), (100.0, 1e-4), (1234.5, 1e-7)])
def test_degree_in_advance(kappa, error):
    assert reflection_degree(kappa, error) == kernel_filter(kappa, error).degree
    assert reflection_degree(kappa, error) == pytest.approx(kappa * np.log(2 / error), rel=0.1)
