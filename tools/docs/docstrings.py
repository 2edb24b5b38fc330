"""The house's docstrings in the words that the reference's parser (Griffe, Google style) knows."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^(\s*)Example:$", re.MULTILINE)
_TOGETHER = re.compile(
    r"^(?P<indent> +)(?P<names>\w+(?:, \w+)+): (?P<text>.*(?:\n(?P=indent) +.*)*)", re.MULTILINE
)
_BRACKET = re.compile(r"<(?=[A-Za-z/!?])")


class HouseStyle(griffe.Extension):
    """Changes what the parser would misread, and nothing that a reader of the source sees."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = for_griffe(obj.docstring.value)


def for_griffe(text: str) -> str:
    """Sessions as `Examples:`, a field each where several stand together, `<u, v>` as text."""
    head, *sessions = _EXAMPLE.split(text, maxsplit=1)
    head = _BRACKET.sub("&lt;", _TOGETHER.sub(_apart, head))
    return head + (f"{sessions[0]}Examples:{sessions[1]}" if sessions else "")


def _apart(match: re.Match[str]) -> str:
    return "\n".join(
        f"{match['indent']}{name}: {match['text']}" for name in match["names"].split(", ")
    )
