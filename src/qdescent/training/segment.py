"""One segment: an engine's steps from a pivot, measured against true descent, and where it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from qdescent.learning.parallel.spread import Curve
from qdescent.learning.task import Task
from qdescent.training.a_posteriori.check import Check, Segment, Step, refused, step_seen
from qdescent.training.descent import displacements
from qdescent.training.engines.cheapest import cheaper
from qdescent.training.engines.choices import CHEAPEST, ENGINES, FAST_FORWARD
from qdescent.training.engines.forward_path import ForwardPath
from qdescent.training.engines.path import End, Path, Upload
from qdescent.training.jump import jump
from qdescent.training.rounds.offer import Offer, dearer, offer
from qdescent.training.schedule import AdaptiveSchedule, Schedule
from qdescent.training.tail_estimate import estimate_tail


@dataclass(frozen=True)
class _Followed:
    """One order on the way: its terms, what was seen of its steps, its velocity, why it ended; and
    where shots have a price, what its last end costs and the cheapest so far.
    """

    order: int
    terms: Curve = field(repr=False)
    steps: tuple[Step, ...] = ()
    velocity: Curve | None = field(default=None, repr=False)
    why: str = ""
    last: Offer | None = None
    best: Offer | None = None

    @property
    def end(self) -> _Followed:
        """Cut where its end is cheapest."""
        if self.best is None or self.last is None:
            return self
        steps = self.best.steps if math.isfinite(self.best.work) else 0
        if steps == len(self.steps):
            return self
        why = dearer(self.last.steps, self.last.shots)
        return replace(
            self,
            steps=self.steps[:steps],
            terms=self.best.terms,
            velocity=self.best.velocity,
            why=why,
        )


def run_segment(
    upload: Upload,
    schedule: Schedule | AdaptiveSchedule,
    on_step: Callable[[], None] | None = None,
    watch: bool = True,
    expected: int = 0,
) -> Segment:
    """The segment from the upload's pivot, of the length and order that the schedule asks for.

    All orders allowed are followed at once, for the terms of a lower order are the first of a
    higher one. An order drops out at the first step where its estimate passes the tolerance; the
    search ends when none is left, or when none that is left could still become cheaper than the
    cheapest that dropped out. Where shots have a price each step is an end that could be read, and
    the cheapest is taken.

    Args:
        upload: network, batch, pivot and rule; `longest` steps at most.
        schedule: a fixed one (`longest` steps of its order), or an adaptive one.
        on_step: called once for each step of the segment, as soon as it is certain to belong to it.
        watch: measure loss and truncation after each step; False: neither, and of a fixed schedule
            the estimate at the end alone.
        expected: steps that the segment is expected to have; 0: `longest`.

    Returns:
        Segment, of a single step where the second was refused (one step is plain descent, exact at
        any order).

    Cost: what the engine takes; two gradients a step for each order allowed, which check its end
        and carry its error on; and where it is watched one for true descent beside it.
    """
    engine, path = _follow(schedule, upload, expected)
    if isinstance(path, ForwardPath) and isinstance(schedule, AdaptiveSchedule):
        return jump(path, upload, schedule, on_step, watch)
    longest, rule, velocity = upload.longest, upload.rule, upload.velocity
    reference = displacements(
        upload.task, upload.space, upload.theta, velocity=velocity, **vars(rule)
    )
    alive = {
        order: _Followed(order, Curve.nothing(order, upload.theta, upload.ranks))
        for order in schedule.orders
    }
    ended: list[_Followed] = []
    checks = {order: Check(upload, order) for order in schedule.orders}
    certain, adaptive = 0, isinstance(schedule, AdaptiveSchedule)
    priced = (
        schedule
        if isinstance(schedule, AdaptiveSchedule) and schedule.shot_cost is not None
        else None
    )

    def work(segment: _Followed) -> float:
        """Infinite where a single step is all: that is plain descent, which needs no series."""
        steps = len(segment.steps)
        if segment.best is not None:
            return segment.best.work
        return schedule.work(segment.order, steps) if steps >= min(2, longest) else math.inf

    first = 1 if watch or adaptive else longest
    if first > 1:  # the check of the end starts from the step before it
        checks[schedule.orders[-1]].start(longest - 1, *path.at(longest - 1))
    for t in range(first, longest + 1):
        terms, speeds = path.at(t)
        gram = terms.gram
        batch = upload.task if isinstance(upload.task, Task) else upload.task[t - 1]
        tails = {order: estimate_tail(gram, order) for order in alive}
        for order, tail in tails.items():
            if schedule.accepts(tail) or math.isnan(tail.growth):
                speed = None if speeds is None else speeds.first(order)
                tails[order] = tail = checks[order].at_end(batch, terms.first(order), speed, tail)
            if not schedule.accepts(tail, path.error):
                ended.append(replace(alive.pop(order), why=refused(order, tail, t)))
        cheapest = min(map(work, ended), default=math.inf)
        if all(schedule.work(order, longest) >= cheapest for order in alive):
            break  # what is alive, if anything is, would be too dear at any length
        truth = next(reference)[1] if watch else None
        for order, segment in alive.items():
            curve = terms.first(order)
            step = step_seen(upload, batch, curve, truth, tails[order])
            unlooked = (Step(math.nan, math.nan, None, ()),) * (t - 1 - len(segment.steps))
            speed = None if speeds is None else speeds.first(order)
            last, best = None, segment.best
            if priced and t >= min(2, longest):
                rate = rule.learning_rate
                last = offer(priced, t, curve, speed, rate, tails[order], path.error)
                best = last if best is None or last.work < best.work else best
            seen = (*segment.steps, *unlooked, step)
            alive[order] = _Followed(order, curve, seen, speed, "", last, best)
        if not ended and not priced:
            certain = _announce(on_step, certain, t)
    else:
        ended += list(alive.values())
    found = min(reversed(ended), key=work).end  # where all are refused, the last to be so
    _announce(on_step, certain, len(found.steps))
    end = End(found.terms.end, None, 0.0)  # of no step
    if found.steps:
        end = path.end(len(found.steps), found.terms, found.velocity)
    size = float(torch.linalg.vector_norm(end.displacement))
    return Segment(
        order=found.order,
        engine=engine,
        steps=found.steps,
        why=found.why,
        end=end,
        last_term=found.terms.size_of_last / (size or 1.0),
        gradients=path.gradients + sum(check.gradients for check in checks.values()) * adaptive,
        read_error=found.best.read_error if found.best else None,
    )


def _follow(
    schedule: Schedule | AdaptiveSchedule, upload: Upload, expected: int
) -> tuple[str, Path]:
    """The engine and its path; of an adaptive schedule fast-forward begins with twice the steps of
    the segment before.
    """
    if isinstance(schedule, AdaptiveSchedule) and expected:
        ahead = replace(upload, longest=min(upload.longest, max(2, 2 * expected)))
    else:
        ahead = upload
    if schedule.engine == CHEAPEST:
        return cheaper(upload, ahead, schedule.fresh_batches)
    if schedule.engine == FAST_FORWARD:
        return schedule.engine, ENGINES[schedule.engine].follow(ahead)
    return schedule.engine, ENGINES[schedule.engine].follow(upload)


def _announce(on_step: Callable[[], None] | None, done: int, steps: int) -> int:
    for _ in range(steps - done if on_step is not None else 0):
        on_step()  # type: ignore[misc]
    return steps
