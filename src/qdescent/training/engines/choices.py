"""`ENGINES`: the ways to the end of a segment by name, and what each of them cannot do.

A line names its class, which is imported when a segment is first followed: a schedule is checked
without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from qdescent._checks import argument_error, check_instance, check_methods
from qdescent.learning.descent.sgd import SGD
from qdescent.solvers.promise.limits import ORDER_LIMIT

if TYPE_CHECKING:
    from qdescent.training.engines.path import Path, Upload

SERIES, FAST_FORWARD, CIRCUIT = "series", "fast-forward", "circuit"
CHEAPEST = "cheapest"  # no engine, but the choice between two of them in each round
# A circuit of F_1 and F_2 at eight weights takes seconds to minutes to simulate (measured).
CIRCUIT_WEIGHTS = 8


@dataclass(frozen=True)
class Engine:
    """A way to the end of a segment.

    Args:
        home: "file:class" in this room.
        does: what it computes, in words.
        fresh_batches: whether the batch may change from step to step.
        most_weights: n at most; None: any.

    Example:
        >>> ENGINES["fast-forward"].check((2,), SGD(0.1), fresh_batches=True)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `engine` must be 'series' for a fresh batch a ...
    """

    home: str
    does: str
    fresh_batches: bool = True
    most_weights: int | None = None

    def check(self, orders: Sequence[int], rule: SGD, fresh_batches: bool) -> None:
        """Check that it can do a schedule's segments.

        Raises:
            ArgumentError: one of what it cannot do; it names the engine that can.
        """
        check_instance("rule", rule, SGD)
        if fresh_batches and not self.fresh_batches:
            must = (
                "be 'series' for a fresh batch a step (its Hessian changes with each, and only one"
                " that stays can be seen through a few products)"
            )
            raise argument_error("engine", must, repr(self._name))
        if max(orders) > ORDER_LIMIT:
            raise argument_error("orders", f"be at most {ORDER_LIMIT}", tuple(orders))

    def follow(self, upload: Upload) -> Path:
        """A segment from an upload.

        Raises:
            ArgumentError: more weights than it can take, and whatever its own parts refuse.
        """
        check_methods("upload", getattr(upload, "task", None), ("__class__",), "an Upload")
        n = upload.space.n
        if self.most_weights is not None and n > self.most_weights:
            must = (
                f"be 'series' or 'fast-forward' above {self.most_weights} weights (keep fewer, by a"
                " lower density or by space.restrict(theta, indices))"
            )
            raise argument_error("engine", must, f"{self._name!r} with {n}")
        file, _, kind = self.home.partition(":")
        room = __name__.rpartition(".")[0]
        path: Path = getattr(import_module(f"{room}.{file}"), kind)(upload)
        return path

    @property
    def _name(self) -> str:
        return next(name for name, each in ENGINES.items() if each is self)


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        SERIES: Engine("series_path:SeriesPath", "the series form, exact, step by step"),
        FAST_FORWARD: Engine(
            "forward_path:ForwardPath",
            "the series form without its steps, from some tens of products with the Hessian",
            fresh_batches=False,
        ),
        CIRCUIT: Engine(
            "circuit_path:CircuitPath",
            "a circuit on a state vector, for a few weights",
            most_weights=CIRCUIT_WEIGHTS,
        ),
    }
)
"""The engines by name; `Schedule(engine=...)` takes one."""
