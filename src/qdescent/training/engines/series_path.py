"""The series form as an engine: exact, every step taken."""

from __future__ import annotations

from qdescent.learning.parallel.spread import Curve
from qdescent.learning.task import Task
from qdescent.solvers.series import SeriesSteps
from qdescent.training.engines.path import End, Upload


class SeriesPath:
    """The terms of `SeriesSteps`, as far as they were asked for.

    Cost: one series call a step, 4.0 gradients at order 2 where every operation has a rule; a
        gradient at the pivot, and with fresh batches one a step.
    """

    def __init__(self, upload: Upload) -> None:
        self._walk = SeriesSteps(
            upload.task,
            upload.space,
            upload.theta,
            upload.order,
            velocity=upload.velocity,
            check=upload.check,
            **vars(upload.rule),
        )
        self.error = 0.0  # every step is taken
        self._done, self._fixed = 0, isinstance(upload.task, Task)
        self.gradients = 1.0 if self._fixed else 0.0

    def at(self, steps: int) -> tuple[Curve, Curve | None]:
        """The terms after so many steps."""
        while self._done < steps:
            next(self._walk)
            self._done += 1
            self.gradients += self._walk.price + (not self._fixed)
        spread, velocity = self._walk.spread, self._walk.velocity
        speed = None if velocity is None else Curve(velocity, spread)
        return Curve(self._walk.terms, spread), speed

    def end(self, steps: int, terms: Curve, velocity: Curve | None) -> End:
        """The sum of the terms: the series form has no error of its own."""
        return End(terms.end, None if velocity is None else velocity.end, 0.0)
