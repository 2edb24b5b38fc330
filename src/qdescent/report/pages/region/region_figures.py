"""The figures of where a verdict flips: every way on one axis of time, what a factor of ten does,
and maps over pairs of inputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go

from qdescent._evidence import Row
from qdescent.report.pages import words
from qdescent.report.pages.panel import BLUE, GREEN, GREY, ORANGE, Panel, figure, take
from qdescent.report.record import Record
from qdescent.resources.verdict.titles import TITLES
from qdescent.rows import names
from qdescent.rows.collection import MissingRowError
from qdescent.rows.numbers import duration, number, percent, times

_WAYS = names.LEDGER + names.WAYS
_TORNADO = names.LEDGER + names.TORNADO
_BREAK_EVEN = names.LEDGER + names.BREAK_EVEN
_UNMOVED, _MOSTLY = 1e-3, 0.9  # of a decade; share of places


def ways_panel(record: Record) -> Panel:
    """A round by every quantum way, best first, beside the best classical one."""
    classical, free = take(
        record, names.LEDGER + names.CLASSICAL_TIME, names.LEDGER + names.FREE_RATIO
    )
    ways = [
        row
        for row in record.rows
        if row.name.startswith(_WAYS) and row.name.endswith("/time") and _is_finite(row)
    ]
    if not ways:
        raise MissingRowError(f"{_WAYS}.../time", record.rows.names)
    ways.sort(key=lambda row: row.number)
    labels = [way_label(row.name.removeprefix(_WAYS).split("/")[0]) for row in ways]
    tables = free.number * classical.number
    bars = [
        ("classical, best", classical.number, BLUE),
        ("free quantum computer: its tables", tables, GREEN),
        *((label, row.number, ORANGE) for label, row in zip(labels, ways, strict=True)),
    ]
    plot = figure("seconds", "")
    plot.add_trace(
        go.Bar(
            y=[label for label, _, _ in bars][::-1],
            x=[max(value, 1e-300) for _, value, _ in bars][::-1],
            orientation="h",
            marker={"color": [color for _, _, color in bars][::-1]},
            showlegend=False,
            hovertemplate="%{y}: %{x:.3g} s<extra></extra>",
        )
    )
    plot.update_xaxes(type="log")
    plot.update_layout(hovermode="closest", margin={"t": 30})
    ratio = ways[0].number / classical.number
    verb = f"{times(ratio)} as long as" if ratio >= 1 else f"{number(ratio, 2)} of the time of"
    share = (
        f"{times(free.number)} as long" if free.number >= 1 else f"{percent(free.number, 2)} of it"
    )
    return Panel(
        f"The best of {len(ways)} quantum ways, {labels[0]}, takes {verb} the best classical one;"
        f" were the quantum computer free, its tables alone would take {share}",
        "A round by every way to the same displacement that is priced here, each with its own best"
        " loader, from the cheapest on. The green bar is what even a quantum computer that takes no"
        " time needs classically: the tables that it reads.",
        (classical, free, *ways),
        plot,
    )


def tornado_panel(record: Record) -> Panel:
    """What a factor of ten in each input does to the quotient of both times."""
    rows = [row for row in record.rows if row.name.startswith(_TORNADO)]
    if not rows:
        raise MissingRowError(f"{_TORNADO}...", record.rows.names)
    (ratio,) = take(record, names.LEDGER + names.TIME_RATIO)
    base = _log(ratio.number)
    spans, beyond = [], []
    for row in rows:
        title = TITLES[row.name.removeprefix(_TORNADO)]
        low, high = (_log(value) for value in row.curve)
        if None in (low, high, base):
            beyond.append(f"{title} at {'a tenth' if low is None else 'ten times'}")
            continue
        spans.append((title, low, high))
    spans.sort(key=lambda span: abs(span[2] - span[1]))  # type: ignore[operator]
    plot = figure("quantum / classical", "")
    for place, (label, color) in enumerate((("a tenth", GREEN), ("ten times", BLUE))):
        plot.add_trace(
            go.Bar(
                y=[span[0] for span in spans],
                x=[span[1 + place] - base for span in spans],  # type: ignore[operator]
                base=base,
                orientation="h",
                name=label,
                marker={"color": color},
                hovertemplate="%{y}, " + label + ": 10^%{x:.2f}<extra></extra>",
            )
        )
    ends = [base, 0.0, *(end for span in spans for end in span[1:])]
    ticks = _powers(min(ends), max(ends))  # type: ignore[type-var, arg-type]
    plot.update_xaxes(tickvals=ticks, ticktext=[f"10<sup>{tick}</sup>" for tick in ticks])
    plot.add_vline(0, line={"color": ORANGE, "dash": "dot", "width": 1.5})
    plot.update_layout(barmode="overlay", hovermode="closest", bargap=0.3)
    never = [
        row.name.removeprefix(_BREAK_EVEN)
        for row in record.rows
        if row.name.startswith(_BREAK_EVEN) and row.value == "never"
    ]
    all_told = sum(
        row.name.startswith(_BREAK_EVEN) and not row.name.endswith("_least_ratio")
        for row in record.rows
    )
    widest = spans[-1][0] if spans else "nothing"
    idle = [title for title, low, high in spans if abs(high - low) < _UNMOVED]  # type: ignore[operator]
    more = f" Out of the machine's reach, and not drawn: {', '.join(beyond)}." if beyond else ""
    more += f" Without a bar, for it changes nothing: {', '.join(idle)}." if idle else ""
    return Panel(
        f"{_told(len(never), all_told)} could make it even by itself; what moves it most by a"
        f" factor of ten{' within reach' if beyond else ''} is: {widest}",
        "Each bar is the quotient of both times with one input a tenth, or ten times, what it is"
        " (or as far as it may go), and all others held, on a logarithmic axis. Left of the dotted"
        f" line at 1 the quantum round would win.{more}",
        (ratio, rows[0]),  # the others are made alike
        plot,
    )


def _told(never: int, all_told: int) -> str:
    if never == all_told:
        return f"None of {all_told} inputs"
    return f"{all_told - never} of {all_told} inputs"


def map_panel(record: Record, x: str, y: str, points: tuple[tuple[str, float, float], ...] = ()
) -> Panel:  # fmt: skip
    """The quotient over two inputs, with measured networks as points."""
    at = f"{names.LEDGER}{names.MAPS}{x}_{y}/"
    xs, ys, ratios = rows = take(record, at + "x", at + "y", at + "ratio")
    grid = np.array(ratios.curve, dtype=float).reshape(len(ys.curve), len(xs.curve))
    with np.errstate(all="ignore"):
        logs = np.log10(grid)
    logs[~np.isfinite(logs)] = np.nan
    across, up = TITLES[x], TITLES[y]
    plot = figure(across, up)
    reach = float(np.nanmax(np.abs(logs))) if np.isfinite(logs).any() else 1.0
    plot.add_trace(
        go.Heatmap(
            x=list(xs.curve), y=list(ys.curve), z=logs.tolist(), zmin=-reach, zmax=reach,
            colorscale="RdBu_r",
            colorbar={"title": {"text": "log<sub>10</sub>", "side": "right"}, "thickness": 14},
            hovertemplate="%{x:.3g}, %{y:.3g}: 10^%{z:.1f}<extra></extra>",
        )
    )  # fmt: skip
    if (logs < 0).any() and (logs > 0).any():
        plot.add_trace(
            go.Contour(
                x=list(xs.curve), y=list(ys.curve), z=logs.tolist(), showscale=False,
                contours={"start": 0, "end": 0, "size": 1, "coloring": "lines"},
                line={"color": "#000000", "width": 2}, hoverinfo="skip",
            )
        )  # fmt: skip
    for place, (label, right, above) in enumerate(sorted(points, key=lambda each: each[1:])):
        plot.add_trace(
            go.Scatter(
                x=[right], y=[above], mode="markers", name=label, showlegend=False,
                marker={"color": "#ffffff", "size": 9, "line": {"color": GREY, "width": 2}},
            )
        )  # fmt: skip
        # to the left and to the right in turn: networks of one size lie beside each other
        side = 1 if place % 2 else -1
        plot.add_annotation(
            x=math.log10(right), y=math.log10(above), text=label, showarrow=False,
            xshift=10 * side, xanchor="left" if side > 0 else "right",
            bgcolor="rgba(255, 255, 255, 0.75)", font={"color": "#222222"},
        )  # fmt: skip
    plot.update_xaxes(type="log")
    plot.update_yaxes(type="log")
    plot.update_layout(hovermode="closest", margin={"t": 30})
    wins, seen = int((logs < 0).sum()), int(np.isfinite(logs).sum())
    found = (
        f"On the map of {across} and {up} the quantum round wins at {wins} of {seen} places"
        if wins
        else f"Nowhere on the map of {across} and {up} does the quantum round win"
    )
    marked = (
        " Circles: this round, and networks whose rows were measured (entries that carry 99 % of a"
        " row); of those only n and s are theirs, all else is this round's."
        if points
        else ""
    )
    idle = [title for title, axis in ((across, 1), (up, 0)) if _is_idle(logs, axis)]
    unmoved = f" Few places change with: {', '.join(idle)}." if idle else ""
    return Panel(
        found,
        "Red: the classical round is shorter; blue: the quantum one; the line, where there is one,"
        " is where they are even; in powers of ten. White: no such round (s and m are at most n,"
        f" tables hold at most 2^62 entries), or out of the machine's reach.{unmoved}{marked}",
        rows,
        plot,
    )


def space_time_panel(record: Record) -> Panel:
    """Physical qubits against the time of one run."""
    qubits, seconds = rows = take(
        record,
        names.LEDGER + names.SPACE_TIME_QUBITS,
        names.LEDGER + names.SPACE_TIME_SECONDS,
    )
    plot = figure("physical qubits", "seconds of one run")
    marks = {"color": BLUE, "size": 8}
    plot.add_trace(
        go.Scatter(x=list(qubits.curve), y=list(seconds.curve), mode="lines+markers", name="surface"
                   " code", marker=marks, line={"color": BLUE})
    )  # fmt: skip
    more: list[Row] = []
    for row in record.rows:
        prefix = f"{names.LEDGER}physical/on/"
        if row.name.startswith(prefix) and row.name.endswith("/qubits"):
            name = row.name.removeprefix(prefix).split("/")[0]
            time = record.rows[f"{prefix}{name}/run_time"]
            more += [row, time]
            plot.add_trace(
                go.Scatter(x=[row.number], y=[time.number], mode="markers", marker={"size": 10},
                           name=name.replace("_", " "))
            )  # fmt: skip
    plot.update_xaxes(type="log")
    plot.update_yaxes(type="log")
    plot.update_layout(hovermode="closest")
    least, most = min(seconds.curve), max(seconds.curve)
    return Panel(
        f"One run takes {duration(least)} with all factories and {duration(most)} with one",
        "One run, of which a copy takes several, and a round as many times more as it is read."
        " Fewer magic-state factories need fewer qubits and take longer. The single marks are the"
        " same run on other machines, each with the error rates that its source says.",
        (*rows, *more),
        plot,
    )


def way_label(name: str) -> str:
    """A quantum way as figures and tables call it."""
    return words.WAYS.get(name, name.replace("_", " "))


def _is_idle(logs: np.ndarray[Any, Any], axis: int) -> bool:
    """Whether the next place along an axis is the same nearly everywhere."""
    moves = np.abs(np.diff(logs, axis=axis))
    seen = moves[np.isfinite(moves)]
    return len(seen) > 0 and float((seen < _UNMOVED).mean()) > _MOSTLY


def _is_finite(row: Row) -> bool:
    return isinstance(row.value, (int, float)) and math.isfinite(row.value)


def _log(value: float) -> float | None:
    return math.log10(value) if value > 0 and math.isfinite(value) else None


def _powers(low: float, high: float) -> list[int]:
    step = max(1, math.ceil((high - low) / 8))
    return list(range(math.floor(low), math.ceil(high) + 1, step))
