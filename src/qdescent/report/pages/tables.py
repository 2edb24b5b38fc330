"""Rows as tables of HTML: value with error and unit, evidence, source."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from html import escape

from qdescent._evidence import Evidence, Row
from qdescent.report.pages import words
from qdescent.rows.numbers import duration, number, with_error


def table(rows: Iterable[Row], prefix: str = "", identity: str = "") -> str:
    """Rows as a table; `prefix` is left out of their names, which are then written as words."""
    lines = []
    for row in rows:
        name = row.name.removeprefix(prefix)
        plain = " ".join(
            words.PROPER.get(word, word) for word in re.split(r"[_ ]", name.replace("/", " · "))
        )
        plain = words.LABELS.get(row.name, plain)
        label = escape(plain) if prefix else f"<code>{escape(name)}</code>"
        lines.append(
            f"<tr><td>{label}</td>"
            f'<td class="value" title="{escape(_full(row))}">{escape(_value(row))}</td>'
            f'<td>{badge(row.evidence)}</td><td class="source">{escape(row.source)}</td></tr>'
        )
    head = (
        "<tr>"
        + "".join(f'<th scope="col">{word}</th>' for word in ("row", "value", "evidence", "source"))
        + "</tr>"
    )
    mark = f' id="{identity}"' if identity else ""
    body = "".join(lines)
    table = f"<table{mark}><thead>{head}</thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _value(row: Row) -> str:
    """The value with its error and unit; a curve: length, first two values and last."""
    unit = "" if row.unit in ("", "1") else f" {row.unit}"
    if isinstance(row.value, (list, tuple)):
        items = [number(item) for item in row.value]
        listed = ", ".join(items) if len(items) <= 4 else f"{items[0]}, {items[1]}, … {items[-1]}"
        return f"{listed}{unit}" + (f" ({len(items)} values)" if len(items) > 4 else "")
    text = with_error(row.value, row.error, 4)
    human = ""
    if (
        row.unit == "s"
        and isinstance(row.value, (int, float))
        and math.isfinite(row.value)
        and row.value >= 100
    ):
        human = f" ({duration(row.value)})"
    return text + unit + human


def _full(row: Row) -> str:
    """Every digit, for whoever points at the cell."""
    return f"{len(row.value)} values" if isinstance(row.value, (list, tuple)) else str(row.value)


def badge(evidence: Evidence) -> str:
    """The word of an evidence, coloured."""
    return f'<span class="badge {evidence}">{evidence}</span>'
