"""What a segment's end would cost where every shot of its readout has a price."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from qdescent.learning.parallel.spread import Curve
from qdescent.quantum.readout.limits import LEAST_EPSILON, MOST_SHOTS
from qdescent.training.rounds.download import shots_about
from qdescent.training.schedule import AdaptiveSchedule
from qdescent.training.tail import Tail


@dataclass(frozen=True)
class Offer:
    """An end of a segment, and its price.

    Args:
        steps: K.
        work: gradients a step, shots included; infinite where no number of shots is enough.
        read_error: relative error of the state that truncation leaves to its readout.
        shots: about how many that takes.
        terms: u_1 ... u_N.
        velocity: the velocity's terms; None without momentum.
    """

    steps: int
    work: float
    read_error: float
    shots: float
    terms: Curve = field(repr=False)
    velocity: Curve | None = field(repr=False)


def offer(
    schedule: AdaptiveSchedule,
    steps: int,
    terms: Curve,
    velocity: Curve | None,
    rate: float,
    tail: Tail,
    solver: float = 0.0,
) -> Offer:
    """What it costs to end a segment here.

    The tolerance is one of u. Where a velocity is read with it the whole state may be off by as
    much as u may, so that u is at most.

    Args:
        steps: K.
        terms, velocity: at its end.
        rate: eta, of the state (u, eta v).
        tail: the truncation's estimate.
        solver: what the engine misses.
    """
    u = terms.end
    state = u if velocity is None else torch.cat([u, rate * velocity.end])
    size = float(torch.linalg.vector_norm(state))
    share = float(torch.linalg.vector_norm(u)) / size if size else 1.0
    error = share * schedule.left_to_read(tail, solver)
    shots = shots_about(state, error)
    enough = not size or (error >= LEAST_EPSILON and shots <= MOST_SHOTS)
    work = schedule.work(len(terms), steps, math.ceil(shots)) if enough else math.inf
    return Offer(steps, work, error, shots, terms, velocity)


def dearer(steps: int, shots: float) -> str:
    """Why a segment ends where it could go on, in words."""
    if not shots <= MOST_SHOTS:
        return f"the tolerance leaves the readout of step {steps} no error that shots reach"
    return f"step {steps} would be dearer: {shots:.2g} shots are what its tolerance leaves"
