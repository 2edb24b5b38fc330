"""`write_spectrum_page(record, path)`: the page of `qdescent spectrum`, with the look and the pieces of the main report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

from qdescent._evidence import Row
from qdescent.report import words
from qdescent.report.figures import density_plot, proxy_plot, shares_plot
from qdescent.report.numbers import curve, fraction, number, percent, powers, scalar, times
from qdescent.report.page import all_rows, badge, card, glossary, provenance, section, table, write_page
from qdescent.report.panel import GREEN, Panel
from qdescent.report.record import Record

PARTS = ("dissipative", "neutral", "divergent")
LEAD = (
    "Gradient descent near a point multiplies the displacement along each mode, an eigenvector of the loss's Hessian over the kept "
    "weights, by a fixed factor per step. The quantum algorithm of Liu et al. (Nature Communications 15, 434, 2024) is promised to "
    "be fast where no mode grows (dissipative), or none grows much. This page shows the measured curvatures and what they say."
)
OPENING = (
    "Curvatures and what they do",
    "Measured by random probes through the whole network, so each number has an error; nothing is fitted.",
)
CAVEATS = {
    "One batch is not SGD": "The spectrum is that of the mean over the samples named above. Steps on changing batches grow at "
    "least as much: E|1 − ηλ_B|ᵗ ≥ |1 − η E λ_B|ᵗ. A full-batch spectrum is optimistic for SGD.",
    "Near zero": "Most modes of a large network have |λ| near 0. Lanczos steps resolve the outer eigenvalues first; how many lie "
    "just left or right of 0 is known only between the bounds in the table, and E(t) does not see it.",
    "BatchNorm": "It is measured in evaluation mode, with running statistics. Training mode is another function, which differs "
    "from batch to batch.",
    "ReLU and max-pooling": "Their kinks have no second derivative: the Hessian is that of the linear piece at hand, and a "
    "Taylor series holds only inside it.",
    "A spectrum is one point": "It is taken at the given weights and changes as they do; the measured truncation error of "
    "qdescent run sees the higher orders as well.",
}
GLOSSARY = {
    "kept weights": words.GLOSSARY["kept weights"],
    "mode, λ": "An eigenvector of the Hessian over the kept weights, and its eigenvalue: the curvature of the loss along it.",
    "η, T": "Learning rate, and horizon: the number of steps over which growth is judged.",
    "dissipative, neutral, divergent": "A mode along which a step shrinks, keeps (within 1 % over the horizon) or amplifies a "
    "displacement.",
    "E(t)": "The mean over all modes of |1 − ηλ|ᵗ: how much of a random displacement is left after t steps.",
    "growth": "The factor of the fastest mode over the horizon. Up to 10 counts as almost dissipative.",
    "probe": "A random start vector. The spread between probes gives the errors; extremes have residual norms instead.",
    "Ritz value": "An eigenvalue of the small Lanczos matrix: some eigenvalue of the Hessian lies within its residual norm.",
    "effective rank": "How many modes of equal curvature would be as spread out as these; far below n in trained networks.",
}


def write_spectrum_page(record: Record, path: str | Path) -> Path:
    """Write the page of a spectrum as one self-contained HTML file.

    Args:
        record: the rows of `qdescent spectrum`; figures whose rows it lacks are left out, and the page says so.
        path: the file to write, at once.

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> path = write_spectrum_page(Record("empty", {}, 0, {}, ()), Path(tempfile.mkdtemp()) / "spectrum.html")
        >>> "left out" in path.read_text(encoding="utf-8")
        True
    """
    plots: dict[str, Any] = {}
    figures: tuple[Callable[[Record], Panel], ...] = (density, shares, proxy)
    body = [
        _header(record),
        section(record, "spectrum", OPENING, figures, plots, _tables(record)),
        f'<h2 id="caveats">What can mislead</h2>{_definitions(CAVEATS.items())}',
        all_rows(record),
        provenance(record),
        glossary(GLOSSARY),
    ]
    return write_page(path, f"qdescent spectrum: {record.name}", body, plots)


def density(record: Record) -> Panel:
    """Density of the eigenvalues over the kept weights, log y."""
    names = ("nodes", "weights", "lambda_min", "lambda_max")
    nodes, weights, low, high = rows = tuple(record.row(f"spectrum/{name}") for name in names)
    plot, width = density_plot([("this network", curve(nodes), curve(weights), GREEN, "solid")])
    limit = ""
    if "setting/learning_rate" in record:
        rate, momentum = (record.row(f"setting/{name}") for name in ("learning_rate", "momentum"))
        rows = (*rows, rate, momentum)
        limit = f" So are modes above {number(2 * (1 + scalar(momentum)) / scalar(rate))} at this learning rate, if there are any."
    return Panel(
        f"Curvature lies between {number(scalar(low))} and {number(scalar(high))}",
        "Each mode is a direction in the space of kept weights, λ its curvature. Descent shrinks displacements along modes with "
        f"small positive λ and amplifies them where λ < 0.{limit} The curve is smoothed (width {number(width, 2)}) for the eye.",
        rows,
        plot,
    )


def shares(record: Record) -> Panel:
    """The dissipative, neutral and divergent share of the modes."""
    rows = tuple(record.row(f"dissipation/{part}") for part in PARTS)
    growth, verdict, horizon = (record.row(name) for name in ("dissipation/growth", "dissipation/verdict", "setting/horizon"))
    dissipative, neutral, divergent = (percent(fraction(row)) for row in rows)
    return Panel(
        f"{dissipative} of the modes are dissipative, {neutral} neutral, {divergent} divergent over {number(horizon.value)} steps",
        "A step multiplies the displacement along a mode by its factor: below 1 is dissipative, above 1 divergent. Neutral modes "
        f"change by less than 1 % over the horizon. The fastest mode changes by a factor {number(scalar(growth))}. "
        f"Verdict: {powers(str(verdict.value))}.",
        (*rows, growth, verdict, horizon),
        shares_plot({"modes": rows}),
    )


def proxy(record: Record) -> Panel:
    """E(t) and its parts."""
    rows = tuple(record.row(f"proxy/{part}") for part in ("total", *PARTS))
    total, divergent = curve(rows[0]), curve(rows[3])
    return Panel(
        f"Over {len(total) - 1} steps E(t) goes from {number(total[0])} to {number(total[-1])}; its divergent part goes "
        f"from {number(divergent[0])} to {number(divergent[-1])}",
        "E(t) is the mean of the t-th power of a mode's factor: how much of a displacement is left after t steps. Neutral modes "
        "hide growth in the total: read the divergent part as well. It is the measure that Liu et al. use; it is blind to higher "
        "orders.",
        rows,
        proxy_plot(rows),
    )


def _header(record: Record) -> str:
    verdict = ""
    if "dissipation/verdict" in record:
        row = record.row("dissipation/verdict")
        verdict = f'<p class="verdict"><b>Verdict.</b> {escape(powers(str(row.value)))}. {badge(row.evidence)}</p>'
    anchors = {"spectrum": "Spectrum", "caveats": "What can mislead", "numbers": "All numbers", "words": "Words"}
    links = " ".join(f'<a href="#{anchor}">{escape(text)}</a>' for anchor, text in anchors.items())
    network = f"<code>{escape(str(record.value('network/name')))}</code>, " if "network/name" in record else ""
    return f"""<h1>Is this network dissipative?</h1>
