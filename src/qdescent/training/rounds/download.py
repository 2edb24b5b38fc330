"""The download at a segment's end: all entries of the state, or the largest alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.quantum.readout.expected import expected_part
from qdescent.quantum.readout.tomography import read_out
from qdescent.training.schedule import AdaptiveSchedule, Schedule


@dataclass(frozen=True)
class Download:
    """What was read of a state (u, eta v).

    Args:
        vector: as it was read, 0 where nothing was, (n,) or with momentum (2n,).
        expected: relative error of u that is to be expected, shot noise and what was left out.
        entry_share: share of the entries that were read.
        missing_share: share of the squared norm that was not.
    """

    vector: Tensor = field(repr=False)
    expected: float
    entry_share: float
    missing_share: float


def entries_of(largest: float | None, state: int) -> int | None:
    """m of a schedule: as it is, or as a share of the entries of a state.

    Raises:
        ArgumentError: more than there are.
    """
    if largest is None:
        return None
    if isinstance(largest, float):
        return max(1, round(largest * state))
    if largest > state:
        raise argument_error("largest", f"be at most the entries of the state, {state}", largest)
    return largest


def download(
    state: Tensor, displacement: int, schedule: Schedule | AdaptiveSchedule, seed: int
) -> Download:
    """Read a state as the schedule has it; what is not read stays where it was before the segment.

    Args:
        state: (u, eta v), or u alone.
        displacement: entries of u.
        schedule: its `shots`, `largest` and `unread`.
        seed: of the shots.
    """
    largest = entries_of(schedule.largest, len(state))
    if schedule.shots is None:
        return _perfect(state, displacement, largest, schedule.unread)
    found = read_out(state, schedule.shots, seed, largest, schedule.unread)
    partial = None if largest is None and schedule.unread is None else max(1, found.support)
    return Download(
        found.vector,
        expected_part(state, displacement, schedule.shots, partial),
        found.support / len(state),
        found.missing_share,
    )


def _perfect(
    state: Tensor, displacement: int, largest: int | None, unread: float | None
) -> Download:
    """The same without shot noise: the largest entries are known to be the largest."""
    if (largest is None and unread is None) or not bool(state.any()):
        return Download(state, 0.0, 1.0, 0.0)
    squares, order = (state.double() / state.abs().max()).square().sort(descending=True)
    held = squares.cumsum(0) / squares.sum()
    m = largest or min(len(state), int((held < 1 - (unread or 0.0)).sum()) + 1)
    read = torch.zeros_like(state)
    read[order[:m]] = state[order[:m]]
    part = state[:displacement]
    size = float(torch.linalg.vector_norm(part)) or 1.0
    missed = float(torch.linalg.vector_norm(read[:displacement] - part)) / size
    return Download(read, missed, m / len(state), max(0.0, 1 - float(held[m - 1])))
