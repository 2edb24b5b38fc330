"""A figure as the page shows it, and the look that all figures share.

Colours are the colour-blind-safe ones of Okabe and Ito at a lightness that reads on white and on
black; dashes and marks repeat what the colours say. Text and grid take their colour from the page
(light, dark, print).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from qdescent._evidence import Row
from qdescent.report.record import Record

BLUE, ORANGE, GREEN, PURPLE, GREY = "#2f7fc1", "#d55e00", "#009e73", "#b3589a", "#858b93"


@dataclass(frozen=True)
class Panel:
    """A figure as the page shows it.

    Args:
        title: its finding, computed from the rows.
        caption: what is seen and why it matters, for a newcomer.
        rows: the rows that it draws; their evidence and sources are printed below it.
        plot: the plotly figure.
    """

    title: str
    caption: str
    rows: tuple[Row, ...]
    plot: go.Figure


def take(record: Record, *names: str) -> tuple[Row, ...]:
    """The rows of these names."""
    return tuple(record.rows[name] for name in names)


def fraction(row: Row) -> float:
    """A share or a relative error as a fraction of 1, whether its row is in "1" or in "%"."""
    return row.number * _per_unit(row)


def fractions(row: Row) -> list[float]:
    """The same for a curve."""
    return [value * _per_unit(row) for value in row.curve]


def _per_unit(row: Row) -> float:
    return 0.01 if row.unit in ("%", "percent") else 1.0


def line(
    y: Sequence[float | None], name: str, color: str, dash: str = "solid", *,
    x: Sequence[float | None] | None = None,
    mode: str = "lines", symbol: str = "circle", error: object = None, scale: float = 1.0,
) -> go.Scatter:  # fmt: skip
    """One curve (or its marks); `error` is a sequence of standard errors, `scale` brings them to
    the axis's unit.
    """
    spread = None
    if isinstance(error, (list, tuple)):
        spread = {
            "type": "data",
            "array": [scale * value for value in error],
            "thickness": 1,
            "width": 0,
        }
    return go.Scatter(
        x=list(range(len(y))) if x is None else list(x), y=list(y), name=name, mode=mode,
        error_y=spread,
        line={"color": color, "dash": dash, "width": 2.2},
        marker={"color": color, "size": 9, "symbol": symbol},
        hovertemplate="%{y:.4g}",
    )  # fmt: skip


def figure(x: str, y: str, *traces: go.Scatter) -> go.Figure:
    """A figure with the page's axes; the page sets the colours of text and grid."""
    plot = go.Figure(list(traces))
    axis = {
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
        "exponentformat": "power",
    }
    plot.update_layout(
        template="none", height=340, hovermode="x unified",
        margin={"l": 8, "r": 14, "t": 10, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        xaxis={**axis, "title": {"text": x, "standoff": 8}},
        yaxis={**axis, "title": {"text": y, "standoff": 8}},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )  # fmt: skip
    return plot
