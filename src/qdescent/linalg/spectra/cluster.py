"""An eigenvalue, or a cluster of them, as Ritz values show it: value, multiplicity, error bars."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from qdescent.linalg.inner_product import power_of_two

Estimate = tuple[float, float]  # a mean over probes and its standard error


@dataclass(frozen=True)
class Cluster:
    """Ritz values that stand for one eigenvalue, or for several that lie within the tolerance.

    Args:
        value: their mean, weighted.
        multiplicity: n times their mass, and its standard error: about the number of eigenvalues
            there. One eigenvector's weight in a random probe varies by more than 100 %, so this is
            coarse with few probes.
        nodes: number of Ritz values that were merged, over all probes: copies (ghosts) included, so
            no count of eigenvalues.
    """

    value: float
    multiplicity: Estimate
    nodes: int


def mean_and_error(per_probe: Tensor) -> Estimate:
    probes = len(per_probe)
    unit = power_of_two(per_probe.abs().max())  # float64 need not hold the squares
    scaled = per_probe / unit
    error = float(unit * (scaled.std() / probes**0.5)) if probes > 1 else float("nan")
    return float(unit * scaled.mean()), error
