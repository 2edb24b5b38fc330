"""How a hybrid run is cut into rounds and segments: beforehand, or by a tolerance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from qdescent._checks import (
    argument_error,
    check_boolean,
    check_field,
    check_instance,
    check_integer,
    check_interval,
    check_sequence,
    shown,
)
from qdescent.learning.descent.rate_falls import CONSTANT
from qdescent.learning.descent.sgd import SGD
from qdescent.quantum.readout.limits import MOST_SHOTS
from qdescent.quantum.simulator.forecast import MOST_SECONDS
from qdescent.solvers.promise.limits import ORDER_LIMIT
from qdescent.training.engines.choices import CHEAPEST
from qdescent.training.schedule_checks import (
    MOST_STEPS,
    Rate,
    check_descent,
    check_function,
    check_order,
    check_unasked,
    rule_of,
    step_gradients,
)
from qdescent.training.tail import Tail

# Of the tolerance, 1 % of its square: ten times less costs an engine a product or a node more.
SOLVER_PART = 0.1
SAFETY = 3.0
MOST_PRICE = 1e200  # of a shot, in gradients: as many as there can be cost a finite number


@dataclass(frozen=True)
class Schedule:
    """The settings of quantum-emulated training with segments of one length.

    Args:
        order: N of the Carleman truncation, 1 to 6. 2 is the least order that sees the curvature
            change.
        segment: K, steps between an upload and a download. 20 keeps the truncation error below 1 %
            at eta = 0.02 and N = 2 on the embedded task (measured).
        rounds: R, uploads.
        learning_rate: eta. The paper asks for small rates; 0.02 is plain descent's, ten times less
            than is usual with momentum. A sequence has a rate for each round; a function is asked
            with the round's number, from 0 on.
        shots: S per readout for magnitudes, and as many for signs; None reads out perfectly. 10^6
            leave about sqrt(n/(4S)), 5 % of the displacement at n = 10^4.
        momentum: beta, in [0, 1); 0: none, as in the paper. The state is then (u, eta v) in
            R^{2n}: a readout measures both, and the velocity goes on in the next round.
        fresh_batches: True: step t of the run takes the t-th task (stochastic gradient descent),
            not round r the r-th.
        engine: the way to a segment's end, a name of `ENGINES`: "series" (exact, every step),
            "fast-forward" (exact to `engine_tolerance`, at a cost that does not grow with K), or
            "circuit" (gates on a state vector, for a few weights).
        engine_tolerance: error that the engine may leave in the order-N solution, relative to it.
            1e-3: a tenth of the truncation that `AdaptiveSchedule` allows.
        weight_decay, dampening, nesterov: as of `torch.optim.SGD`. The decay is a linear term of
            the gradient: it changes F_1 and F_0 of the map.
        decoupled: weight decay beside the gradient, as in SGDW.
        largest: m, entries that a download reads, the largest; a float is their share. The others
            stay at the pivot. None: all.
        unread: share of the squared norm that a download may leave unread, to first order of the
            segment's progress, from which m is chosen in place of `largest`.
        read_error: relative error that a download may have, shot noise and unread entries
            together: shots and m are then those of fewest shots (`fewest_shots`), and `shots`,
            `largest` and `unread` are not asked. None: they are.
        rate_schedule: fall of a single rate over the steps of the run, a name of `FALLS`, asked at
            each upload: "constant", "cosine", "linear", or "step" (a tenth at half and at three
            quarters of them).
        most_seconds: forecast of a circuit's simulation beyond which the engine "circuit" refuses
            it (`Circuit`).

    Raises:
        ArgumentError: a setting outside its range, or one that the engine cannot do.

    Example:
        >>> Schedule(segment=10, rounds=3).steps
        30
        >>> Schedule(rounds=2, learning_rate=(0.1, 0.01)).rule(1).learning_rate
        0.01
    """

    order: int = 2
    segment: int = 20
    rounds: int = 5
    learning_rate: Rate = 0.02
    shots: int | None = 1_000_000
    momentum: float = 0.0
    fresh_batches: bool = False
    engine: str = "series"
    engine_tolerance: float = 1e-3
    weight_decay: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    decoupled: bool = False
    largest: float | None = None
    unread: float | None = None
    read_error: float | None = None
    rate_schedule: str = CONSTANT
    most_seconds: float = MOST_SECONDS

    def __post_init__(self) -> None:
        check_field(self, "order", check_order)
        check_field(self, "segment", check_integer, 1, MOST_STEPS)
        check_field(self, "rounds", check_integer, 1, MOST_STEPS)
        check_descent(self)
        if isinstance(self.learning_rate, tuple) and len(self.learning_rate) != self.rounds:
            must = f"hold {self.rounds} rates, one for each round"
            raise argument_error("learning_rate", must, f"{len(self.learning_rate)} of them")

    @property
    def steps(self) -> int:
        """R K, all steps of the run."""
        return self.segment * self.rounds

    @property
    def orders(self) -> tuple[int]:
        """The orders to choose from: one."""
        return (self.order,)

    @property
    def followed(self) -> int:
        """How many terms of the series are computed."""
        return self.order

    @property
    def longest(self) -> int:
        """The most steps of one segment."""
        return self.segment

    @property
    def patience(self) -> int:
        """None: a segment of fixed length is no choice."""
        return 0

    def rule(self, round_index: int, done: int | None = None) -> SGD:
        """The update rule of a round, counted from 0, and after so many steps; None: `longest` in
        each round before it.
        """
        return rule_of(self, round_index, done)

    def accepts(self, tail: Tail, solver: float = 0.0) -> bool:
        """Whether a segment may hold a step with such terms: unless they overflowed, whatever its
        engine misses.
        """
        solver = check_interval("solver", solver, "[0, inf]")
        return not math.isinf(check_instance("tail", tail, Tail).growth)

    def work(self, order: int, steps: int) -> float:
        """N(N+3)/2, a step's work in gradients (a cost model)."""
        steps = check_integer("steps", steps, 0)
        return step_gradients(order)


