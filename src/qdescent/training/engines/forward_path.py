"""`fast_forward` as an engine: all steps at once, read at any of them."""

from __future__ import annotations

from typing import cast

from qdescent.learning.descent.diverged import DivergedError
from qdescent.learning.parallel.shared_task import SharedTask
from qdescent.learning.parallel.spread import Curve, Spread
from qdescent.solvers.segment.fast_forward import FastForward, FastForwardStatus, fast_forward
from qdescent.solvers.segment.reduced_descent import MOST_GROWTH, ReducedDescent
from qdescent.training.engines.path import End, Upload

HOPELESS = 1e6  # growth of a mode over a segment with which no loss stays finite


class ForwardPath:
    """The terms of `fast_forward` over the longest segment, at each of its steps.

    Its nodes are chosen for the end of the segment, where the rule is twice as exact as between: a
    segment that ends before is found anew for that length.

    Raises:
        DivergedError: its space or its nodes do not reach the tolerance, or could not: a mode grows
            more than tenfold over it; one grows a millionfold.

    Cost: some tens of gradients, whatever the number of steps; a combination of d vectors for each
        step that is looked at.
    """

    def __init__(self, upload: Upload) -> None:
        self._upload, self.gradients = upload, 0.0
        self._found = self._forwarded(upload.longest, upload.check)

    @property
    def steps(self) -> int:
        """The longest segment."""
        return self._found.steps

    @property
    def error(self) -> float:
        """What its space and its nodes leave out of the longest segment, as it estimates it."""
        return self._found.error

    @property
    def growth(self) -> float:
        """The largest factor by which a mode that was seen grows over it."""
        return self._found.growth

    def at(self, steps: int) -> tuple[Curve, Curve | None]:
        """The terms after so many steps."""
        terms, velocity = self._found.after(steps)
        spread = Spread(self._upload.space.n, self._upload.ranks)
        return Curve(terms, spread), None if velocity is None else Curve(velocity, spread)

    def end(self, steps: int, terms: Curve, velocity: Curve | None) -> End:
        """The sum of the terms, and what they miss by its own estimate."""
        found = self._found
        if steps < found.steps:
            found, order = self._forwarded(steps, check=False), len(terms)
            spread, speed = terms.spread, found.velocity
            terms = Curve(found.terms[:order], spread)
            velocity = None if speed is None else Curve(speed[:order], spread)
        return End(terms.end, None if velocity is None else velocity.end, found.error)

    def _forwarded(self, steps: int, check: bool) -> FastForward:
        upload, rule, task = self._upload, self._upload.rule, self._upload.task
        found = fast_forward(
            task.own if isinstance(task, SharedTask) else task,
            upload.space,
            steps,
            order=upload.order,
            theta=upload.theta,
            velocity=upload.velocity if rule.momentum else None,
            tolerance=upload.tolerance,
            check=check,
            every_step=True,
            ranks=task.ranks if isinstance(task, SharedTask) else None,
            **vars(rule),
        )
        self.gradients += found.gradients
        unresolved = found.status is FastForwardStatus.UNRESOLVED
        if found.growth > (MOST_GROWTH if unresolved else HOPELESS):
            raise cast(ReducedDescent, found.reduced).diverged()
        if unresolved:
            must = (
                "resolve the segment within `engine_tolerance` (take fewer steps, raise the"
                " tolerance, or use 'series')"
            )
            actual = f"'fast-forward', which misses {found.error:.2g} of {steps} steps"
            raise DivergedError("engine", must, actual)
        return found
