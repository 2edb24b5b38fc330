"""The same run on other machines: magic-state cultivation, yoked codes and neutral atoms by the
estimator's public models (`qdk.qre`), and one that waits for nothing but its decoder.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qdescent._checks import check_instance
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.physical.closed_form import code_distance
from qdescent.resources.physical.surface_code import SurfaceCode

_PIECE = 10**9  # Toffoli gates of one question: times stay far below the estimator's 2^64 ns
_DISTANCES = list(range(11, 52, 4))
_QUBITS = 20_000  # logical ones of one question: more are as many times as large, error and all
_CYCLE_NS = 400  # at which the estimator is asked
_MEMORY = 1000  # yoked qubits that are asked for; more take as many each
_LEAST_MEMORY = 4  # yoked qubits: of fewer the estimator divides by zero
CULTIVATION, YOKED, ATOMS, REACTION = "cultivation", "yoked", "neutral_atoms", "reaction_limited"
REACTION_SECONDS = 10e-6  # decode and react: Gidney, Ekera, arXiv:1905.09749
ROUTING = 1.5  # tiles a logical qubit, as of the second model


@dataclass(frozen=True)
class PlatformCost:
    """One run on another machine.

    Args:
        name: as rows name it.
        qubits: physical qubits.
        seconds: of the run.
        source: models and papers.
    """

    name: str
    qubits: float
    seconds: float
    source: str


def platform_costs(
    counts: LogicalCounts, machine: SurfaceCode, memory: int = 0
) -> list[PlatformCost]:
    """One run on each of the other machines that can reach its budget.

    A long job is asked for in equal pieces, each with its share of the budget.

    Args:
        counts: of the run.
        machine: error rate, cycle and budget of the superconducting ones.
        memory: of the logical qubits those that wait in a memory (a loader's entries).
    """
    check_instance("counts", counts, LogicalCounts)
    pieces = max(1, -(-counts.toffoli // _PIECE))
    toffoli = max(1, -(-counts.toffoli // pieces))
    active, shares = max(3, counts.qubits - memory), max(1, -(-counts.qubits // _QUBITS))
    budget = machine.budget / pieces / shares
    found = []
    with _models() as (qre, models):
        # whole nanoseconds are all that it takes: it is asked at one cycle, and times are scaled
        gate, scale = _CYCLE_NS // 8, machine.cycle_time_ns / _CYCLE_NS
        sc = models.GateBased(
            error_rate=machine.error_rate, gate_time=gate, measurement_time=2 * gate
        )
        plain = models.SurfaceCode.q(distance=_DISTANCES) * _factories(models)
        asked: list[tuple[str, Any, int, str]] = [
            (CULTIVATION, sc, counts.qubits, "surface code, cultivated T to CCX, arXiv:2409.17595"),
            (ATOMS, models.NeutralAtom(), counts.qubits,
             "neutral atoms of the estimator's defaults, arXiv:2506.20661, cultivation"),
        ]  # fmt: skip
        if memory >= _LEAST_MEMORY:
            asked.append(
                (YOKED, sc, active,
                 "yoked memory, arXiv:2312.04522, beside the surface code, cultivation; the fastest"
                 " at distances up to that of the bare qubits: of all distances some may be faster"
                 " or smaller")
            )  # fmt: skip
        for name, architecture, qubits, source in asked:
            part = max(3, -(-qubits // shares))
            answer = _ask(qre, architecture, plain, part, 0, toffoli, budget)
            if answer is None:
                continue
            size = float(answer.qubits) * shares
            if name == YOKED:
                kept = min(memory, _MEMORY)
                # beyond the distance that serves the bare qubits a memory's only costs more, and
                # the search takes four times as long
                near = [each for each in _DISTANCES if each <= answer.distance]
                yoked = models.SurfaceCode.q(distance=near) * _factories(models)
                yoked = yoked * models.OneDimensionalYokedSurfaceCode.q()
                beside = _ask(qre, architecture, yoked, part, kept, toffoli, budget)
                if beside is None:
                    continue
                size += (beside.qubits - answer.qubits) / kept * memory
                answer = beside
            seconds = answer.nanoseconds * 1e-9 * pieces * (1.0 if name == ATOMS else scale)
            found.append(PlatformCost(name, size, seconds, f"qdk.qre: {source}"))
    reacting = _reaction_limited(counts, machine)
    return [*found, *([reacting] if reacting else [])]


def _reaction_limited(counts: LogicalCounts, machine: SurfaceCode) -> PlatformCost | None:
    """A layer of Toffoli gates each reaction time, as many factories as that takes: not counted, in
    favour of the quantum side.
    """
    distance = code_distance(machine, counts)
    if distance is None:
        return None
    layers = counts.toffoli if counts.toffoli_depth is None else counts.toffoli_depth
    source = (
        f"10 us a layer of Toffoli gates (arXiv:1905.09749), distance {distance}, factories and"
        " the width of the layers not counted"
    )
    try:
        seconds = layers * REACTION_SECONDS
    except OverflowError:
        seconds = math.inf
    return PlatformCost(REACTION, 2 * distance**2 * ROUTING * counts.qubits, seconds, source)


@dataclass(frozen=True)
class _Answer:
    """The fastest that the estimator found, and the distance of its qubits' code."""

    qubits: int
    nanoseconds: int
    distance: int


def _factories(models: Any) -> Any:
    """Cultivated T states, distilled to CCX."""
    return models.GSJ24Factory.q() * models.GSJ24CCXFactory.q()


def _ask(
    qre: Any, architecture: Any, codes: Any, qubits: int, memory: int, toffoli: int, budget: float
) -> _Answer | None:
    """The fastest; None where no model reaches the budget."""
    from qdk.qre.instruction_ids import CCX, LATTICE_SURGERY, MEAS_Z
    from qdk.qre.property_keys import DISTANCE

    class Job(qre.Application[None]):
        def get_trace(self, parameters: None = None) -> Any:
            trace = qre.Trace(qubits)
            for gate, places in ((CCX, [0, 1, 2]), (MEAS_Z, [0])):
                trace.add_block(repetitions=toffoli).add_operation(gate, places)
            if memory:
                trace.memory_qubits = memory
            return trace

    # the hints of a class in a function are looked up here
    Job.get_trace.__annotations__ = {"parameters": type(None)}
    query = qre.PSSPC.q(ccx_magic_states=True, num_ts_per_rotation=[20]) * qre.LatticeSurgery.q()
    with contextlib.redirect_stdout(io.StringIO()):  # it says at length what it did not find
        table = qre.estimate(Job(), architecture, codes, query, max_error=budget)
    fastest = min(table, key=lambda entry: entry.runtime, default=None)
    if fastest is None:
        return None
    code = fastest.source[LATTICE_SURGERY].instruction
    return _Answer(fastest.qubits, fastest.runtime, code.get_property(DISTANCE))


@contextlib.contextmanager
def _models() -> Iterator[tuple[Any, Any]]:
    """The estimator's modules, without its reports of usage."""
    name = "QDK_PYTHON_TELEMETRY"
    before = os.environ.get(name)
    if "qdk" not in sys.modules:
        os.environ[name] = "none"
    try:
        from qdk import qre
        from qdk.qre import models

        yield qre, models
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before
