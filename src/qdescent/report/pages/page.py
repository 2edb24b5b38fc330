"""`write_report(record, path)`: one HTML file that holds everything it shows and asks nothing of
the network.

The text around the figures is here, their drawing in `figures.py`, style and script in `page.html`.
A part whose rows a record lacks is left out with one sentence that says so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from qdescent._checks import check_instance, check_path
from qdescent._evidence import Evidence, Row
from qdescent.report.files import write_document
from qdescent.report.pages import cost_figures, figures, words
from qdescent.report.pages.loop import loop_drawing
from qdescent.report.pages.panel import Panel, fraction, fractions
from qdescent.report.pages.region.region_figures import tornado_panel, ways_panel
from qdescent.report.pages.region.ways_tables import ways_tables
from qdescent.report.pages.tables import badge, table
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.collection import MissingRowError
from qdescent.rows.numbers import number, percent, times

_SECTIONS: tuple[tuple[str, tuple[Callable[[Record], Panel], ...]], ...] = (
    ("training", (figures.loss_panel, figures.accuracy_panel)),
    ("spectrum", (figures.spectrum_panel, figures.shares_panel)),
    ("errors", (figures.proxy_panel, figures.truncation_panel, cost_figures.readout_panel)),
    ("circuit", (cost_figures.circuit_panel,)),
    ("ledger", (cost_figures.ledger_panel, ways_panel, tornado_panel)),
)
_VERDICT = names.LEDGER + names.VERDICT_TEXT


def write_report(record: Record, path: str | Path) -> Path:
    """Write the page of a run as one self-contained HTML file (about 5 MB, nearly all of it the
    plotting script).

    Args:
        record: the run; parts whose rows it lacks are left out, and the page says so.
        path: the file to write, at once.

    Returns:
        The path.

    Raises:
        ArgumentError: a row that a figure draws holds a text where numbers belong.

    Example:
        >>> import tempfile
        >>> path = write_report(
        ...     Record("empty", {}, 0, {}, ()), Path(tempfile.mkdtemp()) / "report.html"
        ... )
        >>> path.stat().st_size < 6_000_000
        True
    """
    check_instance("record", record, Record)
    path = check_path("path", path)
    plots: dict[str, Any] = {}
    body = [_header(record)]
    for anchor, panels in _SECTIONS:
        after = {"circuit": _circuit_table, "ledger": _ledger_tables}.get(
            anchor, lambda record: ""
        )(record)
        body.append(section(record, anchor, words.SECTIONS[anchor], panels, plots, after))
    body += [all_rows(record), provenance(record), glossary(words.GLOSSARY)]
    return write_page(path, f"qdescent: {record.name}", body, plots)


def write_page(path: str | Path, title: str, body: Iterable[str], plots: dict[str, Any]) -> Path:
    """Write a page: `page.html` with its title, its parts and the figures of `section`."""
    page = (
        resources.files("qdescent.report.pages").joinpath("page.html").read_text(encoding="utf-8")
    )
    parts = {
        "title": escape(title),
        "body": "\n".join(body),
        "plotly": get_plotlyjs(),
        # "<" is written as an escape, so that no text of a row can close the script element.
        "plots": (
            json.dumps(_finite(plots), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
        ),
    }
    head, *pieces = page.split("{{")
    filled = [head]
    # each placeholder once, in one pass: a row that holds "{{body}}" stays a text
    for piece in pieces:
        key, rest = piece.split("}}", 1)
        filled += [parts[key], rest]
    return write_document(path, "".join(filled))


def _header(record: Record) -> str:
    kept, total = (_shown(record, name) for name in (names.NETWORK_KEPT, names.NETWORK_PARAMETERS))
    size = f" to {kept} of its {total} weights" if kept and total else ""
    verdict = ""
    if _VERDICT in record.rows:
        row = record.rows[_VERDICT]
        first = str(row.value).split(". ")[0].rstrip(".")
        verdict = (
            f'<p class="verdict"><b>Verdict.</b> {escape(first)}. {badge(row.evidence)} <a'
            ' href="#ledger">The account</a></p>'
        )
    links = " ".join(
        f'<a href="#{anchor}">{escape(words.NAVIGATION[anchor])}</a>' for anchor in words.NAVIGATION
    )
    run = f"Run <code>{escape(record.name)}</code>, seed {record.seed}."
    return f"""<h1>Could a quantum computer train this network?</h1>
