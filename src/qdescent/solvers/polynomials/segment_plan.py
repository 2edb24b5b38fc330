"""A segment as polynomials of a block-encoded F_1 - c: what they are, and what they promise. In
units of ||F_0||.

    u = p(A) f + sum_j a_j(A) F_2 (b_j(A) f (x) b_j(A) f),   A = (F_1 - c)/alpha,  f = F_0/||F_0||,
    p ~ sum_{t<T} y^t,  b_j ~ sum_{t<t_j} y^t,  a_j ~ sum_t l_j(t) y^{T-1-t},  y = c + alpha s;

of a sharpened start f' = g(A) f/||g(A) f||, with p/g and b_j/g in their places.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from qdescent._arrays import Floats
from qdescent.quantum.algorithms.bounded_polynomials import BoundedPolynomial
from qdescent.quantum.algorithms.node_polynomials import weighed
from qdescent.solvers.encodings import EncodingPlan
from qdescent.solvers.polynomials.segment_parts import EXACT_POINTS, LARGEST_DENSE
from qdescent.solvers.polynomials.sharpened_start import SharpenedStart


@dataclass(frozen=True, eq=False)
class SegmentPlan:
    """What is applied to F_0, and how far it is from the order-N Carleman solution.

    Args:
        steps: T.
        length: ||F_0||.
        start: f, and f' that the polynomials act on.
        window: the least and the largest eigenvalue of F_1.
        shift: c.
        encoding: of F_1 - c, with its alpha.
        matrix: F_1 - c.
        first: p/g.
        inner: b_j/g, of the nodes where they are not zero.
        outer: a_j.
        nodes: R.
        coupling: ||F_0|| F_2, (n, n^2); None at order 1.
        coupling_norm: its normalisation: || |that| ||, or letter by letter that of
            sum_k |F_2[.; ., k]|.
        by_letters: the circuit reads one letter after the other, not pairs.
        least: of ||u_1||: T min |q| over the window, q the mean of y^t.
        error: a bound on the distance of the planned u from the order-N Carleman solution.
        resolved: the nodes are as many as the tolerance asked for.
    """

    steps: int
    length: float
    start: SharpenedStart
    window: tuple[float, float]
    shift: float
    encoding: EncodingPlan = field(repr=False)
    matrix: sparse.csr_array = field(repr=False)
    first: BoundedPolynomial
    inner: tuple[BoundedPolynomial, ...]
    outer: tuple[BoundedPolynomial, ...]
    nodes: int
    coupling: sparse.csr_array | None = field(repr=False)
    coupling_norm: float
    least: float
    error: float
    resolved: bool
    by_letters: bool = False

    @property
    def alpha(self) -> float:
        """Of the encoding of F_1 - c."""
        return self.encoding.alpha

    @property
    def window_known(self) -> bool:
        """Whether all eigenvalues were computed; of more weights the extremes are Lanczos' own."""
        return len(self.start.given) <= LARGEST_DENSE

    @property
    def error_proven(self) -> bool:
        """Whether `error` holds for certain: with many eigenvalues that of the nodes is sampled."""
        return self.window_known and (not self.inner or len(self.start.given) <= EXACT_POINTS)

    @property
    def growth(self) -> float:
        """The largest factor by which a mode grows over the segment."""
        return max(1.0, max(abs(y) for y in self.window) ** self.steps)

    @property
    def inner_degree(self) -> int:
        """Queries of each of the two inner sequences."""
        return max((p.degree for p in self.inner), default=0)

    @property
    def outer_degree(self) -> int:
        """Queries of the outer sequence, which also makes u_1."""
        return max([self.first.degree, *(p.degree for p in self.outer)])

    @property
    def copies(self) -> int:
        """Of the start."""
        return 2 if self.inner else 1

    @property
    def queries(self) -> int:
        """Of one run: s + d, or 2 s + 2 d_B + 1 + d_A, s those of the start."""
        inner = 2 * self.inner_degree + 1 if self.inner else 0
        return self.copies * self.start.queries + inner + self.outer_degree

    @property
    def shares(self) -> Floats:
        """What u_1 and each node weigh in the sum: the bounds of their polynomials. Of order 2 the
        second copy of u_1's branch is asked for f, of which f' has the overlap.
        """
        kept = self.start.overlap if self.inner else 1.0
        first, node = weighed(self.start.length, kept, self.coupling_norm)
        pairs = zip(self.inner, self.outer, strict=True)
        return np.array([first * self.first.norm, *(node * b.norm**2 * a.norm for b, a in pairs)])

    @property
    def attenuation(self) -> float:
        """u over the amplitudes that are kept, in units of ||F_0||."""
        return float(self.shares.sum())

    def sensitivity(self, query: float, start: float, choice: float, sharp: float = 0.0) -> float:
        """How far u moves, in units of ||F_0||, where the circuit's parts are off.

        What acts within a branch moves it by its own share; what mixes them, the sum by all.

        Args:
            query: ||A - encoded||.
            start: ||f - prepared||.
            choice: what the weights, the coupling and the angles miss together.
            sharp: the same of what sharpens the start.
        """
        start, left = self.start.moved(query, start, sharp)
        p, length = self.first, self.start.length
        kept = self.start.overlap if self.inner else 1.0
        moved = length * (p.lipschitz * query + 2 * p.norm * start / kept)
        for b, a in zip(self.inner, self.outer, strict=True):
            outer = a.lipschitz * b.norm**2 + 2 * a.norm * b.norm * b.lipschitz
            off = outer * query + 2 * a.norm * b.norm**2 * start
            moved += self.coupling_norm * length**2 * off
        # second-order terms
        return 1.1 * (moved + self.attenuation * (choice + self.copies * left))
