"""Every argument of every public name: one sentence that names it, or a value that is right."""

import inspect
import re
import signal
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import api
import pytest
from arguments.fine import ANYTHING, OWN
from arguments.fine import FINE as RIGHT
from arguments.sweep import SAMPLE, Entry, outcomes
from arguments.table_networks import ENTRIES as NETWORKS
from arguments.table_solutions import ENTRIES as SOLUTIONS
from arguments.table_solvers import ENTRIES as SOLVERS
from arguments.table_solvers import FINE as RIGHT_OF_SOLVERS
from arguments.table_systems import ENTRIES as SYSTEMS

import qdescent as qd

ENTRIES = [*NETWORKS, *SYSTEMS, *SOLUTIONS, *SOLVERS]
FINE = RIGHT | RIGHT_OF_SOLVERS
ROOT = Path(__file__).parents[2]
SECONDS = 20  # for one value: what takes longer has not been refused at once


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Where files may be written."""
    monkeypatch.chdir(tmp_path)


@contextmanager
def within(seconds: int):
    """Raises TimeoutError in whatever runs on."""

    def late(*_):
        raise TimeoutError(f"not back after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def wrong(entry: Entry, labels) -> list[str]:
    """What is neither the sentence nor a right value."""
    found = []
    for outcome in outcomes(entry, labels, lambda: within(SECONDS)):
        fine = FINE.get(entry.name, {}).get(outcome.argument, ())
        own = OWN.get(entry.name, {}).get(outcome.argument, ())
        at = f"{outcome.argument} = {outcome.value}"
        kept = outcome.kind == "kept" and fine != ANYTHING
        if kept or (outcome.kind == "fault" and outcome.value not in own):
            found.append(f"{at}: {outcome.text}")
        if outcome.kind == "result" and outcome.value not in (*fine, *own):
            found.append(f"{at}: taken without a word")
        if outcome.kind == "refused" and outcome.value in fine:
            found.append(f"{at}: a right value refused: {outcome.text}")
    return found


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_sample_of_values(entry):
    assert not wrong(entry, SAMPLE)


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_value(entry):
    assert not wrong(entry, None)


def public_names() -> set[str]:
    """What the reference documents, and the methods of its classes that take arguments or are
    called; of a noun that is only returned the methods alone.
    """
    names = {f"MASKS[{name!r}]" for name in qd.MASKS}
    for page in api.documented(api.FACE.read_text(encoding="utf-8")).values():
        for full, kind in page.items():
            module, _, name = full.rpartition(".")
            # those of MASKS are called by it
            if name in ("ArgumentError", "MASKS") or module.startswith("qdescent.learning.pruning"):
                continue
            one = getattr(import_module(module), name)
            names |= {name} if kind in ("public", "also") else set()
            # a protocol's methods are those of whatever has them
            if inspect.isclass(one) and not getattr(one, "_is_protocol", False):
                names |= {f"{name}.{method}" for method in methods(one)}
    return names


def methods(one: type) -> list[str]:
    """The public ones that take arguments, and calls."""
    found = []
    for name, function in vars(one).items():
        function = getattr(function, "__func__", function)
        called = name in ("__call__", "__matmul__") or not name.startswith("_")
        if (
            called
            and inspect.isfunction(function)
            and len(inspect.signature(function).parameters) > 1
        ):
            found.append(name)
    return found


def shown_functions() -> set[str]:
    """Functions of rooms that the documentation and the examples import."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]
    found = set()
    for page in pages:
        for module, names in re.findall(
            r"from (qdescent\.[\w.]+) import ([\w, ]+)", page.read_text(encoding="utf-8")
        ):
            for name in names.split(","):
                one = getattr(__import__(module, fromlist=["_"]), name.strip(), None)
                if inspect.isfunction(one):
                    found.add(name.strip())
    return found


def test_no_public_name_is_left_out():
    entries = {entry.name for entry in ENTRIES}
    assert len(entries) == len(ENTRIES)
    assert public_names() <= entries
    assert shown_functions() <= entries
    assert set(FINE) | set(OWN) <= entries


def test_the_sweep_sees_what_it_should():
    def careless(count, factor=1.0):
        if count == "text":
            raise qd.ArgumentError("Argument `other` must be an integer, but is 'text'.")
        return count * factor

    seen = outcomes(Entry("careless", careless, lambda: {"count": 1}))
    found = {(outcome.argument, outcome.value): outcome.kind for outcome in seen}
    assert found["count", "text"] == "fault"
    assert found["count", "nan"] == "result"
    assert found["factor", "None"] == "fault"
    assert ("factor", "its class") not in found
