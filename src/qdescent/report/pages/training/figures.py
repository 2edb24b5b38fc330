"""The figures of a training by rounds, each with its finding as title."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

import plotly.graph_objects as go

from qdescent._evidence import Row
from qdescent.report.pages.figures import mark_uploads, points
from qdescent.report.pages.panel import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    Panel,
    figure,
    fractions,
    line,
    take,
)
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.numbers import number, percent, times
from qdescent.training.schedule import SAFETY

RUNS = {"sparse": (BLUE, "solid"), "dense": (GREEN, "dot"), "hybrid": (ORANGE, "dash")}
WITHIN = 1.01  # of a tolerance: whole shots, and the rounding of what they let expect
ACCURACY, LOSS = "test_accuracy", "test_loss"


def loss_panel(record: Record) -> Panel:
    """Loss of the runs at every step."""
    rows = _of_runs(record, "loss")
    plot = figure("step after pruning", "loss on the step's batch")
    for run, row in rows.items():
        plot.add_trace(line(_drawn(row.curve), run, *RUNS[run]))
    mark_uploads(plot, record)
    ends = {run: row.curve[-1] for run, row in rows.items()}
    first = rows["hybrid"].curve[0]
    verb = "falls" if ends["hybrid"] < first else "goes"
    others = ", ".join(f"{number(ends[run])} {run}" for run in ends if run != "hybrid")
    return Panel(
        f"From {number(first)}, the hybrid run's loss {verb} to {number(ends['hybrid'])}"
        + (f" ({others})" if others else ""),
        "Hybrid: segments of steps as one linear system, emulated, with a readout after each."
        " Sparse: the same steps by a classical machine on the same batches. Dense: all weights,"
        " never pruned. Dotted lines: uploads, where what was read out becomes the new starting"
        " point; the batch may change there, and the loss with it.",
        tuple(rows.values()),
        plot,
    )


def quality_panel(record: Record) -> Panel:
    """Test accuracy of the runs (of targets that are no labels: test loss) against steps."""
    what, rows = _quality(record)
    (steps,) = take(record, names.TRAIN_STEPS)
    plot = _quality_plot("step after pruning", what, rows, dict.fromkeys(rows, steps.curve))
    return Panel(
        _who_ends_where(what, rows),
        "Samples that no run was trained on, tested after every readout, since only there a real"
        " machine would know its weights." + _baseline(what, rows),
        (*rows.values(), steps),
        plot,
    )


def work_panel(record: Record) -> Panel:
    """The same against the gradients that each run has spent."""
    what, rows = _quality(record)
    spent = {run: take(record, names.gradients_of(run))[0] for run in rows}
    plot = _quality_plot(
        "gradients spent", what, rows, {run: (0.0, *row.curve) for run, row in spent.items()}
    )
    hybrid = spent["hybrid"].curve[-1]
    title = f"The hybrid run is emulated with {number(hybrid)} gradients"
    if "sparse" in spent and spent["sparse"].curve[-1]:
        sparse = spent["sparse"].curve[-1]
        title = (
            f"Classically emulated, a hybrid step takes {times(hybrid / sparse)} the gradients of a"
            f" step of descent ({number(hybrid)} and {number(sparse)} in all)"
        )
    return Panel(
        title,
        "What a classical machine computes for each run, in gradients of one batch: what a quantum"
        " computer would do in a segment is counted as the emulation does it. The price of the"
        " quantum round itself is the ledger's." + _baseline(what, rows),
        (*rows.values(), *spent.values()),
        plot,
    )


def budget_panel(record: Record) -> Panel:
    """What takes a round away from true descent: stacked shares of the displacement."""
    truncation, solver, noise, unread = rows = take(
        record,
        names.BUDGET_TRUNCATION,
        names.BUDGET_SOLVER,
        names.BUDGET_SHOT_NOISE,
        names.BUDGET_UNREAD,
    )
    # Of the readout's error each cause has its part of the square: together they are the whole.
    causes = [
        (n, u, math.hypot(n, u) or 1.0)
        for n, u in zip(fractions(noise), fractions(unread), strict=True)
    ]
    parts = {
        "truncation": fractions(truncation),
        "solver": fractions(solver),
        "shots": [n**2 / whole for n, _, whole in causes],
        "left unread": [u**2 / whole for _, u, whole in causes],
    }
    rounds = [float(place + 1) for place in range(len(causes))]
    plot = figure("round", "relative error, %")
    for (name, values), color in zip(parts.items(), (ORANGE, GREEN, BLUE, PURPLE), strict=True):
        shown = [100 * value if math.isfinite(value) else None for value in values]
        trace = line(shown, name, color, x=rounds, mode="lines+markers")
        plot.add_trace(trace.update(stackgroup="errors", marker={"size": 4}))
    plot.update_xaxes(dtick=max(1, len(rounds) // 10))
    plot.update_yaxes(rangemode="tozero")
    worst = {
        name: max((value for value in values if math.isfinite(value)), default=0.0)
        for name, values in parts.items()
    }
    split = _split(record, parts)
    first, *others = sorted(worst, key=lambda name: -worst[name])
    rest = ", ".join(f"{name} {percent(worst[name], 2)}" for name in others)
    return Panel(
        f"The largest error of a round is {_ERRORS[first]}: up to {percent(worst[first], 2)} of the"
        f" displacement ({rest})",
        "Each area is one cause, relative to the segment's displacement; together they bound the"
        " whole. Truncation: the order of the linearisation, as the series' own terms tell it."
        " Solver: what the engine leaves. Shots: sampling and signs. Left unread:"
        " entries that stay at the pivot. The last two are the parts of the readout's error, by"
        f" their squares.{split}",
        rows,
        plot,
    )


def _split(record: Record, parts: Mapping[str, Sequence[float]]) -> str:
    """How one tolerance was split, where it was: shots have a price then."""
    if names.PRICE_BY_ROUND not in record.rows:
        return ""
    (tolerance,) = take(record, names.SETTING_TOLERANCE)
    spent = [
        math.sqrt((SAFETY * truncation) ** 2 + solver**2 + (shots + unread) ** 2)
        for truncation, solver, shots, unread in zip(*parts.values(), strict=True)
    ]
    within = sum(each <= WITHIN * tolerance.number for each in spent)
    return (
        f" One tolerance, {percent(tolerance.number, 2)}, is split between all: in {within} of"
        f" {len(spent)} rounds {SAFETY:g} times the truncation, the solver's error and the"
        " readout's, by their squares, are within it."
    )


_ERRORS = {
    "truncation": "the truncation",
    "solver": "the solver's",
    "shots": "that of the shots",
    "left unread": "what is left unread",
}


def download_panel(record: Record) -> Panel:
    """What a readout brings home: share of the entries, share of the squared norm."""
    entries, missing = rows = take(record, names.READ_SHARE_BY_ROUND, names.MISSING_SHARE_BY_ROUND)
    e, norm = fractions(entries), [1 - share for share in fractions(missing)]
    rounds = [float(place + 1) for place in range(len(e))]
    plot = figure(
        "round",
        "share read, %",
        line([100 * v for v in norm], "of the squared norm", ORANGE, x=rounds,
             mode="lines+markers"),
        line([100 * v for v in e], "of the entries", BLUE, "dash", x=rounds, mode="lines+markers"),
    )  # fmt: skip
    plot.update_yaxes(rangemode="tozero")
    plot.update_xaxes(dtick=max(1, len(rounds) // 10))
    low = min(range(len(norm)), key=norm.__getitem__)
    return Panel(
        f"A readout of {percent(max(e), 2)} of the entries leaves at most"
        f" {percent(1 - norm[low], 2)} of the displacement's squared norm unread (round {low + 1})"
        if max(e) < 1
        else "Every entry is read",
        "The sparse download: only the largest entries of the displacement are measured with their"
        " signs, the others stay at the pivot. What they hold is estimated from shots that had no"
        " part in choosing them. The squared norm is a step's progress to first order.",
        rows,
        plot,
    )


def window_panel(record: Record) -> Panel:
    """The segments one after the other, and the steps in which they were worth it."""
    lengths, longest, opens, closes = rows = take(
        record,
        names.SEGMENT_BY_ROUND,
        names.WINDOW_LONGEST,
        names.WINDOW_OPENS,
        names.WINDOW_CLOSES,
    )
    starts = list(accumulate(lengths.curve, initial=0.0))[:-1]
    plot = figure("step after pruning", "steps of the segment")
    plot.add_trace(
        go.Bar(
            x=[start + length / 2 for start, length in zip(starts, lengths.curve, strict=True)],
            y=list(lengths.curve),
            width=[0.9 * length for length in lengths.curve],
            marker={"color": ORANGE},
            name="segment",
            hovertemplate="%{y} steps",
        )
    )
    plot.update_yaxes(rangemode="tozero")
    why = str(closes.value) or "the run ended first"
    if not longest.number:
        reason = str(opens.value) or str(closes.value)
        title = "No segment of several steps was worth it" + (f": {reason}" if reason else "")
    else:
        first, last = bounds = take(record, names.WINDOW_FIRST, names.WINDOW_LAST)
        rows = (*rows, *bounds)
        plot.add_vrect(
            x0=first.number, x1=last.number, fillcolor=GREEN, opacity=0.15, line_width=0,
            layer="below", showlegend=True, name="window",
        )  # fmt: skip
        title = (
            f"The quantum window lasts from step {number(first.number)} to {number(last.number)},"
            f" with segments of up to {number(longest.number)} steps ({why})"
        )
    return Panel(
        title,
        "Each bar is a segment: an upload at its left edge, a readout at its right. It is worth it"
        " where it takes less, gradients and one round's upload and readout, than as many rounds of"
        " one step. A schedule of fixed segments asks no price; with --tolerance errors choose.",
        rows,
        plot,
    )


def _of_runs(record: Record, what: str) -> dict[str, Row]:
    """The hybrid run's row, and those of the runs beside it that there are."""
    (hybrid,) = take(record, names.trained("hybrid", what))
    beside = {
        run: record.rows[names.trained(run, what)]
        for run in RUNS
        if run != "hybrid" and names.trained(run, what) in record.rows
    }
    return {**beside, "hybrid": hybrid}


