"""Is the descent dissipative? The paper's condition, read off a Hessian spectrum."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_instance,
    check_integer,
    check_interval,
    check_sequence,
    shown,
)
from qdescent.carleman.growth import (
    GROWTH_LIMIT,
    NEUTRAL_CHANGE,
    Growth,
    grown,
    measure_growth,
    shrinking_interval,
    step_factor,
)
from qdescent.carleman.growth_curves import (
    Divergent,
    curves_over,
    divergence_step,
    history_kappa,
    power_norms,
)
from qdescent.carleman.lifting.coordinates import MOST_LETTERS
from qdescent.linalg.spectra.cluster import Estimate
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.rows.numbers import with_error

MOST_STEPS = 1_000_000  # each is a point of five curves
CURVES = (
    "proxy",
    "proxy_error",
    "proxy_dissipative",
    "proxy_neutral",
    "proxy_divergent",
    "proxy_dissipative_error",
    "proxy_neutral_error",
    "proxy_divergent_error",
    "power_norms",
)


def _check_estimate(name: str, value: Estimate) -> None:
    """A number and its error, which is NaN for a single probe."""
    pair = check_sequence(name, value, float, int, called="(value, error), two numbers")
    if len(pair) != 2 or math.isnan(pair[0]):
        raise argument_error(name, "be (value, error), two numbers", shown(value))


@dataclass(frozen=True, eq=False)
class Dissipation:
    """How the modes of the kept weights behave: step by step, and over a horizon of T steps.

    Args:
        dissipative, neutral, divergent: shares of the n modes over the horizon, each (value,
            error), summing to 1; the error holds the probes' and what k Lanczos steps leave open at
            the edges (see `Spectrum.mass`).
        proxy: E(t) = (1/n) sum |r|^t for t = 0..T, (T + 1,), r the mode's factor per step.
        proxy_error: the proxy's standard error over probes.
        proxy_dissipative, proxy_neutral, proxy_divergent: the proxy's parts from the modes of each
            kind.
        horizon: T.
        per_step: growth a step, the share of growing modes and the verdict, which do not depend on
            T.
        reasons: all that speaks for and against the verdict, in sentences; the first is `reason`.
        divergent_bounds: lower and upper bound on the divergent share, each (value, standard error
            over probes).
        proxy_dissipative_error, proxy_neutral_error, proxy_divergent_error: standard errors over
            probes, (T + 1,).
        power_norms: the largest ||C^t|| of a mode's step C (1 x 1, or with momentum 2 x 2 on
            displacement and velocity), t = 0..T.
        divergent_factors, divergent_weights: |r| and quadrature weight of the divergent nodes,
            (m,).
    """

    dissipative: Estimate
    neutral: Estimate
    divergent: Estimate
    proxy: Tensor = field(repr=False)
    proxy_error: Tensor = field(repr=False)
    proxy_dissipative: Tensor = field(repr=False)
    proxy_neutral: Tensor = field(repr=False)
    proxy_divergent: Tensor = field(repr=False)
    horizon: int
    per_step: Growth
    reasons: tuple[str, ...] = field(repr=False)
    divergent_bounds: tuple[Estimate, Estimate]
    proxy_dissipative_error: Tensor = field(repr=False)
    proxy_neutral_error: Tensor = field(repr=False)
    proxy_divergent_error: Tensor = field(repr=False)
    power_norms: Tensor = field(repr=False)
    divergent_factors: Tensor = field(repr=False)
    divergent_weights: Tensor = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("dissipative", "neutral", "divergent"):
            _check_estimate(name, getattr(self, name))
        bounds = check_sequence(
            "divergent_bounds", self.divergent_bounds, tuple, called="two estimates"
        )
        for bound in bounds:
            _check_estimate("divergent_bounds", bound)
        object.__setattr__(self, "horizon", check_integer("horizon", self.horizon, 1, MOST_STEPS))
        for name in CURVES:
            curve = check_tensor(name, getattr(self, name), (self.horizon + 1,), finite=False)
            if not name.endswith("_error") and bool(curve.isnan().any()):
                raise argument_error(name, "be numbers", "NaN in a place")
        for name in ("divergent_factors", "divergent_weights"):
            part = check_instance(name, getattr(self, name), Tensor)
            if part.ndim != 1 or part.numel():
                check_tensor(name, part, (None,))
                check_tensor(name, part, (len(self.divergent_factors),))
        check_instance("per_step", self.per_step, Growth)
        check_sequence("reasons", self.reasons, str, called="sentences")

    @property
    def verdict(self) -> str:
        """The verdict of `Growth`: "fully dissipative", "not seen to diverge", and so on."""
        return self.per_step.verdict

    @property
    def reason(self) -> str:
        """The verdict's reason, in one clause."""
        return self.per_step.reason

    @property
    def growth(self) -> float:
        """max |r|^T, by which the fastest mode changes over the horizon (1 or less: none grows)."""
        return grown(self.per_step.a_step[0], self.horizon)

    def divergence_step(self, factor: float = GROWTH_LIMIT) -> float:
        """The first step t at which the divergent part of E(t) exceeds `factor` times its value at
        t = 0; infinite: never.

        It goes on beyond the horizon T, with the modes that count as divergent over T.

        Args:
            factor: growth to be reached, above 1.
        """
        return divergence_step(
            self.divergent_factors,
            self.divergent_weights,
            check_interval("factor", factor, "(1, inf)"),
        )

    def history_kappa(self, padding: int = 0, order: int = 1) -> float:
        """A model of the condition number of the history system over the horizon: a bound for its
        diagonal blocks alone.

        `power_kappa_bound` with ||A^t|| = max(||C^t||, ||C^t||^N), the norm of the Kronecker powers
        1..N of the modes that the spectrum shows. The blocks beside the diagonal (F_0, F_2 and so
        on) are left out: a row with this number is "modelled".

        Args:
            padding: p, further copies of the end.
            order: N of the Carleman linearisation.
        """
        order = check_integer("order", order, 1, MOST_LETTERS)
        return history_kappa(self.power_norms, padding, order)

    def __str__(self) -> str:
        least, most = (min(max(bound[0], 0.0), 1.0) for bound in self.divergent_bounds)
        lines = [f"{self.verdict}; over {self.horizon} steps:"]
        for name in ("dissipative", "neutral", "divergent"):
            value, error = getattr(self, name)
            between = (
                f"   (between {100 * least:.3g} and {100 * most:.3g} %)"
                if name == "divergent"
                else ""
            )
            lines.append(f"  {name:<12}{with_error(100 * value, 100 * error)} %{between}")
        end = with_error(float(self.proxy[-1]), float(self.proxy_error[-1]))
        lines.append(f"  {f'E({self.horizon})':<12}{end}")
        return "\n".join([*lines, *(f"- {sentence}" for sentence in self.reasons)])


