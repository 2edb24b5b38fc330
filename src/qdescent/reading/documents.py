"""TOML and JSON texts of bounded size, whatever they hold."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

from qdescent._checks import argument_error
from qdescent.reading.regular import named, read_bytes, said

# bytes; every setting has one. A key of 60,000 dots keeps tomllib busy for 10 s
MOST_TOML = 16 << 10
MOST_JSON = 16 << 20  # bytes; a record of a long run has one or two million


def read_toml(argument: str, path: Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        ArgumentError: no regular file, longer than 16 KiB, or no TOML.
    """
    content = read_bytes(argument, path, MOST_TOML, "be a readable TOML file")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    # no UTF-8, no TOML, an integer of 5,000 digits; nested without end
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else said(error)
        raise argument_error(
            argument, "be a TOML file", f"{named(path)}, which is not: {why}"
        ) from None


def strict_json(text: str) -> Any:
    """What a JSON text holds, by the standard: no NaN, no infinity, no name twice in an object.

    Raises:
        ValueError: it is none.

    Example:
        >>> strict_json('{"a": 1, "a": 2}')
        Traceback (most recent call last):
            ...
        ValueError: 'a' stands twice in an object
    """
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:100]!r} stands twice in an object")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text[:100]} is beyond float64")
    return number


def read_json(argument: str, path: Path, must: str) -> Any:
    """What a JSON file holds.

    Raises:
        ArgumentError: no regular file, longer than 16 MiB, or no JSON.
    """
    content = read_bytes(argument, path, MOST_JSON, must)
    try:
        return strict_json(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else said(error)
        raise argument_error(argument, must, f"{named(path)}, which is not JSON ({why})") from None
