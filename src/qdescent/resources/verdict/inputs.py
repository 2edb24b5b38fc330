"""The inputs that a verdict is asked about: how each of them is moved while the others are held,
and the quotient of best against best at any of their values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.carleman.bounds import history_floor
from qdescent.linalg.map_norms import MapNorms
from qdescent.resources.classical.descent import PLAIN, ClassicalCost, classical_cost
from qdescent.resources.classical.machines import Accelerator
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import RoundSpec, least_kappa
from qdescent.resources.verdict.titles import TITLES
from qdescent.resources.ways.least import FEWEST, least, least_segment
from qdescent.resources.ways.priced import PricedWay

OUT_OF_REACH = "out of reach"  # in the place of a way
NARROW = 1e-3  # a break-even is found to a thousandth of a decade


@dataclass(frozen=True)
class Case:
    """A round with the machines that it is priced on.

    Args:
        spec: the round; where norms bound its kappa, this is held.
        architecture: the quantum machine.
        accelerator: the classical one.
    """

    spec: RoundSpec
    architecture: SurfaceCode
    accelerator: Accelerator

    @property
    def outcome(self) -> tuple[float, float, float, str, str]:
        """Quantum over classical time, both times, and both best ways (of machines that can go
        none, that it is out of reach); a kappa that norms bound is searched where it matters alone.
        """
        classical, built = self._without_search or (
            classical_cost(self.spec, self.accelerator),
            least(self.spec, self.architecture, FEWEST),
        )
        whole = built.seconds + classical.table_seconds + classical.upload_seconds
        seconds = classical.seconds
        way = built.way.name if built.is_within_reach else OUT_OF_REACH
        return whole / seconds, whole, seconds, way, classical.best.name

    @property
    def _without_search(self) -> tuple[ClassicalCost, PricedWay] | None:
        """Both sides where neither depends on kappa: even of the shortest history there could be
        the quantum one is a segment, and the classical one stops no earlier for it.
        """
        floor = at_floor(self.spec)
        built = None if floor is None else least_segment(floor, self.architecture)
        if floor is None or built is None:
            return None
        classical = classical_cost(floor, self.accelerator)
        stops = classical.best.name == PLAIN and floor.useful_steps < floor.steps
        return None if stops else (classical, built)

    @property
    def ratio(self) -> float:
        """Quantum over classical time, each by its best way; infinite out of reach."""
        return self.outcome[0]


@dataclass(frozen=True)
class Input:
    """One input.

    Args:
        name: as rows name it.
        value: its value in a case; None where the case does not have it.
        moved: the case with another value.
        low, high: between which it may be moved.
        held: what goes with it, and what does not.
    """

    name: str
    value: Callable[[Case], float | None]
    moved: Callable[[Case, float], Case]
    low: Callable[[Case], float]
    high: Callable[[Case], float]
    held: str = "all others held"

    @property
    def title(self) -> str:
        """The input in words."""
        return TITLES[self.name]

    def at(self, case: Case, value: float) -> float:
        """The quotient there; NaN where a round cannot be so."""
        try:
            return self.moved(case, value).ratio
        except (ArgumentError, OverflowError):
            return math.nan


def held(spec: RoundSpec) -> RoundSpec:
    """The round with kappa, padding and success as they were found, so that nothing is searched."""
    history = spec.history
    return replace(
        spec,
        kappa=history.kappa,
        kappa_evidence=history.kappa_evidence,
        kappa_source=history.kappa_source,
        plain_kappa=None,
        grams=None,
        padding=history.padding,
        success_probability=history.success[0],
        success_evidence=history.success[1],
        success_source=history.success[2],
    )


@lru_cache(maxsize=2**14)
def _floor(norms: MapNorms, order: int, steps: int) -> tuple[float, float] | None:
    return history_floor(norms, order, steps)


def at_floor(spec: RoundSpec) -> RoundSpec | None:
    """The round with a kappa and a success that no history of its norms surpasses; None where its
    kappa is known, or no such bound is.
    """
    if spec.norms is None or spec.kappa is not None or spec.grams is not None:
        return None
    found = _floor(spec.norms, spec.order, spec.steps)
    if found is None:
        return None
    given, padding = spec.success_probability, spec.padding or 0
    return replace(
        spec,
        kappa=max(found[0], least_kappa(padding)),
        kappa_evidence=Evidence.BOUNDED,
        kappa_source="at least, of these norms",
        padding=padding,
        success_probability=found[1] if given is None else given,
    )


def _spec(name: str, whole: bool) -> Callable[[Case, float], Case]:
    def moved(case: Case, value: float) -> Case:
        fields: dict[str, Any] = {name: round(value) if whole else value}
        return replace(case, spec=replace(case.spec, **fields))

    return moved


def _machine(name: str) -> Callable[[Case, float], Case]:
    def moved(case: Case, value: float) -> Case:
        return replace(case, architecture=replace(case.architecture, **{name: value}))

    return moved


def _resized(case: Case, value: float) -> Case:
    """n, and with it P and the multiply-adds, as of a larger network of the same kind."""
    spec, n = case.spec, max(1, round(value))
    factor = n / spec.n
    masked = spec.masked_macs and max(1, round(spec.masked_macs * factor))
    grown = replace(
        spec,
        n=n,
        parameters=max(n, round(spec.parameters * factor)),
        forward_macs=max(1, round(spec.forward_macs * factor)),
        masked_macs=masked,
        largest=None if spec.largest is None else min(n, spec.largest),
        sparsity=min(n, spec.sparsity),
    )
    return replace(case, spec=grown)


def _of_spec(name: str) -> Callable[[Case], float | None]:
    return lambda case: getattr(case.spec, name)


def _fixed(value: float) -> Callable[[Case], float]:
    return lambda case: value


def _error(case: Case, value: float) -> Case:
    """The error that is read to; shots that were given are left to it."""
    return replace(case, spec=replace(case.spec, readout_error=value, shots=None))


def _entries_read(case: Case) -> float:
    return case.spec.read_entries


INPUTS = (
    Input("n", _of_spec("n"), _resized, _fixed(10), _fixed(1e16),
          "P and multiply-adds in proportion, s held"),
    Input("sparsity", _of_spec("sparsity"), _spec("sparsity", True),
          _fixed(1), lambda case: float(case.spec.n)),
    Input("steps", _of_spec("steps"), _spec("steps", True), _fixed(1),
          _fixed(1e9), "kappa held"),
    Input("learning_rate", _of_spec("learning_rate"),
          _spec("learning_rate", False), _fixed(1e-9), _fixed(10.0), "kappa held"),
    Input("kappa", _of_spec("kappa"), _spec("kappa", False),
          lambda case: least_kappa(case.spec.padding or 0), _fixed(1e12)),
    Input("epsilon", _of_spec("epsilon"), _spec("epsilon", False),
          _fixed(1e-12), _fixed(0.5)),
    Input("readout_error", _of_spec("readout_error"), _error,
          _fixed(1e-8), _fixed(0.99)),
    Input("largest", _entries_read, _spec("largest", True), _fixed(1),
          lambda case: float(case.spec.n), "shots in proportion, or as they were given"),
    Input("alpha_over_norm", _of_spec("alpha_over_norm"),
          _spec("alpha_over_norm", False), _fixed(1.0), _fixed(1e3)),
    Input("batch", _of_spec("batch"), _spec("batch", True), _fixed(1), _fixed(1e15)),
    Input("error_rate", lambda case: case.architecture.error_rate,
          _machine("error_rate"), _fixed(1e-12), _fixed(9e-3)),
    Input("cycle_time_ns", lambda case: case.architecture.cycle_time_ns,
          _machine("cycle_time_ns"), _fixed(1e-3), _fixed(1e9)),
)  # fmt: skip
NAMED = {each.name: each for each in INPUTS}
