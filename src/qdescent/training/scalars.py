"""Measurements on their way to a logger: TensorBoard, Weights & Biases, or anything like them."""

from __future__ import annotations

import math
from typing import Any

from qdescent._checks import argument_error, is_tensor, shown
from qdescent.training.measurement import Measurement

STEP = "spectrum/step"


def check_log(name: str, value: Any) -> Any:
    """Check that measurements can be logged to `value`; to None they are not.

    Weights & Biases is told that the values have a step of their own: its own counts calls of
    `log`, not updates.

    Raises:
        ArgumentError: an object with neither `add_scalar` nor `log`, or a class.
    """
    if value is None:
        return None
    is_none = isinstance(value, type) or is_tensor(value)  # a tensor has a log of its own
    if is_none or not (_method(value, "add_scalar") or _method(value, "log")):
        must = "have a method add_scalar(name, value, step) or log(values)"
        raise argument_error(name, must, shown(value))
    if not _method(value, "add_scalar") and (define := _method(value, "define_metric")):
        define(STEP)
        define("spectrum/*", step_metric=STEP)
    return value


def log(to: Any, measured: Measurement) -> None:
    """Log one measurement."""
    if to is None:
        return
    values = scalars(measured)
    if add := _method(to, "add_scalar"):
        for name, value in values.items():
            add(name, value, measured.step)
    else:
        to.log({STEP: measured.step, **values})


def scalars(measured: Measurement) -> dict[str, float]:
    """What a curve over the training is drawn of, by name.

    Returns:
        `spectrum/` lambda_min, lambda_max, trace, negative_mass (the middle of its bounds),
        dissipative, neutral, divergent (shares of the modes), growth_a_step, growth (over the
        horizon).
    """
    spectrum, seen = measured.spectrum, measured.dissipation
    values = {
        "lambda_min": spectrum.lambda_min[0],
        "lambda_max": spectrum.lambda_max[0],
        "trace": spectrum.trace[0],
        "negative_mass": spectrum.smooth_mass(-math.inf, 0.0)[0],
        "dissipative": seen.dissipative[0],
        "neutral": seen.neutral[0],
        "divergent": seen.divergent[0],
        "growth_a_step": seen.per_step.a_step[0],
        "growth": seen.growth,
    }
    return {f"spectrum/{name}": float(value) for name, value in values.items()}


def _method(of: Any, name: str) -> Any:
    found = getattr(of, name, None)
    return found if callable(found) else None
