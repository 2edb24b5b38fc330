"""The table of conformance: what each solver is held to, collected from the solvers' own tests."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import qdescent.solvers
from qdescent.solvers.solve import Solver

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Conformance:
    """The entry of one solver: `CONFORMANCE` of tests/solvers/test_<name>.py maps names to them.

    Args:
        solver: set for planted systems of 8 to 64 unknowns, kappa up to some hundred.
        error: the most that its answers may be off, and the most that it may promise.
        circuits: the same solver as circuits of 3 unknowns, by name; one at least where it has an
            argument `circuit`.
        fine: for each argument the nasty values of `arguments.sweep` that are right all the same.
        forecast: the same for kappa of its method `forecast`, where it has one.
    """

    solver: Solver
    error: float
    circuits: Mapping[str, Solver] = field(default_factory=dict)
    fine: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forecast: tuple[str, ...] = ()


def conformance() -> dict[str, Conformance]:
    """All entries, by name."""
    found: dict[str, Conformance] = {}
    for path in sorted(HERE.glob("test_*.py")):
        if path.stem != "test_conformance":
            found |= getattr(import_module(f"solvers.{path.stem}"), "CONFORMANCE", {})
    return found


def solver_classes() -> Iterator[type]:
    """Every class of `qdescent.solvers` that has a `solve`, exported or not."""
    rooms = pkgutil.walk_packages(qdescent.solvers.__path__, "qdescent.solvers.")
    for module in [import_module(room.name) for room in rooms]:
        for one in vars(module).values():
            own = inspect.isclass(one) and one.__module__ == module.__name__
            if own and callable(getattr(one, "solve", None)) and one is not Solver:
                yield one


def forgotten(classes: Iterable[type], entries: Mapping[str, Conformance]) -> list[str]:
    """The classes without an entry, and those with a circuit of which no entry has one."""
    held = {type(entry.solver) for entry in entries.values()}
    drawn = {type(each) for entry in entries.values() for each in entry.circuits.values()}
    found = [one.__name__ for one in classes if one not in held]
    for one in held - drawn:
        if "circuit" in inspect.signature(one).parameters:
            found.append(f"{one.__name__}(circuit=...)")
    return found
