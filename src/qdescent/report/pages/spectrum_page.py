"""`write_spectrum_page(record, path)`: the page of `qdescent spectrum`, with the look and the
pieces of the main report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

from qdescent._checks import check_instance, check_path
from qdescent._evidence import Row
from qdescent.report.numbers import curve, fraction, number, percent, powers, scalar, times
from qdescent.report.pages import words
from qdescent.report.pages.page import (
    all_rows,
    badge,
    card,
    glossary,
    provenance,
    section,
    table,
    write_page,
)
from qdescent.report.pages.panel import BLUE, GREEN, GREY, ORANGE, Panel, figure, line
from qdescent.report.pages.plots import density_plot, proxy_plot, shares_plot
from qdescent.report.record import Record

PARTS = ("dissipative", "neutral", "divergent")
LEAD = (
    "Gradient descent near a point multiplies the displacement along each mode, an eigenvector of"
    " the loss's Hessian over the kept weights, by a fixed factor per step. The quantum algorithm"
    " of Liu et al. (Nature Communications 15, 434, 2024) is promised to be fast where no mode"
    " grows (dissipative), or none grows much. This page shows the measured curvatures and what"
    " they say."
)
OPENING = (
    "Curvatures and what they do",
    (
        "Measured by random probes through the whole network, so each number has an error; nothing"
        " is fitted."
    ),
)
SPARSITY = (
    "Is the Hessian sparse?",
    (
        "The second condition of the speed-up: the cost of each quantum query grows with s, the"
        " number of entries in a row. A Hessian has no exact zeros between weights that act"
        " together, so what counts depends on a threshold; two are shown, on whole rows."
    ),
)
# of the loss of guessing: above, nothing or next to nothing has been learnt on these samples
NEAR_GUESSING = 0.95
CAVEATS = {
    "One batch is not SGD": (
        "The spectrum is that of the mean over the samples named above. Steps on changing batches"
        " grow at least as much: E|1 − ηλ_B|ᵗ ≥ |1 − η E λ_B|ᵗ. A full-batch spectrum is optimistic"
        " for SGD."
    ),
    "Near zero": (
        "Most modes of a large network have |λ| near 0. Lanczos steps resolve the outer eigenvalues"
        " first; how many lie just left or right of 0 is known only between the bounds in the"
        " table, and E(t) does not see it."
    ),
    "BatchNorm": (
        "It is measured in evaluation mode, with running statistics. Training mode is another"
        " function, which differs from batch to batch."
    ),
    "ReLU and max-pooling": (
        "Their kinks have no second derivative: the Hessian is that of the linear piece at hand,"
        " and a Taylor series holds only inside it."
    ),
    "A spectrum is one point": (
        "It is taken at the given weights and changes as they do; the measured truncation error of "
        "qdescent run sees the higher orders as well."
    ),
}
GLOSSARY = {
    "kept weights": words.GLOSSARY["kept weights"],
    "mode, λ": (
        "An eigenvector of the Hessian over the kept weights, and its eigenvalue: the curvature of"
        " the loss along it."
    ),
    "η, T": (
        "Learning rate, and horizon: the number of steps over which E(t) is drawn. The verdict does"
        " not depend on it."
    ),
    "dissipative, neutral, divergent": (
        "A mode along which a step shrinks, keeps (within 1 % over the horizon) or amplifies a "
        "displacement."
    ),
    "E(t)": (
        "The mean over all modes of |1 − ηλ|ᵗ: how much of a random displacement is left after t"
        " steps."
    ),
    "growth": "The factor by which the fastest mode changes in a step, or over the horizon.",
    "fully, almost, not dissipative": (
        "Fully: every mode shrinks, and the bound on all others lies below one mode. Almost: none"
        " grows but some stand still; or at most one mode in ten grows, the fastest less than"
        " tenfold in 20 steps, and less than the others shrink. Tenfold is what takes the error of"
        " a solve, 0.001, to that of a readout, 0.01. Not seen to diverge: no mode was seen to"
        " grow, but the bound leaves room for one."
    ),
    "probe": (
        "A random start vector. The spread between probes gives the errors; extremes have residual"
        " norms instead."
    ),
    "Ritz value": (
        "An eigenvalue of the small Lanczos matrix: some eigenvalue of the Hessian lies within its"
        " residual norm."
    ),
    "row sparsity, s": (
        "The number of entries that count in a row of the Hessian: how many weights one weight acts"
        " together with."
    ),
    "effective rank": (
        "How many modes of equal curvature would be as spread out as these; far below n in trained"
        " networks."
    ),
}


def write_spectrum_page(record: Record, path: str | Path) -> Path:
    """Write the page of a spectrum as one self-contained HTML file.

    Args:
        record: the rows of `qdescent spectrum`; figures whose rows it lacks are left out, and the
            page says so.
        path: the file to write, at once.

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> path = write_spectrum_page(
        ...     Record("empty", {}, 0, {}, ()), Path(tempfile.mkdtemp()) / "spectrum.html"
        ... )
        >>> "left out" in path.read_text(encoding="utf-8")
        True
    """
    check_instance("record", record, Record)
    path = check_path("path", path)
    plots: dict[str, Any] = {}
    figures: tuple[Callable[[Record], Panel], ...] = (density, shares, proxy)
    body = [
        _header(record),
        section(record, "spectrum", OPENING, figures, plots, _tables(record)),
        *_sparsity_section(record, plots),
        f'<h2 id="caveats">What can mislead</h2>{_definitions(_caveats(record).items())}',
        all_rows(record),
        provenance(record),
        glossary(GLOSSARY),
    ]
    return write_page(path, f"qdescent spectrum: {record.name}", body, plots)


def guessing_warning(record: Record) -> str:
    """A sentence where the measured loss is that of guessing, within 5 %; else empty."""
    if "data/guessing_loss" not in record or "data/loss" not in record:
        return ""
    loss, guessing = (scalar(record.row(f"data/{name}")) for name in ("loss", "guessing_loss"))
    if not loss >= NEAR_GUESSING * guessing:
        return ""
    return (
        f"the measured loss, {number(loss)}, is no better than guessing ({number(guessing)}). The"
        " weights are untrained, or pruned without training afterwards, or the inputs are not"
        " normalised as in training: this spectrum says little about a trained network."
    )


def density(record: Record) -> Panel:
    """Density of the eigenvalues over the kept weights, log y."""
    names = ("nodes", "weights", "lambda_min", "lambda_max")
    nodes, weights, low, high = rows = tuple(record.row(f"spectrum/{name}") for name in names)
    plot, width = density_plot([("this network", curve(nodes), curve(weights), GREEN, "solid")])
    limit = ""
    if "setting/learning_rate" in record and "setting/momentum" in record:
        rate, momentum = (record.row(f"setting/{name}") for name in ("learning_rate", "momentum"))
        rows = (*rows, rate, momentum)
        limit = (
            f" Above {number(2 * (1 + scalar(momentum)) / scalar(rate))} they grow as well at this"
            " learning rate, if any lie there."
        )
    return Panel(
        f"Curvature lies between {number(scalar(low))} and {number(scalar(high))}",
        "Each mode is a direction in the space of kept weights, λ its curvature. Descent shrinks"
        f" displacements along modes with small positive λ and amplifies them where λ < 0.{limit}"
        f" The curve is smoothed (width {number(width, 2)}) for the eye.",
        rows,
        plot,
    )


def shares(record: Record) -> Panel:
    """The dissipative, neutral and divergent share of the modes."""
    rows = tuple(record.row(f"dissipation/{part}") for part in PARTS)
    growth, horizon = (record.row(name) for name in ("dissipation/growth", "setting/horizon"))
    bounds = tuple(record.row(f"dissipation/divergent_at_{edge}") for edge in ("least", "most"))
    least, most = (percent(fraction(row), 2) for row in bounds)
    between = least if least == most else f"Between {least} and {most}"
    pace: tuple[Row, ...] = ()
    limit = ""
    if "dissipation/growth_a_step" in record:
        pace = tuple(
            record.row(f"dissipation/{name}") for name in ("growth_a_step", "steps_to_limit")
        )
        steps = scalar(pace[1])
        reached = f", tenfold after {number(steps)} steps" if math.isfinite(steps) else ""
        limit = f", by {number(scalar(pace[0]))} a step{reached}"
    return Panel(
        f"{between} of the modes are divergent over {number(horizon.value)} steps",
        "A step multiplies the displacement along a mode by its factor: below 1 is dissipative,"
        " above 1 divergent. Neutral modes change by less than 1 % over the horizon. The fastest"
        f" mode changes by a factor {number(scalar(growth))} over it{limit}. The title gives what"
        " these probes are sure of; the bars show one estimate between these bounds, far apart"
        " where many modes lie near 0.",
        (*rows, *bounds, growth, *pace, horizon),
        shares_plot({"modes": rows}),
    )


def proxy(record: Record) -> Panel:
    """E(t) and its parts."""
    rows = tuple(record.row(f"proxy/{part}") for part in ("total", *PARTS))
    total, divergent = curve(rows[0]), curve(rows[3])
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
    above, carrying, sampled, kept = rows = tuple(
        record.row(name)
        for name in (
            "sparsity/above_one_thousandth/counts",
            "sparsity/carrying_99_percent/counts",
            "sparsity/rows",
            "network/kept",
        )
    )
    means = tuple(
        record.row(f"sparsity/{name}/mean")
        for name in ("above_one_thousandth", "carrying_99_percent")
    )
    n = scalar(kept)
    places = list(range(1, int(scalar(sampled)) + 1))
    plot = figure(
        "sampled row, sorted by its count",
        "entries that count",
        line(
            curve(above), "above 1/1000 of the row's largest", BLUE, x=places, mode="lines+markers"
        ),
        line(
            curve(carrying),
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
    empty = curve(above).count(0)
    zeros = f" {number(empty)} of these rows are zero throughout and have no mark." if empty else ""
    many, few = (scalar(row) for row in means)
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


def _sparsity_section(record: Record, plots: dict[str, Any]) -> Iterable[str]:
    """Figure and table; nothing where no row was sampled (the setting `rows` is 0)."""
    rows = [row for row in record.section("sparsity/") if isinstance(row.value, (int, float))]
    if rows:
        numbers = (
            f'<h3 style="margin-top:1.6rem">Sparsity in numbers</h3>{table(rows, "sparsity/")}'
        )
        yield section(record, "sparsity", SPARSITY, (row_entries,), plots, numbers)


def _caveats(record: Record) -> dict[str, str]:
    """What can mislead here: the sentences that hold for every spectrum, after those that this
    one's rows call for.
    """
    warning = guessing_warning(record)
    here = {"The loss is that of guessing": _capital(warning)} if warning else {}
    return {**here, **CAVEATS}


def _header(record: Record) -> str:
    verdict = ""
    if "dissipation/verdict" in record:
        row = record.row("dissipation/verdict")
        verdict = (
            f'<p class="verdict"><b>Verdict.</b> {escape(_capital(powers(str(row.value))))}.'
            f" {badge(row.evidence)}</p>"
        )
    sparse = {"sparsity": "Sparsity"} if "sparsity/rows" in record else {}
    anchors = {
        "spectrum": "Spectrum",
        **sparse,
        "caveats": "What can mislead",
        "numbers": "All numbers",
        "words": "Words",
    }
    links = " ".join(f'<a href="#{anchor}">{escape(text)}</a>' for anchor, text in anchors.items())
    network = (
        f"<code>{escape(str(record.value('network/name')))}</code>, "
        if "network/name" in record
        else ""
    )
    return f"""<h1>Is this network dissipative?</h1>