def _quality(record: Record) -> tuple[str, dict[str, Row]]:
    what = ACCURACY if names.trained("hybrid", ACCURACY) in record.rows else LOSS
    return what, _of_runs(record, what)


def _quality_plot(
    x: str, what: str, rows: dict[str, Row], at: dict[str, tuple[float, ...]]
) -> go.Figure:
    scale = 100.0 if what == ACCURACY else 1.0
    plot = figure(x, "test accuracy, %" if what == ACCURACY else "test loss")
    for run, row in rows.items():
        values = [scale * value for value in fractions(row)]
        plot.add_trace(line(values, run, *RUNS[run], x=at[run], mode="lines+markers"))
    if _baseline(what, rows):
        start = 100 * fractions(rows["sparse"])[0]
        plot.add_hline(start, line={"color": GREY, "dash": "dot", "width": 1})
    return plot


def _baseline(what: str, rows: dict[str, Row]) -> str:
    """What a caption says of the dotted line; nothing where there is none."""
    return " Dotted: before the first round." if what == ACCURACY and "sparse" in rows else ""


def _who_ends_where(what: str, rows: dict[str, Row]) -> str:
    ends = {run: fractions(row)[-1] for run, row in rows.items()}
    if what == LOSS:
        others = ", ".join(f"{run} {number(ends[run])}" for run in ends if run != "hybrid")
        return f"The hybrid run ends at a test loss of {number(ends['hybrid'])}" + (
            f" ({others})" if others else ""
        )
    if "sparse" not in ends:
        return f"The hybrid run ends at {percent(ends['hybrid'])} of the test samples"
    gap = 100 * (ends["hybrid"] - ends["sparse"])
    dense = f"; the dense one ends at {percent(ends['dense'])}" if "dense" in ends else ""
    return (
        f"The hybrid run ends {points(gap)} the sparse one ({percent(ends['hybrid'])} and"
        f" {percent(ends['sparse'])}){dense}"
    )


def _drawn(values: tuple[float, ...]) -> list[float | None]:
    """A gap where a step was not watched."""
    return [value if math.isfinite(value) else None for value in values]
