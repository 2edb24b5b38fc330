"""The ways that solve the linear system of all steps."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from qdescent._arrays import Floats
from qdescent._evidence import Evidence, derived
from qdescent.carleman.majorant import LARGEST, majorant
from qdescent.linalg.map_norms import MapNorms
from qdescent.quantum.algorithms.hhl_inverse import PEAK
from qdescent.resources.history_choice import History
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.spec_fields import word_of
from qdescent.resources.ways.last_state import low_su, time_marching
from qdescent.resources.ways.queries import (
    COSTA_MEASURED,
    costa_queries,
    counted_kernel_queries,
    dalzell_queries,
    phase_estimation_queries,
)
from qdescent.resources.ways.way import AUGMENTED, DILATED, HISTORY, PLAIN, Way

# the ways whose queries are counted in circuits, and the one that is priced in detail
PAPER, UNKNOWN, KNOWN = "paper", "kernel_reflection", "kernel_reflection_norm_known"
ESTIMATED = "phase_estimation"
ADIABATIC, LOW_SU, MARCHING = "adiabatic", "low_su", "time_marching"
# logarithms of units: the farthest that are tried, cells of an interval, and when it is narrow
_FARTHEST, _CELLS, _FINE = 100.0, 16, 1e-5


def history_ways(spec: RoundSpec) -> list[Way]:
    """The paper's in units of 1; phase estimation, kernel reflection, adiabatic and Low-Su in the
    best units; and, with norms, time marching, which needs no system.

    Example:
        >>> one = RoundSpec(
        ...     n=100, parameters=1000, order=1, steps=9, padding=0, kappa=20.0, sparsity=5,
        ...     batch=5, forward_macs=1000
        ... )
        >>> [(way.name, round(way.queries)) for way in history_ways(one)][2:4]
        [('kernel_reflection', 1581), ('kernel_reflection_norm_known', 226)]
    """
    plain, best = spec.plain_history, spec.history
    epsilon, alpha = spec.epsilon, word_of(spec.known, "alpha_over_norm")

    def made(
        name: str, title: str, history: History, queries: float, preparations: float,
        kind: Evidence, source: str, form: str = PLAIN, found: float = 1.0,
    ) -> Way:  # fmt: skip
        return Way(
            name=name,
            title=title,
            encoding=HISTORY,
            padding=history.padding,
            queries=queries,
            preparations=preparations,
            form=form,
            success=history.probability * found,
            counted=name in (ESTIMATED, UNKNOWN, KNOWN),
            evidence=derived(kind, history.kappa_evidence, alpha),
            source=f"{source}, kappa = alpha ||M^-1|| of {history.kappa_source}, alpha/||M|| ="
            f" {spec.alpha_over_norm:g} {alpha}",
            success_source=history.success[2] + (_FLAG if found < 1 else ""),
        )

    kappa_1, kappa = (spec.alpha_over_norm * each.kappa for each in (plain, best))
    hhl = kappa_1 * kappa_1 / epsilon
    unknown = dalzell_queries(kappa, epsilon)
    known = float(counted_kernel_queries(max(kappa, 1 + 1e-9), epsilon))
    adiabatic = costa_queries(kappa, epsilon, COSTA_MEASURED)
    walked = low_su(kappa, epsilon, 1.0)
    estimated = phase_estimation_queries(max(kappa, 1 + 1e-9), epsilon)
    model, bounded = Evidence.MODELLED, Evidence.BOUNDED
    return [
        made(PAPER, "as in the paper: HHL on the history, units of 1", plain, hhl, 2 * hhl, model,
             "HHL, arXiv:0811.3171: kappa^2/eps, constant put at 1, in favour of the quantum side"),
        made(ESTIMATED, "history, phase estimation", best, estimated, 1.0, bounded,
             "HHL as this package builds and counts it: 6 sum over the clock of e^{i H 2^j tau},"
             " cubic filter, sine window", DILATED, PEAK**-2),
        made(UNKNOWN, "history, kernel reflection, norm unknown", best, unknown, 2 * unknown, model,
             "Dalzell, arXiv:2406.12086: 56 kappa + 1.05 kappa ln(1/eps), o(kappa) left out",
             AUGMENTED),
        made(KNOWN, "history, kernel reflection, norm known", best, known, 2 * known, bounded,
             "one reflection as this package makes and counts it; the norm found for nothing",
             AUGMENTED),
        made(ADIABATIC, "history, discrete adiabatic", best, adiabatic, 2 * adiabatic, model,
             "arXiv:2312.07690: 1.84 kappa + kappa ln(2/eps), the constant measured elsewhere",
             AUGMENTED),
        made(LOW_SU, "history, few state preparations", best, walked.queries, walked.preparations,
             model, f"{walked.source}; ln(1/p) put at its least"),
        *_marching(spec),
    ]  # fmt: skip


def _marching(spec: RoundSpec) -> list[Way]:
    """Step by step, where norms say what the states may lose against the fastest growth."""
    return [] if spec.kappa is not None else marching_of(spec, spec.history.padding)


def marching_of(spec: RoundSpec, padding: int) -> list[Way]:
    """The same with tables of so many copies, which it does not use; nothing else of it depends on
    a history.
    """
    if spec.norms is None:
        return []
    return [_marched(spec, least_step_norm(spec.norms, spec.order), padding)]


def _marched(spec: RoundSpec, growth: float, padding: int) -> Way:
    """At most Q = ||A||^T, A the lifted step in the units that are best for it."""
    decay = math.exp(min(700.0, spec.steps * math.log(max(1.0, growth))))
    cost = time_marching(spec.alpha_over_norm, float(spec.steps), spec.epsilon, decay)
    return Way(
        name=MARCHING,
        title="step by step, amplified back",
        encoding=HISTORY,
        padding=padding,  # unused, but one size of tables for all
        queries=cost.queries,
        preparations=cost.preparations,
        success=1.0,
        counted=False,
        evidence=Evidence.MODELLED,
        source=f"{cost.source}; Q = ||A||^T, ||A|| <= {growth:.4g} by the norms",
        success_source="in Q",
    )


_FLAG = "; and (||Z||/(1.09 kappa ||B||))^2 of the flag, Z at its longest"


@lru_cache(maxsize=1024)
def step_norm(norms: MapNorms, order: int, scale: float) -> float:
    """A bound on the norm of one lifted step, by its majorant."""
    return float(np.linalg.norm(majorant(norms.scaled(scale), order, 1).blocks[1], 2))


@lru_cache(maxsize=2**12)
def least_step_norm(norms: MapNorms, order: int) -> float:
    """The least of it in any unit.

    In units of gamma a block from a letters u to b of them takes the factor gamma^{a-b}: entries
    that are exponentials of ln gamma, so that the norm of such a matrix is logarithmically convex
    in it (Kingman 1961), and thirds of an interval close in on its only valley.
    """
    step = majorant(norms, order, 1)
    block, turns = step.blocks[1], step.letters[None, :] - step.letters[:, None]
    with np.errstate(divide="ignore"):
        logs = np.log(block)

    def lengths(units: Floats) -> Floats:
        with np.errstate(all="ignore"):
            moved = np.exp(logs + turns * units[:, None, None])
        moved = np.where(np.isfinite(moved), moved, LARGEST)
        found: Floats = np.linalg.norm(moved, 2, axis=(1, 2))
        return found

    low, high, least = -_FARTHEST, _FARTHEST, math.inf
    while high - low > _FINE:
        units = np.linspace(low, high, _CELLS + 1)
        found = lengths(units)
        at = int(found.argmin())
        least = min(least, float(found[at]))
        low, high = float(units[max(0, at - 1)]), float(units[min(_CELLS, at + 1)])
    return least
