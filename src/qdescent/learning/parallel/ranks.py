"""The processes that share a computation, joined by gloo or NCCL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from qdescent._checks import ArgumentError, check_choice
from qdescent._processes import launched
from qdescent.linalg.spectra.repeatable import repeatable_float32

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The processes that share the work, and which of them this one is.

    Args:
        rank: of this process, in [0, size).
        size: number of processes.
        device: where this process computes.
        shard_vectors: spread vectors of which many are kept (the terms of a series, a Krylov space)
            over the processes, each of which holds its places (`slice`).

    Example:
        >>> Ranks().deal(["a", "b", "c"])
        ['a', 'b', 'c']
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    shard_vectors: bool = False

    @property
    def sharding(self) -> bool:
        """Whether a process holds less than the whole of such vectors."""
        return self.shard_vectors and self.size > 1

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

    def agreed(self, yes: bool) -> bool:
        """Whether it is so in every process."""
        if self.size == 1:
            return yes
        said = [False] * self.size
        dist.all_gather_object(said, yes)
        return all(said)

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
