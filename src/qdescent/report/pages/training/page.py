"""`write_training_page(record, path)`: the page of `qdescent train`, with the look and the pieces
of the main report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

from qdescent._checks import check_instance, check_path
from qdescent._evidence import Row
from qdescent.report.pages import words
from qdescent.report.pages.cost_figures import readout_panel
from qdescent.report.pages.figures import truncation_panel
from qdescent.report.pages.loop import loop_drawing
from qdescent.report.pages.page import all_rows, card, glossary, provenance, section, write_page
from qdescent.report.pages.panel import Panel, fractions
from qdescent.report.pages.training.figures import (
    budget_panel,
    download_panel,
    loss_panel,
    quality_panel,
    window_panel,
    work_panel,
)
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.numbers import number, percent, times

LEAD = (
    "The proposal of Liu et al. (Nature Communications 15, 434, 2024) for practice: a network is"
    " pruned, what gradient descent needs at the kept weights is uploaded, many steps are solved as"
    " one linear system, the result is read out, and the next upload starts from there. Here this"
    " is emulated classically on a network{size}, with the readout noise of a real machine, and the"
    " classical trainings go beside it on the same batches."
)
SECTIONS: dict[str, tuple[str, str, tuple[Callable[[Record], Panel], ...]]] = {
    "training": (
        "Does it train as well?",
        "Hybrid, sparse and dense runs, by what each of them has done and by what it has cost to"
        " compute.",
        (loss_panel, quality_panel, work_panel),
    ),
    "errors": (
        "What takes a round away from true descent?",
        "Truncation, solver and readout share one budget: the largest decides what to buy next, a"
        " higher order, a better solve, more shots, or more entries.",
        (budget_panel, truncation_panel, readout_panel, window_panel),
    ),
    "download": (
        "What is downloaded?",
        "Readout multiplies every solve. So the fewer entries are read, the better, as long as they"
        " hold the step.",
        (download_panel,),
    ),
}
GLOSSARY = {
    **{
        word: words.GLOSSARY[word]
        for word in ("pivot", "kept weights", "order (N)", "segment", "round", "shot", "readout")
    },
    "hybrid, sparse, dense": (
        "The emulated quantum run; the same steps by classical descent of the kept weights; and of"
        " all weights, as they were before the pruning."
    ),
    "quantum window": (
        "The steps after pruning in which a segment of several steps is worth its upload and its"
        " readout."
    ),
    "truncation error": (
        "The distance of the linearised steps from true gradient descent, relative to the"
        " displacement of the segment."
    ),
    "squared norm that is read": (
        "The share of ||u||² in the entries that were read; to first order the share of the"
        " segment's progress."
    ),
}


def write_training_page(record: Record, path: str | Path) -> Path:
    """Write the page of a training as one self-contained HTML file.

    Args:
        record: the rows of `qdescent train`; figures whose rows it lacks are left out, and the
            page says so.
        path: the file to write, at once.

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> path = write_training_page(
        ...     Record("empty", {}, 0, {}, ()), Path(tempfile.mkdtemp()) / "training.html"
        ... )
        >>> "left out" in path.read_text(encoding="utf-8")
        True
    """
    check_instance("record", record, Record)
    path = check_path("path", path)
    plots: dict[str, Any] = {}
    body = [_header(record)]
    for anchor, (heading, lead, panels) in SECTIONS.items():
        body.append(section(record, anchor, (heading, lead), panels, plots))
    body += [all_rows(record), provenance(record), glossary(GLOSSARY)]
    return write_page(path, f"qdescent train: {record.name}", body, plots)


def _header(record: Record) -> str:
    rows = record.rows
    kept, total = (
        number(rows[name].value) if name in rows else ""
        for name in (names.NETWORK_KEPT, names.NETWORK_PARAMETERS)
    )
    size = f" of {total} weights, of which {kept} are kept" if kept and total else ""
    stopped = ""
    if names.STOPPED in rows and rows[names.STOPPED].value:
        why = str(rows[names.STOPPED].value)
        stopped = (
            f'<p class="verdict"><b>It ended early.</b> {escape(why)}'
            f"{'' if why.endswith('.') else '.'} The rounds before it are kept.</p>"
        )
    anchors = [*SECTIONS, "numbers", "words"]
    links = " ".join(f'<a href="#{anchor}">{escape(LINKS[anchor])}</a>' for anchor in anchors)
    run = f"Run <code>{escape(record.name)}</code>, seed {record.seed}."
    return f"""<h1>Training by upload, segment and download</h1>
<p>{escape(LEAD.format(size=size))}</p>
{stopped}
<div class="cards">{"".join(_cards(record))}</div>
<div class="loop">{loop_drawing(record)}</div>
<p class="quiet">{run}</p>
<nav>{links}</nav>"""


LINKS = {
    "training": "Training",
    "errors": "Errors",
    "download": "Download",
    "numbers": "All numbers",
    "words": "Words",
}


def _cards(record: Record) -> Iterable[str]:
    """The key numbers; a card whose row is absent is left out."""
    accuracy = names.trained("hybrid", "test_accuracy")
    sparse = names.trained("sparse", "test_accuracy")

    def last(row: Row) -> float:
        return fractions(row)[-1]

    def gap(row: Row) -> str:
        if sparse not in record.rows:
            return percent(last(row))
        return f"{number(100 * (last(row) - last(record.rows[sparse])), 2)} points"

    def work(row: Row) -> str:
        beside = names.gradients_of("sparse")
        spent = row.curve[-1]
        other = record.rows[beside].curve[-1] if beside in record.rows else 0.0
        return times(spent / other) if other else number(spent)

    candidates: tuple[tuple[str, Callable[[Row], str], str], ...] = (
        (accuracy, gap, "between the hybrid run's test accuracy and the sparse run's, at the end"),
        (names.NETWORK_KEPT, lambda row: number(row.value),
         "weights kept after pruning; only these are uploaded"),
        (names.READ_SHARE_BY_ROUND, lambda row: percent(max(fractions(row)), 2),
         "of the entries read in a round, at most"),
        (names.READOUT_ERROR_BY_ROUND, lambda row: percent(max(fractions(row)), 2),
         "readout error of the worst round"),
        (names.gradients_of("hybrid"), work,
         "the gradients of the sparse run, to emulate the hybrid one"),
    )  # fmt: skip
    for name, text, label in candidates:
        if name in record.rows:
            yield card(text(record.rows[name]), label, record.rows[name].evidence)
