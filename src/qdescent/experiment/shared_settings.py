"""Settings that several jobs have, each declared once: `order: int = shared.order()`."""

from __future__ import annotations

from typing import Any

from qdescent.experiment.setting import TEXT, setting
from qdescent.quantum.simulator.forecast import MOST_SECONDS
from qdescent.solvers.promise.limits import ORDER_LIMIT
from qdescent.training.engines.choices import CHEAPEST, ENGINES

LEARNING_RATE = 0.02


def learning_rate() -> Any:
    """Eta, of the steps after pruning."""
    return setting(
        LEARNING_RATE,
        "(0, inf)",
        "Eta, learning rate after pruning.",
        why="At N = 2, K = 20 the truncation error stays below 1 % (measured).",
    )


def order() -> Any:
    """N."""
    return setting(
        2,
        f"[1, {ORDER_LIMIT}]",
        "N, order of the Carleman linearisation.",
        why="The least that sees the curvature change.",
    )


def segment() -> Any:
    """K."""
    return setting(20, "[1, inf)", "K, steps between an upload and a download.", unit="steps")


def rounds() -> Any:
    """R."""
    return setting(5, "[1, inf)", "R, number of uploads.", unit="uploads")


def tolerance() -> Any:
    """What ends a segment."""
    return setting(
        0.0,
        "[0, 1)",
        "Truncation error that chooses each segment's length and order; 0: fixed.",
        why="Segments have the length (and order, 2 or 3) that the error's estimate allows, until"
        " all R K steps are done. 0: every segment has K steps of order N.",
    )


def engine() -> Any:
    """How a segment's end is found."""
    return setting(
        "series",
        (*ENGINES, CHEAPEST),
        "Way to a segment's end.",
        why="Exact, step by step. fast-forward: the same to 1e-3 without the steps; circuit: gates,"
        " for a few weights; cheapest: of the first two, by tolerance alone.",
    )


def most_seconds() -> Any:
    """How long a simulation may take."""
    return setting(
        MOST_SECONDS,
        "(0, inf)",
        "Most seconds that the simulation of a circuit may be forecast to take.",
        unit="s",
        why="Ten minutes; beyond them it is refused before it begins, with the forecast.",
    )


def shots() -> Any:
    """S."""
    return setting(
        1_000_000,
        "[1, inf)",
        "S, shots of a readout for magnitudes, and again for signs.",
        unit="shots",
    )


def seed() -> Any:
    """Of all draws."""
    return setting(0, "[0, inf)", "Seed of every random draw.")


def weights_key() -> Any:
    """Which of a checkpoint's weights."""
    return setting(
        "",
        TEXT,
        "Entry of a checkpoint that holds the weights, such as ema (of a training: hybrid).",
        left_open="the only one",
        why="Where there are several nobody but you knows which is meant.",
    )


def arguments() -> Any:
    """What the user's function of a network is given."""
    return setting((), TEXT, "key=value, an argument of NETWORK; may be given again.")


def loss() -> Any:
    """What is descended."""
    return setting(
        "cross_entropy",
        TEXT,
        "cross_entropy, mse or module:function.",
        why="A mean over samples.",
    )


def device() -> Any:
    """Where it is computed."""
    return setting("", TEXT, "cpu or cuda.", left_open="cuda where there is a GPU")