<p>{escape(LEAD)}</p>
{verdict}
<div class="cards">{"".join(_cards(record))}</div>
<p class="quiet">{network}run <code>{escape(record.name)}</code>, seed {record.seed}.</p>
<nav>{links}</nav>"""


def _cards(record: Record) -> Iterable[str]:
    candidates: tuple[tuple[str, Callable[[Row], str], str], ...] = (
        ("network/kept", lambda row: number(row.value),
         "kept weights: the coordinates of the Hessian"),
        ("spectrum/lambda_min", lambda row: number(row.value),
         "smallest eigenvalue; negative: that mode grows"),
        ("spectrum/lambda_max", lambda row: number(row.value),
         "largest eigenvalue; it limits the learning rate"),
        ("dissipation/growth_a_step", lambda row: times(scalar(row)),
         "the fastest mode's change in a step"),
        ("dissipation/growth", lambda row: times(scalar(row)),
         "the fastest mode's change over the horizon"),
        ("sparsity/above_one_thousandth/mean", lambda row: number(row.value),
         "entries a row above 1/1000 of its largest"),
        ("data/samples", lambda row: number(row.value), "samples in the measured loss"),
    )  # fmt: skip
    for name, text, label in candidates:
        if name in record:
            yield card(text(record.row(name)), label, record.row(name).evidence)


def _tables(record: Record) -> str:
    """The reasons of the verdict, and the numbers that are no curves."""
    parts = []
    if "dissipation/reasons" in record:
        parts.append(
            f"<h3>Why</h3><p>{escape(powers(str(record.value('dissipation/reasons'))))}</p>"
        )
    if "spectrum/deflated" in record:
        row = record.row("spectrum/deflated")
        listed = ", ".join(number(value) for value in curve(row)) or "none"
        parts.append(
            '<h3 style="margin-top:1.6rem">Eigenvalues that entered'
            f" exactly</h3><p>{escape(listed)}. They were found first, to within their residual"
            " norms, and the probes saw only what is left: no sampling error comes from"
            f' these.</p><p class="sources quiet">{badge(row.evidence)} {escape(row.source)}.</p>'
        )
    for title, prefix in (
        ("The spectrum in numbers", "spectrum/"),
        ("Dissipation in numbers", "dissipation/"),
    ):
        rows = [row for row in record.section(prefix) if isinstance(row.value, (int, float))]
        if rows:
            parts.append(f'<h3 style="margin-top:1.6rem">{title}</h3>{table(rows, prefix)}')
    return "".join(parts)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return (
        "<dl>"
        + "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in pairs)
        + "</dl>"
    )