def diagnose(
    spectrum: Spectrum,
    learning_rate: float,
    momentum: float = 0.0,
    horizon: int = 100,
    weight_decay: float = 0.0,
) -> Dissipation:
    """Sort the modes of gradient descent into dissipative, neutral and divergent, and follow the
    authors' error proxy.

    A mode lambda is dissipative if its factor |1 - eta (lambda + wd)| is below 1, divergent if
    above; neutral if it changes by less than 1 % over the horizon, which no sampled spectrum can
    tell from 1. The verdict does not depend on the horizon: `measure_growth` says what it rests on.

    Args:
        spectrum: eigenvalues of the Hessian over kept weights.
        learning_rate: eta > 0.
        momentum: beta in [0, 1), of the heavy-ball method: see `step_factor`.
        horizon: T steps of E(t) and of the shares beside it.
        weight_decay: wd >= 0, as in torch.optim.SGD: wd is added to every eigenvalue. Leave it 0
            where the loss holds it already.

    Returns:
        Dissipation.

    References:
        Liu et al. (2024), figure "Error bound" of the authors' draft for E(t). E(t) is exact for
        even t up to 2k - 1 (k Lanczos steps), up to probe noise; it is blind to what hides in the
        bulk near zero, so look at the measured truncation error as well.

    Example:
        >>> import torch
        >>> from qdescent.linalg.spectra.density import spectral_density
        >>> hessian = torch.diag(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
        >>> diagnose(spectral_density(hessian, steps=3), learning_rate=0.1, horizon=10).verdict
        'fully dissipative'
    """
    check_instance("spectrum", spectrum, Spectrum)
    learning_rate = check_interval("learning_rate", learning_rate, "(0, inf)")
    momentum = check_interval("momentum", momentum, "[0, 1)")
    horizon = check_integer("horizon", horizon, 1, MOST_STEPS)
    weight_decay = check_interval("weight_decay", weight_decay, "[0, inf)")

    def factor(x: Tensor) -> Tensor:
        return step_factor(x + weight_decay, learning_rate, momentum)

    band = NEUTRAL_CHANGE / horizon

    def kind(x: Tensor) -> Tensor:
        """-1 for dissipative, 0 for neutral, 1 for divergent."""
        return (factor(x) > 1 + band).to(x) - (factor(x) < 1 - band).to(x)

    def shrinking(bound: float) -> tuple[Estimate, Estimate]:
        """Bounds on the share of modes with a factor up to `bound`."""
        if bound <= momentum**0.5:
            return (0.0, 0.0), (0.0, 0.0)
        return spectrum.mass_bounds(
            *shrinking_interval(bound, learning_rate, momentum, weight_decay)
        )

    # 1. The proxy's curve, and the part of each kind of mode in it.
    total, parts = curves_over(spectrum, factor(spectrum.nodes), kind(spectrum.nodes), horizon)
    # 2. Shares by the quadrature; their errors hold what the nodes at the band's ends leave open.
    below, (least, most) = shrinking(1 - band), shrinking(1 + band)
    widths = {-1: below[1][0] - below[0][0], 1: most[0] - least[0]}
    widths[0] = widths[-1] + widths[1]
    shares = {
        k: (float(parts[k][0, 0]), math.hypot(float(parts[k][0, 1]), widths[k] / 12**0.5))
        for k in (-1, 0, 1)
    }
    # 3. The divergent modes: bounds on their share, their factors, their part at the end.
    used = spectrum.weights > 0
    growing = used & (kind(spectrum.nodes) > 0)
    divergent = Divergent(
        bounds=((1 - most[0], most[1]), (1 - least[0], least[1])),
        factors=factor(spectrum.nodes[growing]),
        weights=spectrum.weights[growing] / len(spectrum.weights),
        part=float(parts[1][-1, 0] / total[-1, 0]),
    )
    # 4. What holds without a horizon, and why the verdict is what it is.
    per_step = measure_growth(spectrum, learning_rate, momentum, weight_decay)
    norms = power_norms(spectrum.nodes[used] + weight_decay, learning_rate, momentum, horizon)
    reasons = _reasons(per_step, divergent, shares[0][0], norms, spectrum)
    return Dissipation(
        dissipative=shares[-1],
        neutral=shares[0],
        divergent=shares[1],
        proxy=total[:, 0],
        proxy_error=total[:, 1],
        proxy_dissipative=parts[-1][:, 0],
        proxy_neutral=parts[0][:, 0],
        proxy_divergent=parts[1][:, 0],
        horizon=horizon,
        per_step=per_step,
        reasons=reasons,
        divergent_bounds=divergent.bounds,
        proxy_dissipative_error=parts[-1][:, 1],
        proxy_neutral_error=parts[0][:, 1],
        proxy_divergent_error=parts[1][:, 1],
        power_norms=norms,
        divergent_factors=divergent.factors,
        divergent_weights=divergent.weights,
    )


