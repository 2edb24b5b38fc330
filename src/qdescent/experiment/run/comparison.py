"""The emulated training held against the classical one, in rows."""

from __future__ import annotations

from qdescent._evidence import Evidence, Row
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.run.training import Baseline, Pruned, download_steps, last_task
from qdescent.experiment.train.rounds import span
from qdescent.experiment.workspace import Workspace
from qdescent.rows import names
from qdescent.training.descent import correct
from qdescent.training.rounds.record import Run


def comparison_rows(
    workspace: Workspace[Settings],
    pruned: Pruned,
    baseline: Baseline,
    run: Run,
    emulated: list[float],
) -> list[Row]:
    """Both trainings as rows: losses, accuracies, truncation and readout errors of every round."""
    settings, data = workspace.settings, pruned.data
    last_loss = float(last_task(pruned, run).loss_at(pruned.space, run.theta).detach())
    losses = [loss for each in run.rounds for loss in each.loss[:-1]] + [last_loss]
    on_test = f"share of {len(data.test_images)} test images labelled correctly"
    on_batch = f"loss on the round's own batch of {settings.batch}"
    lengths, orders = (
        span(each) for each in ([r.steps for r in run.rounds], [r.order for r in run.rounds])
    )
    by_segment = f"order {orders} series form, K = {lengths}"
    exact, measured, assumed = Evidence.EXACT, Evidence.MEASURED, Evidence.ASSUMED
    verdicts = [
        correct(pruned.tasks[0], pruned.space, theta, data.test_images, data.test_labels)
        for theta in (run.theta, baseline.theta)
    ]
    differing = float((verdicts[0] != verdicts[1]).sum())
    chosen = "setting `tolerance` chose it" if settings.tolerance else "setting `{}`"
    return [
        Row(names.SETTING_ORDER, orders, "1", assumed, chosen.format("order")),
        Row(names.SETTING_SEGMENT, lengths, "steps", assumed, chosen.format("segment")),
        Row(names.SETTING_ROUNDS, len(run.rounds), "rounds", assumed, chosen.format("rounds")),
        Row(
            names.SETTING_TOLERANCE,
            settings.tolerance,
            "1",
            assumed,
            "setting `tolerance`; 0: segments of fixed length",
        ),
        Row(
            names.SETTING_LEARNING_RATE,
            settings.learning_rate,
            "1",
            assumed,
            "setting `learning_rate`",
        ),
        Row(names.SETTING_BATCH, settings.batch, "images", assumed, "setting `batch`"),
        Row(
            names.CLASSICAL_LOSS,
            baseline.loss,
            "nats",
            exact,
            on_batch + ", before each step of masked gradient descent",
        ),
        Row(
            names.CLASSICAL_ACCURACY,
            baseline.test_accuracy,
            "1",
            exact,
            on_test + ", before each step",
        ),
        Row(
            names.EMULATED_LOSS,
            losses,
            "nats",
            measured,
            on_batch + ", inside a segment from the emulated state, which is not read out",
        ),
        Row(names.EMULATED_STEP, download_steps(run), "steps", exact, "the steps of download"),
        Row(
            names.EMULATED_ACCURACY,
            emulated,
            "1",
            measured,
            on_test + ", after each download (shot noise: one draw)",
        ),
        Row(
            names.ACCURACY_GAP,
            100 * (emulated[-1] - baseline.test_accuracy[-1]),
            "percentage points",
            measured,
            f"emulated minus classical test accuracy after {download_steps(run)[-1]} steps; error:"
            " paired binomial",
            100 * differing**0.5 / len(data.test_images),
        ),
        Row(
            names.TRUNCATION_BY_STEP,
            [error for each in run.rounds for error in each.truncation],
            "1",
            measured,
            "||u_N - u_GD|| / ||u_GD|| within each segment, against true descent from the same"
            f" pivot; {by_segment}",
        ),
        Row(
            names.TRUNCATION_BY_ROUND,
            [each.truncation[-1] for each in run.rounds],
            "1",
            measured,
            f"the same, at each segment's end; {by_segment}",
        ),
        *(row for row in run.rows if row.name not in (names.TRUNCATION_BY_ROUND, names.STOPPED)),
        *(row for row in run.rows if row.name == names.STOPPED and row.value),
        Row(
            names.READOUT_SHOTS,
            2 * settings.shots,
            "shots",
            assumed,
            "twice the setting `shots`: for magnitudes and for signs",
        ),
        Row(
            names.READOUT_ERROR_BY_ROUND,
            [each.readout_error for each in run.rounds],
            "1",
            measured,
            "||read - u|| / ||u||, one simulated draw a round",
        ),
        Row(
            names.READOUT_EXPECTED_BY_ROUND,
            [each.readout_expected for each in run.rounds],
            "1",
            Evidence.MODELLED,
            "sqrt of the sum of e(S p_i)/S: magnitudes and signs by the counts that u lets expect",
        ),
    ]
