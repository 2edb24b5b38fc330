"""Readout: what measuring a solution gives back, with signs and error bars, at any size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._arrays import Floats
from qdescent._checks import argument_error, check_integer, check_interval, shown
from qdescent._evidence import Evidence, Row
from qdescent._random import named_numpy_generator
from qdescent.quantum.readout.limits import LEAST_EPSILON, MOST_SHOTS
from qdescent.rows import names


@dataclass(frozen=True)
class Readout:
    """An estimate of x in R^n from measurements of |x> = x/||x||.

    Args:
        vector: the estimate, with signs, shape (n,).
        error: one standard error of each entry, shape (n,); it holds the shot noise, the norm's,
            and the doubt about the sign.
        norm: the estimate of ||x||.
        norm_error: one standard error of it.
        shots: post-selected shots spent on magnitudes, and as many again on signs; 0 for the zero
            vector.
    """

    vector: Tensor
    error: Tensor = field(repr=False)
    norm: float
    norm_error: float
    shots: int

    def __post_init__(self) -> None:
        vector = check_tensor("vector", self.vector, (None,))
        if not bool((check_tensor("error", self.error, tuple(vector.shape)) >= 0).all()):
            raise argument_error("error", "be standard errors, at least 0", "negative in a place")
        for name in ("norm", "norm_error"):
            object.__setattr__(self, name, check_interval(name, getattr(self, name), "[0, inf)"))
        object.__setattr__(self, "shots", check_integer("shots", self.shots, 0))

    @property
    def total_shots(self) -> int:
        """Shots for magnitudes and signs together."""
        return 2 * self.shots


def read_out(solution: Any, shots: int, seed: int = 0) -> Readout:
    """Emulate the measurement of a solution.

    Magnitudes: counts ~ Multinomial(S, x_i^2/||x||^2), m_i = sqrt(count_i/S). Signs: from (|0>x +
    |1>m)/sqrt2 with H on the flag, p(0,i) - p(1,i) = x_i m_i/||x||; a tie gives 0, so that no sign
    is favoured. Norm: it is known up to the success probability p of post-selection, and S
    successes take N trials, estimate S/N; for small p, N p ~ Gamma(S), so
    ||x||_hat = ||x|| sqrt(S/G). The relative l2 error is close to sqrt(n/(4 S))
    (`expected_error`) while every x_i^2 S is well above 1, and somewhat more where signs are in
    doubt.

    Args:
        solution: a tensor (n,), or anything with `.answer` or else `.value`, such as a `Solution`.
        shots: S, post-selected shots for magnitudes; as many again go to signs.
        seed: seed of the draw; the same seed gives the same readout.

    Returns:
        Readout: on the dtype and device of the input. The zero vector is returned as such, without
            shots.

    Raises:
        ArgumentError: NaN or infinity, a complex or not one-dimensional vector, fewer than 1 shot.

    Cost: O(n) whatever S: 3n binomial draws.

    References:
        Kerenidis, Prakash, arXiv:1812.03584, algorithm 4.1 (vector state tomography).

    Example:
        >>> found = read_out(torch.tensor([3.0, -4.0], dtype=torch.float64), shots=10**8)
        >>> [round(x, 2) for x in found.vector.tolist()]
        [3.0, -4.0]
    """
    shots = check_integer("shots", shots, 1, MOST_SHOTS)
    source = getattr(solution, "answer", getattr(solution, "value", solution))
    if not isinstance(source, Tensor) or source.ndim != 1 or source.is_complex():
        raise argument_error("solution", "hold a real vector of shape (n,)", shown(source))
    source = check_tensor("solution", source, (None,), sparse=True).to_dense()
    x = source.detach().cpu().double().numpy()
    largest = float(np.abs(x).max(initial=0))
    if largest == 0:
        return Readout(torch.zeros_like(source), torch.zeros_like(source), 0.0, 0.0, 0)
    # no overflow, and no underflow to a zero norm
    length = largest * float(np.linalg.norm(x / largest))
    state = x / length
    draw = named_numpy_generator(seed, "readout")
    counts = draw.multinomial(shots, _probabilities(state**2))
    magnitude = np.sqrt(counts / shots)
    both = np.concatenate([(state + magnitude) ** 2, (state - magnitude) ** 2])
    plus, minus = draw.multinomial(shots, _probabilities(both)).reshape(2, -1)
    norm = length * math.sqrt(shots / draw.gamma(shots))
    sign = np.sign(plus - minus)
    # A magnitude has the standard error sqrt((1 - m^2)/(4S)), an unseen entry may be as large as
    # 1/sqrt(S); the norm adds m/(2 sqrt S); a sign that is wrong with probability q moves the entry
    # by 2m.
    shot_noise = np.where(counts > 0, 0.25, 1.0) / shots
    wrong = ndtr(-np.abs(plus - minus) / np.sqrt(np.maximum(plus + minus, 1)))
    error = norm * np.sqrt(shot_noise + 4 * wrong * magnitude**2)
    return Readout(
        vector=torch.as_tensor(norm * sign * magnitude).to(source),
        error=torch.as_tensor(error).to(source),
        norm=norm,
        norm_error=norm / (2 * math.sqrt(shots)),
        shots=shots,
    )


def expected_error(kept: int, shots: int) -> Row:
    """The relative l2 error of a readout: sqrt(k/(4 S)), norm included, signs right.

    Each magnitude has variance (1 - p_i)/(4 S), together (k - 1)/(4 S); the norm adds 1/(4 S).

    Example:
        >>> expected_error(kept=400, shots=10**6).value
        0.01
    """
    value = math.sqrt(
        check_integer("kept", kept, 1, MOST_SHOTS)
        / (4 * check_integer("shots", shots, 1, MOST_SHOTS))
    )
    return Row(
        "readout/expected_l2_error",
        value,
        "1",
        Evidence.MODELLED,
        "sqrt(k/(4 S)), every entry seen and its sign right",
    )


def shots_needed(kept: int, epsilon: float) -> Row:
    """Post-selected shots for a relative l2 error epsilon: k/(4 epsilon^2) for magnitudes, as many
    again for signs.

    Example:
        >>> shots_needed(kept=400, epsilon=1e-2).value
        2000000
    """
    epsilon = _checked(epsilon)
    value = 2 * math.ceil(
        check_integer("kept", kept, 1, MOST_SHOTS) / (4 * epsilon**2) * (1 - 1e-12)
    )
    return Row(
        names.READOUT_SHOTS,
        value,
        "shots",
        Evidence.MODELLED,
        "2 k/(4 eps^2): magnitudes, and as many for signs",
    )


def coherent_calls(kept: int, epsilon: float) -> Row:
    """Calls of the solve and its inverse for a relative l2 error epsilon, where the solve can be
    run coherently: k/epsilon.

    Up to logarithms; each call is a whole solve.

    Example:
        >>> coherent_calls(kept=745_000, epsilon=1e-2).value
        74500000
    """
    epsilon = _checked(epsilon)
    value = math.ceil(check_integer("kept", kept, 1, MOST_SHOTS) / epsilon * (1 - 1e-12))
    return Row(
        "readout/coherent_calls",
        value,
        "calls",
        Evidence.MODELLED,
        "k/eps up to logarithms, arXiv:2207.08800",
    )


def _checked(epsilon: float) -> float:
    if check_interval("epsilon", epsilon, "(0, 1)") < LEAST_EPSILON:
        raise argument_error("epsilon", f"be at least {LEAST_EPSILON:g}", epsilon)
    return float(epsilon)


def _probabilities(weights: Floats) -> Floats:
    return weights / weights.sum()
