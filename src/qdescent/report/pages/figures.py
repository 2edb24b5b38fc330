"""One function a figure: rows in; a figure, a title that states its finding, a caption out.

Every title is computed from the rows, so that a page never claims what its run did not find.
"""

from __future__ import annotations

import math
from itertools import accumulate

import plotly.graph_objects as go

from qdescent._evidence import Row
from qdescent.report.pages.panel import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Panel,
    figure,
    fraction,
    fractions,
    line,
    take,
)
from qdescent.report.pages.plots import LOG_TICKS, density_plot, proxy_plot, shares_plot
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.numbers import number, percent

GOAL = 0.01  # the truncation error that a round should stay below; drawn as a line


def loss_panel(record: Record) -> Panel:
    """Loss of both runs at every step."""
    classical, emulated = rows = take(record, names.CLASSICAL_LOSS, names.EMULATED_LOSS)
    c, e = classical.curve, emulated.curve
    plot = figure(
        "step",
        "loss on the training batch",
        line(c, "classical", BLUE),
        line(e, "emulated", ORANGE, "dash"),
    )
    mark_uploads(plot, record)
    return Panel(
        (
            f"From {number(c[0])}, the loss falls to {number(c[-1])} classically and to"
            f" {number(e[-1])} emulated"
            if max(c[-1], e[-1]) < c[0]
            else (
                f"The loss goes from {number(c[0])} to {number(c[-1])} classically and to"
                f" {number(e[-1])} emulated"
            )
        ),
        "Both runs start at the same pruned network and take the same steps on the same images, a"
        " new batch each round (hence the jumps, in both curves); the closer the curves, the less"
        " the quantum algorithm's approximations cost. Dotted lines: uploads, where what was read"
        " out becomes the new starting point.",
        rows,
        plot,
    )


def accuracy_panel(record: Record) -> Panel:
    """Test accuracy of both runs."""
    classical, emulated, steps = rows = take(
        record, names.CLASSICAL_ACCURACY, names.EMULATED_ACCURACY, names.EMULATED_STEP
    )
    c, e = fractions(classical), fractions(emulated)
    gap = 100 * (e[-1] - c[-1])
    plot = figure(
        "step",
        "test accuracy, %",
        line([100 * a for a in c], "classical", BLUE),
        line([100 * a for a in e], "emulated", ORANGE, "dash", x=steps.curve, mode="lines+markers"),
    )
    if names.DENSE_ACCURACY in record.rows:
        dense = record.rows[names.DENSE_ACCURACY]
        rows = (*rows, dense)
        plot.add_hline(
            100 * fractions(dense)[-1], line={"color": GREY, "dash": "dot", "width": 1.5}
        )
        plot.add_annotation(
            x=1, xref="paper", xanchor="right", y=100 * fractions(dense)[-1], yanchor="bottom",
            showarrow=False,
            text="dense network, before pruning",
        )  # fmt: skip
    images = ""
    if names.TEST_IMAGES in record.rows:
        images = (
            f"One point is {number(record.rows[names.TEST_IMAGES].number / 100)} of the test"
            " images. "
        )
    return Panel(
        f"The emulated quantum run ends {points(gap)} the classical one ({percent(e[-1])} and"
        f" {percent(c[-1])})",
        f"Share of unseen images that each network names correctly. {images}The emulated network is"
        " tested after every readout, since only there a real machine would know its weights.",
        rows,
        plot,
    )


def spectrum_panel(record: Record) -> Panel:
    """Density of the Hessian's eigenvalues over the kept weights, before and after, log y."""
    rows: tuple[Row, ...] = ()
    spectra = []
    for when, label, color, dash in (
        ("before", "at the start", GREY, "dot"),
        ("after", "at the end", GREEN, "solid"),
    ):
        found = take(
            record,
            names.during(when, names.SPECTRUM_NODES),
            names.during(when, names.SPECTRUM_WEIGHTS),
        )
        spectra.append((label, found[0].curve, found[1].curve, color, dash))
        rows += found
    plot, width = density_plot(spectra)
    extremes = take(
        record,
        *(
            names.during(when, end)
            for when in ("before", "after")
            for end in (names.LAMBDA_MIN, names.LAMBDA_MAX)
        ),
    )
    a, b, c, d = (number(row.number) for row in extremes)
    limit = ""
    if names.SETTING_LEARNING_RATE in record.rows:
        rate = record.rows[names.SETTING_LEARNING_RATE]
        extremes = (*extremes, rate)
        limit = f" So are modes above 2/η = {number(2 / rate.number)}, if there are any."
    return Panel(
        f"Curvature lies between {a} and {b} at the start, and between {c} and {d} at the end",
        "Each mode is a direction in the space of kept weights, λ its curvature. Gradient descent"
        " shrinks displacements along modes with small positive λ (dissipative) and amplifies them"
        f" where λ < 0 (divergent, unless too slow).{limit} The quantum algorithm needs the first"
        f" kind. Curves are smoothed (width {number(width, 2)}) for the eye only; no number is"
        " taken from them.",
        (*rows, *extremes),
        plot,
    )


