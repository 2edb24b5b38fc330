"""One function a figure: rows in; a plotly figure, a title that states its finding, and a caption
out.

Every title is computed from the rows, so that a page never claims what its run did not find.
"""

from __future__ import annotations

import math
from itertools import accumulate

import plotly.graph_objects as go

from qdescent._evidence import Row
from qdescent.report import numbers
from qdescent.report.numbers import (
    curve,
    duration,
    fraction,
    fractions,
    number,
    percent,
    scalar,
    times,
)
from qdescent.report.pages.panel import BLUE, GREEN, GREY, ORANGE, Panel, figure, line
from qdescent.report.pages.plots import LOG_TICKS, density_plot, proxy_plot, shares_plot
from qdescent.report.record import Record

GOAL = 0.01  # the truncation error that a round should stay below; drawn as a line
_TIME_TICKS = {  # in the order in which they claim their place
    1.0: "1 s", 1e3 * numbers.YEAR: "10³ years", 1e9 * numbers.YEAR: "10⁹ years",
    1e15 * numbers.YEAR: "10¹⁵ years",
    1e6 * numbers.YEAR: "10⁶ years", 1e12 * numbers.YEAR: "10¹² years", 1e-3: "1 ms", 1e-6: "1 µs",
    numbers.HOUR: "1 h",
}  # fmt: skip


