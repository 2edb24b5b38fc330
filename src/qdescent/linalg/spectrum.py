"""Spectral density by stochastic Lanczos quadrature, with an error bar on every figure taken from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._checks import check_integer
from qdescent._random import named_generator
from qdescent.linalg.lanczos import LanczosState, lanczos
from qdescent.linalg.operator import LinearOperator, as_operator


@dataclass(frozen=True)
class Spectrum:
    """Lanczos quadrature of a symmetric operator: (1/n) tr f(A) is about the mean over probes of sum_j w_j f(theta_j).

    Args:
        nodes: theta, (probes, k); unused places hold 0 with weight 0.
        weights: w, (probes, k); each probe's weights sum to 1.
        residuals: ||A y - theta y|| of each Ritz pair, (probes, k).
        size: n, the dimension of the operator.
    """

    nodes: Tensor
    weights: Tensor
    residuals: Tensor
    size: int

    def integrate(self, f: Callable[[Tensor], Tensor]) -> tuple[float, float]:
        """(1/n) tr f(A) and its standard error over probes (NaN for a single probe)."""
        per_probe = (self.weights * f(self.nodes)).sum(1)
        return _mean_and_error(per_probe)

    def mass(self, low: float, high: float) -> tuple[float, float]:
        """The share of eigenvalues in [low, high] and its standard error."""
        return self.integrate(lambda x: ((x >= low) & (x <= high)).to(self.weights))

    @property
    def trace(self) -> tuple[float, float]:
        """tr A and its standard error."""
        mean, error = self.integrate(lambda x: x)
        return self.size * mean, self.size * error

    @property
    def lambda_min(self) -> tuple[float, float]:
        """The smallest Ritz value over all probes, and its residual norm: some eigenvalue of A lies that close."""
        return self._extreme(-1)

    @property
    def lambda_max(self) -> tuple[float, float]:
        """The largest Ritz value over all probes, and its residual norm."""
        return self._extreme(1)

    def _extreme(self, sign: int) -> tuple[float, float]:
        used = self.residuals.isfinite()
        values = torch.where(used, sign * self.nodes, -torch.inf).flatten()
        place = int(values.argmax())
        return float(self.nodes.flatten()[place]), float(self.residuals.flatten()[place])


def _mean_and_error(per_probe: Tensor) -> tuple[float, float]:
    probes = len(per_probe)
    error = float(per_probe.std() / probes**0.5) if probes > 1 else float("nan")
    return float(per_probe.mean()), error


def spectral_density(
    operator: LinearOperator | Tensor,
    steps: int = 64,
    probes: int = 8,
    seed: int = 0,
    vectors: Tensor | None = None,
    state: LanczosState | None = None,
    on_step: Callable[[LanczosState], None] | None = None,
) -> Spectrum:
    """The spectrum of a symmetric operator as seen by `probes` random vectors and `steps` products each.

    Each probe's k nodes and weights integrate polynomials up to degree 2k - 1 against its own spectral measure exactly.

    Args:
        operator: symmetric, (n, n): a `LinearOperator` or a tensor.
        steps: k, products per probe. 64 resolves the outliers of a network's Hessian and integrates E(t) up to t = 127 exactly.
        probes: random vectors; 8 give the error of the mean a bar that can be trusted to about 25 %.
        seed: of the probes.
        vectors: own start vectors (n, probes) instead of Rademacher probes (they have the least variance among vectors
            with independent entries; Hutchinson 1990).
        state: a Lanczos state to go on from, as `on_step` saw it; the result is the same to the last bit.
        on_step: called after each step with the Lanczos state.

    Returns:
        Spectrum.

    Cost: steps x probes products; five vectors of length n a probe.

    References:
        Golub and Welsch (1969); Ubaru, Chen, Saad (2017); Chen, Trogdon, Ubaru (arXiv:2105.06595) for the error bound.

    Example:
        >>> import torch
        >>> spectrum = spectral_density(torch.diag(torch.linspace(1, 5, 50, dtype=torch.float64)), steps=20, probes=4)
        >>> round(spectrum.trace[0], 6)
        150.0
    """
    operator = as_operator(operator)
    check_integer("probes", probes, 1)
    n = operator.shape[0]
    check_integer("operator size", n, 1)
    if vectors is None:
        signs = torch.randint(0, 2, (probes, n), generator=named_generator(seed, "probes"))
        vectors = (2 * signs - 1).T.to(dtype=operator.dtype, device=operator.device)
    return quadrature(lanczos(operator, vectors, steps, state, on_step), n)


def quadrature(state: LanczosState, size: int) -> Spectrum:
    """Nodes and weights from the tridiagonal matrices: Ritz values, and squared first components of their vectors."""
    probes, k = state.alpha.shape
    nodes, weights = torch.zeros(probes, k, dtype=torch.float64), torch.zeros(probes, k, dtype=torch.float64)
    residuals = torch.full((probes, k), torch.inf, dtype=torch.float64)
    for probe in range(probes):
        m = int(state.length[probe])
        alpha, beta = state.alpha[probe, :m], state.beta[probe, :m]
        tridiagonal = torch.diag(alpha) + torch.diag(beta[:-1], 1) + torch.diag(beta[:-1], -1)
        values, vectors = torch.linalg.eigh(tridiagonal)
        first = vectors[0] ** 2
        nodes[probe, :m], weights[probe, :m] = values, first / first.sum()
        residuals[probe, :m] = beta[-1] * vectors[-1].abs()
    return Spectrum(nodes, weights, residuals, size)