@dataclass(frozen=True)
class AdaptiveSchedule:
    """The settings of quantum-emulated training whose segments are as long as a tolerance allows.

    A segment of order N ends before the first step at which `safety` times the estimated relative
    truncation error would pass `tolerance`: the larger of what the series' terms say
    (`estimate_tail`) and of what true gradients at the end of each step say (`error_from_residual`,
    `CarriedError`), which see what the terms cannot: an even loss, an error that a divergent mode
    makes grow. Of the orders allowed, each round takes the one that does its steps for the least
    work, (K N(N+3)/2 + round_cost) / K gradients a step. All of it is decided by terms, true
    gradients, the engine's own count and what is to be read; never by the true descent beside it.

    What the engine misses is part of the same tolerance, (safety truncation)^2 + solver^2 <=
    tolerance^2. With a price per shot (`shot_cost`) the readout is, too, and length, order, shots
    and entries are those of the least work a step, (K N(N+3)/2 + round_cost + shot_cost S) / K: a
    longer segment is read more seldom, and leaves its readout less error.

    With momentum or fresh batches the series is followed one order further than the highest
    allowed: u_1 then grows by the velocity at the pivot and by noise, not with eta t, and an
    estimate from N terms alone was up to 23 times too small (measured on small networks, beta =
    0.9); with the term after the last one it was at most 2.6 times, within `safety`.

    Args:
        tolerance: bound on ||u_N - u_GD|| / ||u_GD|| at the end of each segment, before its
            readout; with `shot_cost` after it, in the mean square. 0.01: below the error of a
            readout with 10^6 shots.
        orders: the orders N to choose from, 1 to 6, at least one of them 2 or more: u_1 alone says
            nothing of u_2. (2, 3): on the embedded task 2 was chosen at eta = 0.005 and 0.02, and 3
            in half of the rounds at 0.1 (measured). All are followed at once, at the cost of the
            highest; an order whose next one is followed too has the nearer estimate.
        steps: T, all steps of the run. 100: as many as the default `Schedule`.
        longest: the most steps of one segment. 100: the longest that was measured below 1 % (eta =
            0.005, N = 2).
        learning_rate: eta, as in `Schedule`; of a sequence the last rate goes on.
        shots: S, as in `Schedule`.
        round_cost: an upload and a readout, in gradients. 100: as much as 20 steps of order 2, so
            that neither is neglected; a real readout costs far more (the ledger says how much), and
            then the longest segments win.
        shot_cost: price of a shot, in gradients: a number, or a function of (order, steps), for a
            shot is a whole solve. It chooses shots and entries, so that `shots`, `largest`,
            `unread` and `read_error` are not asked. None: they are, and shots have no price.
        safety: the factor between the estimate and the tolerance. 3: on trained networks the true
            error was at most 1.6 times the estimate that is used (benchmarks/tail_calibration.py),
            on small random ones with momentum 2.6 times.
        momentum: beta, as in `Schedule`.
        engine: as in `Schedule`; or "cheapest": in each round fast-forward where it can do the
            segment for fewer gradients than the series, by its own count, and else the series.
        fresh_batches: as in `Schedule`.
        engine_tolerance: error that the engine may leave, a part of the tolerance; None: a tenth.
        weight_decay, dampening, nesterov, decoupled: as in `Schedule`.
        largest, unread, read_error: as in `Schedule`.
        patience: single steps of classical descent in a row, with which a run looks for a pivot
            from which a segment is worth it, before it ends; 0: it ends at the first.
        rate_schedule, most_seconds: as in `Schedule`.

    Raises:
        ArgumentError: a setting outside its range, or one that the engine cannot do.

    Example:
        >>> AdaptiveSchedule(tolerance=1e-3, orders=(3, 2)).orders
        (2, 3)
        >>> AdaptiveSchedule(orders=(1,))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `orders` must hold an order of at least 2 (one ...
    """

    tolerance: float = 0.01
    orders: tuple[int, ...] = (2, 3)
    steps: int = 100
    longest: int = 100
    learning_rate: Rate = 0.02
    shots: int | None = 1_000_000
    round_cost: float = 100.0
    shot_cost: float | Callable[[int, int], float] | None = None
    safety: float = SAFETY
    momentum: float = 0.0
    fresh_batches: bool = False
    engine: str = "series"
    engine_tolerance: float = None  # type: ignore[assignment]  # a tenth of the tolerance
    weight_decay: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    decoupled: bool = False
    largest: float | None = None
    unread: float | None = None
    read_error: float | None = None
    patience: int = 0
    rate_schedule: str = CONSTANT
    most_seconds: float = MOST_SECONDS

    def __post_init__(self) -> None:
        check_field(self, "patience", check_integer, 0, MOST_STEPS)
        check_field(self, "tolerance", check_interval, "(0, 1)")
        if self.engine_tolerance is None:
            object.__setattr__(self, "engine_tolerance", SOLVER_PART * self.tolerance)
        check_field(self, "fresh_batches", check_boolean)
        for order in check_sequence(
            "orders", self.orders, object, called="a sequence of orders", empty=True
        ):
            check_order("orders", order)  # type: ignore[arg-type]
        if max(self.orders, default=1) < 2:
            raise argument_error(
                "orders",
                "hold an order of at least 2 (one term tells no tail)",
                shown(tuple(self.orders)),
            )
        object.__setattr__(self, "orders", tuple(sorted({int(order) for order in self.orders})))
        check_field(self, "momentum", check_interval, "[0, 1)")
        if self.followed > ORDER_LIMIT:
            must = (
                f"be at most {ORDER_LIMIT - 1} with momentum or fresh batches (the estimate needs"
                " the term after the last)"
            )
            raise argument_error("orders", must, self.orders)
        check_field(self, "steps", check_integer, 1, MOST_STEPS)
        # one step is plain descent: nothing to linearise
        check_field(self, "longest", check_integer, 2, MOST_STEPS)
        check_field(self, "round_cost", check_interval, "[0, inf)")
        check_field(self, "safety", check_interval, "[1, inf)")
        if self.shot_cost is not None:
            if callable(self.shot_cost):
                called = "a number, or a function of order and steps"
                check_function("shot_cost", self.shot_cost, called, 2, 2)
            else:
                check_field(self, "shot_cost", check_interval, f"(0, {MOST_PRICE:g}]")
            check_unasked(self, "shot_cost", "largest", "unread", "read_error")
        check_descent(self, [CHEAPEST])

    @property
    def followed(self) -> int:
        """How many terms of the series are computed: with momentum or fresh batches one more than
        the highest order.
        """
        return self.orders[-1] + bool(self.momentum or self.fresh_batches)

    def rule(self, round_index: int, done: int | None = None) -> SGD:
        """The update rule of a round, counted from 0, and after so many steps; None: `longest` in
        each round before it.
        """
        return rule_of(self, round_index, done)

    def accepts(self, tail: Tail, solver: float = 0.0) -> bool:
        """Whether a segment may hold a step with such an estimate, and what its engine misses."""
        return self._taken(tail, solver) <= self.tolerance

    def left_to_read(self, tail: Tail, solver: float = 0.0) -> float:
        """sqrt(tolerance^2 - (safety error)^2 - solver^2): what both leave to the readout."""
        return math.sqrt(max(0.0, self.tolerance**2 - self._taken(tail, solver) ** 2))

    def _taken(self, tail: Tail, solver: float) -> float:
        solver = check_interval("solver", solver, "[0, inf]")
        error = self.safety * check_instance("tail", tail, Tail).error
        return math.hypot(error, solver) if solver else error

    def work(self, order: int, steps: int, shots: int = 0) -> float:
        """(K N(N+3)/2 + round_cost + shot_cost S) / K: a segment's work in gradients for each of
        its K steps (a cost model).
        """
        steps = check_integer("steps", steps, 1, MOST_STEPS)
        shots = check_integer("shots", shots, 0, 2 * MOST_SHOTS)  # magnitudes and signs
        price = self.shot_cost(order, steps) if callable(self.shot_cost) else self.shot_cost or 0.0
        paid = check_interval("shot_cost", price, f"[0, {MOST_PRICE:g}]") * shots
        return step_gradients(order) + (self.round_cost + paid) / steps
