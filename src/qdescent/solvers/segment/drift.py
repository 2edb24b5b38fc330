"""How far the gradient at the pivot carries a segment of order 1: a bound on what F_0 makes."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from qdescent._arrays import Floats
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.mean_series import MeanSeries
from qdescent.solvers.segment.reduced_descent import ReducedDescent

RESOLVED = 1e-2  # what may leave the space, carried to the end, relative to the displacement
LARGEST = 1e100  # beyond it squares overflow, and no history has a kappa


def drift_bounds(
    series: MeanSeries, theta: Tensor, rule: SGD, steps: int, powers: Floats, vectors: int
) -> tuple[tuple[float, ...], int]:
    """Bounds on ||sum_{s<t} F_1^s F_0||, t = 0 ... T, and the products that they took.

    In a space W with H W = W A + F C the recurrence gives coordinates c(t), and what leaves it at
    each step is eta F C c(t), so that

        ||u(t)|| <= ||c(t)|| + eta sum_{s<t} ||F_1^{t-1-s}|| ||C c(s)||.

    With momentum the map is one of (u(t), u(t) - u(t-1)): both parts of W's coordinates count, and
    what leaves moves both, by sqrt(2) eta. The bounds end where they overflow.

    Args:
        series: of the gradient at the pivot.
        theta: the pivot, (n,), to which a decay pulls.
        rule: learning rate, momentum and coupled weight decay.
        steps: T.
        powers: bounds on ||F_1^d||, (T + 1,).
        vectors: most vectors of W.
    """
    segment = ReducedDescent(series, steps, rule, vectors)
    decay = rule.decay_within
    first = series.gradient + decay * theta if decay else series.gradient
    with np.errstate(all="ignore"):  # what overflows is cut off
        segment.drive([first], np.ones((steps, 1)))
        segment.resolve(RESOLVED)
        path = segment.paths[0]
        inside = np.linalg.norm(path, axis=1)
        leaks = rule.learning_rate * np.linalg.norm(segment.model.leaving @ path[:-1].T, axis=0)
        if rule.momentum:
            moved = np.diff(path, axis=0, prepend=path[:1])
            inside, leaks = np.hypot(inside, np.linalg.norm(moved, axis=1)), math.sqrt(2) * leaks
        missed = np.concatenate([[0.0], np.convolve(powers[:-1], leaks)[:steps]])
        found = inside + missed
    beyond = np.flatnonzero(~(found < LARGEST))
    known = found[: beyond[0]] if len(beyond) else found
    return tuple(known.tolist()), segment.model.products
