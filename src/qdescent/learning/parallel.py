"""Data-parallel products: each process has some of the batches, and one all_reduce a product adds
the parts up.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from qdescent._checks import ArgumentError, argument_error, check_choice, check_instance
from qdescent._processes import launched
from qdescent.learning.curvature.weighting import counted, seen, weighted
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.operator import LinearOperator, Shard
from qdescent.linalg.spectra.repeatable import repeatable_float32

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The processes that share the work, and which of them this one is.

    Args:
        rank: of this process, in [0, size).
        size: number of processes.
        device: where this process computes.

    Example:
        >>> Ranks().deal(["a", "b", "c"])
        ['a', 'b', 'c']
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def deal(self, items: Sequence[T]) -> list[T]:
        """This process's items, dealt like cards: every `size`-th, from `rank` on."""
        return list(items[self.rank :: self.size])

    def slice(self, n: int) -> tuple[int, int]:
        """The places of a vector of length n that this process holds where vectors are sharded:
        (start, stop), of equal lengths up to one.
        """
        return self.rank * n // self.size, (self.rank + 1) * n // self.size

    def gather(self, block: Tensor, n: int) -> Tensor:
        """Whole vectors (n, k), in every process, from the parts (stop - start, k) they hold."""
        if self.size == 1:
            return block
        whole = torch.zeros(block.shape[1], n, dtype=block.dtype, device=block.device)
        start, stop = self.slice(n)
        whole[:, start:stop] = block.T
        return self.total(whole).T

    def total(self, part: Tensor) -> Tensor:
        """The sum over processes; `part` itself where there is one, else it is overwritten."""
        if self.size > 1:
            dist.all_reduce(part)
        return part

    def of_first(self, value: T) -> T:
        """The first process's value, in every process."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def together(self, work: Callable[[], T]) -> T:
        """The result of `work`, once every process has its own.

        Raises:
            ArgumentError: in all processes where one of them raised it (the first one's sentence):
                none waits for a lost one.
        """
        result, sentence = None, ""
        try:
            result = work()
        except ArgumentError as error:
            if self.size == 1:
                raise
            sentence = str(error)
        if self.size > 1:
            sentences: list[Any] = [""] * self.size
            dist.all_gather_object(sentences, sentence)
            for each in sentences:
                if each:
                    raise ArgumentError(each)
        return result  # type: ignore[return-value]  # None only where an error was raised


@contextmanager
def computing_on(device: str = "") -> Iterator[torch.device]:
    """Where one process computes: "cpu" or "cuda"; empty: CUDA where there is a GPU.

    While it lasts, its arithmetic can be repeated (`repeatable_float32`): a run that goes on from
    its saved state ends in the same bits.

    Raises:
        ArgumentError: "cuda" without a GPU.

    Example:
        >>> with computing_on("cpu") as device:
        ...     device
        device(type='cpu')
    """
    available = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    place = torch.device(check_choice("device", device, available) if device else available[-1])
    with repeatable_float32():
        yield place


@contextmanager
def joined(device: str = "") -> Iterator[Ranks]:
    """The processes that torchrun started, joined by gloo on CPUs and by NCCL on GPUs; this one
    alone where there is no launcher.

    Args:
        device: "cpu" or "cuda"; empty: CUDA where there is a GPU.

    Raises:
        ArgumentError: "cuda" without a GPU.

    Example:
        >>> with joined("cpu") as ranks:
        ...     ranks.rank, ranks.size
        (0, 1)
    """
    with computing_on(device) as place:
        if not launched():
            yield Ranks(device=place)
            return
        if place.type == "cuda":
            place = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(place)
        dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
        try:
            yield Ranks(dist.get_rank(), dist.get_world_size(), place)
        finally:
            dist.destroy_process_group()


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
    share = sum(weight for _, weight in weighted_over(tasks, ranks)) / (
        sum(weight for _, weight in weighted(tasks)) if tasks else 1
    )
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
    first = ranks.of_first(seen(tasks[0]).to(torch.device("cpu")) if ranks.rank == 0 else None)
    if first is None:
        raise argument_error(
            "tasks", "be dealt from the first process on (`Ranks.deal`)", "empty there"
        )
    first = first.to(ranks.device)
    counts = ranks.together(lambda: counted(tasks, first))
    own = torch.tensor(sum(counts.values), dtype=torch.float64, device=ranks.device)
    return list(zip(tasks, counts.weights(float(ranks.total(own))), strict=True))


@dataclass(frozen=True)
class SharedTask(Task):
    """This process's share of a batch: its loss and its gradient are those of the whole batch.

    Every process must ask for the same at the same time; each then has the same numbers.

    Args:
        network, loss, data: as of `Task`; the data are this process's own samples.
        ranks: the processes.

    Attributes:
        own: the same as a `Task` that knows nothing of the others.
        share: weight of its samples in the whole.

    Raises:
        ArgumentError: in every process, where one of them has data that do not fit.

    Example:
        >>> network = torch.nn.Linear(2, 1, bias=False)
        >>> data = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)
        >>> loss, space = torch.nn.functional.mse_loss, ParameterSpace(network)
        >>> task, alone = SharedTask(network, loss, data), Task(network, loss, data)
        >>> bool(task.loss_at(space, space.theta) == alone.loss_at(space, space.theta))
        True
    """

    ranks: Ranks = field(default_factory=Ranks, repr=False)

    def __post_init__(self) -> None:
        check_instance("ranks", self.ranks, Ranks)
        self.ranks.together(super().__post_init__)

    @cached_property
    def own(self) -> Task:
        """A plain task of this process's samples."""
        twin = copy.copy(self)
        object.__setattr__(twin, "__class__", Task)
        kept = {each.name for each in fields(Task)}
        for name in set(vars(twin)) - kept:
            del vars(twin)[name]
        return twin

    @cached_property
    def share(self) -> float:
        """In [0, 1]; all of them together are 1."""
        ((_, weight),) = weighted_over([self.own], self.ranks)
        return weight

    def loss_at(self, space: ParameterSpace, theta: Tensor) -> Tensor:
        """L of the whole batch, without a graph."""
        return self._whole(self.own.loss_at(space, theta))

    def loss_and_gradient(
        self, space: ParameterSpace, theta: Tensor, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """L and its gradient of the whole batch."""
        loss, gradient = self.own.loss_and_gradient(space, theta, dtype)
        return self._whole(loss), self._whole(gradient)

    def _whole(self, part: Tensor) -> Tensor:
        return self.ranks.total(part.detach() * self.share)


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
