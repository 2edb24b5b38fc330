"""How many rounds an amplitude amplification to exact success takes, and its damping.

Closed forms apart from their circuit: a forecast waits for no Qualtran.
"""

from __future__ import annotations

import math

from qdescent._checks import argument_error, check_interval


def rounds_needed(probability: float) -> int:
    """The fewest rounds that can end in success for certain: r = ceil(pi/(4a) - 1/2), sin^2 a = p.

    Args:
        probability: p, of one solve.

    Raises:
        ArgumentError: p outside (0, 1].

    Example:
        >>> [rounds_needed(p) for p in (1.0, 0.9, 0.25, 0.01)]
        [0, 1, 1, 8]
    """
    angle = math.asin(math.sqrt(check_interval("probability", probability, "(0, 1]")))
    # p = 1/4 takes 1 round, rounding or not
    return max(0, math.ceil(math.pi / (4 * angle) - 0.5 - 1e-9))


def runs_needed(probability: float) -> float:
    """Runs until one succeeds: repeated, 1/p, or as an amplification, 2r + 1, whichever are fewer.

    Raises:
        ArgumentError: p outside (0, 1].

    Example:
        >>> [runs_needed(p) for p in (1.0, 0.5, 0.25, 0.01)]
        [1.0, 2.0, 3.0, 17.0]
    """
    return min(1 / probability, 2.0 * rounds_needed(probability) + 1)


def damping_half_angle(probability: float, rounds: int) -> float:
    """The damping's half angle for success after r rounds: cos = sin(pi/(2(2r+1)))/sqrt(p).

    Raises:
        ArgumentError: fewer rounds than `rounds_needed`.

    Example:
        >>> round(math.cos(damping_half_angle(0.81, rounds=1)), 6)  # sin(pi/6)/.9
        0.555556
    """
    if rounds < rounds_needed(probability):
        raise argument_error(
            "rounds",
            f"be at least {rounds_needed(probability)} for probability {probability:.4g}",
            rounds,
        )
    return math.acos(min(1.0, math.sin(math.pi / (2 * (2 * rounds + 1))) / math.sqrt(probability)))


def amplified_probability(probability: float, rounds: int) -> float:
    """Success after r rounds without damping: sin^2((2r+1) asin(sqrt(p))).

    Example:
        >>> round(amplified_probability(0.25, rounds=1), 12)
        1.0
    """
    probability = check_interval("probability", probability, "[0, 1]")
    return math.sin((2 * rounds + 1) * math.asin(math.sqrt(probability))) ** 2
