"""The start of a segment turned towards the modes that its polynomials favour, before they come.

    f' = g(A) f / ||g(A) f||,   g(s) = 1 - (1 - floor)(1 - s)/2,   p(A) f = ||g(A) f|| (p/g)(A) f'

p reaches its supremum at s = 1, in modes that hardly shrink; where f has little there, p(A) f is
much shorter than p's supremum, and as many runs more fail. One query of g, amplified on its own,
turns f first: then p/g is nearly flat where f' is, and its degree is not paid that many times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from qdescent._arrays import Floats
from qdescent.quantum.algorithms.rounds import rounds_needed
from qdescent.quantum.algorithms.sharpening import SUBNORMALISATION


@dataclass(frozen=True, eq=False)
class SharpenedStart:
    """f', and what it takes.

    Args:
        given: f, (n,).
        floor: g at s = -1; 1: f' is f, without a query.
        vector: f', (n,).
        length: ||g(A) f||.
    """

    given: Floats = field(repr=False)
    floor: float
    vector: Floats = field(repr=False)
    length: float

    @property
    def rounds(self) -> int:
        """r, after which the amplification of g ends in f' for certain."""
        return 0 if self.floor == 1 else rounds_needed((SUBNORMALISATION * self.length) ** 2)

    @property
    def queries(self) -> int:
        """2r + 1, for one copy."""
        return 0 if self.floor == 1 else 2 * self.rounds + 1

    @property
    def scale(self) -> float:
        """What g is multiplied by, so that r rounds end exactly."""
        return math.sin(math.pi / (2 * (2 * self.rounds + 1))) / self.length

    @property
    def overlap(self) -> float:
        """<f|f'>: positive, as g is."""
        return 1.0 if self.floor == 1 else float(self.given @ self.vector)

    @property
    def coefficients(self) -> Floats:
        """Of g = c_0 + c_1 T_1."""
        return np.array([1 + self.floor, 1 - self.floor]) / 2

    def moved(self, query: float, start: float, choice: float) -> tuple[float, float]:
        """How far f' moves, and what is left where no ancilla should be: both where the circuit's
        parts are off.

        Of W|0> = x|0> + ..., x is off by e. Amplified it is x/||x|| up to the second order, and
        what r rounds leave behind is the sine of (2r + 1) times what e does to the angle.

        Args:
            query: ||A - encoded||.
            start: ||f - prepared||.
            choice: what the weights and the angles of g miss together.
        """
        if self.floor == 1:
            return start, 0.0
        off = self.scale * (self.coefficients[1] * query + start) + choice
        left = 2 * self.queries * off  # an arcsine's slope below sin(pi/6) is at most 2/sqrt(3)
        return 2 * off / (self.scale * self.length) + left**2, left


def sharpened(
    matrix: sparse.csr_array, alpha: float, start: Floats, floor: float
) -> SharpenedStart:
    """f' of this floor, by one product.

    Args:
        matrix: alpha A.
        alpha: its normalisation.
        start: f.
        floor: in (0, 1].

    Example:
        >>> A, f = sparse.csr_array(np.diag([1.0, -1.0])), np.array([0.1, 0.99**0.5])
        >>> found = sharpened(A, 1.0, f, 0.1)
        >>> found.vector.round(2).tolist(), found.queries
        ([0.71, 0.71], 13)
    """
    if floor == 1:
        return SharpenedStart(start, 1.0, start, 1.0)
    found = (1 + floor) / 2 * start + (1 - floor) / (2 * alpha) * (matrix @ start)
    length = float(np.linalg.norm(found))
    return SharpenedStart(start, floor, found / length, length)
