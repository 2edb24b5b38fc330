"""The picture of a call graph shows each part once, with its numbers, and bars as long as their
shares.
"""

import re
import xml.etree.ElementTree as ET

import pytest

from qdescent.quantum.inspect.call_tree import CallNode
from qdescent.report.pages.call_tree_drawing import BAR, LINE, STEP, WIDTH, call_tree_svg

LEAF = CallNode("look-up, 8 lines & more", "QROM", 40, 3000, 0, ())
PARTS = (
    CallNode("U†", "B", 20, 3000, 5, (LEAF,)),
    CallNode("φ", "C", 21, 1000, 0, ()),
    CallNode("r", "D", 2, 0, 2, ()),
)
TREE = CallNode("all", "A", 1, 4000, 7, PARTS)


@pytest.fixture(scope="module")
def svg():
    return ET.fromstring(call_tree_svg(TREE, "a <tree>"))


def test_each_part_is_a_line_with_its_numbers(svg):
    lines = {}
    for text in svg.iter("text"):
        lines.setdefault(int(text.get("y")), []).append(re.sub(r"\s", "", text.text))
    assert [lines[y] for y in sorted(lines)] == [
        ["part", "calls", "Toffoli", "rotations"],
        ["all", "1", "4000", "7"],
        ["U†", "20", "3000", "5"],
        ["look-up,8lines&more", "40", "3000", "0"],
        ["φ", "21", "1000", "0"],
        ["r", "2", "0", "2"],
    ]
    indents = [int(text.get("x")) for text in svg.iter("text") if text.get("class") == "part"]
    assert indents == [0, STEP, 2 * STEP, STEP, STEP]
    assert svg.get("aria-label") == "a <tree>"
    assert int(svg.get("height")) >= 6 * LINE


def test_bars_are_the_shares_of_the_whole_and_none_stands_for_nothing(svg):
    bars = [(float(bar.get("x")), float(bar.get("width"))) for bar in svg.iter("rect")]
    assert bars == [(BAR, share * WIDTH) for share in (1.0, 0.75, 0.75, 0.25)]
