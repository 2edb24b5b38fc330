"""Is the descent dissipative? The paper's condition, read off a Hessian spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qdescent._checks import check_integer, check_interval
from qdescent.carleman.bounds import power_kappa_bound
from qdescent.linalg.spectrum import Estimate, Spectrum

NEUTRAL_CHANGE = 0.01  # a mode that changes by less than 1 % over the whole horizon is counted as neutral
# "Almost dissipative": no mode grows by more than this factor over the horizon. Our reading: the formal definition stands in the
# paper's supplement, which was not reachable.
ALMOST_GROWTH = 10.0


@dataclass(frozen=True)
class Dissipation:
    """How the modes of the kept weights behave over a horizon of T steps.

    Args:
        dissipative, neutral, divergent: shares of the n modes, each (value, error), summing to 1; the error holds the probes' and
            what k Lanczos steps leave open at the edges (see `Spectrum.mass`).
        growth: the largest factor by which a mode grows over the horizon, max |r|^T (1 or less: none grows).
        proxy: E(t) = (1/n) sum |r|^t for t = 0..T, (T + 1,), r the mode's factor per step.
        proxy_error: its standard error over probes.
        proxy_dissipative, proxy_neutral, proxy_divergent: its parts from the modes of each kind.
        horizon: T.
        verdict: "fully dissipative", "almost dissipative" or "not dissipative".
        reason: the verdict's reason in one sentence.
        reasons: all that speaks for and against it, in sentences; the first is `reason`.
        divergent_bounds: lower and upper bound on the divergent share, each (value, standard error over probes).
        proxy_dissipative_error, proxy_neutral_error, proxy_divergent_error: standard errors over probes, (T + 1,).
        power_norms: the largest ||C^t|| of a mode's step C (1 x 1, or with momentum 2 x 2 on displacement and velocity), t = 0..T.
        divergent_factors, divergent_weights: |r| and quadrature weight of the divergent nodes, (m,).
    """

    dissipative: Estimate
    neutral: Estimate
    divergent: Estimate
    growth: float
    proxy: Tensor = field(repr=False)
    proxy_error: Tensor = field(repr=False)
    proxy_dissipative: Tensor = field(repr=False)
    proxy_neutral: Tensor = field(repr=False)
    proxy_divergent: Tensor = field(repr=False)
    horizon: int
    verdict: str
    reason: str
    reasons: tuple[str, ...] = field(repr=False)
    divergent_bounds: tuple[Estimate, Estimate]
    proxy_dissipative_error: Tensor = field(repr=False)
    proxy_neutral_error: Tensor = field(repr=False)
    proxy_divergent_error: Tensor = field(repr=False)
    power_norms: Tensor = field(repr=False)
    divergent_factors: Tensor = field(repr=False)
    divergent_weights: Tensor = field(repr=False)

    def divergence_step(self, factor: float = ALMOST_GROWTH) -> float:
        """The first step t at which the divergent part of E(t) exceeds `factor` times its value at t = 0; infinite: never.

        It goes on beyond the horizon T, with the modes that count as divergent over T.

        Args:
            factor: above 1.
        """
        return _divergence_step(self.divergent_factors, self.divergent_weights, check_interval("factor", factor, "(1, inf)"))

    def history_kappa(self, padding: int = 0, order: int = 1) -> float:
        """A model of the condition number of the history system over the horizon: a bound for its diagonal blocks alone.

        `power_kappa_bound` with ||A^t|| = max(||C^t||, ||C^t||^N), the norm of the Kronecker powers 1..N of the modes that the
        spectrum shows. The blocks beside the diagonal (F_0, F_2 and so on) are left out: a row
        with this number is "modelled".

        Args:
            padding: p, further copies of the end.
            order: N of the Carleman linearisation.
        """
        check_integer("order", order, 1)
        return _history_kappa(self.power_norms, padding, order)

    def __str__(self) -> str:
        (least, _), (most, _) = self.divergent_bounds
        lines = [f"{self.verdict} over {self.horizon} steps"]
        for name in ("dissipative", "neutral", "divergent"):
            value, error = getattr(self, name)
            between = f"   (between {100 * least:.3g} and {100 * most:.3g} %)" if name == "divergent" else ""
            lines.append(f"  {name:<12}{100 * value:7.3g} % +- {100 * error:.2g} %{between}")
        lines.append(f"  E({self.horizon})      {float(self.proxy[-1]):7.3g}   +- {float(self.proxy_error[-1]):.2g}")
        return "\n".join([*lines, *(f"- {sentence}" for sentence in self.reasons)])


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


def diagnose(
    spectrum: Spectrum, learning_rate: float, momentum: float = 0.0, horizon: int = 100, weight_decay: float = 0.0
) -> Dissipation:
    """Sort the modes of gradient descent into dissipative, neutral and divergent, and follow the authors' error proxy.

    A mode lambda is dissipative if its factor |1 - eta (lambda + wd)| is below 1, divergent if above; neutral if it changes by less
    than 1 % over the horizon, which no sampled spectrum can tell from 1.

    Args:
        spectrum: of the Hessian over kept weights.
        learning_rate: eta > 0.
        momentum: beta in [0, 1), of the heavy-ball method: see `step_factor`.
        horizon: T steps.
        weight_decay: wd >= 0, as in torch.optim.SGD: wd is added to every eigenvalue. Leave it 0 where the loss holds it already.

    Returns:
        Dissipation.

    References:
        Liu et al. (2024), figure "Error bound" of the authors' draft for E(t). E(t) is exact for even t up to 2k - 1 (k Lanczos
        steps), up to probe noise; it is blind to what hides in the bulk near zero, so look at the measured truncation error
        as well.

    Example:
        >>> import torch
        >>> from qdescent.linalg.density import spectral_density
        >>> hessian = torch.diag(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
        >>> diagnose(spectral_density(hessian, steps=3), learning_rate=0.1, horizon=10).verdict
        'fully dissipative'
    """
    check_interval("learning_rate", learning_rate, "(0, inf)")
    check_interval("momentum", momentum, "[0, 1)")
    check_integer("horizon", horizon, 1)
    check_interval("weight_decay", weight_decay, "[0, inf)")

    def factor(x: Tensor) -> Tensor:
        return step_factor(x + weight_decay, learning_rate, momentum)

    band = NEUTRAL_CHANGE / horizon

    def kind(x: Tensor) -> Tensor:
        """-1 for dissipative, 0 for neutral, 1 for divergent."""
        return (factor(x) > 1 + band).to(x) - (factor(x) < 1 - band).to(x)

    def proxy(t: int, *kinds: int) -> Estimate:
        chosen = torch.tensor(kinds, dtype=spectrum.nodes.dtype)
        return spectrum.integrate(lambda x: torch.where(torch.isin(kind(x), chosen), factor(x) ** t, 0.0))

    def curve(*kinds: int) -> Tensor:
        return torch.tensor([proxy(t, *kinds) for t in range(horizon + 1)], dtype=torch.float64)

    def shrinking(bound: float) -> tuple[Estimate, Estimate]:
        """Bounds on the share of modes with a factor up to `bound`: one interval of eigenvalues."""
        if bound < momentum**0.5:
            return (0.0, 0.0), (0.0, 0.0)
        middle, half = 1 + momentum, bound + momentum / bound  # b of step_factor is -+ half where |r| = bound
        return spectrum.mass_bounds((middle - half) / learning_rate - weight_decay, (middle + half) / learning_rate - weight_decay)

    total, parts = curve(-1, 0, 1), {k: curve(k) for k in (-1, 0, 1)}
    below, (least, most) = shrinking(1 - band), shrinking(1 + band)
    widths = {-1: below[1][0] - below[0][0], 1: most[0] - least[0]}
    widths[0] = widths[-1] + widths[1]
    shares = {k: (float(parts[k][0, 0]), math.hypot(float(parts[k][0, 1]), widths[k] / 12**0.5)) for k in (-1, 0, 1)}
    used = spectrum.weights > 0
    growing = used & (kind(spectrum.nodes) > 0)
    found = Dissipation(
        dissipative=shares[-1],
        neutral=shares[0],
        divergent=shares[1],
        growth=float(factor(spectrum.nodes[used]).max() ** horizon),
        proxy=total[:, 0],
        proxy_error=total[:, 1],
        proxy_dissipative=parts[-1][:, 0],
        proxy_neutral=parts[0][:, 0],
        proxy_divergent=parts[1][:, 0],
        horizon=horizon,
        verdict="",
        reason="",
        reasons=(),
        divergent_bounds=((1 - most[0], most[1]), (1 - least[0], least[1])),
        proxy_dissipative_error=parts[-1][:, 1],
        proxy_neutral_error=parts[0][:, 1],
        proxy_divergent_error=parts[1][:, 1],
        power_norms=_power_norms(spectrum.nodes[used] + weight_decay, learning_rate, momentum, horizon),
        divergent_factors=factor(spectrum.nodes[growing]),
        divergent_weights=spectrum.weights[growing] / len(spectrum.weights),
    )
    verdict, reason = _verdict(found.growth, (found.divergent_bounds[0][0], found.divergent_bounds[1][0]), horizon)
    edge = 2 * (1 + momentum) / learning_rate - weight_decay
    more = _further_reasons(found, 0.0 - weight_decay, edge, spectrum.lambda_min, spectrum.lambda_max)
    return replace(found, verdict=verdict, reason=reason, reasons=(f"{reason[0].upper()}{reason[1:]}.", *more))


def _power_norms(eigenvalues: Tensor, learning_rate: float, momentum: float, horizon: int) -> Tensor:
    """max over modes of ||C^t||, t = 0..T: C = 1 - eta lambda, or on (u, v) [[1 - eta lambda, beta], [-eta lambda, beta]]."""
    pull = learning_rate * eigenvalues
    if momentum == 0:
        return (1 - pull).abs().max() ** torch.arange(horizon + 1, dtype=torch.float64)
    beta = torch.full_like(pull, momentum)
    step = torch.stack([1 - pull, beta, -pull, beta], dim=1).view(-1, 2, 2)
    power, norms = torch.eye(2, dtype=torch.float64).expand_as(step), [1.0]
    for t in range(1, horizon + 1):
        power = step @ power
        square = (power**2).sum((1, 2)).max()  # |det C^t| = beta^t for every mode, and the norm grows with the Frobenius norm
        norms.append(float((square + (square**2 - 4 * momentum ** (2 * t)).clamp(min=0).sqrt()).div(2).sqrt()))
    return torch.tensor(norms, dtype=torch.float64).nan_to_num(nan=math.inf, posinf=math.inf)  # inf - inf of what overflowed


def _history_kappa(power_norms: Tensor, padding: int, order: int) -> float:
    return power_kappa_bound(torch.maximum(power_norms, power_norms**order), padding)


def _divergence_step(factors: Tensor, weights: Tensor, limit: float) -> float:
    if len(factors) == 0:
        return math.inf
    share = weights.sum().log()

    def exceeded(t: int) -> bool:
        return float(torch.logsumexp(weights.log() + t * factors.log(), 0) - share) > math.log(limit)

    high = 1
    while not exceeded(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if exceeded(middle) else (middle, high)
    return high


def _verdict(growth: float, divergent: tuple[float, float], horizon: int) -> tuple[str, str]:
    if growth < 1 - NEUTRAL_CHANGE:
        return "fully dissipative", f"every mode that was seen shrinks over {horizon} steps"
    if growth <= 1 + NEUTRAL_CHANGE:
        return "almost dissipative", f"no mode that was seen grows by more than {100 * NEUTRAL_CHANGE:g} % over {horizon} steps"
    shares = f"between {100 * divergent[0]:.2g} and {100 * divergent[1]:.2g} % of the modes grow"
    if growth <= ALMOST_GROWTH:
        return (
            "almost dissipative",
            f"{shares}, the fastest by a factor {growth:.3g} over {horizon} steps, which is below our limit of {ALMOST_GROWTH:g}",
        )
    return (
        "not dissipative",
        f"{shares}, the fastest by a factor {growth:.3g} over {horizon} steps, above our limit of {ALMOST_GROWTH:g}",
    )


def _further_reasons(
    found: Dissipation, low: float, high: float, minimum: tuple[float, float], maximum: tuple[float, float]
) -> tuple[str, ...]:
    """What speaks for and against the verdict, besides its first reason; modes shrink for low < lambda < high."""
    T = found.horizon
    sentences = [
        f"Modes shrink for eigenvalues between {low:.3g} and {high:.3g}; the extremes seen are {minimum[0]:.3g} "
        f"(residual {minimum[1]:.1g}) and {maximum[0]:.3g} (residual {maximum[1]:.1g})."
    ]
    (least, _), (most, _) = found.divergent_bounds
    sentences.append(
        f"The divergent share lies between {100 * least:.3g} and {100 * most:.3g} % for these probes, "
        f"{100 * found.neutral[0]:.3g} % of the modes cannot be told from standing still."
    )
    if len(found.divergent_factors):
        part = 100 * float(found.proxy_divergent[-1] / found.proxy[-1])
        sentences.append(
            f"The divergent part makes {part:.3g} % of E({T}) and has grown {ALMOST_GROWTH:g}-fold after "
            f"{found.divergence_step():.0f} steps."
        )
    else:
        sentences.append(f"No mode that was seen grows by more than {100 * NEUTRAL_CHANGE:g} % over {T} steps.")
    transient = float(found.power_norms.max())
    if transient > max(1.0, found.growth) * (1 + NEUTRAL_CHANGE):
        sentences.append(f"Displacement and velocity together grow {transient:.3g}-fold on the way: momentum is not normal.")
    sentences.append(
        f"The history system's condition number is modelled as {found.history_kappa():.3g} without padding and "
        f"{found.history_kappa(padding=T):.3g} with {T} copies of the end (a bound for the diagonal blocks at first order and the "
        f"extremes that were seen; couplings left out)."
    )
    return tuple(sentences)
