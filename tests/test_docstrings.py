"""Docstrings as a reader meets them: a summary that needs its lines, more than three words on a
public name, and arguments that begin with their noun.
"""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import api
import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "qdescent"
# "seed: of the draw" leaves out what it speaks of
NO_NOUN = re.compile(
    r"(of|on|in|at|by|from|with|what|how|where|which|whether|why|who|called|compare|its)", re.I
)


def wrapped(source: str) -> list[str]:
    """The summaries whose last line is a single word."""
    nodes = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    summaries = [(ast.get_docstring(node) or "").split("\n\n")[0].split("\n") for node in nodes]
    return [" ".join(s) for s in summaries if len(s) > 1 and len(s[-1].split()) == 1]


def without_noun(text: str) -> list[str]:
    """The arguments of a docstring that begin with another word."""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)*)", inspect.cleandoc(text), re.MULTILINE)
    entries = re.findall(r"^    ([\w, ]+): (\w+)", section[1], re.MULTILINE) if section else []
    return [f"{name}: {first} ..." for name, first in entries if NO_NOUN.fullmatch(first)]


def documented() -> dict[str, str]:
    """Name -> docstring of what the reference shows, members of classes too."""
    found = {}
    for page in api.documented(api.FACE.read_text(encoding="utf-8")).values():
        for full in set(page) - {"qdescent.MASKS"}:
            module, _, name = full.rpartition(".")
            one = getattr(import_module(module), name)
            found[name] = one.__doc__
            members = vars(one).items() if inspect.isclass(one) else ()
            for member, value in members:
                function = getattr(value, "__func__", getattr(value, "func", value))
                if member[0] != "_" and (inspect.isfunction(function) or hasattr(value, "fget")):
                    found[f"{name}.{member}"] = function.__doc__
    return found


@pytest.mark.parametrize("room", sorted({p.parent for p in PACKAGE.rglob("*.py")}), ids=str)
def test_no_summary_takes_a_line_for_a_word(room):
    texts = {path.name: path.read_text(encoding="utf-8") for path in room.glob("*.py")}
    assert {name: found for name, text in texts.items() if (found := wrapped(text))} == {}


def test_public_names_say_more_than_three_words_and_arguments_begin_with_their_noun():
    texts = documented()
    assert len(texts) > 150
    assert [name for name, text in texts.items() if len((text or "").split()) <= 3] == []
    assert {name: found for name, text in texts.items() if (found := without_noun(text))} == {}


def test_planted_docstrings_are_found():
    assert wrapped('def f():\n    """A sum of two\n    terms."""') == ["A sum of two terms."]
    assert wrapped('def f():\n    """A sum of two\n    terms each."""') == []
    assert without_noun("Draw.\n\n    Args:\n        seed: of the draw.\n        n: number.\n") == [
        "seed: of ..."
    ]
