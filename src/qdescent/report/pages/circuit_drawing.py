"""A circuit as a picture: registers from top to bottom, time from left to right, one SVG that takes
its colours from the page.
"""

from __future__ import annotations

from html import escape

from qdescent.quantum.inspect.drawing import Drawing, Gate

# pixels: of a register, above, for its name, between boxes, a box's height
ROW, TOP, LEFT, GAP, BOX = 52, 26, 118, 12, 34
LETTER = 7.4  # width of a letter of the labels


def circuit_svg(drawing: Drawing, title: str, head: int = 8, tail: int = 4) -> str:
    """The SVG element; what lies between the first and the last gates is left out, and the drawing
    says how much.

    Args:
        drawing: see `qdescent.quantum.inspect.drawing.draw`.
        title: what a screen reader says.
        head, tail: gates shown at the two ends.

    Example:
        >>> circuit_svg(
        ...     Drawing((("q", 1),), (Gate("H", ("q",), "Hadamard"),), 0, ()), "one gate"
        ... ).startswith("<svg")
        True
    """
    places = {name: TOP + i * ROW for i, (name, _) in enumerate(drawing.registers)}
    first, left_out, last = drawing.shortened(head, tail)
    parts: list[str] = []
    x = float(LEFT)
    for gate in first:
        part, x = _box(gate, x, places)
        parts.append(part)
    if left_out:
        words = f"… {left_out} more …"
        middle = (min(places.values()) + max(places.values())) / 2
        width = len(words) * LETTER
        fill = (
            f'x="{x}" y="{TOP - BOX / 2}" width="{width}" height="{ROW * (len(places) - 1) + BOX}"'
        )
        parts.append(
            f'<rect {fill} class="veil"/><text x="{x + width / 2}" y="{middle + 4}">{words}</text>'
        )
        x += width + GAP
    for gate in last:
        part, x = _box(gate, x, places)
        parts.append(part)
    height = TOP + ROW * (len(places) - 1) + 34
    wires = "".join(_wire(name, bits, places[name], x) for name, bits in drawing.registers)
    size = f'viewBox="0 0 {x + 10:.0f} {height}" width="{x + 10:.0f}" height="{height}"'
    return (
        f'<svg class="circuit" {size} role="img"'
        f' aria-label="{escape(title)}">{wires}{"".join(parts)}</svg>'
    )


def _wire(name: str, bits: int, y: float, end: float) -> str:
    size = f" ({bits})" if bits else ""
    return (
        f'<text x="0" y="{y + 4}" class="name">{escape(name)}{size}</text><path d="M{LEFT - 10}'
        f' {y}H{end}"/>'
    )


def _box(gate: Gate, x: float, places: dict[str, int]) -> tuple[str, float]:
    """One box over neighbouring registers; a line joins the boxes of a gate that skips one."""
    rows = sorted(places[name] for name in gate.registers)
    width = max(BOX, round(len(gate.label) * LETTER + 12))
    middle = x + width / 2
    joined = (
        f'<path d="M{middle:.0f} {rows[0]}V{rows[-1]}"/>'
        if rows[-1] - rows[0] > ROW * (len(rows) - 1)
        else ""
    )
    boxes: list[list[int]] = []
    for row in rows:
        if boxes and row - boxes[-1][1] == ROW:
            boxes[-1][1] = row
        else:
            boxes.append([row, row])
    shapes = "".join(
        f'<rect x="{x:.0f}" y="{top - BOX / 2:.0f}" width="{width}" height="{bottom - top + BOX}"'
        ' rx="3"/>'
        for top, bottom in boxes
    )
    top, bottom = boxes[-1]
    word = f'<text x="{middle:.0f}" y="{(top + bottom) / 2 + 4:.0f}">{escape(gate.label)}</text>'
    return f"<g>{joined}{shapes}{word}</g>", x + width + GAP
