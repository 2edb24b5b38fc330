"""Gradient descent through a few Hessian products: its terms as paths in a space that grows where
it misses most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qdescent._arrays import Floats
from qdescent.carleman.growth import grown
from qdescent.learning.descent.by_mode import recurrence_of
from qdescent.learning.descent.diverged import DivergedError
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.mean_series import MeanSeries
from qdescent.linalg.gram import gauss_rule, gram_rule, interpolate
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.reduced_model import ReducedModel
from qdescent.linalg.spectra.density import spectral_density
from qdescent.solvers.segment.stand_ins import driven_by, stand_ins

PRODUCTS = 10  # products after which it is said what grows
MOST_GROWTH = 10.0  # of a mode over the segment, as for "almost dissipative"
# What drives u_2 may lie where its stand-ins are worse. With this factor the estimate was above the
# error on 286 of 292 segments of small random networks (orders 2 and 3), and never below .83 of it.
# Stand-ins as large as the sources leave .6 to 1.8 times the term that these do (48 segments of
# small networks); where they leave more, it has cancelled (to 1/250, of 40 with momentum).
CANCELLED = 2.0
DOUBT = 2.5
MOST_NODES = 40  # sources that want more change as fast as the steps themselves: take the steps


@dataclass(frozen=True, eq=False)
class _Driven:
    """What drives a term, by coordinates in the space as it was when that joined; on what joins
    later they have none.
    """

    sources: list[Floats] = field(repr=False)
    profile: Floats = field(repr=False)
    velocity: Floats | None = field(repr=False)
    pull: Floats | None = field(repr=False)


class Nodes(NamedTuple):
    """Points in time at which the sources of the higher terms are taken.

    Args:
        number: R.
        alike: whether all steps weigh alike; else each by the size of u_1.
        error: what they leave of the higher terms, relative to ||u||, by its estimate.
    """

    number: int
    alike: bool
    error: float


class ReducedDescent:
    """The terms u_1, u_2, ... of a segment as coordinates in one growing space, and what they took.

    Args:
        series: of the loss's gradient at the pivot; its degree 1 is H, and H is seen through a
            `ReducedModel`.
        steps: T.
        rule: of the descent.
        most: vectors that the space may have.
        begun: whether there was a step before the first.

    Attributes:
        model: the space, and H on it.
        paths: c_k(t) of each term, (T + 1, d).
        ends: the velocity's coordinates at the end, of each term.
        recurrence: of a step, in a mode of H + `rule.decay_within`.
        lost: norm of what drives each term and found no room in the space, at each step, (T,).
        leak: what leaves the space, carried to the end, relative to ||u||.
        calls: series calls of order 2, 3, ....
    """

    def __init__(
        self, series: MeanSeries, steps: int, rule: SGD, most: int, begun: bool = True
    ) -> None:
        self.series, self.steps, self.rule, self.most = series, steps, rule, most
        self.recurrence, self.begun = recurrence_of(rule, begun=True), begun
        like, spread = series.gradient, series.spread
        product = lambda block: torch.stack([series([v])[0] for v in block.T]).T  # noqa: E731
        both, kind = (product, product), (like.dtype, like.device)
        operator = LinearOperator((spread.n, spread.n), *both, *kind, shard=spread.shard)
        self.model = ReducedModel(operator)
        self.driven: list[_Driven] = []
        self.lost: list[Floats] = []
        self.calls = [0] * (series.order - 1)
        self.paths: list[Floats] = []
        self.ends: list[Floats] = []
        self.leak = 0.0

    def drive(
        self,
        sources: Iterable[Tensor],
        profile: Floats,
        velocity: Tensor | None = None,
        pull: Tensor | None = None,
    ) -> None:
        """The next term, driven by sum_j profile[t, j] sources[j]; what drives it joins the space.

        Args:
            sources: in the gradient, taken one after the other: only what joined is kept of them.
            profile: (T, R).
            velocity: at the start; None: 0.
            pull: beside the gradient and the velocity, at every step; None: 0.
        """
        lost = np.zeros(self.steps)

        def joined(vector: Tensor | None, weight: Floats) -> Floats | None:
            if vector is None:
                return None
            if self.model.dimension < self.most:
                self.model.add(vector)
            else:
                lost[:] += weight * self.model.outside(vector)
            return self.model.coordinates(vector)

        given = [joined(each, np.abs(profile[:, j])) for j, each in enumerate(sources)]
        start = joined(velocity, np.eye(1, self.steps)[0])
        beside = joined(pull, np.ones(self.steps))
        found = [each for each in given if each is not None]
        self.driven.append(_Driven(found, profile, start, beside))
        self.lost.append(lost)

    def resolve(self, tolerance: float) -> bool:
        """Let the space grow until what leaves it moves u by less than tolerance ||u||; False where
        it may not grow further.
        """
        while True:
            self._walk()
            weights = np.abs(self.response()[::-1]).max(1)
            # What leaves the space at each step, carried to the end: F times these columns.
            leaks = [self.model.leaving @ path[:-1].T * weights for path in self.paths]
            size = float(np.linalg.norm(sum(path[-1] for path in self.paths))) or 1.0
            moved = [float(np.linalg.norm(leak, axis=0).sum()) for leak in leaks]
            moved += [float(lost @ weights) for lost in self.lost]  # there was no room for it
            self.leak = sum(moved) / size
            if self.leak <= tolerance:
                return True
            if self.model.dimension >= self.most or not np.isfinite(self.leak):
                return False
            directions, _, _ = np.linalg.svd(np.hstack(leaks), full_matrices=False)
            self.model.grow(directions[:, 0])

    def _walk(self) -> None:
        """Every term's coordinates c_k(t), (T + 1, d), by the recurrence in the space."""
        self.paths, self.ends = [], []
        if not np.isfinite(self.model.matrix).all():
            must = "be one whose products with the Hessian are finite (in float64, perhaps)"
            raise DivergedError("theta", must, "a point where one overflowed")
        values, vectors = np.linalg.eigh(self.model.matrix)
        for k, driven in enumerate(self.driven):
            given = driven.profile @ self._seen(driven.sources) @ vectors
            parts = driven.velocity, driven.pull
            start, pull = (None if x is None else self._seen([x])[0] @ vectors for x in parts)
            within = values + self.rule.decay_within
            # A first step without dampening is one of u_1: the others are not driven yet, and their
            # sources' interpolation is exact in the sum over steps that weigh alike.
            step = self.recurrence if k else recurrence_of(self.rule, self.begun)
            path, end = step.path(within, given, start, pull)
            self.paths.append(path @ vectors.T)
            self.ends.append(vectors @ end)

    def _seen(self, coordinates: list[Floats]) -> Floats:
        """Coordinates in the space as it is now, (R, d)."""
        found = np.zeros((len(coordinates), self.model.dimension))
        for row, each in zip(found, coordinates, strict=True):
            row[: len(each)] = each
        return found

    def after(self, steps: int) -> tuple[Tensor, Tensor | None]:
        """The terms u_1 ... u_N after so many steps, (N, n), and with momentum the velocity's."""
        terms = torch.stack([self._combined(path[steps]) for path in self.paths])
        if not self.rule.momentum:
            return terms, None
        ends = self.ends
        if steps < self.steps:
            ends = [self._speed(k, steps) for k in range(len(self.paths))]
        return terms, torch.stack([self._combined(end) for end in ends])

    def _speed(self, k: int, steps: int) -> Floats:
        """The coordinates of a term's velocity after so many steps."""
        before, driven = self.paths[k][steps - 1], self.driven[k]
        gradient = np.zeros_like(before)
        if self.rule.nesterov:
            given = driven.profile[steps - 1] @ self._seen(driven.sources)
            gradient = self.model.matrix @ before + self.rule.decay_within * before + given
        pull = None if driven.pull is None else self._seen([driven.pull])[0]
        return self.recurrence.velocity(before, self.paths[k][steps], gradient, pull)

    def _combined(self, coordinates: Floats) -> Tensor:
        """The vector with these coordinates; 0 at a stationary point, where the space is empty."""
        if not self.model.dimension:
            return torch.zeros_like(self.series.gradient)
        largest = torch.finfo(self.series.gradient.dtype).max
        if not np.abs(coordinates).max() <= largest:
            raise self.diverged()
        return self.model.combine(self._seen([coordinates])[0])

    def diverged(self) -> DivergedError:
        """What is said of a segment that grows beyond all bounds: which setting makes it, and at
        which rate what was seen of H would not; some products see more of it than the segment did.
        """
        rule = self.rule
        rate, decay = rule.learning_rate, rule.weight_decay
        by_decay = rate * decay > 2
        name, value = ("weight_decay", decay) if by_decay else ("learning_rate", rate)
        values = torch.from_numpy(np.linalg.eigvalsh(self.model.matrix))
        more = spectral_density(self.model.operator, PRODUCTS, 1).nodes.flatten().to(values)
        values = torch.cat([values, more]) + rule.decay_within

        def largest_factor(rate: float) -> float:
            slower = recurrence_of(replace(rule, learning_rate=rate), begun=True)
            return float(slower.factor(values).max())

        fastest = largest_factor(rate)
        if by_decay or not grown(fastest, self.steps) > MOST_GROWTH:
            return DivergedError(name, "keep the segment finite (try a tenth of it)", value)
        while grown(largest_factor(rate), self.steps) > MOST_GROWTH:
            rate /= 2
        must = (
            f"keep the segment from growing (a mode of the Hessian grows {fastest:.3g}-fold a step;"
            f" at {rate:.1g} none that was seen grows tenfold over the segment)"
        )
        return DivergedError(name, must, value)

    def response(self) -> Floats:
        """The displacement after 1 ... T steps that a unit of gradient leaves in each mode that was
        seen, and in one of 0.
        """
        values = np.append(np.linalg.eigvalsh(self.model.matrix), 0.0) + self.rule.decay_within
        impulse = np.zeros((self.steps, len(values)))
        impulse[0] = 1.0
        return self.recurrence.path(values, impulse)[0][1:]

    def choose_nodes(
        self, tolerance: float, shares: Sequence[float], wanted: int | None, second: Floats | None
    ) -> Nodes:
        """The fewest nodes for which the higher terms are driven to within the tolerance, and the
        error left.

        Args:
            tolerance: relative to ||u||.
            shares: ||u_k|| / ||u|| of u_2, u_3, ..., known or guessed.
            wanted: R, where it is given.
            second: c_2(t), (T + 1, d), where it is known.
        """
        counts = range(1, min(self.steps, MOST_NODES) + 1) if wanted is None else (wanted,)
        best = Nodes(1, alike=True, error=0.0)
        for count in counts:
            tried = [
                nodes._replace(error=self.missed(nodes, shares, second))
                for nodes in (Nodes(count, False, 0.0), Nodes(count, True, 0.0))
            ]
            best = min(tried, key=lambda each: each.error)
            if best.error <= tolerance:
                break
        return best

    def missed(self, nodes: Nodes, shares: Sequence[float], second: Floats | None) -> float:
        """What the nodes leave of u_2, u_3, ..., relative to ||u||: of each the error of what may
        drive it, and that of the terms below, which is in its sources.

        The tensors that make s_2 of u_1, s_3 of u_1 and u_2 are not known, so that products of
        their coordinates, and every mode that these may drive, stand for them.
        """
        found = below = 0.0
        for k, share in enumerate(shares, 2):
            below += max(
                self._apart(k, nodes, factors) for factors in stand_ins(k, self.paths[0], second)
            )
            found += (DOUBT if k == 2 else 1.0) * below * share
        return found if math.isfinite(found) else math.inf

    def _apart(self, k: int, nodes: Nodes, factors: Sequence[Floats]) -> float:
        """By how much the nodes' sum drives the modes otherwise than all steps do, relative."""
        response = self.response()[::-1].T
        times, profile = self.in_time(k, nodes)
        truth, size, _ = driven_by(response, factors)
        at_nodes = np.prod([interpolate(path, times) for path in factors], axis=0)
        off = np.linalg.norm((response @ profile) @ at_nodes - truth, axis=1)
        return float(off.max() / (size or 1.0))

    def shares(self) -> list[float]:
        """||u_2|| / ||u||, ||u_3|| / ||u||, ..., to which what the nodes leave is relative.

        Where sources have nearly cancelled in u_k at the end (with momentum it swings through 0),
        what the nodes leave of them has not: then it is what they make where they do not cancel.
        """
        ends = np.array([path[-1] for path in self.paths])
        size, response = float(np.linalg.norm(ends.sum(0))) or 1.0, self.response()[::-1].T
        found = []
        for k, (end, driven) in enumerate(zip(ends[1:], self.driven[1:], strict=True), 2):
            seen = max((float(np.linalg.norm(each)) for each in driven.sources), default=0.0)
            products = stand_ins(k, self.paths[0], self.paths[1])
            made = [driven_by(response, factors)[1:] for factors in products]
            whole = max(seen * left / largest if largest else 0.0 for left, largest in made)
            found.append(max(float(np.linalg.norm(end)), whole / CANCELLED) / size)
        return found

    def forget_all_but_first(self) -> None:
        """The higher terms are to be driven anew; what the space has learned stays."""
        del self.driven[1:], self.lost[1:]
        self._walk()

    def in_time(self, k: int, nodes: Nodes) -> tuple[Floats, Floats]:
        """R times, and p_j(t), (T, R), with which sum_j p_j(t) s_k(t_j) stands for s_k(t).

        s_k is of degree k in u_1, which begins at 0: s_k(t) / ||u_1(t)||^k changes slowly. The
        polynomial of degree R - 1 through its values at the nodes stands for it; the nodes are
        those of the Gauss rule for the measure ||u_1(t)||^k, so that the sum over the steps is
        exact up to degree 2R - 1. Where u_1 comes back towards 0, against a velocity, all steps
        weigh alike: then the polynomial is one through the s_k(t_j) themselves.
        """
        size = np.linalg.norm(self.paths[0], axis=1)
        if not np.isfinite(size).all():
            raise self.diverged()
        largest = size[:-1].max()
        if nodes.alike or not largest > 0:
            rule = gram_rule(self.steps, nodes.number)
            return rule.nodes, rule.interpolation
        measure = (size[:-1] / largest) ** k
        rule = gauss_rule(measure, nodes.number)
        there = np.linalg.norm(interpolate(self.paths[0], rule.nodes), axis=1) / largest
        return rule.nodes, measure[:, None] * rule.interpolation / there**k

    def sources(self, k: int, times: Floats) -> Iterator[Tensor]:
        """s_k at these times: the gradient's coefficient of eps^k along sum_{j<k} eps^j u_j(t)."""
        at_nodes = [interpolate(path, times) for path in self.paths]
        for j in range(len(times)):
            terms = [self._combined(coordinates[j]) for coordinates in at_nodes]
            source = self.series([*terms, torch.zeros_like(terms[0])])[k - 1]
            self.calls[k - 2] += 1
            if not self.series.spread.finite(source):
                raise self.diverged()
            yield source
