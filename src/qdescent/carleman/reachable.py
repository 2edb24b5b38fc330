"""Whether displacements that are given can be a map's, as far as its norms tell."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from qdescent._arrays import Floats
from qdescent._checks import argument_error
from qdescent.carleman.inverse_norm import convolved
from qdescent.linalg.map_norms import MapNorms

# relative: rounding, and terms of the map beyond those whose norms are given (a segment whose
# truncation error is a per cent is as long as one should be)
ROOM = 1e-2
OF_SINGLE_PRECISION = 1e-4  # of the longest term: what rounding leaves of one that is 0


def check_path(norms: MapNorms, lengths: Floats) -> None:
    """Check that ||u_{t+1}|| <= ||F_0|| + ||F_1|| ||u_t|| + ||F_2|| ||u_t||^2 + ... at every step,
    and from the start on by what is known of the powers of F_1 and of the drift.

    Args:
        norms: of the map.
        lengths: ||u_t||, t = 0 ... T, (T + 1,).

    Raises:
        ArgumentError: one is longer; the first is named.
    """
    steps, before = len(lengths) - 1, lengths[:-1]
    with np.errstate(all="ignore"):  # what overflows bounds nothing
        driven = sum((h * before**k for k, h in enumerate(norms.higher, 2)), np.zeros(steps))
        most = norms.constant + norms.linear * before + driven
        powers = norms.power_bounds(steps)
        whole = (powers * lengths[0] + norms.drift_bounds(steps))[1:]
        if norms.higher and np.isfinite(driven).all():
            whole += convolved(powers[:steps], driven)
        most = np.fmin(most, whole)
    _refused("path", "||u", lengths[1:], (1 + ROOM) * most, most)


def check_terms(norms: MapNorms, grams: Tensor) -> None:
    """The same of the series terms, ||u_k(t+1)|| <= ||F_1|| ||u_k|| + sum over m of ||F_m|| times
    the products of m shorter terms whose orders sum to k; with F_0 for k = 1, from u_0 = 0.

    Args:
        norms: of the map.
        grams: <u_k, u_l> at t = 1 ... T, (T, N, N), float64.

    Raises:
        ArgumentError: one is longer; the first is named.
    """
    lengths = grams.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt().numpy()
    order = lengths.shape[1]
    before = np.concatenate([np.zeros((1, order)), lengths[:-1]])
    with np.errstate(all="ignore"):
        most = norms.linear * before
        most[:, 0] += norms.constant
        power = before  # of the series as a polynomial: column j holds order j + 1
        for degree, norm in enumerate(norms.higher[: order - 1], 2):
            longer = np.zeros_like(before)
            for a in range(order):
                for b in range(order - a - 1):
                    longer[:, a + b + 1] += before[:, a] * power[:, b]
            power = longer
            most[:, degree - 1 :] += norm * power[:, degree - 1 :]
        slack = ROOM * most + OF_SINGLE_PRECISION * lengths.max(1, keepdims=True)
    for k in range(order):
        _refused("grams", f"||u_{k + 1}", lengths[:, k], (most + slack)[:, k], most[:, k])


def _refused(name: str, called: str, found: Floats, allowed: Floats, most: Floats) -> None:
    beyond = found > allowed
    if beyond.any():
        t = int(beyond.argmax())
        must = (
            "be of displacements that the norms allow, ||u_t+1|| <= ||F_0|| + ||F_1|| ||u_t|| +"
            " ||F_2|| ||u_t||^2 + ... (are both of one map, in one unit?)"
        )
        actual = f"{found[t]:.4g} in {called}|| at t = {t + 1}, of at most {most[t]:.4g}"
        raise argument_error(name, must, actual)