def _reasons(
    per_step: Growth, divergent: Divergent, neutral: float, norms: Tensor, spectrum: Spectrum
) -> tuple[str, ...]:
    """What speaks for and against the verdict: its reason, what more steps would settle, and what
    the horizon adds.
    """
    T = len(norms) - 1
    (low, high), minimum, maximum = per_step.shrinking, spectrum.lambda_min, spectrum.lambda_max
    least, most = (min(max(bound[0], 0.0), 1.0) for bound in divergent.bounds)  # to rounding
    sentences = [f"{per_step.reason[0].upper()}{per_step.reason[1:]}."]
    if per_step.outlook:
        sentences.append(per_step.outlook)
    sentences += [
        (
            f"Modes shrink for eigenvalues between {low:.3g} and {high:.3g}; the extremes seen are"
            f" {minimum[0]:.3g} (residual {minimum[1]:.1g}) and {maximum[0]:.3g} (residual"
            f" {maximum[1]:.1g})."
        ),
        (
            f"Over {T} steps the divergent share lies between {100 * least:.3g} and"
            f" {100 * most:.3g} % for these probes, {100 * neutral:.3g} % of the modes change by"
            f" less than {100 * NEUTRAL_CHANGE:g} %."
        ),
    ]
    if len(divergent.factors):
        after = divergence_step(divergent.factors, divergent.weights, GROWTH_LIMIT)
        sentences.append(
            f"The divergent part makes {100 * divergent.part:.3g} % of E({T}) and has grown "
            f"{GROWTH_LIMIT:g}-fold after {after:,.0f} steps."
        )
    else:
        sentences.append(
            f"No mode that was seen grows by more than {100 * NEUTRAL_CHANGE:g} % over {T} steps."
        )
    transient, largest = float(norms.max()), grown(max(1.0, per_step.a_step[0]), T)
    if transient > largest * (1 + NEUTRAL_CHANGE):
        sentences.append(
            f"Displacement and velocity together grow {transient:.3g}-fold on the way: momentum is"
            " not normal."
        )
    bare, padded = (history_kappa(norms, padding, 1) for padding in (0, T))
    sentences.append(
        f"The history system's condition number is modelled as {bare:.3g} without padding and"
        f" {padded:.3g} with {T} copies of the end (a bound for the diagonal blocks at first order"
        " and the extremes that were seen; couplings left out)."
    )
    if spectrum.remark:
        sentences.append(spectrum.remark)
    return tuple(sentences)
