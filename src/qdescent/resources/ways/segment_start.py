"""The start of a segment as far as norms say it: how much of F_0 is in which modes, and what turns
it towards those that the polynomials favour, as circuits do.

    f' = g(A) f / ||g(A) f||,   g(s) = 1 - (1 - floor)(1 - s)/2
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import nnls

from qdescent._arrays import Floats
from qdescent.linalg.map_norms import MapNorms
from qdescent.quantum.algorithms.bounded_polynomials import Shape
from qdescent.quantum.algorithms.power_sums import geometric_sums
from qdescent.quantum.algorithms.rounds import rounds_needed
from qdescent.quantum.algorithms.sharpening import SUBNORMALISATION

_MODES = 65  # of the window, among which F_0 is shared out
_TIMES = 48  # lengths of u_t that the shares are held to
_FITS = 1e-2  # how far they may miss one of them


@dataclass(frozen=True)
class Start:
    """f = F_0/||F_0|| by modes.

    Args:
        modes: eigenvalues y of F_1.
        shares: of ||f||^2, of each.
        is_known: whether norms said so; else all of it is where it serves best.
    """

    modes: tuple[float, ...]
    shares: tuple[float, ...]
    is_known: bool

    @property
    def values(self) -> Floats:
        """The eigenvalues, as an array."""
        return np.array(self.modes)

    def length(self, factors: Floats) -> float:
        """||p(A) f||, from p at each mode."""
        return float(np.sqrt(np.array(self.shares) @ factors**2))

    def sharpened(self, shift: float, scale: float, floor: float) -> SharpenedStart:
        """f' of this floor on an encoding of (F_1 - c)/a."""
        if floor == 1:
            return SharpenedStart(1.0, 1.0, 0)
        factors = Shape(floor=floor).kept(np.clip((self.values - shift) / scale, -1, 1))
        length = self.length(factors)
        overlap = float(np.array(self.shares) @ factors) / length
        return SharpenedStart(
            length, overlap, 2 * rounds_needed((SUBNORMALISATION * length) ** 2) + 1
        )


@dataclass(frozen=True)
class SharpenedStart:
    """f', and what it takes.

    Args:
        length: ||g(A) f||.
        overlap: <f|f'>.
        queries: of one copy: 2 r + 1 of g, amplified.
    """

    length: float
    overlap: float
    queries: int


def flattest(window: tuple[float, float]) -> Start:
    """All of F_0 along the flattest modes that do not grow, in favour of the quantum side."""
    return Start((min(window[1], 1.0),), (1.0,), False)


@lru_cache(maxsize=2**10)
def known_start(norms: MapNorms | None, steps: int, window: tuple[float, float]) -> Start | None:
    """The shares that the lengths ||sum_{s<t} F_1^s F_0|| of every step tell, t = 1 ... T: those of
    least squares that are at least 0; None where they are not known, or are of another window.

        ||sum_{s<t} F_1^s f||^2 = sum_y |f_y|^2 (sum_{s<t} y^s)^2
    """
    if norms is None or norms.drift is None or len(norms.drift) <= steps or not norms.constant:
        return None
    times = np.unique(np.linspace(1, steps, min(steps, _TIMES)).astype(int))
    lengths = np.array(norms.drift)[times] / norms.constant
    modes = np.linspace(*window, _MODES)
    table = np.stack([geometric_sums(modes, int(t)) for t in times]) ** 2 / lengths[:, None] ** 2
    shares, _ = nnls(table, np.ones(len(times)))
    if np.abs(np.sqrt(table @ shares) - 1).max() > _FITS:
        return None
    used = shares > 0
    return Start(tuple(modes[used].tolist()), tuple((shares[used] / shares.sum()).tolist()), True)
