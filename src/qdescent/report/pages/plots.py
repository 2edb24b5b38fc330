"""Plots that several pages draw: densities, shares of modes, E(t)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from qdescent._evidence import Row
from qdescent.report.pages.panel import BLUE, GREEN, GREY, PURPLE, figure, fraction, line
from qdescent.rows.numbers import percent

# 1, 3, 10: even steps on a logarithmic axis
LOG_TICKS = [d * 10.0**k for k in range(-7, 4) for d in (1, 3)]


def density_plot(
    spectra: Sequence[tuple[str, Sequence[float], Sequence[float], str, str]],
) -> tuple[go.Figure, float]:
    """Densities from (label, nodes, weights, colour, dash) each, smoothed by a Gaussian, and the
    width of that, log y.
    """
    plot = figure("curvature λ of the loss along a mode", "share of modes per unit of λ")
    low, high = min(min(s[1]) for s in spectra), max(max(s[1]) for s in spectra)
    width = max((high - low) / 120, 1e-12)
    grid = np.linspace(low - 6 * width, high + 6 * width, 500)
    peak, floor = 0.0, math.inf
    for label, nodes, shares, color, dash in spectra:
        weights = np.array(shares)
        kernel = np.exp(-0.5 * ((grid[:, None] - np.array(nodes)) / width) ** 2) / (
            width * math.sqrt(2 * math.pi)
        )
        density = kernel @ weights
        peak = max(peak, float(density.max()))
        floor = min(floor, float(weights[weights > 0].min()) / width)
        plot.add_trace(line(density.tolist(), label, color, dash, x=grid.tolist()))
    bottom = max(floor / 10, peak * 1e-8)
    plot.update_yaxes(type="log", range=[math.log10(bottom), math.log10(peak * 4)])
    plot.update_xaxes(range=[float(grid[0]), float(grid[-1])])
    if low < 0:
        plot.add_vrect(
            x0=float(grid[0]), x1=0, fillcolor=PURPLE, opacity=0.2, line_width=0, layer="below",
            showlegend=True,
            name="λ < 0: grows",
        )  # fmt: skip
    return plot, width


def shares_plot(table: Mapping[str, Sequence[Row]]) -> go.Figure:
    """A bar for each label, from below: its modes' dissipative, neutral and divergent shares."""
    plot = figure("share of modes, %", "")
    for place, (kind, color) in enumerate(
        (("dissipative", GREEN), ("neutral", GREY), ("divergent", PURPLE))
    ):
        shares = [100 * fraction(rows[place]) for rows in table.values()]
        plot.add_trace(
            go.Bar(
                y=list(table), x=shares, name=kind, orientation="h", marker={"color": color},
                text=[percent(share / 100) if share >= 8 else "" for share in shares],
                textposition="inside",
                insidetextanchor="middle", textfont={"color": "#ffffff"}, textangle=0,
                hovertemplate="%{y}: %{x:.2f} % " + kind + "<extra></extra>",
            )
        )  # fmt: skip
    plot.update_layout(barmode="stack", hovermode="closest", legend={"traceorder": "normal"})
    plot.update_xaxes(range=[0, 100])
    return plot


def proxy_plot(after: Sequence[Row], before: Sequence[Row] = ()) -> go.Figure:
    """E(t) in total and its dissipative, neutral and divergent part, log y; those at the start, if
    any, dotted.
    """
    plot = figure("horizon t, steps", "E(t), mean over modes")
    for rows, dash in ((before, "dot"), (after, "solid")):
        for row, (part, color) in zip(
            rows,
            (("total", BLUE), ("dissipative", GREEN), ("neutral", GREY), ("divergent", PURPLE)),
            strict=False,
        ):
            label = part if rows is after else f"{part}, at the start"
            plot.add_trace(line(_positive(row.curve), label, color, dash, error=row.error))
            plot.data[-1].showlegend = rows is after
    ticks = _log_ticks([value for row in (*before, *after) for value in row.curve if value > 0])
    plot.update_yaxes(type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    return plot


def _log_ticks(values: Sequence[float]) -> list[float]:
    """Marks for a logarithmic axis; over less than a decade those of a linear one, for 1, 3, 10
    would leave one of them or none.
    """
    low, high = min(values, default=1.0), max(values, default=1.0)
    if high >= 10 * low or high == low:
        return LOG_TICKS
    power = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = next(d * power for d in (1, 2, 5, 10) if (high - low) / (d * power) <= 6)
    return [step * k for k in range(math.floor(low / step), math.ceil(high / step) + 1) if k > 0]


def _positive(values: Sequence[float]) -> list[float | None]:
    return [value if value > 0 else None for value in values]  # a log axis has no place for zero
