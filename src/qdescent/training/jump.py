"""A segment that is found without its steps: how long a tolerance allows it to be is searched."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from qdescent.learning.descent.diverged import DivergedError
from qdescent.learning.task import Task
from qdescent.training.a_posteriori.check import Check, Segment, Step, refused, step_seen
from qdescent.training.descent import displacements
from qdescent.training.engines.choices import FAST_FORWARD
from qdescent.training.engines.forward_path import ForwardPath
from qdescent.training.engines.path import Upload
from qdescent.training.rounds.offer import Offer, dearer, offer
from qdescent.training.schedule import AdaptiveSchedule
from qdescent.training.tail import Tail
from qdescent.training.tail_estimate import estimate_tail

MOST_TRIES = 6  # lengths of one order; each takes some tens of gradients at most
MARGIN = 0.9  # of the length that the estimate's power law asks for
MOST_ENDS = 12  # shorter ends whose readout is priced
WORTH = 0.98  # of the price, at which another length is worth finding


def jump(
    path: ForwardPath,
    upload: Upload,
    schedule: AdaptiveSchedule,
    on_step: Callable[[], None] | None = None,
    watch: bool = True,
) -> Segment:
    """The segment of the order that does its steps for the least work, each order as long as the
    tolerance allows, up to the steps of the path.

    The end of a length is judged as every step of `run_segment` is: by the terms, and by one true
    gradient a step before it, whose residual is extrapolated back and grows with the fastest mode
    that was seen. Where it is refused the next length follows from the power law of the error,
    (eta t)^(N+1); the first that is accepted is taken. Where shots have a price, its shorter ends
    are offered, too, by that law, and the cheapest is found anew.

    Args:
        path: of the longest segment that is tried.
        upload: where it starts.
        schedule: tolerance, orders, prices.
        on_step: called once for each step of the segment.
        watch: measure loss and truncation after each of its steps.

    Cost: a forwarded segment and a gradient for each length that is tried.
    """
    tried, spent = {path.steps: path}, path.gradients
    found: list[tuple[float, int, ForwardPath, Tail, float | None]] = []
    why, checks = "", 0.0
    for order in schedule.orders:
        length = path.steps
        for _ in range(MOST_TRIES):
            if length not in tried:
                try:
                    tried[length] = ForwardPath(replace(upload, longest=length, check=False))
                except DivergedError as outcome:
                    why, length = str(outcome), length // 2
                    if length < 2:
                        break
                    continue
                spent += tried[length].gradients
            tail, took = _judged(tried[length], upload, schedule, order)
            checks += took
            if schedule.accepts(tail, tried[length].error):
                here, shorter = _priced(tried[length], upload, schedule, order, tail)
                if here is None:
                    found.append((schedule.work(order, length), order, tried[length], tail, None))
                    break
                if math.isfinite(here.work):
                    found.append((here.work, order, tried[length], tail, here.read_error))
                if shorter == length:
                    why = why if found else dearer(length, here.shots)
                    break
                why, length = dearer(length, here.shots), shorter
                continue
            why = refused(order, tail, length)
            if length <= 2:
                break
            length = _shorter(length, tail, schedule, order)
            cheapest = min((each[0] for each in found), default=math.inf)
            if schedule.shot_cost is None and schedule.work(order, length) >= cheapest:
                break  # nor is anything shorter: each would cost a path
    if not found:
        first = path.end(1, path.at(1)[0].first(1), None)
        return Segment(
            order=schedule.orders[0],
            engine=FAST_FORWARD,
            steps=(),
            why=why,
            end=first,
            last_term=1.0,
            gradients=spent + checks,
        )
    _, order, best, tail, read_error = min(found, key=lambda each: each[0])
    terms, speeds = best.at(best.steps)
    speed = None if speeds is None else speeds.first(order)
    end = best.end(best.steps, terms.first(order), speed)
    size = float(torch.linalg.vector_norm(end.displacement))
    for _ in range(best.steps if on_step is not None else 0):
        on_step()  # type: ignore[misc]
    return Segment(
        order=order,
        engine=FAST_FORWARD,
        steps=_seen(best, upload, order, tail, watch),
        why=why if best.steps < upload.longest else "",
        end=end,
        last_term=terms.first(order).size_of_last / (size or 1.0),
        gradients=spent + checks,
        read_error=read_error,
    )


def _priced(
    path: ForwardPath, upload: Upload, schedule: AdaptiveSchedule, order: int, tail: Tail
) -> tuple[Offer | None, int]:
    """What the path's end costs, and the length that is expected to cost the least a step, from
    ends on the same path and the power law of the error; no offer where shots have no price.
    """
    if schedule.shot_cost is None:
        return None, path.steps

    def ended(steps: int) -> Offer:
        terms, speeds = path.at(steps)
        error = tail.error * (steps / path.steps) ** (order + 1)
        speed = None if speeds is None else speeds.first(order)
        rate = upload.rule.learning_rate
        seen = replace(tail, error=error)
        return offer(schedule, steps, terms.first(order), speed, rate, seen, path.error)

    here = ended(path.steps)
    ends = {max(2, round(path.steps * place / MOST_ENDS)) for place in range(1, MOST_ENDS)}
    shorter = min((ended(each) for each in sorted(ends)), key=lambda each: each.work)
    return here, shorter.steps if shorter.work < WORTH * here.work else path.steps


def _judged(
    path: ForwardPath, upload: Upload, schedule: AdaptiveSchedule, order: int
) -> tuple[Tail, float]:
    """The error at the path's end, and the gradients that the check took."""
    terms, speeds = path.at(path.steps)
    tail = estimate_tail(terms.gram, order)
    if not schedule.accepts(tail) and not math.isnan(tail.growth):
        return tail, 0.0
    check = Check(upload, order)
    if path.steps > 1:
        before, their = path.at(path.steps - 1)
        their = None if their is None else their.first(order)
        check.start(path.steps - 1, before.first(order), their)
    task = upload.task if isinstance(upload.task, Task) else upload.task[path.steps - 1]
    speed = None if speeds is None else speeds.first(order)
    alone = check.at_end(task, terms.first(order), speed, Tail(0.0, 0.0)).error
    known = tail.error if not math.isnan(tail.growth) else 0.0
    return replace(tail, error=max(known, alone * max(1.0, path.growth))), check.gradients


def _shorter(length: int, tail: Tail, schedule: AdaptiveSchedule, order: int) -> int:
    """The length at which the error would be within the tolerance."""
    share = 0.5
    if tail.known and tail.error > 0:
        allowed = schedule.tolerance / schedule.safety / tail.error
        share = MARGIN * min(1.0, allowed ** (1 / (order + 1)))
    return max(2, min(length - 1, int(share * length)))


def _seen(
    path: ForwardPath, upload: Upload, order: int, tail: Tail, watch: bool
) -> tuple[Step, ...]:
    """What is recorded of each step; the estimate is that of the last."""
    if not watch:
        last = step_seen(upload, None, path.at(path.steps)[0].first(order), None, tail)
        return (Step(math.nan, math.nan, None, ()),) * (path.steps - 1) + (last,)
    reference = displacements(
        upload.task, upload.space, upload.theta, velocity=upload.velocity, **vars(upload.rule)
    )
    steps = []
    for t in range(1, path.steps + 1):
        task = upload.task if isinstance(upload.task, Task) else upload.task[t - 1]
        judged = tail if t == path.steps else Tail(math.inf, 0.0)
        curve = path.at(t)[0].first(order)
        steps.append(step_seen(upload, task, curve, next(reference)[1], judged))
    return tuple(steps)
