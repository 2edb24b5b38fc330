"""What goes into an engine, and what comes out: an upload, and the segment that starts from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from qdescent.learning.descent.sgd import SGD
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parallel.shared_task import ranks_of
from qdescent.learning.parallel.spread import Curve
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.quantum.simulator.forecast import MOST_SECONDS


@dataclass(frozen=True, eq=False)
class Upload:
    """What a segment starts from.

    Args:
        task: the round's fixed batch; or a task for each of the `longest` steps.
        space: the kept weights.
        theta: the pivot, (n,).
        rule: of the descent.
        order: N, the terms that are wanted.
        longest: the most steps that will be asked for.
        velocity: v at the pivot, (n,); None: there was no step yet.
        tolerance: what the engine may miss of the order-N solution, relative to its length.
        check: compare the series with the loss moved in float64.
        most_seconds: of a circuit's simulation, as of `Circuit`.
    """

    task: Task | Sequence[Task]
    space: ParameterSpace
    theta: Tensor = field(repr=False)
    rule: SGD
    order: int
    longest: int
    velocity: Tensor | None = field(default=None, repr=False)
    tolerance: float = 1e-3
    check: bool = True
    most_seconds: float = MOST_SECONDS

    @property
    def ranks(self) -> Ranks:
        """The processes that share the batches."""
        return ranks_of(self.task)


@dataclass(frozen=True, eq=False)
class End:
    """The answer of an engine after its last step.

    Args:
        displacement: u, (n,).
        velocity: v, (n,); None without momentum.
        error: what it misses of the order-N solution, relative to ||u||: 0 where it is exact,
            measured where that solution is beside it, else the engine's own estimate.
    """

    displacement: Tensor = field(repr=False)
    velocity: Tensor | None = field(repr=False)
    error: float


class Path(Protocol):
    """A segment on its way.

    Attributes:
        gradients: what the engine took so far, in gradients (a cost model).
        error: what it may miss of the order-N solution, relative to ||u||; 0 where it is exact.
    """

    gradients: float

    @property
    def error(self) -> float: ...

    def at(self, steps: int) -> tuple[Curve, Curve | None]:
        """u_1 ... u_N after so many steps, and the velocity's terms; `steps` never fall."""
        ...

    def end(self, steps: int, terms: Curve, velocity: Curve | None) -> End:
        """The answer after so many steps, whose terms up to the wanted order these are."""
        ...
