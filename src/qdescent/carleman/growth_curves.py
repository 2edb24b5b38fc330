"""How the modes of a spectrum move over a horizon: their curves, powers, and when they diverge."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent.carleman.bounds import power_kappa_bound
from qdescent.linalg.spectra.cluster import Estimate
from qdescent.linalg.spectra.spectrum import Spectrum


@dataclass(frozen=True, eq=False)
class Divergent:
    """The modes that grow by more than 1 % over the horizon: bounds on their share, nodes, and
    their part of E(T).
    """

    bounds: tuple[Estimate, Estimate]
    factors: Tensor
    weights: Tensor
    part: float


def curves_over(
    spectrum: Spectrum, factors: Tensor, kinds: Tensor, horizon: int
) -> tuple[Tensor, dict[int, Tensor]]:
    """E(t), t = 0..T, with its standard error over probes, (T + 1, 2), and its parts by kind."""
    chosen = torch.stack([kinds == k for k in (-1, 0, 1)])
    sums = torch.stack(
        [
            (spectrum.weights * torch.where(chosen, factors**t, 0.0)).sum(2)
            for t in range(horizon + 1)
        ]
    )  # (T + 1, kinds, probes)
    probes = sums.shape[2]

    def curve(per_probe: Tensor) -> Tensor:
        nan = torch.full_like(per_probe[:, 0], math.nan)
        error = per_probe.std(1) / probes**0.5 if probes > 1 else nan
        return torch.stack([per_probe.mean(1), error], dim=1)

    return curve(sums.sum(1)), {k: curve(sums[:, place]) for place, k in enumerate((-1, 0, 1))}


def power_norms(eigenvalues: Tensor, learning_rate: float, momentum: float, horizon: int) -> Tensor:
    """max over modes of ||C^t||, t = 0..T: C = 1 - eta lambda, or on (u, v) [[1 - eta lambda,
    beta], [-eta lambda, beta]].
    """
    pull = learning_rate * eigenvalues
    if momentum == 0:
        return (1 - pull).abs().max() ** torch.arange(
            horizon + 1, dtype=torch.float64, device="cpu"
        )
    beta = torch.full_like(pull, momentum)
    step = torch.stack([1 - pull, beta, -pull, beta], dim=1).view(-1, 2, 2)
    power, norms = torch.eye(2, dtype=torch.float64, device="cpu").expand_as(step), [1.0]
    for t in range(1, horizon + 1):
        power = step @ power
        # |det C^t| = beta^t for every mode, and the norm grows with the Frobenius norm
        square = (power**2).sum((1, 2)).max()
        norms.append(
            float(
                (square + (square**2 - 4 * momentum ** (2 * t)).clamp(min=0).sqrt()).div(2).sqrt()
            )
        )
    # inf - inf of what overflowed
    return torch.tensor(norms, dtype=torch.float64, device="cpu").nan_to_num(
        nan=math.inf, posinf=math.inf
    )


def history_kappa(power_norms: Tensor, padding: int, order: int) -> float:
    return power_kappa_bound(torch.maximum(power_norms, power_norms**order), padding)


def divergence_step(factors: Tensor, weights: Tensor, limit: float) -> float:
    if len(factors) == 0:
        return math.inf
    share = weights.sum().log()

    def exceeded(t: int) -> bool:
        return float(torch.logsumexp(weights.log() + t * factors.log(), 0) - share) > math.log(
            limit
        )

    high = 1
    while not exceeded(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if exceeded(middle) else (middle, high)
    return high
