"""Logical counts -> physical qubits, code distance, time under the surface code: by the Azure
Quantum resource estimator, and by a second model.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from typing import Any

from qdescent._checks import (
    argument_error,
    check_instance,
    check_integer,
    check_interval,
    check_sequence,
    shown,
)
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.physical.closed_form import (
    LARGEST_DISTANCE,
    ROUNDS,
    distillation_gap,
    t_per_rotation,
)

MOST_DISTANCE = 999
# logical steps of one estimator call: x 1e5 ns a step is still far below its 2^64 ns
_SAFE_DEPTH = 10**13
# in which the estimator counts: it rounds gate times to whole ns; every time goes with the cycle
LEAST_CYCLE_NS = 1e-3  # below a picosecond it was given in other units
MOST_CYCLE_NS = 1e100  # beyond it a round's time may leave the floating-point numbers
_CYCLE_NS = 400
MOST_QUBITS = 10**12  # 2 d^2 of them on the machine are still far below 2^64


@dataclass(frozen=True)
class PhysicalCost:
    """What a job takes on the machine.

    Args:
        qubits: physical qubits, factories included.
        code_distance: distance of the data's code.
        seconds: run time, data-dependent waiting left out.
        tiles: logical patches with routing.
        factories: magic-state factories working at once.
        segments: equal pieces that the job was estimated in (1: in one).
    """

    qubits: int
    code_distance: int
    seconds: float
    tiles: int
    factories: int
    segments: int


@dataclass(frozen=True)
class SurfaceCode:
    """A gate-based machine under the surface code.

    Args:
        error_rate: error rate of every physical operation (1e-3: what superconducting devices
            reach; Gidney-Fowler, arXiv:1812.01238, and the "ns, 1e-3" model of Beverland et al.,
            arXiv:2211.07629).
        cycle_time_ns: one error-correction cycle (400: four 50 ns gates and two 100 ns
            measurements, same model).
        budget: probability that one run fails (1e-2: small against the readout's own scatter).

    Example:
        >>> found = SurfaceCode().estimate(
        ...     LogicalCounts(qubits=100, toffoli=10**9, measurements=10**9)
        ... )
        >>> found.code_distance
        25
    """

    error_rate: float = 1e-3
    cycle_time_ns: float = 400.0
    budget: float = 1e-2

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "error_rate", check_interval("error_rate", self.error_rate, "(0, 0.01)")
        )
        cycle = check_interval("cycle_time_ns", self.cycle_time_ns, "(0, inf)")
        if not LEAST_CYCLE_NS <= cycle <= MOST_CYCLE_NS:
            must = (
                f"be between {LEAST_CYCLE_NS:g} and {MOST_CYCLE_NS:g} (nanoseconds: 400 is today's)"
            )
            raise argument_error("cycle_time_ns", must, self.cycle_time_ns)
        object.__setattr__(self, "cycle_time_ns", cycle)
        object.__setattr__(self, "budget", check_interval("budget", self.budget, "(0, 1)"))

    def estimate(self, counts: LogicalCounts, runs: int = 1) -> PhysicalCost:
        """Price a job by the Azure Quantum resource estimator, offline.

        A job of depth beyond 1e13 is estimated as k equal segments, each with budget/k: the same
        error rates a step, and no number near the estimator's 64-bit nanoseconds, which wrap
        silently. It is asked at a cycle of 400 ns and its time scaled: it rounds to whole
        nanoseconds.

        Args:
            counts: the job.
            runs: runs that must all succeed together; the budget is divided by it.

        Raises:
            ArgumentError: the machine cannot reach the budget, by three rounds of distillation and
                a code distance of 201.

        References:
            Beverland et al., arXiv:2211.07629 (PSSPC layout, Appendices C to E).
        """
        check_instance("counts", counts, LogicalCounts)
        runs = check_integer("runs", runs, 1)
        if counts.qubits > MOST_QUBITS:
            raise argument_error(
                "counts", f"hold at most {MOST_QUBITS:.0e} logical qubits", counts.qubits
            )
        depth = counts.measurements + 3 * counts.toffoli + counts.t_gates + 40 * counts.rotations
        if depth == 0:
            raise argument_error(
                "counts", "hold at least one non-Clifford gate or measurement", "empty"
            )
        segments = -(-depth // _SAFE_DEPTH)
        self._check_distillation(depth, runs)
        answer = self._ask(counts, segments, self.budget / segments / runs)
        logical, breakdown = answer["logicalQubit"], answer["physicalCounts"]["breakdown"]
        return PhysicalCost(
            qubits=answer["physicalCounts"]["physicalQubits"],
            code_distance=logical["codeDistance"],
            seconds=segments * runtime_ns(answer) * 1e-9 * (self.cycle_time_ns / _CYCLE_NS),
            tiles=breakdown["algorithmicLogicalQubits"],
            factories=breakdown["numTfactories"],
            segments=segments,
        )

    def _check_distillation(self, depth: int, runs: int) -> None:
        """Refuse an error a magic state, about budget / (3 depth runs), that the rounds of
        distillation cannot reach.
        """
        gap = distillation_gap(self, depth, runs)
        if gap is not None:
            least, wanted = gap
            must = (
                f"be within reach of {ROUNDS} rounds of distillation: an error of 1e{least:.0f} a"
                f" magic state at `error_rate` {self.error_rate:g}"
            )
            raise argument_error(
                "counts",
                must,
                f"of about 1e{math.log10(depth * runs):.0f} logical steps, which ask for"
                f" 1e{wanted:.0f}",
            )

    def cross_check(
        self, counts: LogicalCounts, factory: tuple[int, int] | None = None
    ) -> PhysicalCost:
        """Price the same job by a second model: Qualtran's Gidney-Fowler CCZ factory.

        Args:
            counts: the job.
            factory: the two distillation distances, (15, 31) in the paper; None searches for the
                least qubits x time that meets the budget (a fixed factory has an error floor).

        Raises:
            ArgumentError: no factory meets the budget.

        References:
            Gidney, Fowler, arXiv:1812.01238.
        """
        check_instance("counts", counts, LogicalCounts)
        if factory is not None:
            distances = check_sequence("factory", factory, int, called="two code distances")
            if len(distances) != 2 or not 3 <= min(distances) <= max(distances) <= MOST_DISTANCE:
                raise argument_error(
                    "factory", f"be two code distances from 3 to {MOST_DISTANCE}", shown(factory)
                )
        from qualtran.resource_counting import GateCounts  # heavy: four seconds
        from qualtran.surface_code import CCZ2TFactory, get_ccz2t_costs_from_error_budget

        self._check_distillation(max(1, counts.toffoli + counts.t_gates + counts.rotations), 1)
        t_gates = counts.t_gates + counts.rotations * t_per_rotation(counts.rotations, self.budget)
        gates = GateCounts(t=t_gates, toffoli=counts.toffoli)
        pairs = (
            [factory]
            if factory
            else [(a, b) for a in range(5, 41, 2) for b in range(a + 2, 2 * a + 4, 2)]
        )
        best = None
        for pair in pairs:
            built = CCZ2TFactory(*pair)
            try:
                cost = get_ccz2t_costs_from_error_budget(
                    n_logical_gates=gates,
                    n_algo_qubits=counts.qubits,
                    phys_err=self.error_rate,
                    error_budget=self.budget,
                    cycle_time_us=self.cycle_time_ns / 1000,
                    factory=built,
                )
            except ValueError:  # this factory's own error is above the budget
                continue
            if best is None or cost.qubit_hours < best[0].qubit_hours:
                best = cost, built
        if best is None:
            raise argument_error(
                "budget", "be within reach of a two-level CCZ factory", self.budget
            )
        cost, built = best
        tiles = math.ceil(1.5 * counts.qubits)
        distance = math.isqrt((int(cost.footprint) - built.n_physical_qubits()) // (2 * tiles))
        return PhysicalCost(
            int(cost.footprint), distance, float(cost.duration_hr) * 3600, tiles, 1, segments=1
        )

    def _ask(self, counts: LogicalCounts, segments: int, budget: float) -> dict[str, Any]:
        gate, measure = f"{_CYCLE_NS // 8} ns", f"{_CYCLE_NS // 4} ns"  # 4 gates + 2 measurements
        rates = ("oneQubitMeasurement", "oneQubitGate", "twoQubitGate", "tGate", "idle")
        qubit = {
            "name": "qdescent",
            "instructionSet": "GateBased",
            "oneQubitMeasurementTime": measure,
            "oneQubitGateTime": gate,
            "twoQubitGateTime": gate,
            "tGateTime": gate,
            **{f"{rate}ErrorRate": self.error_rate for rate in rates},
        }
        # its own limit of 50 is a convention
        scheme = {"name": "surface_code", "maxCodeDistance": LARGEST_DISTANCE}
        estimator = _estimator()
        try:
            found = estimator.LogicalCounts(counts.as_job(segments)).estimate(
                {"qubitParams": qubit, "qecScheme": scheme, "errorBudget": budget}
            )
        except estimator.EstimatorError as error:  # derived from BaseException
            reason = " ".join(str(error).split(":", 1)[-1].split()).rstrip(".")
            raise argument_error(
                "counts", "be within reach of the machine", f"not: {reason}"
            ) from None
        return dict(found)


def runtime_ns(answer: dict[str, Any]) -> float:
    """Run time of an estimator's answer, at its cycle of 400 ns, as depth x cycle: its own field
    wraps at 2^64 ns (584.5 years).
    """
    return float(answer["physicalCounts"]["breakdown"]["logicalDepth"]) * float(
        answer["logicalQubit"]["logicalCycleTime"]
    )


def _estimator() -> Any:
    """The estimator's public module.

    Importing qdk starts a thread that reports usage over the network, unless a variable says not
    to. It is set for the import only and put back; where the user imported qdk before us, their
    choice stands (the call itself reports nothing).
    """
    if "qdk" not in sys.modules:
        name = "QDK_PYTHON_TELEMETRY"
        before = os.environ.get(name)
        os.environ[name] = "none"
        try:
            import qdk  # noqa: F401
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before
    from qdk import estimator

    return estimator
