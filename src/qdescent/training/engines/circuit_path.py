"""A circuit as an engine: the end of a small segment from gates on a state vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qdescent.carleman.history import history_system
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.parallel.spread import Curve
from qdescent.learning.task import Task
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.solvers import qsvt
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.encodings import DEFAULT_ENCODING
from qdescent.solvers.polynomials.segment_search import plan_segment
from qdescent.solvers.segment.circuit_route import expected_simulation
from qdescent.solvers.segment.map_segment import fast_forward_map
from qdescent.solvers.solve import solve
from qdescent.training.engines.path import End, Upload
from qdescent.training.engines.series_path import SeriesPath

if TYPE_CHECKING:
    from qdescent.quantum.simulator.forecast import Forecast


class CircuitPath:
    """The steps as the series form has them, the end as a circuit finds it.

    One batch without momentum at order 1 or 2: polynomials of a shifted F_1 and one use of F_2
    (`fast_forward_map`). Otherwise the history system of the Carleman linearisation by `QSVT`, on
    (u, v) in R^{2n} with momentum.

    Cost: a circuit's simulation for each end, as forecast by `forecast`; besides that the series.
    """

    def __init__(self, upload: Upload) -> None:
        self._upload, self._series = upload, SeriesPath(upload)

    @property
    def gradients(self) -> float:
        """Of the series beside it; a circuit takes none."""
        return self._series.gradients

    @property
    def error(self) -> float:
        """What it is asked to reach."""
        return self._upload.tolerance

    def at(self, steps: int) -> tuple[Curve, Curve | None]:
        """The terms after so many steps, by the series."""
        return self._series.at(steps)

    def end(self, steps: int, terms: Curve, velocity: Curve | None) -> End:
        """The circuit's answer, and its measured distance to the series."""
        exact, rate = terms.end, self._upload.rule.learning_rate
        if velocity is not None:  # the map's velocity is -eta times that of SGD
            exact = torch.cat([exact, -rate * velocity.end])
        answer, n = self._answer(steps, len(terms)).to(exact), terms.spread.n
        size = float(torch.linalg.vector_norm(exact))
        gap = float(torch.linalg.vector_norm(answer - exact))
        speed = None if velocity is None else -answer[n:] / rate
        return End(answer[:n], speed, gap / size if size else gap)

    def forecast(self, steps: int, order: int) -> Forecast | None:
        """What the simulation of such an end's circuit would take: it is built, and not run; None
        where nothing moves.
        """
        posed, circuit = self._posed(steps, order), Circuit()
        if isinstance(posed, Tensor):
            return None
        epsilon = self._upload.tolerance
        if isinstance(posed, PolynomialMap):
            plan = plan_segment(posed, steps, order, epsilon, None, DEFAULT_ENCODING)
            return expected_simulation(plan, circuit, epsilon)
        return qsvt.expected_simulation(qsvt.QSVT(epsilon=epsilon, circuit=circuit), posed)

    def _answer(self, steps: int, order: int) -> Tensor:
        posed, epsilon = self._posed(steps, order), self._upload.tolerance
        circuit = Circuit(most_seconds=self._upload.most_seconds)
        if isinstance(posed, Tensor):
            return posed
        if isinstance(posed, PolynomialMap):
            return fast_forward_map(posed, steps, order, epsilon, circuit=circuit).value
        return solve(posed, qsvt.QSVT(epsilon=epsilon, circuit=circuit)).answer

    def _posed(self, steps: int, order: int) -> PolynomialMap | LinearSystem | Tensor:
        """The map that is fast-forwarded, the history that is solved, or 0 where nothing moves."""
        upload, rule = self._upload, self._upload.rule
        if isinstance(upload.task, Task):
            maps = [self._map(upload.task, order)]
        else:
            maps = [self._map(each, order) for each in upload.task[:steps]]
        if rule.momentum:
            # without a step before, the first velocity is the gradient itself
            undamped = rule.dampening and upload.velocity is None
            every = maps * steps if undamped else maps
            maps = [
                self._with_velocity(each, 0.0 if undamped and t == 0 else rule.dampening)
                for t, each in enumerate(every[:steps])
            ]
        moves = any(bool(each.coefficients[0].any()) for each in maps)
        if len(maps) == 1 and order <= 2 and not rule.momentum and moves:
            return maps[0]
        start = upload.theta.new_zeros(maps[0].size)
        if rule.momentum and upload.velocity is not None:
            start[upload.space.n :] = -rule.learning_rate * upload.velocity
        if not moves and not bool(start.any()):
            return start  # a stationary point: no state holds nothing
        # a simulator post-selects: copies of the end would only make its state longer
        return history_system(
            maps[0] if len(maps) == 1 else maps, start, steps, padding=0, order=order
        )

    def _map(self, task: Task, order: int) -> PolynomialMap:
        """The plain step, with the weight decay that is a linear term of its gradient."""
        upload, rule = self._upload, self._upload.rule
        f = gradient_map(task, upload.space, rule.learning_rate, order, upload.theta)
        if rule.decay_within:
            constant, linear, *others = f.coefficients
            shrunk = rule.learning_rate * rule.decay_within
            one = torch.eye(f.size, dtype=linear.dtype, device="cpu")
            f = PolynomialMap(
                [constant - shrunk * upload.theta[:, None], linear - shrunk * one, *others]
            )
        return f

    def _with_velocity(self, f: PolynomialMap, dampening: float) -> PolynomialMap:
        """The same on (u, v), with the decay that acts beside the gradient."""
        rule = self._upload.rule
        shrink, pivot = rule.learning_rate * rule.decay_apart, self._upload.theta
        return f.with_momentum(
            rule.momentum, dampening, rule.nesterov, shrink, pivot if shrink else None
        )
