"""The stack of a pickle that is followed without being run."""

from __future__ import annotations

from typing import Any

MARK = object()


def marked(stack: list[Any]) -> list[Any]:
    """What lies above the last mark; both are taken off. An IndexError where there is no mark."""
    place = len(stack) - 1
    while stack[place] is not MARK:
        place -= 1
        if place < 0:
            raise IndexError
    items = stack[place + 1 :]
    del stack[place:]
    return items


def last(stack: list[Any], count: int) -> list[Any]:
    """The last so many, left where they are; an IndexError where there are fewer."""
    if len(stack) < count:
        raise IndexError
    return stack[-count:]