def shares_panel(record: Record) -> Panel:
    """Dissipative, neutral and divergent shares, before and after."""
    kinds = (names.DISSIPATIVE, names.NEUTRAL, names.DIVERGENT)
    table = {
        when: take(record, *(names.during(when, kind) for kind in kinds))
        for when in ("after", "before")
    }
    plot = shares_plot({"end": table["after"], "start": table["before"]})
    edges = {
        when: take(
            record,
            *(
                names.during(when, edge)
                for edge in (names.DIVERGENT_AT_LEAST, names.DIVERGENT_AT_MOST)
            ),
        )
        for when in table
    }
    before, after = (
        " to ".join(percent(fraction(row), 2) for row in edges[when])
        for when in ("before", "after")
    )
    verdict = ""
    if names.during("after", names.DISSIPATION_VERDICT) in record.rows:
        text = str(record.rows[names.during("after", names.DISSIPATION_VERDICT)].value).rstrip(".")
        verdict = f" Verdict at the end: {text}."
    growth: tuple[Row, ...] = ()
    if names.during("after", names.GROWTH) in record.rows:
        growth = (record.rows[names.during("after", names.GROWTH)],)
        verdict += f" Growth factor over the run's steps: {number(growth[0].number)}."
    if names.during("after", names.GROWTH_A_STEP) in record.rows:
        growth = (*growth, record.rows[names.during("after", names.GROWTH_A_STEP)])
        verdict += f" In one step: {number(growth[-1].number)}."
    return Panel(
        f"At the start {before} of the modes are divergent, at the end {after}",
        "A step multiplies the displacement along a mode by |1 − ηλ|: below 1 is dissipative,"
        " above 1 divergent; neutral is what changes by less than 1 % over the whole run. Most"
        " modes lie so close to 0 that a few steps of Lanczos cannot tell on which side: the title"
        " gives the bounds, the bars one estimate. The verdict speaks of all modes that grow,"
        f" however little, divergent or neutral.{verdict}",
        (*table["before"], *table["after"], *edges["before"], *edges["after"], *growth),
        plot,
    )


def proxy_panel(record: Record) -> Panel:
    """The proxy E(t) and its parts by kind of mode, before and after."""
    parts = (
        names.PROXY_TOTAL,
        names.PROXY_DISSIPATIVE,
        names.PROXY_NEUTRAL,
        names.PROXY_DIVERGENT,
    )
    before, after = (
        take(record, *(names.during(when, part) for part in parts)) for when in ("before", "after")
    )
    plot = proxy_plot(after, before)
    rows = (*before, *after)
    total, _, _, divergent = (row.curve for row in rows[4:])
    return Panel(
        f"Over {len(total) - 1} steps the proxy goes from {number(total[0])} to"
        f" {number(total[-1])}; its divergent part goes from {number(divergent[0])} to"
        f" {number(divergent[-1])}",
        "E(t) is the mean of |1 − ηλ|ᵗ over the modes: how much of a displacement is left after t"
        " steps. Solid: at the end; dotted: at the start. Neutral modes hide growth in the total:"
        " read the divergent part as well. It is the measure that Liu et al. use; it does not see"
        " the higher-order terms, so the measured error beside it decides.",
        rows,
        plot,
    )


def truncation_panel(record: Record) -> Panel:
    """Measured truncation error step by step, with the estimate that needs no reference."""
    by_step, by_round, estimate, lengths = rows = take(
        record,
        names.TRUNCATION_BY_STEP,
        names.TRUNCATION_BY_ROUND,
        names.TRUNCATION_TAIL_BY_ROUND,
        names.SEGMENT_BY_ROUND,
    )
    steps, ends = fractions(by_step), list(accumulate(lengths.curve))
    x: list[float | None] = []
    y: list[float | None] = []
    for place, value in enumerate(steps):
        x.append(place + 1)
        y.append(100 * value if value > 0 else None)
        if place + 1 in ends:  # the error restarts at the next upload: lift the pen
            x.append(None)
            y.append(None)
    plot = figure(
        "step",
        "relative error, %",
        line(y, "measured", ORANGE, x=x),
        line(
            [100 * e if 0 < e < math.inf else None for e in fractions(estimate)],
            "estimated from the series", GREEN,
            x=ends, mode="markers", symbol="diamond-open",
        ),
    )  # fmt: skip
    plot.update_yaxes(type="log", tickvals=LOG_TICKS, ticktext=[f"{tick:g}" for tick in LOG_TICKS])
    given = float(record.config.get("tolerance") or 0)
    goal, called = (given, "tolerance") if given else (GOAL, "goal")
    plot.add_hline(100 * goal, line={"color": GREY, "dash": "dot", "width": 1.5})
    plot.add_annotation(
        x=0,
        xref="paper",
        xanchor="left",
        y=math.log10(100 * goal),
        yanchor="bottom",
        showarrow=False,
        text=f"{called}: {100 * goal:g} %",
    )
    worst, at = max((value, place + 1) for place, value in enumerate(fractions(by_round)))
    digits = 2 if percent(worst, 2) != percent(goal, 2) else 4  # of two that look alike
    return Panel(
        f"Linearising costs at most {percent(worst, digits)} in a round (round {at} of"
        f" {len(by_round.curve)}), {'within' if worst < goal else 'which misses'} the"
        f" {called} of {100 * goal:g} %",
        "Distance between the truncated Carleman solution and true gradient descent, relative to"
        " the displacement since the upload; a new upload resets it. It decides how long a segment"
        " can be. Diamonds: what the series' own terms and one true gradient say, with no true run"
        " beside them: an estimate, by which a controller can choose the segments (--tolerance).",
        rows,
        plot,
    )


def points(gap: float) -> str:
    """A gap in percentage points, in words."""
    if abs(gap) < 0.05:
        return "level with"
    return f"{number(abs(gap), 2)} points {'above' if gap > 0 else 'below'}"


def mark_uploads(plot: go.Figure, record: Record) -> None:
    """A dotted line at every upload."""
    if names.SEGMENT_BY_ROUND in record.rows:
        for step in accumulate(record.rows[names.SEGMENT_BY_ROUND].curve[:-1], initial=0.0):
            plot.add_vline(
                step, line={"color": GREY, "dash": "dot", "width": 1}, opacity=0.6, layer="below"
            )
