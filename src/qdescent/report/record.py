"""What a run leaves on disk: `run.json`. Files, JSON and clocks are this room's.

    runs/<name>/run.json             every number as a row; written last of all
    runs/<name>/rows.csv             the same rows as a table for other programs
    runs/<name>/weights.safetensors  the trained weights
    runs/<name>/report.html          the page
    runs/<name>/state/<stage>.safetensors   finished stages of an unfinished run, see `state`

Every file appears at once or not at all (a temporary file, then `os.replace`), and none is a
pickle: opening a stranger's run executes nothing.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_instance,
    check_integer,
    check_path,
    shown,
)
from qdescent._evidence import Row
from qdescent.reading.documents import read_json
from qdescent.reading.regular import named, said
from qdescent.report.files import write_document
from qdescent.rows.collection import Rows

RUN_FORMAT = "qdescent-run/1"
RUN_FILE, WEIGHTS_FILE, REPORT_FILE = "run.json", "weights.safetensors", "report.html"
ROWS_FILE = "rows.csv"
_PACKAGES = ("qdescent", "torch", "numpy", "scipy", "qualtran", "qdk", "safetensors", "plotly")


@dataclass(frozen=True)
class Record:
    """Everything that a run found, and what is needed to repeat it.

    Args:
        name: the run's name.
        config: settings of the run, JSON types only.
        seed: the seed of every random draw.
        versions: package -> version, see `installed_versions`.
        rows: every number, each with unit, evidence and source; any sequence of `Row`s, kept as
            `Rows`: `record.rows["network/kept"]`. Two runs with one seed have equal rows.
        timings: stage -> seconds of wall clock. Kept apart from the rows, because a clock never
            repeats itself.

    Raises:
        ArgumentError: something that is not a row, a name given twice, or a setting that JSON
            cannot hold.

    Example:
        >>> from qdescent._evidence import Evidence
        >>> kept = Row("network/kept", 10, "weights", Evidence.EXACT, "entries of the mask")
        >>> record = Record("demo", {"density": 0.1}, 0, {}, (kept,))
        >>> record.rows["network/kept"].value, "network/density" in record.rows
        (10, False)
    """

    name: str
    config: Mapping[str, Any]
    seed: int
    versions: Mapping[str, str]
    rows: Rows = field(repr=False)
    timings: Mapping[str, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise argument_error("name", "be a text that is not empty", shown(self.name))
        object.__setattr__(self, "seed", check_integer("seed", self.seed, 0))
        for part in ("config", "versions", "timings"):
            check_instance(part, getattr(self, part), Mapping, called="values by name")
        object.__setattr__(self, "rows", Rows(self.rows))
        for part in ("config", "versions", "timings"):
            object.__setattr__(self, part, json.loads(json_text(part, dict(getattr(self, part)))))


def write_record(record: Record, directory: str | Path) -> Path:
    """Write `run.json` into `directory` at once; the last step, which makes it whole.

    Returns:
        The path of the file.

    Raises:
        ArgumentError: a row whose value JSON cannot hold (a tensor); the message names the row.
    """
    check_instance("record", record, Record)
    folder = check_path("directory", directory)
    if folder.exists() and not folder.is_dir():
        raise argument_error("directory", "be a folder", f"{str(directory)!r}, which is none")
    write_document(folder / ROWS_FILE, record.rows.to_csv())
    return write_document(folder / RUN_FILE, record_text(record))


def record_text(record: Record) -> str:
    """What `run.json` holds."""
    content = {
        "format": RUN_FORMAT,
        "name": record.name,
        "seed": record.seed,
        "config": record.config,
        "versions": record.versions,
        "timings": record.timings,
        "rows": [json.loads(json_text(row.name, row.to_json())) for row in record.rows],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def read_record(path: str | Path) -> Record:
    """Read a `run.json`, or the one in a run's directory.

    Raises:
        ArgumentError: no such file, not JSON, another format, or a row without evidence; the
            message says which.
    """
    path = check_path("path", path)
    path = path / RUN_FILE if os.path.isdir(path) else path
    must = f"be a whole {RUN_FORMAT} file"

    def refuse(why: str) -> Exception:
        return argument_error("path", must, f"{named(path)}, which {why}")

    content = read_json("path", path, must)
    if not isinstance(content, dict) or content.get("format") != RUN_FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise refuse(f"has the format {said(found)!r}")
    kinds = {
        "name": str,
        "seed": int,
        "config": dict,
        "versions": dict,
        "timings": dict,
        "rows": list,
    }
    for key, kind in kinds.items():
        if not isinstance(content.get(key), kind):
            raise refuse(
                f"has no {key!r}"
                if key not in content
                else f"has a {key!r} that is not a {kind.__name__}"
            )
    try:
        return Record(
            **{key: content[key] for key in kinds if key != "rows"},
            rows=_read_rows(content["rows"]),
        )
    except ValueError as problem:
        raise refuse(f"is damaged: {problem}") from None


def is_complete(directory: str | Path) -> bool:
    """Whether a run's directory is whole: it holds `run.json`, which is written last and in one
    step. What is no record, such as the empty file that a copy on a full disk leaves, makes none.
    """
    path = Path(directory) / RUN_FILE
    try:
        return path.is_file() and "format" in json.loads(path.read_bytes())
    except (ValueError, TypeError, RecursionError):
        return False
    except OSError:  # it cannot be read now
        return True


@contextmanager
def stopwatch(timings: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds of wall clock that the block takes to `timings[name]`."""
    start = time.perf_counter()
    try:
        yield
    finally:
        timings[name] = timings.get(name, 0.0) + time.perf_counter() - start


def installed_versions() -> dict[str, str]:
    """The versions that a record names: Python, and the packages whose numbers reach it."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _read_rows(items: list[Any]) -> Rows:
    """Rows from JSON; a ValueError names the first one that is not whole."""
    rows = []
    for place, item in enumerate(items):
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise ValueError(f"row {place} has no name")
        try:
            rows.append(Row.from_json(item))
        except ArgumentError as problem:
            raise ValueError(f"row {name!r}: {problem}") from None
    return Rows(rows)


def json_text(argument: str, content: Any) -> str:
    """What JSON can hold, as a text; `argument` names it where JSON cannot."""
    try:
        return json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise argument_error(
            argument, "hold JSON types only", f"not so ({said(problem)})"
        ) from None
