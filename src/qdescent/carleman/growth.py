"""How fast modes grow, how many do, and which of the paper's cases that is: without a horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, takewhile
from operator import itemgetter

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import check_instance, check_interval
from qdescent.linalg.inner_product import ROUNDING
from qdescent.linalg.reduced_model import Recurrence
from qdescent.linalg.spectra.cluster import Estimate
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.rows.numbers import with_error

# An error of the state grows with the fastest mode. A factor of 10 takes the error of one solve,
# 1e-3, to that of a readout, 1e-2 (the defaults of `Instance`): from there on growth, not the
# readout, decides what a round is worth.
GROWTH_LIMIT = 10.0
# A segment needs so many steps below that limit: the default of `Schedule`, and where the early
# stage begins to end in the paper's own runs (20 to 30 steps after pruning).
SLOW_STEPS = 20
# with one growing mode in ten, nine do what the promise asks; the paper's have below one in 1,000
FEW = 0.1
NEUTRAL_CHANGE = 0.01  # a mode that changes by less than 1 % counts as one that stands still
UNSEEN = "not seen to diverge"
UNSETTLED = "almost dissipative as far as seen"
CONFIDENCE = 0.99  # with which a mode that grows unseen is excluded
FLOAT64, FLOAT64_EPS = ROUNDING[torch.float64], torch.finfo(torch.float64).eps
# |v.x| of random signs v and a unit vector x is below 1/4 with a probability of at most 1/2: where
# an entry of x is 1/4 or more, turning its sign moves v.x by 1/2; where none is, v.x is nearly
# normal (Berry-Esseen, C = 0.56: below 0.48). (e_i - e_j)/sqrt2 reaches the 1/2 with v.x = 0, so
# that no fewer probes can do.
SHOWN = 0.25**2


@dataclass(frozen=True)
class Growth:
    """How modes grow from step to step, and the verdict that follows.

    Args:
        a_step: the factor |r| of the fastest mode, and what the residual of its Ritz value leaves
            open; at most 1: none was seen to grow.
        share: lower and upper bound on the share of growing modes, each (value, standard error over
            probes). Growing is what gains more than 1 % while the fastest grows by `GROWTH_LIMIT`;
            where none was seen to grow, what gains anything beyond rounding.
        steps_to_limit: ln GROWTH_LIMIT / ln a_step, the horizon at which the fastest mode reaches
            the limit, as closely as a_step - 1 is known; infinite: none was seen to grow.
        first_step: E(1) - 1, what one step adds to the mean factor of the modes: below 0, shrinking
            outweighs growth.
        shrinking: the eigenvalues between which modes shrink.
        verdict: "fully dissipative", "not seen to diverge", "almost dissipative", "almost
            dissipative as far as seen" or "not dissipative".
        reason: why, in one clause.
        outlook: what more Lanczos steps or probes would settle, in a sentence; empty: nothing.
    """

    a_step: Estimate
    share: tuple[Estimate, Estimate]
    steps_to_limit: float
    first_step: float
    shrinking: tuple[float, float]
    verdict: str
    reason: str
    outlook: str


def step_factor(eigenvalue: Tensor, learning_rate: float, momentum: float = 0.0) -> Tensor:
    """|r|, by which a mode's amplitude changes per step.

    |1 - eta lambda|, or with momentum the larger root of z^2 - (1 + beta - eta lambda) z + beta.

    Args:
        eigenvalue: lambda, any shape.
        learning_rate: eta.
        momentum: beta of the heavy-ball method.
    """
    check_instance("eigenvalue", eigenvalue, Tensor, called="a tensor (torch.as_tensor makes one)")
    eigenvalue = (
        check_tensor("eigenvalue", eigenvalue, finite=False) if eigenvalue.numel() else eigenvalue
    )
    learning_rate = check_interval("learning_rate", learning_rate, "(0, inf)")
    momentum = check_interval("momentum", momentum, "[0, 1)")
    return Recurrence(learning_rate, momentum).factor(eigenvalue)


def step_gain(eigenvalue: Tensor, learning_rate: float, momentum: float = 0.0) -> Tensor:
    """|r| - 1 of `step_factor`, to the digits of eta lambda where the factor has rounded them away.

    d = |r| - 1 solves d^2 + (1 - beta + y) d + y = 0, y = eta lambda, or as far from the other end,
    2 + 2 beta - eta lambda, of which -y/(...) has no terms that cancel.
    """
    whole = learning_rate * eigenvalue.double()
    y = torch.minimum(whole, 2 * (1 + momentum) - whole)
    middle = 1 - momentum + y
    discriminant = middle**2 - 4 * y
    real = -2 * y / (middle + discriminant.clamp(min=0).sqrt())
    # y far below 0 overflows: there the factor itself has the digits
    real = torch.where(discriminant.isfinite(), real, -y)
    return torch.where(discriminant >= 0, real, momentum**0.5 - 1)


def shrinking_interval(
    bound: float, learning_rate: float, momentum: float, weight_decay: float
) -> tuple[float, float]:
    """The eigenvalues whose factor is at most `bound` > sqrt(beta), (low, high)."""
    # b of step_factor is -+ half where |r| = bound
    middle, half = 1 + momentum, bound + momentum / bound
    low, high = (middle - half) / learning_rate, (middle + half) / learning_rate
    return low - weight_decay, high - weight_decay


def measure_growth(
    spectrum: Spectrum, learning_rate: float, momentum: float, weight_decay: float
) -> Growth:
    """Growth a step, the share of growing modes, and the paper's case.

    - *fully dissipative*: every mode shrinks. Said only where the upper bound on the share of the
      others is so far below one mode that these probes would have shown one with 99 % probability.
    - *almost dissipative*: no mode grows (by the same bound) but some stand still; or those that
      grow are few (at most one in ten), slow (the fastest stays below a factor 10 for 20 steps) and
      outweighed (E(1) < 1).
    - *almost dissipative as far as seen*: as the latter, but the bound allows more than few.
    - *not dissipative*: modes grow, and not so.
    - *not seen to diverge*: no mode was seen to grow, but the bound leaves room for one.

    Our reading of the paper, whose formal definitions stand in a supplement that was not reachable.
    """
    used = spectrum.weights > 0
    nodes, residuals = spectrum.nodes[used], spectrum.reaches[used]
    slack = max(spectrum.rounding * float(nodes.abs().max()), torch.finfo(torch.float64).tiny)

    def gain(x: Tensor) -> Tensor:
        return step_gain(x + weight_decay, learning_rate, momentum)

    def outside(low: float, high: float) -> tuple[Estimate, Estimate]:
        """Bounds on the share of eigenvalues outside [low, high]."""
        if low > high:
            return (1.0, 0.0), (1.0, 0.0)
        least, most = spectrum.mass_bounds(low, high)
        return (1 - most[0], most[1]), (1 - least[0], least[1])

    gains = gain(nodes)
    place = int(gains.argmax())
    fastest, reach = float(gains[place]), float(residuals[place])
    around = gain(nodes[place] + torch.tensor([-reach, reach], dtype=nodes.dtype, device="cpu"))
    rounded = FLOAT64_EPS * (1 + fastest)  # what 1 + gain leaves of the gain
    a_step = (1 + fastest, float((around - fastest).abs().max()) + rounded)
    first_step = spectrum.integrate(gain)[0]
    low, high = shrinking_interval(1.0, learning_rate, momentum, weight_decay)
    if bool(((nodes < low - slack) | (nodes > high + slack)).any()):
        limit = math.log(GROWTH_LIMIT) / math.log1p(fastest) if fastest > 0 else math.inf
        band = 1 + NEUTRAL_CHANGE / max(limit, 1.0)
        slow = shrinking_interval(band, learning_rate, momentum, weight_decay)
        share = outside(min(slow[0], low - slack), max(slow[1], high + slack))
        open_part = a_step[1] / fastest if fastest > 0 else 1.0
        verdict, reason = _of_growing(fastest, share, (limit, open_part), first_step)
        outlook = _share_outlook(share, spectrum)
        return Growth(a_step, share, limit, first_step, (low, high), verdict, reason, outlook)
    share = outside(low - slack, high + slack)
    standing = outside(low + slack, high - slack)[1][0]
    verdict, reason = _of_none_growing(fastest, share[1][0], standing, spectrum)
    (least, near), (most, far) = spectrum.lambda_min, spectrum.lambda_max
    gap = min(
        max(distance - residual, distance / 4)
        for distance, residual in ((least - low, near), (high - most, far))
    )
    outlook = _outlook(share[1][0], gap, slack, spectrum) if verdict == UNSEEN else ""
    return Growth(a_step, share, math.inf, first_step, (low, high), verdict, reason, outlook)


def unseen_share(spectrum: Spectrum) -> float:
    """The share of modes that a bound must stay below to exclude any: one exceeds it by 99 %.

    One probe of random signs weighs a mode by at least 1/16 n with a probability of 1/2 or more
    (`SHOWN`), so of m probes k do but for the binomial's tail; at least 7 are needed (`_blind`).
    """
    probes = len(spectrum.nodes)
    # P(at most 0, 1, ... of m do), in units of 2^-m
    fewer = accumulate(math.comb(probes, k) for k in range(probes))
    surely = sum(1 for _ in takewhile(lambda ways: ways / 2**probes <= 1 - CONFIDENCE, fewer))
    return max(surely, 1) * SHOWN / probes / spectrum.size


def _blind(spectrum: Spectrum) -> str:
    """Why the probes cannot exclude a mode, however small a bound they give; empty: they can."""
    probes = len(spectrum.nodes)
    if _eigenvalues_seen(spectrum) >= spectrum.size:
        return ""
    if not spectrum.random:
        return "start vectors of one's own show nothing of what they are orthogonal to"
    if probes >= _least_probes():
        return ""
    many = "one probe misses" if probes == 1 else f"{probes} probes together miss"
    return (
        f"{many} a mode such as the difference of two weights with a probability of 1/{2**probes}"
    )


def _eigenvalues_seen(spectrum: Spectrum) -> int:
    """So many different eigenvalues there are at least: of intervals that each hold one, as many as
    are disjoint.
    """
    used = spectrum.weights > 0
    nodes, residuals = spectrum.nodes[used], spectrum.residuals[used]
    residuals = residuals + spectrum.rounding * nodes.abs().max()
    count, end = 0, -math.inf
    for low, high in sorted(
        zip((nodes - residuals).tolist(), (nodes + residuals).tolist(), strict=True),
        key=itemgetter(1),
    ):
        if low > end:
            count, end = count + 1, high
    return count


def _least_probes() -> int:
    return math.ceil(-math.log2(1 - CONFIDENCE))


def _of_growing(
    fastest: float, share: tuple[Estimate, Estimate], limit: Estimate, first_step: float
) -> tuple[str, str]:
    seen = f"modes grow, {_between(share)} of them, the fastest by {_gain(fastest)} a step"
    reached = f"{GROWTH_LIMIT:g}-fold after {_steps(*limit)}"
    if share[0][0] > FEW:
        return "not dissipative", f"{seen}, {reached}; few would be at most {100 * FEW:g} %"
    if limit[0] < SLOW_STEPS:
        return "not dissipative", f"{seen}, {reached}; slow would be {SLOW_STEPS} or more"
    if first_step >= 0:
        return "not dissipative", f"{seen}, {reached}; what shrinks does not outweigh what grows"
    if share[1][0] > FEW:
        return (
            UNSETTLED,
            f"{seen}, {reached}: slow, but few is only what was seen (at most {100 * FEW:g} %)",
        )
    return "almost dissipative", f"{seen}, {reached}: few, slow, and outweighed by what shrinks"


def _of_none_growing(
    slowest: float, growing: float, standing: float, spectrum: Spectrum
) -> tuple[str, str]:
    excluded, blind = unseen_share(spectrum), _blind(spectrum)
    if growing < excluded and blind:
        return UNSEEN, f"no mode was seen to grow, but {blind}"
    if standing < excluded and not blind:
        return "fully dissipative", f"every mode shrinks, the slowest to {_left(slowest)} a step"
    if growing < excluded:
        return "almost dissipative", "no mode grows, but some stand still to within rounding"
    modes = growing * spectrum.size
    return (
        UNSEEN,
        (
            f"no mode was seen to grow, but up to {modes:.2g} of {spectrum.size} modes could do so"
            " unseen"
        ),
    )


def _outlook(growing: float, gap: float, slack: float, spectrum: Spectrum) -> str:
    """`gap`: from an edge of growth to the nearest eigenvalue that was seen, less what its residual
    leaves open.
    """
    steps, probes = spectrum.nodes.shape[1] - spectrum.deflated, len(spectrum.nodes)
    excluded = unseen_share(spectrum)
    signs = f"{_least_probes()} probes of random signs or more"
    if growing < excluded:
        return f"It takes {signs} to settle it."
    if gap <= slack:
        hidden = "Modes lie so close to standing still that rounding hides which way they go"
        if spectrum.rounding <= FLOAT64:
            return f"{hidden}, in float64, too."
        return f"{hidden}: products in float64 can tell, more Lanczos steps alone cannot."
    # Beyond a gap the bound falls as the square of the least polynomial on what was seen:
    # Chebyshev's.
    span = spectrum.lambda_max[0] - spectrum.lambda_min[0]
    rate = 2 * math.acosh(1 + 2 * gap / span) if span > 0 else math.inf
    more = math.ceil(math.log(growing / excluded) / rate) + 1
    needed = max(steps + 1, min(steps + more, spectrum.size))
    using = signs if _blind(spectrum) else f"these {probes} probes"
    return (
        f"It takes {needed:,} Lanczos steps or more instead of {steps:,}, with {using}, to "
        "settle it: either the bound falls below one mode, or a mode that grows shows."
    )


def _share_outlook(share: tuple[Estimate, Estimate], spectrum: Spectrum) -> str:
    if share[0][0] > FEW or share[1][0] <= FEW:
        return ""
    steps = spectrum.nodes.shape[1] - spectrum.deflated
    return f"Only more than {steps} Lanczos steps can lower the bound of {_percent(*share[1])} %."


def grown(factor: float, steps: int) -> float:
    """factor^steps, infinite where it overflows."""
    return float(torch.tensor(factor, dtype=torch.float64, device="cpu") ** steps)


def _between(share: tuple[Estimate, Estimate]) -> str:
    """Both bounds with their standard errors over probes, where these show."""
    least, most = (_percent(*bound) for bound in share)
    return f"{least} %" if least == most else f"between {least} and {most} %"


def _percent(value: float, error: float) -> str:
    """0.252 and 0.026 as "25.2 ± 2.6"."""
    share = 100 * min(max(value, 0.0), 1.0)
    return with_error(share, 100 * error if 100 * error >= 1e-10 else None)


def _gain(gain: float) -> str:
    """.012 as "1.2 %", 1.5 as "a factor 2.5"."""
    return f"{100 * gain:.3g} %" if gain < 1 else f"a factor {1 + gain:.3g}"


def _left(gain: float) -> str:
    """-.02 as "98 %", and what rounds to 100 % by what is missing."""
    return f"{100 * (1 + gain):.3g} %" if gain < -1e-3 else f"1 - {-gain:.2g}"


def _steps(steps: float, error: float) -> str:
    """To the digits that a relative error leaves known."""
    if math.isinf(steps):
        return "more steps than can be told"
    if steps < 2:
        return "a step or two"
    known = float(f"{steps:.{min(max(math.ceil(-math.log10(error)), 1), 17) - 1}e}")
    about = "about " if abs(known - steps) > 0.5 else ""
    return f"{about}{known:,.0f} steps"
