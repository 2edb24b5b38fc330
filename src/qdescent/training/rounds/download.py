"""The download at a segment's end: all entries of the state, or the largest alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.quantum.readout.expected import expected_part, shots_for
from qdescent.quantum.readout.tomography import read_out
from qdescent.training.schedule import AdaptiveSchedule, Schedule


@dataclass(frozen=True, kw_only=True, eq=False)
class Download:
    """What was read of a state (u, eta v).

    Args:
        vector: as it was read, 0 where nothing was, (n,) or with momentum (2n,).
        expected: relative error of u that is to be expected, shot noise and what was left out.
        entry_share: share of the entries that were read.
        missing_share: share of the squared norm that was not.
        shots: that it took, for magnitudes and signs together; 0 where the state is known.
    """

    vector: Tensor = field(repr=False)
    expected: float
    entry_share: float
    missing_share: float
    shots: int


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
    state: Tensor,
    displacement: int,
    schedule: Schedule | AdaptiveSchedule,
    seed: int,
    error: float | None = None,
) -> Download:
    """Read a state as the schedule has it; what is not read stays where it was before the segment.

    Args:
        state: (u, eta v), or u alone.
        displacement: entries of u.
        schedule: its `shots`, `largest` and `unread`.
        seed: of the shots.
        error: relative to the state, that the readout may have; None: the schedule's `read_error`.
    """
    shots, largest = schedule.shots, entries_of(schedule.largest, len(state))
    error = schedule.read_error if error is None else error
    if error is not None and bool(state.any()):
        shots, largest = fewest_shots(state, error)
    if shots is None:
        return _perfect(state, displacement, largest, schedule.unread)
    found = read_out(state, shots, seed, largest, schedule.unread)
    partial = None if largest is None and schedule.unread is None else max(1, found.support)
    return Download(
        vector=found.vector,
        expected=expected_part(state, displacement, shots, partial),
        entry_share=found.support / len(state),
        missing_share=found.missing_share,
        shots=found.total_shots,
    )


def fewest_shots(state: Tensor, error: float) -> tuple[int, int]:
    """S and m of the fewest shots with which a readout of the m largest entries is expected to have
    this relative error.

    Of m entries that are seen often S = m / (4 (error^2 - missing(m))), with the share of the
    squared norm that they leave: least for the m that is taken, and then made exact
    (`shots_for`). Few entries leave much and forgive little noise, many have much of it.

    Args:
        state: what is read, (n,), not zero.
        error: relative, in (0, 1).

    Returns:
        tuple: shots for the magnitudes (as many again find signs), and m.

    Cost: O(n log n), some tens of times.

    Example:
        >>> state = torch.tensor([1.0, 1.0, 1e-3, 1e-3], dtype=torch.float64)
        >>> fewest_shots(state, 0.01)[1]  # the two that matter
        2
    """
    m = _fewest(state, error)[1]
    total = int(shots_for(state, error, m).number)
    return max(1, total // 2), m


def shots_about(state: Tensor, error: float) -> float:
    """The same shots, for magnitudes and signs together, by that formula alone: infinite where no
    number of them reaches the error.

    Args:
        state: (n,); zero: none are needed.
        error: relative, at least 0.

    Cost: O(n log n), once.
    """
    return 2 * _fewest(state, error)[0] if bool(state.any()) else 0.0


def _fewest(state: Tensor, error: float) -> tuple[float, int]:
    """min_m m / (4 (error^2 - missing(m))) and its m."""
    squares = (state.double() / state.abs().max()).square().sort(descending=True).values
    missing = (1 - squares.cumsum(0) / squares.sum()).clamp(min=0)
    missing[-1] = 0.0
    left = error**2 - missing
    entries = torch.arange(1, len(state) + 1, dtype=torch.float64, device=state.device)
    price = torch.where(left > 0, entries / left.clamp(min=1e-300), torch.inf)
    m = int(price.argmin())
    return float(price[m]) / 4, m + 1


def _perfect(
    state: Tensor, displacement: int, largest: int | None, unread: float | None
) -> Download:
    """The same without shot noise: the largest entries are known to be the largest."""
    if (largest is None and unread is None) or not bool(state.any()):
        return Download(vector=state, expected=0.0, entry_share=1.0, missing_share=0.0, shots=0)
    squares, order = (state.double() / state.abs().max()).square().sort(descending=True)
    held = squares.cumsum(0) / squares.sum()
    m = largest or min(len(state), int((held < 1 - (unread or 0.0)).sum()) + 1)
    read = torch.zeros_like(state)
    read[order[:m]] = state[order[:m]]
    part = state[:displacement]
    size = float(torch.linalg.vector_norm(part)) or 1.0
    missed = float(torch.linalg.vector_norm(read[:displacement] - part)) / size
    return Download(
        vector=read,
        expected=missed,
        entry_share=m / len(state),
        missing_share=max(0.0, 1 - float(held[m - 1])),
        shots=0,
    )
