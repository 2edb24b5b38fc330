"""The page of `qdescent estimate`, and the figure of a claim card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from qdescent._checks import check_instance, check_path
from qdescent.report.pages import words
from qdescent.report.pages.cost_figures import ledger_panel
from qdescent.report.pages.page import (
    all_rows,
    glossary,
    provenance,
    section,
    taken_for_granted,
    write_page,
)
from qdescent.report.pages.panel import Panel
from qdescent.report.pages.region.region_figures import (
    map_panel,
    space_time_panel,
    tornado_panel,
    ways_panel,
)
from qdescent.report.pages.region.ways_tables import ways_tables
from qdescent.report.pages.tables import badge, table
from qdescent.report.record import Record
from qdescent.rows import names

Points = tuple[tuple[str, float, float], ...]
OPENING = (
    "Best against best",
    "One round of training, upload, steps and readout, by the cheapest known quantum way beside the"
    " cheapest known classical way to the same displacement.",
)
REGION = (
    "Where it flips",
    "A single price convinces nobody. Here each input moves alone, and some of them in pairs; what"
    " cannot be priced is left white.",
)
MACHINES = ("On which machine", "Space against time, and the same run on other machines.")
_TABLES = (
    ("Inputs, and how each is known", names.LOGICAL),
    ("Break-even of each input", names.BREAK_EVEN),
    ("Energy", "energy/"),
    ("Money", "money/"),
    ("What others asked for or found", names.OTHERS),
    ("Numbers that the price has built in", names.CONSTANTS),
)


def write_estimate_page(
    record: Record,
    path: str | Path,
    maps: tuple[tuple[str, str], ...],
    points: Mapping[str, Points],
) -> Path:
    """Write the page of an estimate as one self-contained HTML file.

    Args:
        record: the rows of a ledger with its region.
        path: the file to write, at once.
        maps: the pairs of inputs that rows have maps of.
        points: by "x_y", what is marked on a map: label, x, y.

    Returns:
        The path.
    """
    check_instance("record", record, Record)
    path = check_path("path", path)
    plots: dict[str, Any] = {}
    panels = (ledger_panel, ways_panel)
    mapped: list[Callable[[Record], Panel]] = [tornado_panel]
    for x, y in maps:
        panel = partial(map_panel, x=x, y=y, points=points.get(f"{x}_{y}", ()))
        panel.__name__ = f"map_{x}_{y}"  # type: ignore[attr-defined]
        mapped.append(panel)
    body = [
        _header(record),
        section(record, "best", OPENING, panels, plots, ways_tables(record) + _texts(record)),
        section(record, "region", REGION, tuple(mapped), plots),
        section(record, "machines", MACHINES, (space_time_panel,), plots, _tables(record)),
        all_rows(record),
        provenance(record),
        glossary(words.GLOSSARY),
    ]
    return write_page(path, f"qdescent estimate: {record.name}", body, plots)


def write_card_figure(record: Record, path: str | Path, x: str, y: str, points: Points) -> Path:
    """Write the one figure of a claim card, the map that the claim is about; below it what the
    claim takes for granted, and its inputs.
    """
    panel = partial(map_panel, x=x, y=y, points=points)
    panel.__name__ = f"map_{x}_{y}"  # type: ignore[attr-defined]
    plots: dict[str, Any] = {}
    # whoever has the card alone has its assumptions, too
    named = taken_for_granted(record) + _tables(record, _TABLES[:1])
    body = [_header(record), section(record, "region", REGION, (panel,), plots, named)]
    body.append(glossary(words.GLOSSARY))
    return write_page(check_path("path", path), f"qdescent claim: {record.name}", body, plots)


def _header(record: Record) -> str:
    verdict = record.rows[names.LEDGER + names.VERDICT_TEXT]
    return (
        "<h1>What would a round cost?</h1>"
        f'<p class="verdict"><b>Verdict.</b> {escape(str(verdict.value))}'
        f" {badge(verdict.evidence)}</p>"
    )


def _texts(record: Record) -> str:
    """The four questions, and what polylog n counts and leaves out."""
    at = names.LEDGER + names.QUESTIONS
    rows = [row for row in record.rows if row.name.startswith(at)]
    asked = [str(row.value) for row in rows if "polylog" not in row.name]
    left = [str(row.value) for row in rows if "polylog" in row.name]
    if not rows:
        return ""
    questions = "".join(f"<li>{escape(text)}</li>" for text in asked)
    return (
        "<h3>The four questions that Carleman proposals for fluids failed</h3>"
        f"<ul>{questions}</ul><h3>What polylog n counts and leaves out</h3>"
        f"<p>{escape(' '.join(left))}</p>{taken_for_granted(record)}"
    )


def _tables(record: Record, titled: tuple[tuple[str, str], ...] = _TABLES) -> str:
    parts = []
    for title, prefix in titled:
        at = names.LEDGER + prefix
        rows = [row for row in record.rows if row.name.startswith(at)]
        if prefix == names.LOGICAL:
            rows = [row for row in rows if row.name.count("/") == 2]
        if rows:
            parts.append(f"<h3>{escape(title)}</h3>{table(rows, names.LEDGER)}")
    return "".join(parts)
