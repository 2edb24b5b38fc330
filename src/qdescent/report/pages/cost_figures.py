"""The figures of the readout, the circuit and the ledger, each with its finding as title."""

from __future__ import annotations

import math

import plotly.graph_objects as go

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
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.numbers import DAY, HOUR, YEAR, duration, number, percent, times

_TIME_TICKS = {  # in the order in which they claim their place
    1.0: "1 s", 1e3 * YEAR: "10³ years", 1e9 * YEAR: "10⁹ years",
    1e15 * YEAR: "10¹⁵ years",
    1e6 * YEAR: "10⁶ years", 1e12 * YEAR: "10¹² years", 1e-3: "1 ms", 1e-6: "1 µs",
    HOUR: "1 h",
}  # fmt: skip


# Measured over expected readout error, over all rounds: draws of an honest one stay within a fifth,
# lost signs or entries chosen by another vector are beyond.
BIASED = 1.5


def readout_panel(record: Record) -> Panel:
    """Readout error of every round beside the expected one."""
    measured, expected, shots = rows = take(
        record, names.READOUT_ERROR_BY_ROUND, names.READOUT_EXPECTED_BY_ROUND, names.READOUT_SHOTS
    )
    m, e = ([100 * value for value in fractions(row)] for row in (measured, expected))
    rounds = [float(place + 1) for place in range(len(m))]
    plot = figure(
        "round",
        "relative readout error, %",
        line(m, "measured", ORANGE, x=rounds, mode="markers", error=measured.error, scale=100.0),
        line(e, "expected of as many shots", BLUE, "dash", x=rounds, mode="lines"),
    )
    plot.update_yaxes(rangemode="tozero")
    plot.update_xaxes(dtick=1)
    ratio = math.sqrt(sum(value**2 for value in m) / (sum(value**2 for value in e) or 1))
    said = f"{number(shots.number, 2)} shots"
    finding = (
        f"The readout is biased: its error is {number(ratio, 2)} times what {said} explain"
        if any(e) and ratio > BIASED
        else f"Reading out with {said} changes the displacement by"
        f" {percent(max(m) / 100, 2)} at most ({percent(max(e) / 100, 2)} is to be expected)"
    )
    return Panel(
        finding,
        "A quantum state is not read but sampled: each shot, a whole solve of its own, gives one"
        " weight's index. More shots mean a smaller error and a dearer round.",
        rows,
        plot,
    )


def circuit_panel(record: Record) -> Panel:
    """The circuit's u_T beside the direct solution and true descent."""
    wanted = (
        names.CIRCUIT_ANSWER,
        names.CIRCUIT_DIRECT,
        names.CIRCUIT_DESCENT,
        names.ERROR_TO_DIRECT,
        names.ERROR_TO_DESCENT,
    )
    answer, direct, descent, to_direct, to_descent = rows = take(record, *wanted)
    plot = figure("", "displacement u")
    for row, label, color, pattern in (
        (answer, "quantum circuit", ORANGE, ""),
        (direct, "same system, direct", GREEN, "/"),
        (descent, "gradient descent", BLUE, "."),
    ):
        values = row.curve
        hatch = {"shape": pattern, "solidity": 0.2, "fillmode": "overlay", "fgcolor": "#ffffff"}
        weights = [f"weight {place + 1}" for place in range(len(values))]
        marker = {"color": color, "pattern": hatch}
        plot.add_trace(
            go.Bar(x=weights, y=values, name=label, marker=marker, hovertemplate="%{y:.6g}")
        )
    plot.update_layout(barmode="group", bargap=0.35)
    plot.update_yaxes(zeroline=True)
    lower = ""
    if names.ORDER_1_ERROR in record.rows:
        rows += (record.rows[names.ORDER_1_ERROR],)
        lower = f"; order 1 would be {percent(fraction(rows[-1]), 2)} off"
    return Panel(
        f"The circuit's answer is {percent(fraction(to_direct), 2)} from the direct solution and "
        f"{percent(fraction(to_descent), 2)} from true gradient descent{lower}",
        f"{_instance(record)}The first distance is the error of the quantum algorithm itself (its"
        " polynomial and its"
        " arithmetic), the second also holds what linearising costs. The circuit was simulated"
        " operation by operation as a state vector; look-ups, rotations and preparations act as"
        " their exact matrices, whose decompositions into gates are tested and counted.",
        rows,
        plot,
    )


def _instance(record: Record) -> str:
    """How small the instance is, and at which learning rate."""
    wanted = (names.CIRCUIT_N, names.CIRCUIT_STEPS, names.CIRCUIT_LEARNING_RATE)
    if any(name not in record.rows for name in wanted):
        return ""
    n, steps, rate = (number(record.rows[name].value) for name in wanted)
    own = ""
    if names.SETTING_LEARNING_RATE in record.rows:
        own = f" (the run's own: {number(record.rows[names.SETTING_LEARNING_RATE].value)})"
    return (
        f"Of {n} weights only, {steps} steps at a learning rate of {rate}{own}: the priced round is"
        " far beyond a simulation. "
    )


def ledger_panel(record: Record) -> Panel:
    """The classical round, one quantum solve, and the whole quantum round on one time axis."""
    wanted = (
        names.LEDGER + names.CLASSICAL_TIME,
        names.LEDGER + names.FREE_READOUT_TIME,
        names.LEDGER + names.QUANTUM_TIME,
    )
    rows = take(record, *wanted)
    seconds = [row.number for row in rows]
    shown = [value if math.isfinite(value) and value > 0 else None for value in seconds]
    labels = [
        f"{what}<br><b>{duration(value)}</b>"
        for what, value in zip(
            ("classical round", "one quantum copy", "whole quantum round"), seconds, strict=True
        )
    ]
    drawn = [value for value in shown if value is not None] or [1.0]
    low, high = min(1e-3, min(drawn) / 10), max(10 * YEAR, max(drawn) * 10)
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
    for mark, label, side in ((DAY, "a day", "right"), (YEAR, "a year", "left")):
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
        "The same work, one round of training, on both machines. A quantum copy is the displacement"
        " u_T as a state, with its uploads, run until a run succeeds; a quantum round is as many"
        " copies as the readout asks for, one after another, plus the preparation of its tables."
        " Every grid line is many times the one before it; the dotted lines mark a day and a year.",
        rows,
        plot,
    )


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
