"""What a training by rounds found, in rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from qdescent._evidence import Evidence, Row
from qdescent.experiment.train.metrics import Line
from qdescent.experiment.train.rounds import Measured, Trained, span
from qdescent.experiment.train.settings import TrainSettings
from qdescent.learning.parameters import ParameterSpace
from qdescent.rows import names
from qdescent.training.rounds.record import Round

WHO = {
    "hybrid": "read out after each segment",
    "sparse": "masked descent from the same start on the same batches by the same rule",
    "dense": "descent of all weights from before the pruning, on the same batches",
}


def start_rows(
    settings: TrainSettings,
    space: ParameterSpace,
    rounds: Sequence[Round],
    why: str,
    lines: Sequence[Line],
) -> list[Row]:
    """The network as it is pruned, the dense training before, and the settings.

    Args:
        space: the weights that may be kept.
        rounds: of the training.
        why: in words, which weights are kept.
        lines: of the dense training.
    """
    kept = rounds[-1].kept
    n = space.n if kept is None else int(kept.sum())
    exact, assumed = Evidence.EXACT, Evidence.ASSUMED
    dense = [line for line in lines if line["kind"] == "dense"]
    rows = [
        Row(names.NETWORK_PARAMETERS, space.total, "weights", exact, "P, all of its tensors"),
        Row(names.NETWORK_KEPT, n, "weights", exact, f"n: {why}"),
        Row(names.NETWORK_DENSITY, n / space.total, "1", exact, "n / P"),
    ]
    if dense:
        source = "of each epoch before pruning, SGD with momentum"
        rows += [
            Row(
                names.DENSE_LOSS,
                [each["loss"] for each in dense],  # type: ignore[arg-type]
                "1",
                exact,
                f"mean loss {source}",
            ),
            Row(
                names.DENSE_ACCURACY,
                [each["test_accuracy"] for each in dense],  # type: ignore[arg-type]
                "1",
                exact,
                f"share of test samples labelled correctly, {source}",
            ),
        ]
    rate = settings.schedule.rule(0).learning_rate
    given = (
        (names.SETTING_LEARNING_RATE, rate, "1"),
        (names.SETTING_MOMENTUM, settings.momentum, "1"),
        ("setting/weight_decay", settings.weight_decay, "1"),
        (names.SETTING_TOLERANCE, settings.tolerance, "1"),
        ("setting/engine", settings.engine, ""),
        (names.SETTING_BATCH, settings.batch, "samples"),
    )
    rows += [
        Row(name, value, unit, assumed, f"setting `{name.partition('/')[2]}`")
        for name, value, unit in given
    ]
    chosen = "setting `tolerance` chose it" if settings.tolerance else "setting `{}`"
    orders, lengths = (span([getattr(r, name) for r in rounds]) for name in ("order", "steps"))
    return [
        *rows,
        Row(names.SETTING_ORDER, orders, "1", assumed, chosen.format("order")),
        Row(names.SETTING_SEGMENT, lengths, "steps", assumed, chosen.format("segment")),
        Row(names.SETTING_ROUNDS, len(rounds), "rounds", assumed, chosen.format("rounds")),
    ]


def training_rows(settings: TrainSettings, trained: Trained, start: Measured) -> list[Row]:
    """Losses, accuracies and gradients of the runs; the errors of every round; what was read."""
    exact, measured, modelled = Evidence.EXACT, Evidence.MEASURED, Evidence.MODELLED
    rounds = trained.run.rounds
    runs = ["hybrid", *(name for name in ("sparse", "dense") if getattr(rounds[0], name))]
    steps = [0, *accumulate(each.steps for each in rounds)]
    rows = [Row(names.TRAIN_STEPS, steps, "steps", exact, "the steps of download, from 0 on")]
    for run in runs:
        parts = [each if run == "hybrid" else getattr(each, run) for each in rounds]
        losses = [loss for part in parts for loss in part.loss[:-1]] + [parts[-1].loss[-1]]
        source = f"{WHO[run]}; loss on each step's batch, before the step"
        rows.append(Row(names.trained(run, "loss"), losses, "1", measured, source))
        for what in ("test_loss", "test_accuracy"):
            if f"{run}_{what}" in start:
                values = [each[f"{run}_{what}"] for each in (start, *trained.measured)]
                source = f"{WHO[run]}; on the test samples, at each download"
                rows.append(Row(names.trained(run, what), values, "1", measured, source))
    by_round = (
        (names.READOUT_ERROR_BY_ROUND, "readout_error", measured,
         "||read - u|| / ||u||, one simulated draw a round"),
        (names.READOUT_EXPECTED_BY_ROUND, "readout_expected", modelled,
         "sqrt of the sum of e(S p_i)/S: magnitudes and signs by the counts that u lets expect"),
        (names.READ_SHARE_BY_ROUND, "entry_share", measured, "entries that were read, of all"),
        (names.MISSING_SHARE_BY_ROUND, "missing_share", measured,
         "share of ||u||^2 that was not read, from sign shots outside what was"),
    )  # fmt: skip
    rows += [
        Row(name, [getattr(each, field) for each in rounds], "1", evidence, source)
        for name, field, evidence, source in by_round
    ]
    if all(math.isfinite(each.truncation[t]) for each in rounds for t in range(each.steps)):
        rows.append(
            Row(
                names.TRUNCATION_BY_STEP,
                [error for each in rounds for error in each.truncation],
                "1",
                measured,
                "||u_N - u_GD|| / ||u_GD|| within each segment, against true descent from the same"
                " pivot",
            )
        )
    shots, taken = "twice the setting `shots`: for magnitudes and for signs", 2 * settings.shots
    by = "shot_cost" if settings.shot_cost is not None else "read_error"
    if getattr(settings, by) is not None:
        taken = max(each.shots for each in rounds)
        shots = f"of the round that took most: chosen by the setting `{by}`"
    return [
        *rows,
        *trained.run.rows,
        *trained.run.budget,
        *trained.run.window.rows,
        Row(names.READOUT_SHOTS, taken, "shots", Evidence.ASSUMED, shots),
    ]
