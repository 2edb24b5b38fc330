"""The call graph of a circuit as a picture: a tree of its parts, one a line, with a bar for each
part's share of the gates.
"""

from __future__ import annotations

from html import escape

from qdescent.quantum.inspect.call_tree import CallNode
from qdescent.rows.numbers import number

LINE, STEP, TOP = 26, 18, 40  # pixels: of a line, of an indent, above the first line
# where the columns end, and where the bars start
CALLS, BAR, WIDTH, ANDS, ROTATIONS = 430, 450, 150, 690, 790


def call_tree_svg(whole: CallNode, title: str) -> str:
    """The SVG element: name and number of calls of each part, a bar and a number for its ANDs and
    Toffoli gates, and its rotations.

    Args:
        whole: see `qdescent.quantum.inspect.call_tree.call_tree`.
        title: what a screen reader says.

    Example:
        >>> svg = call_tree_svg(
        ...     CallNode("all", "A", 1, 6, 0, (CallNode("half", "B", 2, 3, 0, ()),)), "two parts"
        ... )
        >>> svg.count("<rect"), svg.count("<path")
        (2, 1)
    """
    lines: list[str] = []
    end = _lines(whole, 0, TOP, max(1, whole.ands), lines)
    heads = (
        (0, "part", "part"),
        (CALLS, "calls", "end"),
        (ANDS, "Toffoli", "end"),
        (ROTATIONS, "rotations", "end"),
    )
    head = "".join(
        f'<text x="{x}" y="16" class="{kind} head">{word}</text>' for x, word, kind in heads
    )
    size = f'viewBox="0 0 {ROTATIONS + 6} {end}" width="{ROTATIONS + 6}" height="{end}"'
    return (
        f'<svg class="circuit tree" {size} role="img"'
        f' aria-label="{escape(title)}">{head}{"".join(lines)}</svg>'
    )


def _lines(part: CallNode, depth: int, y: int, most: int, lines: list[str]) -> int:
    """Append the lines of a part and of what it calls; where the next line starts."""
    x, baseline = depth * STEP, y + 4
    width = max(1.0, WIDTH * part.ands / most) if part.ands else 0.0
    bar = f'<rect x="{BAR}" y="{y - 7}" width="{width:.1f}" height="14"/>' if part.ands else ""
    numbers = ((CALLS, part.calls), (ANDS, part.ands), (ROTATIONS, part.rotations))
    columns = "".join(
        f'<text x="{at}" y="{baseline}" class="end">{number(value)}</text>' for at, value in numbers
    )
    lines.append(
        f'<text x="{x}" y="{baseline}" class="part">{escape(part.label)}</text>{bar}{columns}'
    )
    next_y = y + LINE
    for child in part.parts:
        lines.append(f'<path d="M{x + 5} {y + 9}V{next_y}H{x + STEP - 4}"/>')
        next_y = _lines(child, depth + 1, next_y, most, lines)
    return next_y
