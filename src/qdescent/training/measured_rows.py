"""The record of a training's spectra as rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from qdescent._checks import check_text
from qdescent._evidence import Evidence, Row
from qdescent.learning.batches import samples_of
from qdescent.linalg.spectra.cluster import Estimate
from qdescent.training.measurement import PRODUCT, Measurement, Skipped


class Measured(Protocol):
    """What rows are made of: how it was measured, and what was."""

    steps: int
    probes: int
    data: Any
    learning_rate: float
    momentum: float
    horizon: int
    spent: float
    measurements: list[Measurement]
    skipped: list[Skipped]

    @property
    def taken(self) -> int | None:
        """The updates that the training has taken."""


def measured_rows(of: Measured, prefix: str) -> list[Row]:
    """Curves over the measured steps, the verdicts, what was skipped, and the overhead.

    Args:
        of: the callback.
        prefix: the first word of each row's name.
    """
    check_text("prefix", prefix)
    how = (
        f"Lanczos quadrature, {of.probes} probes x {of.steps} steps, batch of"
        f" {samples_of(of.data)} in evaluation mode"
    )
    modes = (
        f"modes by their factor per step, eta = {of.learning_rate:g}, momentum ="
        f" {of.momentum:g}, T = {of.horizon}; {how}"
    )
    measured, seen = Evidence.MEASURED, of.measurements

    def curve(name: str, value: Callable[[Measurement], tuple[float, float]], source: str) -> Row:
        pairs = [value(one) for one in seen]
        return Row(
            f"{prefix}/{name}",
            [v for v, _ in pairs],
            "1",
            measured,
            source,
            [e for _, e in pairs],
        )

    def negative(one: Measurement) -> tuple[Estimate, Estimate]:
        return one.spectrum.mass_bounds(-math.inf, 0.0)

    between = (
        "share of eigenvalues at or below 0, Chebyshev-Markov-Stieltjes bounds of each probe's"
        f" quadrature; {how}"
    )

    found = [
        Row(
            f"{prefix}/step",
            [one.step for one in seen],
            "steps",
            Evidence.EXACT,
            "updates before each measurement",
        ),
        curve(
            "lambda_min",
            lambda one: one.spectrum.lambda_min,
            f"smallest Ritz value; error: its residual norm; {how}",
        ),
        curve(
            "lambda_max",
            lambda one: one.spectrum.lambda_max,
            f"largest Ritz value; error: its residual norm; {how}",
        ),
        curve("trace", lambda one: one.spectrum.trace, how),
        curve(
            "negative_mass",
            lambda one: one.spectrum.smooth_mass(-math.inf, 0.0),
            f"share of eigenvalues at or below 0, the middle of the two bounds; {how}",
        ),
        curve("negative_at_least", lambda one: negative(one)[0], between),
        curve("negative_at_most", lambda one: negative(one)[1], between),
        curve("dissipative", lambda one: one.dissipation.dissipative, modes),
        curve("neutral", lambda one: one.dissipation.neutral, modes),
        curve("divergent", lambda one: one.dissipation.divergent, modes),
        curve(
            "growth_a_step",
            lambda one: one.dissipation.per_step.a_step,
            f"largest factor in one step; {modes}",
        ),
        Row(
            f"{prefix}/growth",
            [one.dissipation.growth for one in seen],
            "1",
            measured,
            f"largest factor over T steps; {modes}",
        ),
    ]
    for one in seen:
        verdict = f"{one.dissipation.verdict}: {one.dissipation.reason}"
        found.append(Row(f"{prefix}/verdict/{one.step}", verdict, "", measured, modes))
    for step, reason in of.skipped:
        found.append(
            Row(
                f"{prefix}/skipped/{step}",
                reason,
                "",
                Evidence.EXACT,
                "measurement that was due and not taken",
            )
        )
    if of.taken:
        source = f"products x {PRODUCT} gradients each, over the gradients of the training"
        found.append(Row(f"{prefix}/overhead", of.spent / of.taken, "1", Evidence.MODELLED, source))
    return found
