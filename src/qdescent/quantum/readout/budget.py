"""Budgets of a readout before anything is known but the number of entries: from an error to shots
or calls, and back.

    sampling,  l2:    S = k / (4 eps^2)              k entries that are seen often
               linf:  S = 4.5 ln(4 k/delta)/eps^2    whatever the vector, signs included
    coherent,  l2:    k / eps calls                  up to logarithms
               linf:  min(sqrt k / eps, 1 / eps^2)

S is the number of shots for the magnitudes; as many again find the signs. Errors are relative to
||x||. What is known of a vector says more: `expected_error` and `shots_for`.

The 4.5: an entry of sqrt(L/S) that is counted c = g L times, and whose sign then comes out wrong,
is off by sqrt(L/S) (1 + sqrt g). By Chernoff's bounds both happen with probability at most
exp(-L (g ln g - g + 1 + min(1, g))); the least exponent for an error of epsilon is .2243 S eps^2,
at g = 1.6. Errors of the magnitude alone have 2 S eps^2, those of a tie S eps^2.
"""

from __future__ import annotations

import math

from qdescent._checks import argument_error, check_choice, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent.quantum.readout.limits import LEAST_EPSILON, MOST_SHOTS
from qdescent.rows import names

NORMS = ("l2", "linf")
LARGEST_ERROR_EXPONENT = 4.5  # above 1/.2243


def shots_needed(kept: int, epsilon: float, norm: str = "l2", failure: float = 0.01) -> Row:
    """Post-selected shots, for magnitudes and signs together, for an error of epsilon.

    Args:
        kept: k, the entries that are not zero.
        epsilon: relative to ||x||, in (0, 1).
        norm: "l2", the root of the mean square; or "linf", the largest error.
        failure: delta, the chance that the largest error is above epsilon; for "linf" alone.

    Raises:
        ArgumentError: an argument outside its range.

    References:
        Kerenidis, Prakash, arXiv:1812.03584, whose constants are 36 k ln k and 36 ln k.

    Example:
        >>> shots_needed(kept=400, epsilon=1e-2).value
        2000000
        >>> shots_needed(kept=400, epsilon=1e-2, norm="linf").value
        1078464
    """
    epsilon = check_epsilon(epsilon)
    factor, source = _sampling(kept, norm, failure)
    value = 2 * math.ceil(factor / epsilon**2 * (1 - 1e-12))
    return Row(names.READOUT_SHOTS, value, "shots", Evidence.MODELLED, f"2 {source}")


def sampling_error(kept: int, shots: int, norm: str = "l2", failure: float = 0.01) -> Row:
    """The error that shots reach, the way back of `shots_needed`.

    Args:
        kept, norm, failure: as for `shots_needed`.
        shots: for magnitudes and signs together, at least 2.

    Example:
        >>> sampling_error(kept=400, shots=2_000_000).value
        0.01
    """
    shots = check_integer("shots", shots, 2, 2 * MOST_SHOTS)
    factor, source = _sampling(kept, norm, failure)
    value = math.sqrt(factor / (shots / 2))
    return Row(f"readout/{norm}_error", value, "1", Evidence.MODELLED, f"from S = {source}")


def coherent_calls(kept: int, epsilon: float, norm: str = "l2") -> Row:
    """Calls of the solve and its inverse for an error epsilon, where the solve can be run
    coherently: k/epsilon in l2, min(sqrt k/epsilon, 1/epsilon^2) in linf.

    Up to logarithms; each call is a whole solve.

    Args:
        kept: k.
        epsilon: relative to ||x||, in (0, 1).
        norm: "l2" or "linf".

    References:
        van Apeldoorn, Cornelissen, Gilyén, Nannicini, arXiv:2207.08800.

    Example:
        >>> coherent_calls(kept=745_000, epsilon=1e-2).value
        74500000
        >>> coherent_calls(kept=745_000, epsilon=1e-2, norm="linf").value
        10000
    """
    epsilon = check_epsilon(epsilon)
    kept = check_integer("kept", kept, 1, MOST_SHOTS)
    norm = check_choice("norm", norm, NORMS)
    if norm == "l2":
        value, formula = kept / epsilon, "k/eps"
    else:
        value, formula = min(math.sqrt(kept) / epsilon, epsilon**-2), "min(sqrt k/eps, 1/eps^2)"
    return Row(
        "readout/coherent_calls",
        math.ceil(value * (1 - 1e-12)),
        "calls",
        Evidence.MODELLED,
        f"{formula} up to logarithms, arXiv:2207.08800",
    )


def coherent_error(kept: int, calls: int, norm: str = "l2") -> Row:
    """The error that coherent calls reach, the way back of `coherent_calls`.

    Args:
        kept, norm: as for `coherent_calls`.
        calls: number of calls of the solve and its inverse.

    Example:
        >>> coherent_error(kept=745_000, calls=74_500_000).value
        0.01
    """
    calls = check_integer("calls", calls, 1, MOST_SHOTS)
    kept = check_integer("kept", kept, 1, MOST_SHOTS)
    norm = check_choice("norm", norm, NORMS)
    if norm == "l2":
        value, formula = kept / calls, "k/calls"
    else:
        value = min(math.sqrt(kept) / calls, calls**-0.5)
        formula = "min(sqrt k/calls, 1/sqrt calls)"
    return Row(
        f"readout/coherent_{norm}_error",
        value,
        "1",
        Evidence.MODELLED,
        f"{formula} up to logarithms, arXiv:2207.08800",
    )


def check_epsilon(epsilon: float) -> float:
    """The error as a float in (0, 1), not so small that its square is no number."""
    epsilon = check_interval("epsilon", epsilon, "(0, 1)")
    if epsilon < LEAST_EPSILON:
        raise argument_error("epsilon", f"be at least {LEAST_EPSILON:g}", epsilon)
    return epsilon


def _sampling(kept: int, norm: str, failure: float) -> tuple[float, str]:
    """S epsilon^2, and S as a formula."""
    kept = check_integer("kept", kept, 1, MOST_SHOTS)
    failure = check_interval("failure", failure, "(0, 1)")
    norm = check_choice("norm", norm, NORMS)
    if norm == "l2":
        return kept / 4, "k/(4 eps^2): magnitudes, and as many for signs"
    if failure < LEAST_EPSILON:
        raise argument_error("failure", f"be at least {LEAST_EPSILON:g}", failure)
    factor = LARGEST_ERROR_EXPONENT * math.log(4 * kept / failure)
    return factor, f"4.5 ln(4 k/delta)/eps^2, delta = {failure:g}: magnitudes and signs"
