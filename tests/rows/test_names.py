"""A row's name stands in one file: what two files use is a constant of `rows/names.py`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from qdescent.rows import names

PACKAGE = Path(__file__).parents[2] / "src" / "qdescent"
# "circuit/qubits", "spectrum/{}/nodes": a section first, then words or places for them
ROW_NAME = re.compile(r"[a-z][a-z_0-9]*(/[a-z_0-9{}]*)+")
CONSTANTS = [value for key, value in vars(names).items() if key[0].isupper()]
SECTIONS = {value.split("/")[0] for value in CONSTANTS if "/" in value}


def texts(source: str) -> Iterator[str]:
    """Every text of a file, docstrings left out; what an f-string fills in is {}."""
    tree = ast.parse(source)
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            left_out.update(map(id, node.values))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif isinstance(node, ast.Constant) and id(node) not in left_out:
            yield str(node.value)


def shared_names(folder: Path) -> dict[str, set[str]]:
    """The names of rows that more than one file writes out."""
    places: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        for text in texts(path.read_text(encoding="utf-8")):
            if ROW_NAME.fullmatch(text) and text.split("/")[0] in SECTIONS:
                places.setdefault(text, set()).add(path.relative_to(folder).as_posix())
    return {text: files for text, files in places.items() if len(files) > 1}


def test_a_name_that_two_files_use_is_a_constant(tmp_path):
    assert shared_names(PACKAGE) == {}
    (tmp_path / "producer.py").write_text('Row("circuit/qubits", 7)')
    (tmp_path / "reader.py").write_text('record.rows["circuit/qubits"]')
    (tmp_path / "twin.py").write_text('f"spectrum/{when}/nodes"')
    (tmp_path / "other.py").write_text('f"spectrum/{which}/nodes"')
    assert set(shared_names(tmp_path)) == {"circuit/qubits", "spectrum/{}/nodes"}


def test_no_two_constants_have_one_name():
    assert len(CONSTANTS) == len(set(CONSTANTS))
    assert names.during("before", names.GROWTH) == "dissipation/before/growth"