def loss_panel(record: Record) -> Panel:
    """Loss of both runs at every step."""
    classical, emulated = rows = _take(record, "classical/loss", "emulated/loss")
    c, e = curve(classical), curve(emulated)
    plot = figure(
        "step",
        "loss on the training batch",
        line(c, "classical", BLUE),
        line(e, "emulated", ORANGE, "dash"),
    )
    _mark_uploads(plot, record)
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
    classical, emulated, steps = rows = _take(
        record, "classical/test_accuracy", "emulated/test_accuracy", "emulated/step"
    )
    c, e = fractions(classical), fractions(emulated)
    gap = 100 * (e[-1] - c[-1])
    plot = figure(
        "step",
        "test accuracy, %",
        line([100 * a for a in c], "classical", BLUE),
        line(
            [100 * a for a in e], "emulated", ORANGE, "dash", x=curve(steps), mode="lines+markers"
        ),
    )
    if "dense/test_accuracy" in record:
        dense = record.row("dense/test_accuracy")
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
    if "data/test_images" in record:
        images = (
            f"One point is {number(scalar(record.row('data/test_images')) / 100)} of the test"
            " images. "
        )
    return Panel(
        f"The emulated quantum run ends {_points(gap)} the classical one ({percent(e[-1])} and"
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
        found = _take(record, f"spectrum/{when}/nodes", f"spectrum/{when}/weights")
        spectra.append((label, curve(found[0]), curve(found[1]), color, dash))
        rows += found
    plot, width = density_plot(spectra)
    extremes = _take(
        record,
        *(
            f"spectrum/{when}/{end}"
            for when in ("before", "after")
            for end in ("lambda_min", "lambda_max")
        ),
    )
    a, b, c, d = (number(scalar(row)) for row in extremes)
    limit = ""
    if "setting/learning_rate" in record:
        rate = record.row("setting/learning_rate")
        extremes = (*extremes, rate)
        limit = f" So are modes above 2/η = {number(2 / scalar(rate))}, if there are any."
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
    kinds = ("dissipative", "neutral", "divergent")
    table = {
        when: _take(record, *(f"dissipation/{when}/{kind}" for kind in kinds))
        for when in ("after", "before")
    }
    plot = shares_plot({"end": table["after"], "start": table["before"]})
    edges = {
        when: _take(
            record, *(f"dissipation/{when}/divergent_{edge}" for edge in ("at_least", "at_most"))
        )
        for when in table
    }
    before, after = (
        " to ".join(percent(fraction(row), 2) for row in edges[when])
        for when in ("before", "after")
    )
    verdict = ""
    if "dissipation/after/verdict" in record:
        verdict = (
            f" Verdict at the end: {str(record.value('dissipation/after/verdict')).rstrip('.')}."
        )
    growth: tuple[Row, ...] = ()
    if "dissipation/after/growth" in record:
        growth = (record.row("dissipation/after/growth"),)
        verdict += f" Growth factor over the run's steps: {number(scalar(growth[0]))}."
    if "dissipation/after/growth_a_step" in record:
        growth = (*growth, record.row("dissipation/after/growth_a_step"))
        verdict += f" In one step: {number(scalar(growth[-1]))}."
    return Panel(
        f"At the start {before} of the modes are divergent, at the end {after}",
        "A step multiplies the displacement along a mode by |1 − ηλ|: below 1 is dissipative,"
        " above 1 divergent; neutral is what changes by less than 1 % over the whole run. Most"
        " modes lie so close to 0 that a few steps of Lanczos cannot tell on which side: the title"
        f" gives the bounds, the bars one estimate.{verdict}",
        (*table["before"], *table["after"], *edges["before"], *edges["after"], *growth),
        plot,
    )


def proxy_panel(record: Record) -> Panel:
    """The proxy E(t) and its parts by kind of mode, before and after."""
    parts = ("total", "dissipative", "neutral", "divergent")
    before, after = (
        _take(record, *(f"proxy/{when}/{part}" for part in parts)) for when in ("before", "after")
    )
    plot = proxy_plot(after, before)
    rows = (*before, *after)
    total, _, _, divergent = (curve(row) for row in rows[4:])
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
    by_step, by_round, estimate, lengths = rows = _take(
        record,
        "truncation/by_step",
        "truncation/by_round",
        "truncation/tail_by_round",
        "schedule/segment_by_round",
    )
    steps, ends = fractions(by_step), list(accumulate(curve(lengths)))
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
    plot.add_hline(100 * GOAL, line={"color": GREY, "dash": "dot", "width": 1.5})
    plot.add_annotation(
        x=0,
        xref="paper",
        xanchor="left",
        y=math.log10(100 * GOAL),
        yanchor="bottom",
        showarrow=False,
        text="goal: 1 %",
    )
    worst, at = max((value, place + 1) for place, value in enumerate(fractions(by_round)))
    return Panel(
        f"Linearising costs at most {percent(worst, 2)} in a round (round {at} of"
        f" {len(curve(by_round))}), "
        + ("within the 1 % goal" if worst < GOAL else "which misses the 1 % goal"),
        "Distance between the truncated Carleman solution and true gradient descent, relative to"
        " the displacement since the upload; a new upload resets it. It decides how long a segment"
        " can be. Diamonds: what the series' own terms and one true gradient say, with no true run"
        " beside them: an estimate, by which a controller can choose the segments (--tolerance).",
        rows,
        plot,
    )


def readout_panel(record: Record) -> Panel:
    """Readout error of every round beside the expected one."""
    measured, expected, shots = rows = _take(
        record, "readout/error_by_round", "readout/expected_error_by_round", "readout/shots"
    )
    m, e = ([100 * value for value in fractions(row)] for row in (measured, expected))
    rounds = [float(place + 1) for place in range(len(m))]
    plot = figure(
        "round",
        "relative readout error, %",
        line(m, "measured", ORANGE, x=rounds, mode="markers", error=measured.error, scale=100.0),
        line(e, "were every sign right", BLUE, "dash", x=rounds, mode="lines"),
    )
    plot.update_yaxes(rangemode="tozero")
    plot.update_xaxes(dtick=1)
    return Panel(
        f"Reading out with {number(scalar(shots), 2)} shots changes the displacement by"
        f" {percent(max(m) / 100, 2)} at most ({percent(max(e) / 100, 2)} were every sign right)",
        "A quantum state is not read but sampled: each shot, a whole solve of its own, gives one"
        " weight's index. More shots mean a smaller error and a dearer round.",
        rows,
        plot,
    )


def circuit_panel(record: Record) -> Panel:
    """The circuit's u_T beside the direct solution and true descent."""
    names = (
        "circuit/answer",
        "circuit/direct",
        "circuit/descent",
        "circuit/error_to_direct",
        "circuit/error_to_descent",
    )
    answer, direct, descent, to_direct, to_descent = rows = _take(record, *names)
    plot = figure("", "displacement u")
    for row, label, color, pattern in (
        (answer, "quantum circuit", ORANGE, ""),
        (direct, "same system, direct", GREEN, "/"),
        (descent, "gradient descent", BLUE, "."),
    ):
        values = curve(row)
        hatch = {"shape": pattern, "solidity": 0.2, "fillmode": "overlay", "fgcolor": "#ffffff"}
        weights = [f"weight {place + 1}" for place in range(len(values))]
        marker = {"color": color, "pattern": hatch}
        plot.add_trace(
            go.Bar(x=weights, y=values, name=label, marker=marker, hovertemplate="%{y:.6g}")
        )
    plot.update_layout(barmode="group", bargap=0.35)
    plot.update_yaxes(zeroline=True)
    lower = ""
    if "circuit/order_1_error" in record:
        rows += (record.row("circuit/order_1_error"),)
        lower = f"; order 1 would be {percent(fraction(rows[-1]), 2)} off"
    return Panel(
        f"The circuit's answer is {percent(fraction(to_direct), 2)} from the direct solution and "
        f"{percent(fraction(to_descent), 2)} from true gradient descent{lower}",
        "The first distance is the error of the quantum algorithm itself (its polynomial and its"
        " arithmetic), the second also holds what linearising costs. The circuit was simulated"
        " operation by operation as a state vector; look-ups, rotations and preparations act as"
        " their exact matrices, whose decompositions into gates are tested and counted.",
        rows,
        plot,
    )


def ledger_panel(record: Record) -> Panel:
    """The classical round, one quantum solve, and the whole quantum round on one time axis."""
    names = (
        "ledger/classical/time",
        "ledger/verdict/free_readout_time",
        "ledger/verdict/quantum_time",
    )
    rows = _take(record, *names)
    seconds = [scalar(row) for row in rows]
    shown = [value if math.isfinite(value) and value > 0 else None for value in seconds]
    labels = [
        f"{what}<br><b>{duration(value)}</b>"
        for what, value in zip(
            ("classical round", "one quantum solve", "whole quantum round"), seconds, strict=True
        )
    ]
    drawn = [value for value in shown if value is not None] or [1.0]
    low, high = min(1e-3, min(drawn) / 10), max(10 * numbers.YEAR, max(drawn) * 10)
    plot = figure("time, logarithmic", "")
    plot.add_trace(
        go.Bar(
            y=labels[::-1], x=shown[::-1], orientation="h",
            marker={"color": [ORANGE, ORANGE, BLUE]}, showlegend=False,
            hovertemplate="%{y}<extra></extra>",
        )
    )  # fmt: skip
    ticks = _time_ticks(low, high)
    plot.update_xaxes(
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=list(ticks),
        ticktext=list(ticks.values()),
    )
    plot.update_layout(hovermode="closest", bargap=0.4, margin={"t": 30})
    for mark, label, side in ((numbers.DAY, "a day", "right"), (numbers.YEAR, "a year", "left")):
        plot.add_vline(mark, line={"color": GREY, "dash": "dot", "width": 1.5}, layer="below")
        plot.add_annotation(
            x=math.log10(mark),
            y=1,
            yref="paper",
            yanchor="bottom",
            xanchor=side,
            text=label,
            showarrow=False,
        )
    classical, _, quantum = seconds
    ratio = quantum / classical if classical > 0 else math.inf
    comparison = (
        f"{times(ratio)} as long as" if ratio >= 1 else f"{percent(ratio, 2)} of the time of"
    )
    return Panel(
        f"A quantum round takes {comparison} the classical one: {duration(quantum)} against"
        f" {duration(classical)}",
        "The same work, one round of training, on both machines. A quantum round is one solve, with"
        " its uploads, repeated as often as the readout asks, plus the preparation of its tables."
        " Every grid line is many times the one before it; the dotted lines mark a day and a year.",
        rows,
        plot,
    )


def _take(record: Record, *names: str) -> tuple[Row, ...]:
    return tuple(record.row(name) for name in names)


def _time_ticks(low: float, high: float) -> dict[float, str]:
    """Marks between `low` and `high`, at least a sixth of the axis apart, so that they can be read
    on a phone.
    """
    apart = (math.log10(high) - math.log10(low)) / 6
    ticks: dict[float, str] = {}
    for value, text in _TIME_TICKS.items():
        if low <= value <= high and all(abs(math.log10(value / other)) >= apart for other in ticks):
            ticks[value] = text
    return dict(sorted(ticks.items()))


def _points(gap: float) -> str:
    if abs(gap) < 0.05:
        return "level with"
    return f"{abs(gap):.1f} points {'above' if gap > 0 else 'below'}"


def _mark_uploads(plot: go.Figure, record: Record) -> None:
    if "schedule/segment_by_round" in record:
        for step in accumulate(curve(record.row("schedule/segment_by_round"))[:-1], initial=0.0):
            plot.add_vline(
                step, line={"color": GREY, "dash": "dot", "width": 1}, opacity=0.6, layer="below"
            )
