"""The resource estimator's own formulas in closed form: steps, code distance and time of a job of
any size, in microseconds.

    .03 (p/.01)^((d+1)/2) <= share of the budget / (tiles x logical steps)

with tiles = 2 q + ceil(sqrt(8 q)) + 1 and half of the budget, or a third where rotations take
another: Beverland et al., arXiv:2211.07629, Appendices C to E.
"""

from __future__ import annotations

import math
from typing import Protocol

from qdescent.resources.counts.logical_counts import LogicalCounts

LARGEST_DISTANCE = 201  # the estimator takes seconds for it, a minute for twice that
ROUNDS = 3  # of 15-to-1 distillation, the most that the estimator tries; below them it never ends
SYNTHESIS = 4.86  # what the estimator has for the 5.3 of its paper
PREFACTOR, THRESHOLD = 0.03, 0.01


class Machine(Protocol):
    """What the formulas know of a machine."""

    @property
    def error_rate(self) -> float:
        """p, of a physical operation."""
        ...

    @property
    def cycle_time_ns(self) -> float:
        """Of one error-correction cycle."""
        ...

    @property
    def budget(self) -> float:
        """Probability that one run fails."""
        ...


def run_seconds(machine: Machine, counts: LogicalCounts, runs: int = 1) -> float:
    """Steps x distance x cycle, as `SurfaceCode.estimate` has them; infinite out of its reach.

    Args:
        machine: a surface code.
        counts: the job.
        runs: jobs that must all succeed together.

    Example:
        >>> from qdescent.resources.physical.surface_code import SurfaceCode
        >>> job = LogicalCounts(100, toffoli=10**9, measurements=10**9)
        >>> run_seconds(SurfaceCode(), job) == SurfaceCode().estimate(job).seconds
        True
    """
    distance = code_distance(machine, counts, runs)
    if distance is None:
        return math.inf
    try:
        steps = logical_steps(counts, machine.budget / runs)
        return steps * distance * (machine.cycle_time_ns * 1e-9)
    except OverflowError:
        return math.inf


def code_distance(machine: Machine, counts: LogicalCounts, runs: int = 1) -> int | None:
    """The least odd d that keeps all logical steps within their share of the budget; None where the
    machine cannot.
    """
    steps = logical_steps(counts, machine.budget / runs)
    if distillation_gap(machine, steps, runs) is not None:
        return None
    shares = 3 if counts.rotations else 2
    tiles = 2 * counts.qubits + math.isqrt(8 * counts.qubits - 1) + 2
    wanted = math.log10(machine.budget / shares) - math.log10(tiles * steps * runs)
    gained = math.log10(machine.error_rate / THRESHOLD)
    half = max(2, math.ceil((wanted - math.log10(PREFACTOR)) / gained - 1e-9))
    return 2 * half - 1 if 2 * half - 1 <= LARGEST_DISTANCE else None


def logical_steps(counts: LogicalCounts, budget: float) -> int:
    """Depth of a job in lattice surgery: a step each measurement, rotation and T gate, three a
    Toffoli, and for each layer of rotations the T gates of one.
    """
    layers = counts.rotations if counts.rotation_depth is None else counts.rotation_depth
    t_each = t_per_rotation(counts.rotations, budget, SYNTHESIS)
    whole = counts.measurements + counts.rotations + counts.t_gates + 3 * counts.toffoli
    return max(1, whole + layers * t_each)


def distillation_gap(machine: Machine, depth: int, runs: int) -> tuple[float, float] | None:
    """Logarithms of the least error a magic state, and of the one wanted; None within reach."""
    least = math.log10(machine.error_rate)
    for _ in range(ROUNDS):
        least = math.log10(35) + 3 * least
    wanted = math.log10(machine.budget / 3) - math.log10(depth) - math.log10(runs)
    return (least, wanted) if wanted < least + 1 else None


def t_per_rotation(rotations: int, budget: float, beside: float = 5.3) -> int:
    """ceil(.53 log2(R/eps) + 5.3) T gates each, a third of the budget for synthesis
    (arXiv:2211.07629, Appendix D).
    """
    if not rotations:
        return 0
    return math.ceil(0.53 * (math.log2(3 / budget) + math.log2(rotations)) + beside)
