"""Whether a run may go on from rounds of an earlier call: else its numbers would be a mixture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from itertools import accumulate
from numbers import Integral, Real
from typing import Any

from qdescent._checks import argument_error, plain_number, shown
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.task import Task
from qdescent.training.rounds.pruning import Pruning
from qdescent.training.rounds.record import Round
from qdescent.training.schedule import AdaptiveSchedule, Schedule

SAME_LOSS = 1e-3  # relative: what another thread count or device leaves of single precision
# what no number of a round depends on, and what is bound as the rule that the round had
FREE = ("rounds", "most_seconds", "learning_rate", "rate_schedule")
Settings = tuple[tuple[str, Any], ...]


def settings_of(
    schedule: Schedule | AdaptiveSchedule,
    rule: SGD,
    seed: int,
    tasks: Sequence[Task],
    pruning: Pruning | None,
    place: int,
) -> Settings:
    """What a round's numbers depend on besides network, data and pivot, by name.

    More rounds of one length change nothing of those before; the end of an adaptive run cuts its
    last segment, so that its steps are among these.
    """
    own = {each.name: getattr(schedule, each.name) for each in fields(schedule)}
    if callable(own.get("shot_cost")):
        own["shot_cost"] = own["shot_cost"](schedule.orders[0], schedule.longest)
    fixed = isinstance(schedule, Schedule) and not schedule.fresh_batches
    bound = {
        "schedule": type(schedule).__name__,
        **{name: value for name, value in own.items() if name not in FREE},
        **{each.name: getattr(rule, each.name) for each in fields(rule)},
        "seed": seed,
        "tasks": "one a round" if fixed and len(tasks) > 1 else len(tasks),
        "pruning": None
        if pruning is None
        else tuple(getattr(pruning, each.name) for each in fields(pruning)),
        "round": place,
    }
    return tuple((name, _plain(value)) for name, value in bound.items())


def _plain(value: Any) -> Any:
    """A number as Python's own, so that it is the same after it was saved."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    value = plain_number(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def check_settings(
    done: Sequence[Round],
    schedule: Schedule | AdaptiveSchedule,
    seed: int,
    tasks: Sequence[Task],
    pruning: Pruning | None,
) -> None:
    """Check that rounds were made by these settings.

    Raises:
        ArgumentError: by others, of which the first is named, in another order, or with more steps
            than there are;
            with momentum, rounds without a velocity.
    """
    left = schedule.steps - sum(each.steps for each in done)
    if left < 0:
        must = f"hold at most the schedule's {schedule.steps} steps"
        raise argument_error("done", must, f"{schedule.steps - left} of them")
    before = accumulate((each.steps for each in done), initial=0)
    for r, (each, steps) in enumerate(zip(done, before, strict=False)):
        then = dict(each.settings)
        now = dict(settings_of(schedule, schedule.rule(r, steps), seed, tasks, pruning, r))
        if then.get("round", r) != r:
            must = "hold the rounds of one call, each once and in their order"
            actual = f"with round {then['round']} in the place of round {r}"
            raise argument_error("done", must, actual)
        for name in [*now, *then]:
            if now.get(name, "none") != then.get(name, "none"):
                must = (
                    "hold rounds that were made with these settings (a new run may begin at the"
                    " weights where they end, `theta`)"
                )
                was, here = (shown(x.get(name, "none")) for x in (then, now))
                actual = f"of others: in round {r} `{name}` was {was}, here it is {here}"
                raise argument_error("done", must, actual)
    if schedule.momentum and done and done[-1].velocity is None:
        must = "hold rounds that were made with momentum, as the schedule has it"
        raise argument_error("done", must, "without a velocity")


def check_begun(first: Round, loss: float) -> None:
    """Check that the first round began where a call goes on from, by its loss before any step.

    Raises:
        ArgumentError: with another network, other data or from another pivot.
    """
    began = first.loss[0]
    if math.isfinite(began) and abs(loss - began) > SAME_LOSS * max(abs(loss), abs(began)):
        must = "hold rounds that began with this network, data and first pivot"
        actual = f"of others: their loss was {began:.6g} before any step, here it is {loss:.6g}"
        raise argument_error("done", must, actual)
