"""The pages of docs/ that show Python sessions say what Python says."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("page", ["from-gradient-descent-to-gates.md"])
def test_sessions_run(page):
    found = doctest.testfile(str(DOCS / page), module_relative=False, encoding="utf-8")
    assert found.attempted > 15
    assert found.failed == 0