<p>{escape(words.QUESTION.format(size=size))}</p>
{verdict}
<div class="cards">{"".join(_cards(record))}</div>
<div class="loop">{loop_drawing(record)}</div>
<p class="quiet">{escape(words.LOOP)} {run}</p>
<nav>{links}</nav>"""


def _cards(record: Record) -> Iterable[str]:
    """The key numbers; a card whose row is absent is left out."""
    candidates: tuple[tuple[str, Callable[[Row], str], str], ...] = (
        (names.ACCURACY_GAP, lambda row: f"{number(abs(row.number), 2)} points",
         "between the test accuracies of the emulated quantum run and the classical run"),
        (names.NETWORK_KEPT, lambda row: number(row.value),
         "weights kept after pruning; only these are trained and uploaded"),
        (names.TRUNCATION_BY_ROUND, lambda row: percent(max(fractions(row)), 2),
         "truncation error of the worst round (the price of linearising)"),
        (names.during("before", names.GROWTH), lambda row: times(row.number),
         "the fastest growth of a mode over the run's steps; the speed-up needs it to stay near 1"),
        (names.ERROR_TO_DIRECT, lambda row: percent(fraction(row), 2),
         "error of the simulated circuit, of a few weights, against the direct solution"),
        (names.LEDGER + names.TIME_RATIO, lambda row: times(row.number),
         "the classical time for one round on the priced quantum machine"),
    )  # fmt: skip
    for name, text, label in candidates:
        if name in record.rows:
            yield card(text(record.rows[name]), label, record.rows[name].evidence)


def card(text: str, label: str, evidence: Evidence) -> str:
    """One key number as a tile of the page."""
    return (
        f'<div class="card"><b>{escape(text)}</b><span'
        f' class="what">{escape(label)}</span>{badge(evidence)}</div>'
    )


def section(
    record: Record,
    anchor: str,
    opening: tuple[str, str],
    panels: tuple[Callable[[Record], Panel], ...],
    plots: dict[str, Any],
    after: str = "",
) -> str:
    """A heading with its lead (`opening`), the figures, whose drawings go into `plots`, and what
    comes after them.
    """
    heading, lead = opening
    parts, missing = [], []
    for panel in panels:
        try:
            drawn = panel(record)
        except MissingRowError as absent:
            missing.append(absent.name)
            parts.append(_left_out("This figure is left out", [absent.name]))
            continue
        key = panel.__name__
        plots[key] = json.loads(drawn.plot.to_json())
        parts.append(
            f'<figure><h3>{escape(drawn.title)}</h3><div class="plot" id="{key}" role="img" '
            f'aria-label="{escape(drawn.title)}"></div><figcaption><p>{escape(drawn.caption)}</p>'
            f'<p class="sources">{_origins(drawn.rows)}</p></figcaption></figure>'
        )
    title = f'<h2 id="{anchor}">{escape(heading)}</h2>'
    if len(missing) == len(panels) and not after:
        return title + _left_out("This section is left out", missing)
    return f'{title}<p>{escape(lead)}</p><div class="figures">{"".join(parts)}</div>{after}'


def _circuit_table(record: Record) -> str:
    rows = record.rows.section(names.CIRCUIT)
    return f"<h3>Size and cost of the circuit</h3>{table(rows, names.CIRCUIT)}" if rows else ""


def _ledger_tables(record: Record) -> str:
    """The verdict, the lines that lead to it, and all others folded away."""
    rows = [row for row in record.rows.section(names.LEDGER) if row.name != _VERDICT]
    if not rows:
        return ""
    short = [record.rows[name] for name in _in_short(record) if name in record.rows]
    parts = []
    if _VERDICT in record.rows:
        verdict = record.rows[_VERDICT]
        parts.append(
            f'<p class="verdict"><b>Verdict.</b> {escape(str(verdict.value))}'
            f" {badge(verdict.evidence)}</p>"
        )
    if short:
        parts.append(f"<h3>The account in short</h3>{table(short, names.LEDGER)}")
    parts.append(ways_tables(record))
    parts.append(taken_for_granted(record))
    parts.append(
        "<details><summary>Every line of the ledger"
        f" ({len(rows)})</summary>{table(rows, names.LEDGER)}</details>"
    )
    return "".join(parts)


def taken_for_granted(record: Record) -> str:
    """What the price takes for granted or does not count: the ledger's own sentences."""
    said = [str(row.value) for row in record.rows.section(names.LEDGER + names.LEFT_OUT)]
    if not said:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in said)
    return f"<h3>What the price takes for granted, or leaves out</h3><ul>{items}</ul>"