<p>{escape(LEAD)}</p>
{verdict}
<div class="cards">{"".join(_cards(record))}</div>
<p class="quiet">{network}run <code>{escape(record.name)}</code>, seed {record.seed}.</p>
<nav>{links}</nav>"""


def _cards(record: Record) -> Iterable[str]:
    candidates: tuple[tuple[str, Callable[[Row], str], str], ...] = (
        ("network/kept", lambda row: number(row.value), "kept weights: the coordinates of the Hessian"),
        ("spectrum/lambda_min", lambda row: number(row.value), "smallest eigenvalue; negative: that mode grows"),
        ("spectrum/lambda_max", lambda row: number(row.value), "largest eigenvalue; it limits the learning rate"),
        ("dissipation/divergent", lambda row: percent(fraction(row), 2), "of the modes diverge"),
        ("dissipation/growth", lambda row: times(scalar(row)), "the fastest mode's change over the horizon"),
        ("data/samples", lambda row: number(row.value), "samples in the measured loss"),
    )  # fmt: skip
    for name, text, label in candidates:
        if name in record:
            yield card(text(record.row(name)), label, record.row(name).evidence)


def _tables(record: Record) -> str:
    """The reasons of the verdict, and the numbers that are no curves."""
    parts = []
    if "dissipation/reasons" in record:
        parts.append(f"<h3>Why</h3><p>{escape(powers(str(record.value('dissipation/reasons'))))}</p>")
    for title, prefix in (("The spectrum in numbers", "spectrum/"), ("Dissipation in numbers", "dissipation/")):
        rows = [row for row in record.section(prefix) if isinstance(row.value, (int, float))]
        if rows:
            parts.append(f'<h3 style="margin-top:1.6rem">{title}</h3>{table(rows, prefix)}')
    return "".join(parts)


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in pairs) + "</dl>"
