"""Quantum-emulated training: upload, a segment of Carleman steps as one linear system, readout, download, again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent._random import derived_seed
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.quantum.tomography import read_out
from qdescent.solvers.series import series_steps
from qdescent.training.descent import displacements
from qdescent.training.schedule import Schedule


@dataclass(frozen=True)
class Round:
    """One upload, segment of K steps, and download.

    Args:
        theta: the weights after the readout, (n,).
        loss: L on the round's batch at the pivot and after each of the K emulated steps (before readout), (K + 1,).
        truncation: ||u_N(t) - u_GD(t)|| / ||u_GD(t)|| for t = 1..K, measured against true descent from the same pivot, (K,).
        last_term: ||u_N|| / ||u|| at the end, close to the truncation error of order N - 1: pessimistic, without reference.
        readout_error: ||read - u|| / ||u||, measured.
        gram: <u_k(t), u_l(t)> of the series terms for t = 1..K, (K, N, N): what the lifted state's norms follow from.
    """

    theta: Tensor = field(repr=False)
    loss: tuple[float, ...]
    truncation: tuple[float, ...]
    last_term: float
    readout_error: float
    gram: tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True)
class Run:
    """A whole hybrid training.

    Args:
        theta: the final weights, (n,).
        rounds: what happened in each.
        schedule: the settings.
    """

    theta: Tensor = field(repr=False)
    rounds: tuple[Round, ...]
    schedule: Schedule


def hybrid_round(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    schedule: Schedule,
    seed: int,
    on_step: Callable[[], None] | None = None,
) -> Round:
    """One round from the pivot theta.

    The segment is emulated exactly by `series_steps`. True descent runs beside it from the same pivot, only to measure the
    truncation error: the quantum algorithm would not have it.

    Args:
        task: network, loss and the round's fixed batch.
        space: the kept weights.
        theta: the pivot, (n,).
        schedule: N, K, eta, S.
        seed: of the readout.
        on_step: called after each step, e.g. to move a progress bar.

    Raises:
        ArgumentError: the truncated series left its radius of convergence so far that its numbers overflowed.
    """
    losses, truncation, gram = [float(task.loss_at(space, theta).detach())], [], []
    series = series_steps(task, space, theta, schedule.order, schedule.learning_rate)
    reference = displacements(task, space, theta, schedule.learning_rate)
    terms = torch.zeros(schedule.order, space.n)
    for _ in range(schedule.segment):
        terms = next(series)
        displacement = terms.sum(0)
        if not bool(torch.isfinite(displacement).all()):
            must = "stay within the series' radius of convergence (shorten it, or lower eta)"
            raise argument_error("segment", must, schedule.segment)
        truncation.append(_relative(displacement, next(reference)[1]))
        double = terms.double()
        gram.append(tuple(map(tuple, (double @ double.T).tolist())))
        with torch.no_grad():
            losses.append(float(task.loss_at(space, theta + displacement)))
        if on_step is not None:
            on_step()
    read = displacement if schedule.shots is None else read_out(displacement, schedule.shots, seed).vector
    return Round(
        theta=theta + read,
        loss=tuple(losses),
        truncation=tuple(truncation),
        last_term=_norm(terms[-1]) / (_norm(displacement) or 1.0),
        readout_error=_relative(read, displacement),
        gram=tuple(gram),
    )


def train_hybrid(
    tasks: Sequence[Task],
    space: ParameterSpace,
    schedule: Schedule,
    theta: Tensor | None = None,
    seed: int = 0,
    done: Sequence[Round] = (),
    on_round: Callable[[Round], None] | None = None,
    on_step: Callable[[], None] | None = None,
) -> Run:
    """R rounds of upload, segment, readout and download.

    Args:
        tasks: one for each round (the same network and loss, each with the round's batch); a single one serves all rounds.
        space: the kept weights.
        schedule: order, segment, rounds, learning rate, shots.
        theta: the first pivot, (n,); None: the network's own weights.
        seed: round r reads out with the generator named ("round", r): a resumed run draws the same shots.
        done: rounds of an earlier, interrupted call.
        on_round: called after each round, e.g. to save it.
        on_step: called after each step.

    Returns:
        Run.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> schedule = Schedule(order=1, segment=2, rounds=2, learning_rate=0.1, shots=None)
        >>> run = train_hybrid([task], space, schedule, theta=torch.ones(1, dtype=torch.float64))
        >>> round(float(run.theta), 6)  # a quadratic loss is exact at order 1: 0.8^4
        0.4096
    """
    if len(tasks) not in (1, schedule.rounds):
        raise argument_error("tasks", f"hold 1 task or {schedule.rounds}, one for each round", f"{len(tasks)} of them")
    if len(done) > schedule.rounds:
        raise argument_error("done", f"hold at most {schedule.rounds} rounds", f"{len(done)} of them")
    rounds = list(done)
    theta = rounds[-1].theta if rounds else space.theta if theta is None else theta
    for r in range(len(rounds), schedule.rounds):
        task = tasks[r % len(tasks)]
        rounds.append(hybrid_round(task, space, theta, schedule, derived_seed(seed, "round", r), on_step))
        theta = rounds[-1].theta
        if on_round is not None:
            on_round(rounds[-1])
    return Run(theta, tuple(rounds), schedule)


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x))


def _relative(x: Tensor, reference: Tensor) -> float:
    size = _norm(reference)
    return _norm(x - reference) / size if size else float(_norm(x) > 0)
