"""Which way the products with the Hessian take: by a name, or the faster of two by the clock."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.experiment.spectrum.settings import FASTER, SpectrumSettings
from qdescent.learning.curvature.products import METHODS
from qdescent.linalg.operator import LinearOperator
from qdescent.report.record import stopwatch

TURNS = 2  # products of each way that are timed, by turns, after one that is not
CLEARLY = 0.95  # share of the other's time below which double backward is taken: noise is not


def faster_way(made: Callable[[str], LinearOperator], clock: Callable[[], None]) -> str:
    """The name of the way whose products take less time, on a fixed vector.

    Args:
        made: the operator by a way of this name.
        clock: waits until everything has been computed.

    Cost: three products of each way, and what the second one keeps, while they are timed.
    """
    taylor, backward = METHODS
    try:
        operators = {taylor: made(taylor), backward: made(backward)}
    except ArgumentError:  # no rule for one of its operations; or rounded products
        return backward
    least = dict.fromkeys(METHODS, float("inf"))
    for turn in range(TURNS + 1):
        for name, operator in operators.items():
            taken: dict[str, float] = {}
            with stopwatch(taken, name):
                operator @ _alternating(operator)
                clock()
            if turn:
                least[name] = min(least[name], taken[name])
    return backward if least[backward] < CLEARLY * least[taylor] else taylor


def _alternating(operator: LinearOperator) -> Tensor:
    """1, -1, 1, ...: no numbers are drawn."""
    signs = torch.ones(operator.shape[0], dtype=operator.dtype, device=operator.device)
    signs[1::2] = -1
    return signs


def done(device: torch.device) -> None:
    """Wait until a GPU has computed what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def way_rows(settings: SpectrumSettings, way: str) -> list[Row]:
    """Which way it was, where the clock chose it."""
    if settings.products != FASTER:
        return []
    source = "the faster of two ways on this machine's first products"
    return [Row("spectrum/products", way, "", Evidence.MEASURED, source)]
