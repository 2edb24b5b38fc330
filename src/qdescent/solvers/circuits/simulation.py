"""The steps that every solve by a circuit has: angles fine enough, a simulation that one waits for,
and amplification.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from qualtran import Bloq

from qdescent._evidence import Row
from qdescent.quantum.algorithms.rounds import rounds_needed
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.simulator.forecast import Forecast, check_simulation
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.circuits.rows import amplification_rows
from qdescent.solvers.circuits.run import CircuitRun
from qdescent.solvers.encodings import EncodingPlan, more_bits, quantised
from qdescent.solvers.promise.problem import Problem

C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Fitted(Generic[C]):
    """A circuit, and what its quantised angles leave of the promise.

    Args:
        circuit: as it was built.
        bits: of every loaded angle.
        bound: on ||Z - M^-1 B||/||M^-1 B||, where kappa is right.
        left_over: of the residual, by the polynomial and its angles.
    """

    circuit: C
    bits: int
    bound: float
    left_over: float


def first_encoding(
    problem: Problem, settings: Circuit, plan: EncodingPlan, *, share: float, more: int = 0
) -> BlockEncoding:
    """The encoding with the bits that were set, or with the fewest for a share of epsilon.

    Args:
        problem, settings: of the solve.
        plan: of the encoding.
        share: of epsilon, left to the angles.
        more: levels of angles besides those of |B>.
    """
    if settings.angle_bits is not None:
        return plan.encode(settings.angle_bits, settings.loader)
    return quantised(
        plan,
        problem.kappa,
        share,
        complex_rhs=problem.system.is_complex,
        more=more,
        setting=problem.asked,
        loader=settings.loader,
    )


def fitted(
    problem: Problem,
    settings: Circuit,
    plan: EncodingPlan,
    encoding: BlockEncoding,
    build: Callable[[BlockEncoding], Fitted[C] | None],
) -> Fitted[C]:
    """The first circuit whose derived bound is within epsilon, a bit more of its angles at a time.

    Args:
        problem, settings, plan: as in `first_encoding`.
        encoding: the first to try.
        build: the circuit of an encoding; None where it promises nothing, kappa e >= 1.

    Raises:
        ArgumentError: bits that were set and are too few, or no more of them to be had.
    """
    while True:
        found = build(encoding)
        if found is not None and found.bound <= problem.epsilon:
            return found
        bound = math.inf if found is None else found.bound
        bits = encoding.angle_bits
        more = more_bits(settings.angle_bits, bits, problem.asked, problem.kappa, bound)
        encoding = plan.encode(more, settings.loader)


def simulated(
    problem: Problem,
    settings: Circuit,
    bloq: Bloq,
    queries: int,
    run: Callable[[Simulator], CircuitRun],
    amplified: Callable[[CircuitRun, Simulator], CircuitRun],
) -> tuple[CircuitRun, list[Row]]:
    """The run of a circuit, amplified where the settings ask for it, and the rows of that.

    Args:
        problem, settings: of the solve.
        bloq: the circuit.
        queries: of one run.
        run: simulates it by a simulator.
        amplified: simulates it under amplitude amplification, from a run without.

    Raises:
        ArgumentError: more queries, qubits or seconds than one waits for: before either simulation.
    """
    qubits = bloq.signature.n_qubits()
    problem.check(queries, qubits)
    simulator = checked_simulator(bloq, settings, problem.system.matrix.device)
    bare = run(simulator)
    if not settings.amplify:
        return bare, []
    runs = amplified_runs(bare.success_probability)
    problem.check(runs * queries, qubits)
    check_runs(simulator, bloq, settings, runs)
    sure = amplified(bare, simulator)
    return sure, amplification_rows(bare.success_probability, sure.rounds)


def expected(bloq: Bloq, device: torch.device) -> Forecast:
    """What a circuit's simulation would take."""
    return Simulator(device=device).forecast(bloq)


def checked_simulator(
    bloq: Bloq, settings: Circuit, device: torch.device, runs: int = 1
) -> Simulator:
    """A simulator for a circuit that one waits for; it has compiled it.

    Args:
        bloq: the circuit.
        settings: with the limit.
        device: of the amplitudes.
        runs: of the circuit.

    Raises:
        ArgumentError: more seconds than the limit, or more memory than there is.
    """
    simulator = Simulator(device=device)
    check_runs(simulator, bloq, settings, runs)
    return simulator


def check_runs(simulator: Simulator, bloq: Bloq, settings: Circuit, runs: int) -> None:
    """Check that one waits for so many runs of a circuit; arguments as of `checked_simulator`."""
    on_cpu = simulator.device.type == "cpu"
    check_simulation(simulator.forecast(bloq), settings.most_seconds, runs, on_cpu)


def amplified_runs(probability: float) -> int:
    """Runs of a circuit, forth and back, in its amplitude amplification: 2 r + 1.

    Example:
        >>> amplified_runs(0.25), amplified_runs(1e-4)
        (3, 159)
    """
    return 2 * rounds_needed(probability) + 1
