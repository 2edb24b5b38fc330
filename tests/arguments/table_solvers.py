"""The solvers: valid calls and right values, from their entries in the table of conformance."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from arguments.fixtures import system
from arguments.sweep import Entry
from solvers.conformance import Conformance, conformance

BY_CLASS = {type(each.solver): each for each in conformance().values()}


def entries(solver: type) -> Iterator[Entry]:
    """The class itself, with a circuit where it may have one, and its methods."""
    has_circuit = "circuit" in inspect.signature(solver).parameters
    yield Entry(solver.__name__, solver, lambda: {"circuit": True} if has_circuit else {})
    yield Entry(f"{solver.__name__}.solve", solver().solve, lambda: {"system": system()})
    if hasattr(solver, "forecast"):
        yield Entry(f"{solver.__name__}.forecast", solver().forecast, lambda: {"kappa": 40.0})


def fine(solver: type, entry: Conformance) -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
    """What is right all the same, under the names of `entries`."""
    yield solver.__name__, dict(entry.fine)
    if hasattr(solver, "forecast"):
        yield f"{solver.__name__}.forecast", {"kappa": entry.forecast}


ENTRIES = [each for solver in BY_CLASS for each in entries(solver)]
FINE = dict(pair for solver, entry in BY_CLASS.items() for pair in fine(solver, entry))