def _in_short(record: Record) -> list[str]:
    """The rows on the way from the linear system to the verdict, in its order."""
    choice = names.LEDGER + names.VERDICT_LOADER
    loader = str(record.rows[choice].value) if choice in record.rows else ""
    choice = names.LEDGER + names.VERDICT_WAY
    built = str(record.rows[choice].value) if choice in record.rows else ""
    way = [
        names.LEDGER_KAPPA,
        names.VERDICT_WAY,
        names.LEDGER_QUERIES,
        names.VERDICT_LOADER,
        names.toffoli_of(loader),
        names.logical_qubits_of(loader),
        names.physical_qubits_of(loader),
        names.solve_time_of(loader),
        f"{names.WAYS}{built}/runs",
        names.FREE_READOUT_TIME,
        names.SOLVES,
        names.QUANTUM_TIME,
        names.CLASSICAL_WAY,
        names.CLASSICAL_TIME,
        names.TIME_RATIO,
        names.LEDGER_SPARSITY,
        names.FREE_SPARSITY,
        names.DOMINANT_FACTOR,
    ]
    return [names.LEDGER + name for name in way]


def _left_out(what: str, absent: list[str]) -> str:
    listed = ", ".join(f"<code>{escape(name)}</code>" for name in dict.fromkeys(absent))
    return f'<p class="missing">{what}: the run has no row {listed}.</p>'


def _origins(rows: Iterable[Row]) -> str:
    """Each evidence once, with the sources of its rows."""
    sources: dict[Evidence, dict[str, None]] = {}
    for row in rows:
        sources.setdefault(row.evidence, {})[row.source] = None
    return " ".join(
        f"{badge(evidence)} {escape('; '.join(sources[evidence]))}."
        for evidence in Evidence
        if evidence in sources
    )


def _shown(record: Record, name: str) -> str:
    return number(record.rows[name].value) if name in record.rows else ""


def all_rows(record: Record) -> str:
    """Every row of the record, folded away, with a search."""
    return (
        f'<h2 id="numbers">All numbers</h2><p>{escape(words.NUMBERS)}</p><details><summary>Show all'
        f' {len(record.rows)} rows</summary><input class="search" id="search" type="search"'
        ' placeholder="Search names, values, sources" aria-label="Search the rows"> <span'
        ' class="quiet" id="found"'
        f' role="status"></span>{table(record.rows, identity="all")}</details>'
    )


def provenance(record: Record) -> str:
    """Settings, versions and clocks: what is needed to repeat the run."""
    groups = {
        "settings": record.config,
        "versions": record.versions,
        "wall clock (the only numbers here that another run of the same seed will not repeat)": {
            stage: f"{number(float(seconds))} s" for stage, seconds in record.timings.items()
        },
    }
    parts = []
    for title, items in groups.items():
        if items:
            pairs = "".join(
                f"<dt><code>{escape(str(k))}</code></dt><dd>{escape(str(v))}</dd>"
                for k, v in items.items()
            )
            parts.append(f"<h3>{escape(title.capitalize())}</h3><dl>{pairs}</dl>")
    return (
        f"<details><summary>How this run was made</summary>{''.join(parts)}</details>"
        if parts
        else ""
    )


def glossary(meanings: Mapping[str, str]) -> str:
    """What the words mean, and the five kinds of evidence."""
    pairs = "".join(
        f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in meanings.items()
    )
    kinds = "".join(
        f"<dt>{badge(kind)}</dt><dd>{escape(text)}</dd>" for kind, text in words.EVIDENCE.items()
    )
    return (
        f'<h2 id="words">Words</h2><dl>{pairs}</dl><h3>How a number is known</h3><dl>{kinds}</dl>'
    )


def _finite(content: Any) -> Any:
    """The plots with NaN and infinity as null, which plotly draws as a gap."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
