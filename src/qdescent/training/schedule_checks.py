"""What both kinds of schedule have: rate, rule, readout and engine, checked; and a step's work."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

from qdescent._checks import (
    argument_error,
    check_boolean,
    check_callable,
    check_choice,
    check_field,
    check_integer,
    check_interval,
    check_numbers,
    plain_number,
)
from qdescent.learning.descent.rate_falls import CONSTANT, FALLS
from qdescent.learning.descent.sgd import SGD
from qdescent.quantum.readout.limits import LEAST_EPSILON, MOST_SHOTS
from qdescent.solvers.promise.limits import ORDER_LIMIT
from qdescent.training.engines.choices import CHEAPEST, ENGINES

MOST_STEPS = 10**9  # gradients of a run that ends in somebody's lifetime
MOST_RATES = 10_000  # of a function, asked for before the first round
Rate = float | Sequence[float] | Callable[[int], float]


def check_descent(schedule: Any, engines: Sequence[str] = ()) -> None:
    """Check rate, rule, shots and engine.

    Args:
        schedule: of either kind.
        engines: choices besides those of `ENGINES`.
    """
    given = plain_number(schedule.learning_rate)
    object.__setattr__(schedule, "learning_rate", given)
    if not isinstance(given, float):
        if callable(given):
            check_function("learning_rate", given, "a number, one for each round, or a function", 0)
        elif isinstance(given, Sequence) and not isinstance(given, str):
            called = "a number, one for each round, or a function of the round"
            check_field(schedule, "learning_rate", check_numbers, "(0, inf)", called)
    check_field(schedule, "rate_schedule", check_choice, FALLS)
    rule = rule_of(schedule, 0)
    for name in ("momentum", "weight_decay", "dampening", "nesterov", "decoupled"):
        object.__setattr__(schedule, name, getattr(rule, name))
    if schedule.rate_schedule != CONSTANT and not isinstance(schedule.learning_rate, Real):
        must = f"be {CONSTANT!r} where each round has a rate of its own"
        raise argument_error("rate_schedule", must, repr(schedule.rate_schedule))
    if callable(given):
        _check_rates(schedule)
    if schedule.shots is not None:
        check_field(schedule, "shots", check_integer, 1, MOST_SHOTS)
    object.__setattr__(schedule, "largest", plain_number(schedule.largest))
    if isinstance(schedule.largest, float):
        check_field(schedule, "largest", check_interval, "(0, 1]")
    elif schedule.largest is not None:
        check_field(schedule, "largest", check_integer, 1, MOST_SHOTS)
    if schedule.unread is not None:
        check_field(schedule, "unread", check_interval, "[0, 1)")
        check_unasked(schedule, "unread", "largest")
    if schedule.read_error is not None:
        check_field(schedule, "read_error", check_interval, "(0, 1)")
        if schedule.read_error < LEAST_EPSILON:
            raise argument_error(
                "read_error", f"be at least {LEAST_EPSILON:g}", schedule.read_error
            )
        check_unasked(schedule, "read_error", "largest", "unread")
    check_field(schedule, "fresh_batches", check_boolean)
    check_field(schedule, "engine_tolerance", check_interval, "(0, 1)")
    check_field(schedule, "most_seconds", check_interval, "(0, inf]")
    engine = check_choice("engine", schedule.engine, [*ENGINES, *engines])
    if engine != CHEAPEST:
        ENGINES[engine].check((schedule.followed,), rule, schedule.fresh_batches)


def _check_rates(schedule: Any) -> None:
    """Check a function's rates before any round, of all rounds that are sure to come."""
    rounds = min(-(-schedule.steps // schedule.longest), MOST_RATES)
    rates = [rule_of(schedule, r).learning_rate for r in range(rounds)]
    again = rule_of(schedule, 0).learning_rate
    if again != rates[0]:
        must = "give a round the same rate whenever it is asked"
        raise argument_error("learning_rate", must, f"a function: {rates[0]:g}, then {again:g}")


def check_function(name: str, value: Any, called: str, *example: int) -> None:
    """Check that it is a function, and one that takes such arguments.

    Args:
        name: of the argument.
        value: what was given.
        called: what it must be.
        example: what it will be asked with.
    """
    check_callable(name, value, called)
    try:
        takes = inspect.signature(value)
    except ValueError:  # a builtin does not say what it takes
        return
    try:
        takes.bind(*example)
    except TypeError:
        must = f"be {called} that takes {len(example)} argument" + "s" * (len(example) > 1)
        raise argument_error(name, must, f"one of {takes}") from None


def check_unasked(schedule: Any, by: str, *names: str) -> None:
    """What another setting chooses is not given."""
    for name in names:
        if getattr(schedule, name) is not None:
            must = f"be None where `{by}` chooses how much is read"
            raise argument_error(name, must, getattr(schedule, name))


def rule_of(schedule: Any, round_index: int, done: int | None = None) -> SGD:
    """The update rule of a round; of a sequence of rates the last goes on.

    Args:
        schedule: of either kind.
        round_index: of the round, from 0 on.
        done: steps before it; None: `longest` in each round before.
    """
    round_index, rate = check_integer("round_index", round_index, 0), schedule.learning_rate
    done = (
        round_index * schedule.longest
        if done is None
        else check_integer("done", done, 0, schedule.steps)
    )
    if callable(rate):
        rate = rate(round_index)
    elif isinstance(rate, tuple):
        rate = rate[min(round_index, len(rate) - 1)]
    fall = FALLS[schedule.rate_schedule](min(done, schedule.steps - 1) / schedule.steps)
    return SGD(
        fall * check_interval("learning_rate", rate, "(0, inf)"),
        schedule.momentum,
        schedule.weight_decay,
        schedule.dampening,
        schedule.nesterov,
        schedule.decoupled,
    )


def step_gradients(order: int) -> float:
    """N(N+3)/2, the work of a step of order N in gradients (a cost model)."""
    order = check_order("order", order)
    return order * (order + 3) / 2


def check_order(name: str, order: int) -> int:
    """Check that a series has it."""
    order = check_integer(name, order, 1)
    check_interval(name, order, f"[1, {ORDER_LIMIT}]")
    return order
