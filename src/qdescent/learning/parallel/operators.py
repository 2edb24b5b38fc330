"""Data-parallel products: each process has some of the batches, and one all_reduce a product adds
the parts up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.weighting.by_outputs import counted, reference, weighted
from qdescent.linalg.operator import LinearOperator, Shard


def data_parallel(
    build: Callable[[Sequence[Task]], LinearOperator],
    tasks: Sequence[Task],
    space: ParameterSpace,
    ranks: Ranks,
) -> LinearOperator:
    """A = sum over processes of (b_r / b) A_r, A_r the operator of process r's tasks, b_r what they
    count and b what all do.

    Every process must make the same products in the same order. `DistributedDataParallel` is no way
    to this: it reduces what `backward()` leaves in the weights, never what `autograd.grad` returns.

    Args:
        build: makes an operator that is a mean over samples, (n, n), from tasks, e.g. `lambda
            tasks: hessian(tasks, space)`.
        tasks: this process's own; may be empty (it then adds nothing).
        space: the kept weights.
        ranks: the processes.

    Returns:
        LinearOperator: (n, n); the products are the same in all processes.

    Cost: a product of the largest share, and one all_reduce of n x columns numbers.

    Example:
        >>> from qdescent.learning.curvature.hessian import hessian
        >>> network = torch.nn.Linear(2, 1, bias=False)
        >>> task = Task(
        ...     network,
        ...     torch.nn.functional.mse_loss,
        ...     (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)),
        ... )
        >>> space = ParameterSpace(network)
        >>> (
        ...     data_parallel(lambda tasks: hessian(tasks, space), [task], space, Ranks())
        ...     @ torch.ones(2)
        ... ).tolist()
        [1.0, 4.0]
    """
    if ranks.size == 1:
        return build(tasks)
    alone = sum(weight for _, weight in weighted(tasks)) if tasks else 0.0
    share = sum(weight for _, weight in weighted_over(tasks, ranks)) / (alone or 1.0)
    part = build(tasks) if tasks else None
    # samples are dealt to the first process first
    rounding = ranks.of_first(None if part is None else part.rounding)

    def apply(block: Tensor) -> Tensor:
        if part is None:
            rows = torch.zeros(block.shape[1], space.n, dtype=space.dtype, device=space.device)
        else:
            # each column contiguous: one flat all_reduce
            rows = (part @ block).T.contiguous().mul_(share)
        return ranks.total(rows).T

    return LinearOperator(
        (space.n, space.n), apply, apply, space.dtype, space.device, rounding=rounding
    )


def weighted_over(tasks: Sequence[Task], ranks: Ranks) -> list[tuple[Task, float]]:
    """This process's tasks, each with its weight in the loss over all processes (`weighted`).

    Raises:
        ArgumentError: in all processes where one of them finds a loss that is neither a mean nor a
            sum.
    """
    if ranks.size == 1:
        return weighted(tasks)
    first = ranks.of_first(reference(tasks).to(torch.device("cpu")) if ranks.rank == 0 else None)
    if first is None:
        raise argument_error(
            "tasks", "be dealt from the first process on (`Ranks.deal`)", "empty there"
        )
    first = first.to(ranks.device)
    counts = ranks.together(lambda: counted(tasks, first))
    own = torch.tensor(sum(counts.values), dtype=torch.float64, device=ranks.device)
    return list(zip(tasks, counts.weights(float(ranks.total(own))), strict=True))


def sharded(operator: LinearOperator, ranks: Ranks) -> LinearOperator:
    """The same operator on vectors of which each process holds a part: a Lanczos run then keeps 3 n
    / processes numbers a probe.

    Args:
        operator: square, (n, n); its products are the same in all processes, as those of
            `data_parallel`.
        ranks: the processes.

    Returns:
        LinearOperator: with `shard`, or the operator itself where there is one process.

    Cost: a product, two whole vectors a column while it lasts, and one all_reduce of n numbers a
        column more.

    Example:
        >>> from qdescent.linalg.operator import as_operator
        >>> sharded(as_operator(torch.eye(2)), Ranks()).shard is None
        True
    """
    if ranks.size == 1:
        return operator
    n = operator.shape[0]
    start, stop = ranks.slice(n)

    def part(apply: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def column(v: Tensor) -> Tensor:
            # the rest of the whole vector is let go
            return apply(ranks.gather(v[:, None], n))[start:stop, 0].clone()

        return lambda block: torch.stack([column(v) for v in block.T]).T

    adjoint = None if operator.apply_adjoint is None else part(operator.apply_adjoint)
    shard = Shard(start, stop, ranks.total)
    return replace(operator, apply=part(operator.apply), apply_adjoint=adjoint, shard=shard)
