"""The ledger of one round: logical, physical and classical cost side by side, and the verdict that
follows from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_instance,
    check_sequence,
    check_text,
)
from qdescent._evidence import Row
from qdescent.resources.classical import ClassicalCost, classical_cost
from qdescent.resources.input_rows import input_rows, modelled
from qdescent.resources.instance import LOADERS, Instance
from qdescent.resources.ledger_rows import (
    classical_rows,
    logical_rows,
    physical_rows,
    query_rows,
    tree_rows,
)
from qdescent.resources.logical import SolveCost, solve_cost
from qdescent.resources.physical import YEAR, Accelerator, PhysicalCost, SurfaceCode

# a router tree works in parallel, the estimator one gate after another: it gets rows of its own
PRICED = ("qrom", "qroam")


@dataclass(frozen=True)
class Ledger:
    """Rows with evidence, and the verdict they add up to.

    Args:
        rows: named "ledger/logical/...", "ledger/physical/...", "ledger/classical/...",
            "ledger/verdict/...".
        verdict: one plain sentence, computed from the rows.
    """

    rows: tuple[Row, ...]
    verdict: str

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "rows", check_sequence("rows", self.rows, Row, called="a sequence of `Row`s")
        )
        check_text("verdict", self.verdict)

    @property
    def values(self) -> Mapping[str, float]:
        """The numbers by name, without the leading "ledger/"."""
        numbers = {
            r.name.removeprefix("ledger/"): r.value
            for r in self.rows
            if isinstance(r.value, (int, float))
        }
        return MappingProxyType(numbers)

    def __str__(self) -> str:
        cells = [
            (row.name.removeprefix("ledger/"), _shown(row.value), row.unit, str(row.evidence))
            for row in self.rows
        ]
        cells = [cell for cell in cells if cell[0] != "verdict/text"]
        widths = [max(len(cell[i]) for cell in cells) for i in range(3)]
        lines = [
            f"{name:<{widths[0]}}  {value:>{widths[1]}}  {unit:<{widths[2]}}  {evidence}"
            for name, value, unit, evidence in cells
        ]
        return "\n".join([*lines, "", self.verdict])


def estimate(
    instance: Instance,
    architecture: SurfaceCode | None = None,
    accelerator: Accelerator | None = None,
) -> Ledger:
    """Price one round (upload, T steps as linear solves, readout) beside the classical one.

        quantum time = solves x (Q queries + 2Q uploads) on the surface code + building the tables
        classically, classical time = T x 6 FLOP x multiply-adds x batch at a sustained rate.

    QROM and QROAM are priced and the faster one counts; a bucket-brigade QRAM, which no
    fault-tolerant estimator knows, gets a time at best: its layers of gates, each taking one
    logical cycle. What is unknown is counted in favour of the quantum side, so that "no advantage"
    is safe to say and "advantage" is to be read with the evidence column.

    Args:
        instance: the round.
        architecture: None is `SurfaceCode()`.
        accelerator: the classical machine; None is one A100.

    Returns:
        Ledger.

    Raises:
        ArgumentError: the architecture cannot do one solve within its budget (a kappa beyond some
            1e40: no distillation is that good).

    Cost:
        Milliseconds after Qualtran's import, at any n.

    References:
        Hoefler, Haener, Troyer, arXiv:2307.00523 (what to compare); Liu et al., Nat. Commun. 15,
        434 (2024).

    Example:
        >>> ledger = estimate(
        ...     Instance(
        ...         n=10**4, parameters=10**5, order=2, steps=20, padding=0, kappa=40.0,
        ...         sparsity=100, batch=512, forward_macs=10**6, shots=10**6
        ...     )
        ... )
        >>> ledger.verdict.startswith("No advantage at this size")
        True
    """
    check_instance("instance", instance, Instance)
    architecture = (
        check_instance("architecture", architecture, SurfaceCode, optional=True) or SurfaceCode()
    )
    accelerator = (
        check_instance("accelerator", accelerator, Accelerator, optional=True) or Accelerator()
    )
    # calls of one coherent run share its budget
    runs = instance.solves if instance.readout == "unitary" else 1
    solves = {loader: solve_cost(instance, loader) for loader in LOADERS}
    machines = {loader: _machine(architecture, instance, solves[loader], runs) for loader in PRICED}
    classical = classical_cost(instance, accelerator)

    rows = input_rows(instance) + query_rows(instance)
    for loader in LOADERS:
        rows += logical_rows(loader, solves[loader])
    for loader in PRICED:
        rows += physical_rows(
            loader, machines[loader], _cross_check(architecture, solves[loader]), architecture
        )
    fastest = min(PRICED, key=lambda loader: machines[loader].seconds)
    distance = machines[fastest].code_distance  # a larger machine would need a larger one
    at_best = (
        2 * distance**2 * solves["qram"].counts.qubits,
        solves["qram"].depth * distance * architecture.cycle_time_ns * 1e-9,
    )
    rows += tree_rows(*at_best, distance)
    rows += classical_rows(classical, accelerator)
    return _judged(instance, fastest, solves[fastest], machines[fastest], at_best, classical, rows)


def _machine(
    architecture: SurfaceCode, instance: Instance, solve: SolveCost, runs: int
) -> PhysicalCost:
    try:
        found = architecture.estimate(solve.counts, runs)
    except ArgumentError as error:
        reason = str(error).split("must ", 1)[-1].rstrip(".")
        gates = f"1e{math.log10(solve.counts.toffoli):.0f} Toffoli gates a solve"
        size = (
            f"one of {gates} at kappa {instance.kappa:.3g} and {instance.entries:.3g} table"
            f" entries; these must {reason}"
        )
        raise argument_error("instance", "be within reach of the architecture", size) from None
    if not math.isfinite(found.seconds * instance.solves):
        raise argument_error(
            "architecture",
            "finish a round in a finite time",
            f"at {architecture.cycle_time_ns:g} ns a cycle",
        )
    return found


def _judged(
    instance: Instance,
    loader: str,
    solve: SolveCost,
    machine: PhysicalCost,
    at_best: tuple[int, float],
    classical: ClassicalCost,
    rows: list[Row],
) -> Ledger:
    single = machine.seconds
    quantum = instance.solves * single + classical.table_seconds
    ratio, single_ratio = quantum / classical.seconds, single / classical.seconds
    gate = single / solve.counts.toffoli
    factors = {
        "readout (solves a round)": float(instance.solves),
        "the condition number (queries a solve)": float(instance.queries),
        "loading the tables (Toffoli gates a query and its uploads)": (
            solve.counts.toffoli / instance.queries
        ),
    }
    dominant = max(factors, key=lambda name: factors[name])

    times = (
        f"the quantum round takes {_time(quantum)} on {machine.qubits:.3g} physical qubits, the"
        f" classical round {_time(classical.seconds)}"
    )
    reads = f"readout multiplies every solve by {instance.solves:.3g}"
    if ratio < 1:
        head, what_if = (
            (
                f"Advantage under the stated assumptions: {times}, {1 / ratio:.3g} times as long;"
                f" {reads}."
            ),
            "",
        )
    else:
        head = f"No advantage at this size: {times}; {reads}."
        if single_ratio < 1:
            what_if = (
                f" With a free readout one solve takes {_time(single)} and would win: the readout"
                " decides."
            )
        else:
            what_if = (
                f" Were readout free, one solve would still take {_time(single)},"
                f" {single_ratio:.3g} times as long."
            )
        what_if += (
            f" Building the tables classically, at s = {instance.sparsity} non-zeros a row, alone"
            f" costs {classical.table_seconds / classical.seconds:.2g} of the classical round."
        )
    useful = instance.useful_steps
    if instance.steps > useful:
        what_if += (
            f" At kappa {instance.kappa:g} a history of {_shown(instance.steps)} steps is a"
            f" contraction, of which {100 * instance.epsilon:g} % is left after {_shown(useful)}:"
            " the steps beyond have nothing left to do, and the classical round does without them."
        )
    tree_qubits, tree_solve = at_best
    tree_time = instance.solves * tree_solve + classical.table_seconds
    tree_ratio = tree_time / classical.seconds
    decides = ": the memory decides" if tree_ratio < 1 <= ratio else ""
    memory = f"A bucket-brigade memory, {tree_qubits:.3g} physical qubits at least"
    tree = f" {memory}, could at best do the round in {_time(tree_time)}{decides}."
    text = f"{head}{what_if}{tree} The largest factor is {dominant}, {factors[dominant]:.3g}."
    build = "solves x seconds of a solve + table building"
    rows = [
        *rows,
        modelled("verdict/loader", loader, "", "QROM or QROAM, the one with the shorter solve"),
        modelled("verdict/quantum_time", quantum, "s", build),
        modelled("verdict/classical_time", classical.seconds, "s", "ledger/classical/time"),
        modelled(
            "verdict/ratio",
            ratio,
            "1",
            "quantum time / classical time; below 1 the quantum round wins",
        ),
        modelled("verdict/free_readout_time", single, "s", "one solve, tables free"),
        modelled("verdict/free_readout_ratio", single_ratio, "1", "one solve / classical round"),
        modelled(
            "verdict/qram_ratio_at_best",
            tree_ratio,
            "1",
            "the same with physical/qram/solve_time_at_best; below 1 it wins",
        ),
        modelled("verdict/toffoli_time", gate, "s", "time of a solve / its Toffoli gates"),
        modelled(
            "verdict/dominant_factor",
            dominant,
            "",
            "largest of solves, queries, Toffoli gates a query",
        ),
        modelled(
            "verdict/speed_up_needed",
            max(1.0, ratio),
            "1",
            "by how much the quantum round must get cheaper",
        ),
        modelled("verdict/text", text, "", "computed from the rows above"),
    ]
    return Ledger(tuple(rows), text)


def _cross_check(machine: SurfaceCode, solve: SolveCost) -> PhysicalCost | None:
    try:
        return machine.cross_check(solve.counts)
    except ValueError:  # two levels of distillation cannot reach this budget: the row says so
        return None


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) < 10**6:
        return str(value)
    return f"{value:.4g}" if isinstance(value, (int, float)) else str(value)


def _time(seconds: float) -> str:
    for unit, length in (
        ("years", YEAR),
        ("days", 86400.0),
        ("hours", 3600.0),
        ("s", 1.0),
        ("ms", 1e-3),
    ):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
