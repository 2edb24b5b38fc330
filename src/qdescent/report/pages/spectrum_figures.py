"""The figures of the page of a spectrum: density, shares, proxy and the entries of rows."""

from __future__ import annotations

import math

from qdescent._evidence import Row
from qdescent.report.pages.panel import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Panel,
    figure,
    fraction,
    line,
    take,
)
from qdescent.report.pages.plots import density_plot, proxy_plot, shares_plot
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.numbers import number, percent


def density(record: Record) -> Panel:
    """Density of the eigenvalues over the kept weights, log y."""
    nodes, weights, low, high = rows = take(
        record, names.SPECTRUM_NODES, names.SPECTRUM_WEIGHTS, names.LAMBDA_MIN, names.LAMBDA_MAX
    )
    plot, width = density_plot([("this network", nodes.curve, weights.curve, GREEN, "solid")])
    limit = ""
    if names.SETTING_LEARNING_RATE in record.rows and names.SETTING_MOMENTUM in record.rows:
        rate, momentum = take(record, names.SETTING_LEARNING_RATE, names.SETTING_MOMENTUM)
        rows = (*rows, rate, momentum)
        limit = (
            f" Above {number(2 * (1 + momentum.number) / rate.number)} they grow as well at this"
            " learning rate, if any lie there."
        )
    return Panel(
        f"Curvature lies between {number(low.number)} and {number(high.number)}",
        "Each mode is a direction in the space of kept weights, λ its curvature. Descent shrinks"
        f" displacements along modes with small positive λ and amplifies them where λ < 0.{limit}"
        f" The curve is smoothed (width {number(width, 2)}) for the eye.",
        rows,
        plot,
    )


def shares(record: Record) -> Panel:
    """The dissipative, neutral and divergent share of the modes."""
    rows = take(record, names.DISSIPATIVE, names.NEUTRAL, names.DIVERGENT)
    growth, horizon = take(record, names.GROWTH, names.SETTING_HORIZON)
    bounds = take(record, names.DIVERGENT_AT_LEAST, names.DIVERGENT_AT_MOST)
    least, most = (percent(fraction(row), 2) for row in bounds)
    between = least if least == most else f"Between {least} and {most}"
    pace: tuple[Row, ...] = ()
    limit = ""
    if names.GROWTH_A_STEP in record.rows:
        pace = take(record, names.GROWTH_A_STEP, names.STEPS_TO_LIMIT)
        steps = pace[1].number
        reached = f", tenfold after {number(steps)} steps" if math.isfinite(steps) else ""
        limit = f", by {number(pace[0].number)} a step{reached}"
    return Panel(
        f"{between} of the modes are divergent over {number(horizon.value)} steps",
        "A step multiplies the displacement along a mode by its factor: below 1 is dissipative,"
        " above 1 divergent. Neutral modes change by less than 1 % over the horizon. The fastest"
        f" mode changes by a factor {number(growth.number)} over it{limit}. The title gives what"
        " these probes are sure of; the bars show one estimate between these bounds, far apart"
        " where many modes lie near 0.",
        (*rows, *bounds, growth, *pace, horizon),
        shares_plot({"modes": rows}),
    )


def proxy(record: Record) -> Panel:
    """E(t) and its parts."""
    rows = take(
        record,
        names.PROXY_TOTAL,
        names.PROXY_DISSIPATIVE,
        names.PROXY_NEUTRAL,
        names.PROXY_DIVERGENT,
    )
    total, divergent = rows[0].curve, rows[3].curve
    return Panel(
        f"Over {len(total) - 1} steps E(t) goes from {number(total[0])} to {number(total[-1])}; its"
        f" divergent part goes from {number(divergent[0])} to {number(divergent[-1])}",
        "E(t) is the mean of the t-th power of a mode's factor: how much of a displacement is left"
        " after t steps. Neutral modes hide growth in the total: read the divergent part as well."
        " It is the measure that Liu et al. use; it is blind to higher orders.",
        rows,
        proxy_plot(rows),
    )


def row_entries(record: Record) -> Panel:
    """Entries that count in each sampled row, sorted."""
    above, carrying, sampled, kept = rows = take(
        record,
        names.row_entries(names.ABOVE_ONE_THOUSANDTH, "counts"),
        names.row_entries(names.CARRYING_99_PERCENT, "counts"),
        names.SPARSITY_ROWS,
        names.NETWORK_KEPT,
    )
    means = take(
        record,
        names.row_entries(names.ABOVE_ONE_THOUSANDTH, "mean"),
        names.row_entries(names.CARRYING_99_PERCENT, "mean"),
    )
    n = kept.number
    places = list(range(1, int(sampled.number) + 1))
    plot = figure(
        "sampled row, sorted by its count",
        "entries that count",
        line(
            above.curve, "above 1/1000 of the row's largest", BLUE, x=places, mode="lines+markers"
        ),
        line(
            carrying.curve,
            "carry 99 % of the row's square",
            ORANGE,
            "dash",
            x=places,
            mode="lines+markers",
            symbol="square",
        ),
    )
    plot.add_hline(n, line={"color": GREY, "dash": "dot", "width": 1.5})
    plot.add_annotation(
        x=1,
        xref="paper",
        xanchor="right",
        y=math.log10(n),
        yanchor="bottom",
        showarrow=False,
        text="n: a full row",
    )
    plot.update_yaxes(type="log", range=[-0.15, math.log10(n) + 0.25], dtick=1)
    plot.update_xaxes(tick0=1, dtick=math.ceil(len(places) / 8), range=[0.5, len(places) + 0.5])
    empty = above.curve.count(0)
    zeros = f" {number(empty)} of these rows are zero throughout and have no mark." if empty else ""
    many, few = (row.number for row in means)
    return Panel(
        f"{number(many)} of a row's {number(kept.value)} entries are above 1/1000 of its largest;"
        f" {number(few)} carry 99 % of its square",
        f"Each mark is one of {number(sampled.value)} rows of the Hessian over the kept weights,"
        f" drawn at random, computed whole; the means in the title are {percent(many / n, 2)} and"
        f" {percent(few / n, 2)} of a full row (dotted). The speed-up wants s to grow like a power"
        " of log n; which threshold an algorithm can afford depends on the accuracy that it must"
        f" reach.{zeros}",
        (*rows, *means),
        plot,
    )
