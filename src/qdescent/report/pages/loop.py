"""The drawing of the algorithm's loop: prune, upload, K steps as one linear system, read out,
upload again.
"""

from __future__ import annotations

from html import escape

from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.numbers import number, percent


def loop_drawing(record: Record) -> str:
    """The loop as inline SVG, once lying (wide screens) and once standing (narrow ones), with the
    run's own settings.
    """
    boxes = _boxes(record)
    again = "upload again" + _setting(record, names.SETTING_ROUNDS, ", {} rounds")
    return _lying(boxes, again) + _standing(boxes, again)


def _boxes(record: Record) -> list[tuple[str, str, str]]:
    """Title and two lines of each box."""
    kept = (
        f"keep {percent(record.rows[names.NETWORK_DENSITY].number, 2)}"
        if names.NETWORK_DENSITY in record.rows
        else "keep a few"
    )
    return [
        ("prune", kept, "of the weights"),
        ("upload", "gradient and curvature", "at the weights θ*"),
        (
            _setting(record, names.SETTING_SEGMENT, "{} ") + "steps at once",
            "Carleman" + _setting(record, names.SETTING_ORDER, ", order {}:"),
            "one linear system",
        ),
        (
            "read out",
            "sample the new weights",
            _setting(record, names.READOUT_SHOTS, "{} shots") or "shot by shot",
        ),
    ]


def _setting(record: Record, name: str, text: str) -> str:
    if name not in record.rows:
        return ""
    value = record.rows[name].value
    return text.format(
        number(value, 2) if not isinstance(value, int) or value >= 100_000 else number(value)
    )


def _lying(boxes: list[tuple[str, str, str]], again: str) -> str:
    width, gap, height = 210, 66, 92
    parts = [
        _box(place * (width + gap) + 2, 10, width, height, *box) for place, box in enumerate(boxes)
    ]
    for place in range(len(boxes) - 1):
        x = place * (width + gap) + width + 2
        parts.append(_arrow(f"M{x + 6} {10 + height / 2}h{gap - 14}", "lying"))
    upload, last = (place * (width + gap) + width / 2 + 2 for place in (1, len(boxes) - 1))
    bottom = 10 + height
    parts.append(_arrow(f"M{last} {bottom + 4}v30H{upload}v-26", "lying"))
    parts.append(_text((upload + last) / 2, bottom + 54, again, 15))
    return _svg("wide", len(boxes) * (width + gap) - gap + 4, bottom + 66, "lying", parts)


def _standing(boxes: list[tuple[str, str, str]], again: str) -> str:
    width, gap, height = 236, 34, 84
    parts = [
        _box(2, 4 + place * (height + gap), width, height, *box) for place, box in enumerate(boxes)
    ]
    for place in range(len(boxes) - 1):
        parts.append(
            _arrow(f"M{width / 2} {4 + place * (height + gap) + height + 4}v{gap - 11}", "standing")
        )
    first, last = (4 + place * (height + gap) + height / 2 for place in (1, len(boxes) - 1))
    parts.append(_arrow(f"M{width + 6} {last}h28V{first}h-24", "standing"))
    middle = (first + last) / 2
    label = _text(0, 0, again, 15)
    parts.append(f'<g transform="translate({width + 56} {middle}) rotate(-90)">{label}</g>')
    return _svg("tall", width + 68, 8 + len(boxes) * (height + gap) - gap, "standing", parts)


def _svg(kind: str, width: float, height: float, marker: str, parts: list[str]) -> str:
    head = (
        f'<marker id="{marker}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8"'
        ' markerHeight="8" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z"'
        ' fill="currentColor"/></marker>'
    )
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="The loop:'
        ' prune, upload, many steps as one linear system, read out, upload again"'
        f' fill="currentColor"><defs>{head}</defs>{"".join(parts)}</svg>'
    )


def _box(x: float, y: float, width: float, height: float, title: str, *lines: str) -> str:
    middle = x + width / 2
    size = min(18, int(1.7 * width / len(title)))  # bold letters are some .56 of it wide
    texts = [_text(middle, y + 28, title, size, bold=True)]
    texts += [_text(middle, y + 51 + 20 * place, line, 15) for place, line in enumerate(lines)]
    frame = (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="9"'
        ' style="fill:var(--raised);stroke:var(--accent)" '
    )
    return frame + 'stroke-width="1.5"/>' + "".join(texts)


def _text(x: float, y: float, text: str, size: int, *, bold: bool = False) -> str:
    weight = ' font-weight="650"' if bold else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}"'
        f' text-anchor="middle"{weight}>{escape(text)}</text>'
    )


def _arrow(path: str, marker: str) -> str:
    return (
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="1.6"'
        f' marker-end="url(#{marker})"/>'
    )
