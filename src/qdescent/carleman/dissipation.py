"""Is the descent dissipative? The paper's condition, read off a Hessian spectrum."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._checks import check_integer, check_interval
from qdescent.linalg.spectrum import Spectrum

NEUTRAL_CHANGE = 0.01  # a mode that changes by less than 1 % over the whole horizon is counted as neutral
# "Almost dissipative": no mode grows by more than this factor over the horizon. Our reading: the formal definition stands in the
# paper's supplement, which was not reachable.
ALMOST_GROWTH = 10.0


@dataclass(frozen=True)
class Dissipation:
    """How the modes of the kept weights behave over a horizon of T steps.

    Args:
        dissipative, neutral, divergent: shares of the n modes, each (value, standard error), summing to 1.
        growth: the largest factor by which a mode grows over the horizon, max |r|^T (1 or less: none grows).
        proxy: E(t) = (1/n) sum |r|^t for t = 0..T, (T + 1,), r the mode's factor per step.
        proxy_error: its standard error over probes.
        proxy_dissipative, proxy_neutral, proxy_divergent: its parts from the modes of each kind.
        horizon: T.
        verdict: "fully dissipative", "almost dissipative" or "not dissipative".
        reason: the verdict's reason in one sentence.
    """

    dissipative: tuple[float, float]
    neutral: tuple[float, float]
    divergent: tuple[float, float]
    growth: float
    proxy: Tensor = field(repr=False)
    proxy_error: Tensor = field(repr=False)
    proxy_dissipative: Tensor = field(repr=False)
    proxy_neutral: Tensor = field(repr=False)
    proxy_divergent: Tensor = field(repr=False)
    horizon: int
    verdict: str
    reason: str


def step_factor(eigenvalue: Tensor, learning_rate: float, momentum: float = 0.0) -> Tensor:
    """|r|, by which a mode's amplitude changes per step.

    |1 - eta lambda|, or with momentum the larger root of z^2 - (1 + beta - eta lambda) z + beta.

    Args:
        eigenvalue: lambda, any shape.
        learning_rate: eta.
        momentum: beta of the heavy-ball method.
    """
    b = 1 + momentum - learning_rate * eigenvalue
    if momentum == 0:
        return b.abs()
    discriminant = b * b - 4 * momentum
    real = (b.abs() + discriminant.clamp(min=0).sqrt()) / 2
    return torch.where(discriminant >= 0, real, torch.full_like(b, momentum**0.5))


def diagnose(spectrum: Spectrum, learning_rate: float, momentum: float = 0.0, horizon: int = 100) -> Dissipation:
    """Sort the modes of gradient descent into dissipative, neutral and divergent, and follow the authors' error proxy.

    A mode lambda is dissipative if its factor |1 - eta lambda| is below 1, divergent if above; neutral if it changes by less
    than 1 % over the
    horizon, which no sampled spectrum can tell from 1.

    Args:
        spectrum: of the Hessian over kept weights.
        learning_rate: eta > 0.
        momentum: beta in [0, 1); weight decay belongs into the Hessian (add wd to its eigenvalues).
        horizon: T steps.

    Returns:
        Dissipation.

    References:
        Liu et al. (2024), figure "Error bound" of the authors' draft for E(t). E(t) is exact for even t up to 2k - 1 (k
        Lanczos steps), up to probe
        noise; it is blind to what hides in the bulk near zero, so look at the measured truncation error as well.

    Example:
        >>> import torch
        >>> from qdescent.linalg.spectrum import spectral_density
        >>> hessian = torch.diag(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
        >>> diagnose(spectral_density(hessian, steps=3), learning_rate=0.1, horizon=10).verdict
        'fully dissipative'
    """
    check_interval("learning_rate", learning_rate, "(0, inf)")
    check_interval("momentum", momentum, "[0, 1)")
    check_integer("horizon", horizon, 1)

    def factor(x: Tensor) -> Tensor:
        return step_factor(x, learning_rate, momentum)

    band = NEUTRAL_CHANGE / horizon

    def kind(x: Tensor) -> Tensor:
        """-1 for dissipative, 0 for neutral, 1 for divergent."""
        return (factor(x) > 1 + band).to(x) - (factor(x) < 1 - band).to(x)

    def proxy(t: int, *kinds: int) -> tuple[float, float]:
        chosen = torch.tensor(kinds, dtype=spectrum.nodes.dtype)
        return spectrum.integrate(lambda x: torch.where(torch.isin(kind(x), chosen), factor(x) ** t, 0.0))

    def curve(*kinds: int) -> Tensor:
        return torch.tensor([proxy(t, *kinds) for t in range(horizon + 1)], dtype=torch.float64)

    total = curve(-1, 0, 1)
    present = spectrum.nodes[spectrum.weights > 0]
    growth = float(factor(present).max() ** horizon)
    verdict, reason = _verdict(growth, proxy(0, 1)[0], horizon)
    return Dissipation(
        dissipative=proxy(0, -1),
        neutral=proxy(0, 0),
        divergent=proxy(0, 1),
        growth=growth,
        proxy=total[:, 0],
        proxy_error=total[:, 1],
        proxy_dissipative=curve(-1)[:, 0],
        proxy_neutral=curve(0)[:, 0],
        proxy_divergent=curve(1)[:, 0],
        horizon=horizon,
        verdict=verdict,
        reason=reason,
    )


def _verdict(growth: float, divergent: float, horizon: int) -> tuple[str, str]:
    if growth < 1 - NEUTRAL_CHANGE:
        return "fully dissipative", f"every mode that was seen shrinks over {horizon} steps"
    if growth <= ALMOST_GROWTH:
        return (
            "almost dissipative",
            f"{100 * divergent:.2g} % of the modes grow, the fastest by a factor {growth:.3g} over {horizon} steps "
            f"(at most {ALMOST_GROWTH:g})",
        )
    return "not dissipative", f"a mode grows by a factor {growth:.3g} over {horizon} steps (more than {ALMOST_GROWTH:g})"
