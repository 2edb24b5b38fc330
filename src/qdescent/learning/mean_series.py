"""The Taylor series of a mean over several batches, which may be dealt to several processes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qdescent._checks import check_integer
from qdescent.learning.curvature.hessian import check_series
from qdescent.learning.parallel.operators import weighted_over
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parallel.spread import Spread
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import GradientSeries, series_of


class MeanSeries:
    """The coefficients of grad L(theta + sum_k eps^k u_k), L the loss over several batches.

    One batch in a process: its recording is kept. Several: each is recorded, used and let go, one
    gradient more a call.

    Args:
        tasks: this process's batches of one network.
        space: the kept weights.
        theta: the point, (n,).
        order: N, the highest degree that is ever asked for.
        method: as for `series_of`.
        check: compare the first batch's series with the loss moved in float64 (`check_series`).
        ranks: the processes. Where they shard vectors, curves and coefficients are what this
            process holds of them; with one batch a process and Taylor rules no process holds a
            whole one, else all are brought together for each call.

    Attributes:
        gradient: grad L(theta), (n,).
        spread: which places of a vector this process holds.
        how: way in which the first batch's coefficients are found, in words.
        price: of a call, in gradients over all batches; of several each is recorded anew.

    Raises:
        ArgumentError: a loss that is neither a mean nor a sum over several batches.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        space: ParameterSpace,
        theta: Tensor,
        order: int,
        method: str = "auto",
        check: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        self.order = check_integer("order", order, 1)
        self._space, self._theta, self._method = space, theta, method
        ranks = ranks or Ranks()
        self.spread = Spread(len(theta), ranks)
        self._weighted = weighted_over(tasks, ranks)
        first = series_of(tasks[0], space, theta, order, method)
        if check:
            check_series(first, tasks[0], space, theta)
        self._kept = first if len(self._weighted) == 1 else None
        self.how, self.price = first.how, first.price + (self._kept is None)
        by_weight = isinstance(self._kept, GradientSeries)
        self._by_weight = ranks.sharding and ranks.agreed(by_weight)
        self.gradient = self.spread.part(self._mean([], theta.new_zeros(1, len(theta)))[0])

    def __call__(self, terms: Sequence[Tensor] | Tensor) -> Tensor:
        """g_1 ... g_k, (k, n), for the curve u_1 ... u_k, k at most N."""
        if not self.spread.ranks.sharding:
            return self._mean(terms, self._theta.new_zeros(len(terms), len(self._theta)))
        parts = terms if isinstance(terms, Tensor) else torch.stack(list(terms))
        if self._by_weight and isinstance(self._kept, GradientSeries):
            return self._kept.over(parts, self.spread, self._weighted[0][1])
        whole = self.spread.fetch(parts, 0, self.spread.n)
        return self.spread.part(self._mean(whole, torch.zeros_like(whole)))

    def _mean(self, terms: Sequence[Tensor] | Tensor, total: Tensor) -> Tensor:
        """Adds each batch's coefficients, without terms its gradient, by its weight."""
        for task, weight in self._weighted:
            series = self._kept or series_of(
                task, self._space, self._theta, self.order, self._method
            )
            total.add_(series(terms) if len(terms) else series.gradient, alpha=weight)
        return self.spread.ranks.total(total)
