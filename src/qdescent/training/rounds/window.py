"""The quantum window: the steps after pruning in which a segment longer than one is worth it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from qdescent._evidence import Evidence, Row
from qdescent.rows import names
from qdescent.training.schedule import AdaptiveSchedule, Schedule


class _Round(Protocol):
    """What of a round is asked here."""

    @property
    def steps(self) -> int: ...
    @property
    def order(self) -> int: ...
    @property
    def shots(self) -> int: ...
    @property
    def end(self) -> str: ...


@dataclass(frozen=True)
class Window:
    """From which step after the start to which segments were worth it.

    Args:
        first: steps before the first segment that is worth it; None: there is none.
        last: steps at the end of the last one; None likewise.
        longest: steps of the longest one; 0: there is none.
        opens: reason why it did not begin earlier; empty: it begins at once.
        closes: reason why it ended; empty: the run ended first.
    """

    first: int | None
    last: int | None
    longest: int
    opens: str
    closes: str

    @property
    def rows(self) -> tuple[Row, ...]:
        """The window, and why it opens and closes."""
        source = (
            "segments of two steps or more within the tolerance, cheaper than as many rounds of"
            " one step"
        )
        exact = Evidence.EXACT
        bounds = []
        if self.first is not None and self.last is not None:
            bounds = [
                Row(names.WINDOW_FIRST, self.first, "steps", exact, source),
                Row(names.WINDOW_LAST, self.last, "steps", exact, source),
            ]
        return (
            *bounds,
            Row(names.WINDOW_LONGEST, self.longest, "steps", exact, "the longest segment in it"),
            Row(names.WINDOW_OPENS, self.opens, "", exact, "why not earlier; empty: at once"),
            Row(names.WINDOW_CLOSES, self.closes, "", exact, "why; empty: the run ended first"),
        )


def window_of(
    rounds: Sequence[_Round], schedule: Schedule | AdaptiveSchedule, stopped: str
) -> Window:
    """The window of a run.

    A segment of K steps is worth it where it takes less, gradients and one round's upload and
    readout, than K rounds of one step would: K (1 + round_cost), and as many shots as it took each.
    Nothing of it comes from the true descent beside the run.

    Args:
        rounds: of the run.
        schedule: its settings.
        stopped: why the run ended before all its steps; empty: it did not.
    """
    ends = list(accumulate(each.steps for each in rounds))
    worth = [index for index, each in enumerate(rounds) if _worth(each, schedule)]
    if not worth:
        return Window(None, None, 0, rounds[0].end if rounds else stopped, stopped)
    first, last = worth[0], worth[-1]
    closes = rounds[last + 1].end if last + 1 < len(rounds) else stopped
    return Window(
        ends[first] - rounds[first].steps,
        ends[last],
        max(rounds[index].steps for index in worth),
        rounds[first - 1].end if first else "",
        closes,
    )


def _worth(each: _Round, schedule: Schedule | AdaptiveSchedule) -> bool:
    if each.steps < 2:
        return False
    if isinstance(schedule, Schedule):
        return True  # of fixed length: no price was asked
    single = schedule.work(1, 1, each.shots) - schedule.work(1, 1) + schedule.round_cost + 1
    return schedule.work(each.order, each.steps, each.shots) < single
