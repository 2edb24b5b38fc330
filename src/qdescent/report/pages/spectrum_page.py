"""`write_spectrum_page(record, path)`: the page of `qdescent spectrum`, with the look and the
pieces of the main report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

from qdescent._checks import check_instance, check_path
from qdescent._evidence import Row
from qdescent.report.pages import words
from qdescent.report.pages.page import all_rows, card, glossary, provenance, section, write_page
from qdescent.report.pages.panel import Panel
from qdescent.report.pages.spectrum_figures import density, proxy, row_entries, shares
from qdescent.report.pages.tables import badge, table
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.numbers import number, times

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
    if names.GUESSING_LOSS not in record.rows or names.DATA_LOSS not in record.rows:
        return ""
    loss, guessing = (record.rows.number(name) for name in (names.DATA_LOSS, names.GUESSING_LOSS))
    if not loss >= NEAR_GUESSING * guessing:
        return ""
    return (
        f"the measured loss, {number(loss)}, is no better than guessing ({number(guessing)}). The"
        " weights are untrained, or pruned without training afterwards, or the inputs are not"
        " normalised as in training: this spectrum says little about a trained network."
    )


def _sparsity_section(record: Record, plots: dict[str, Any]) -> Iterable[str]:
    """Figure and table; nothing where no row was sampled (the setting `rows` is 0)."""
    rows = record.rows.section(names.SPARSITY).numbers
    if rows:
        numbers = (
            f'<h3 style="margin-top:1.6rem">Sparsity in numbers</h3>{table(rows, names.SPARSITY)}'
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
    if names.DISSIPATION_VERDICT in record.rows:
        row = record.rows[names.DISSIPATION_VERDICT]
        verdict = (
            f'<p class="verdict"><b>Verdict.</b> {escape(_capital(str(row.value)))}.'
            f" {badge(row.evidence)}</p>"
        )
    sparse = {"sparsity": "Sparsity"} if names.SPARSITY_ROWS in record.rows else {}
    anchors = {
        "spectrum": "Spectrum",
        **sparse,
        "caveats": "What can mislead",
        "numbers": "All numbers",
        "words": "Words",
    }
    links = " ".join(f'<a href="#{anchor}">{escape(text)}</a>' for anchor, text in anchors.items())
    network = (
        f"<code>{escape(str(record.rows[names.NETWORK_NAME].value))}</code>, "
        if names.NETWORK_NAME in record.rows
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
        (names.NETWORK_KEPT, lambda row: number(row.value),
         "kept weights: the coordinates of the Hessian"),
        (names.LAMBDA_MIN, lambda row: number(row.value),
         "smallest eigenvalue; negative: that mode grows"),
        (names.LAMBDA_MAX, lambda row: number(row.value),
         "largest eigenvalue; it limits the learning rate"),
        (names.GROWTH_A_STEP, lambda row: times(row.number),
         "the fastest mode's change in a step"),
        (names.GROWTH, lambda row: times(row.number),
         "the fastest mode's change over the horizon"),
        (names.row_entries(names.ABOVE_ONE_THOUSANDTH, "mean"), lambda row: number(row.value),
         "entries a row above 1/1000 of its largest"),
        (names.DATA_SAMPLES, lambda row: number(row.value), "samples in the measured loss"),
    )  # fmt: skip
    for name, text, label in candidates:
        if name in record.rows:
            yield card(text(record.rows[name]), label, record.rows[name].evidence)


def _tables(record: Record) -> str:
    """The reasons of the verdict, and the numbers that are no curves."""
    parts = []
    if names.DISSIPATION_REASONS in record.rows:
        parts.append(
            f"<h3>Why</h3><p>{escape(str(record.rows[names.DISSIPATION_REASONS].value))}</p>"
        )
    if names.DEFLATED in record.rows:
        row = record.rows[names.DEFLATED]
        listed = ", ".join(number(value) for value in row.curve) or "none"
        parts.append(
            '<h3 style="margin-top:1.6rem">Eigenvalues that entered'
            f" exactly</h3><p>{escape(listed)}. They were found first, to within their residual"
            " norms, and the probes saw only what is left: no sampling error comes from"
            f' these.</p><p class="sources quiet">{badge(row.evidence)} {escape(row.source)}.</p>'
        )
    for title, prefix in (
        ("The spectrum in numbers", names.SPECTRUM),
        ("Dissipation in numbers", names.DISSIPATION),
    ):
        rows = record.rows.section(prefix).numbers
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
