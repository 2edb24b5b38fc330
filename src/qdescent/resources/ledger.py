"""The ledger of one round: logical, physical and classical cost side by side, and the verdict that
follows from them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from qdescent._checks import ArgumentError, argument_error, check_instance, check_text
from qdescent.resources.classical import classical_cost
from qdescent.resources.input_rows import input_rows
from qdescent.resources.ledger_rows import (
    classical_rows,
    logical_rows,
    physical_rows,
    router_tree_rows,
    solve_rows,
)
from qdescent.resources.logical import SolveCost, solve_cost
from qdescent.resources.physical import Accelerator, PhysicalCost, SurfaceCode
from qdescent.resources.round_spec import LOADERS, RoundSpec
from qdescent.resources.verdict import Verdict, verdict_rows
from qdescent.rows.collection import Rows
from qdescent.rows.numbers import number

# a router tree works in parallel, the estimator one gate after another: it gets rows of its own
PRICED = ("qrom", "qroam")


@dataclass(frozen=True)
class Ledger:
    """Rows with evidence, and the verdict they add up to.

    Args:
        rows: numbers in the sections "logical/", "physical/", "classical/" and "verdict/":
            `rows["physical/qrom/qubits"]`, `rows.number("verdict/ratio")`.
        verdict: one plain sentence, computed from the rows.
    """

    rows: Rows = field(repr=False)
    verdict: str

    def __post_init__(self) -> None:
        check_instance("rows", self.rows, Rows)
        check_text("verdict", self.verdict)

    def __str__(self) -> str:
        return f"{Rows(row for row in self.rows if row.value != self.verdict)}\n\n{self.verdict}"


def price(
    spec: RoundSpec,
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
        spec: the round.
        architecture: None is `SurfaceCode()`.
        accelerator: the classical machine; None is one A100.

    Returns:
        Ledger: its rows, and the verdict as one sentence.

    Raises:
        ArgumentError: the architecture cannot do one solve within its budget (a kappa beyond some
            1e40: no distillation is that good).

    Cost:
        Milliseconds after Qualtran's import, at any n.

    References:
        Hoefler, Haener, Troyer, arXiv:2307.00523 (what to compare); Liu et al., Nat. Commun. 15,
        434 (2024).

    Example:
        >>> ledger = price(
        ...     RoundSpec(
        ...         n=10**4, parameters=10**5, order=2, steps=20, padding=0, kappa=40.0,
        ...         sparsity=100, batch=512, forward_macs=10**6, shots=10**6
        ...     )
        ... )
        >>> ledger.verdict.startswith("No advantage at this size")
        True
        >>> ledger.rows["logical/solves"].value
        2000000
    """
    check_instance("spec", spec, RoundSpec)
    architecture = (
        check_instance("architecture", architecture, SurfaceCode, optional=True) or SurfaceCode()
    )
    accelerator = (
        check_instance("accelerator", accelerator, Accelerator, optional=True) or Accelerator()
    )
    # One solve, logically with each loader, and on the machine.
    solves = {loader: solve_cost(spec, loader) for loader in LOADERS}
    machines = {loader: _physical_cost(architecture, spec, solves[loader]) for loader in PRICED}
    fastest = min(PRICED, key=lambda loader: machines[loader].seconds)
    classical = classical_cost(spec, accelerator)

    # A router tree at its best: the priced machine's distance (a larger one would need a larger
    # distance), a logical cycle a layer.
    distance, tree = machines[fastest].code_distance, solves["qram"]
    verdict = Verdict(
        spec=spec,
        loader=fastest,
        solve=solves[fastest],
        machine=machines[fastest],
        tree_qubits=2 * distance**2 * tree.counts.qubits,
        tree_seconds=tree.depth * distance * architecture.cycle_time_ns * 1e-9,
        classical=classical,
    )

    rows = input_rows(spec) + solve_rows(spec)
    for loader in LOADERS:
        rows += logical_rows(loader, solves[loader])
    for loader in PRICED:
        second = _second_model(architecture, solves[loader])
        rows += physical_rows(loader, machines[loader], second, architecture)
    rows += router_tree_rows(verdict.tree_qubits, verdict.tree_seconds, distance)
    rows += classical_rows(classical, accelerator)
    return Ledger(Rows([*rows, *verdict_rows(verdict)]), verdict.sentence)


def _physical_cost(architecture: SurfaceCode, spec: RoundSpec, solve: SolveCost) -> PhysicalCost:
    """One solve on the machine; calls of one coherent run share its budget."""
    try:
        found = architecture.estimate(
            solve.counts, runs=spec.solves if spec.readout == "unitary" else 1
        )
    except ArgumentError as error:
        reason = str(error).split("must ", 1)[-1].rstrip(".")
        gates = f"{number(solve.counts.toffoli, 1)} Toffoli gates a solve"
        size = (
            f"one of {gates} at kappa {number(spec.kappa)} and {number(spec.entries)} table"
            f" entries; these must {reason}"
        )
        raise argument_error("spec", "be within reach of the architecture", size) from None
    if not math.isfinite(found.seconds * spec.solves):
        raise argument_error(
            "architecture",
            "finish a round in a finite time",
            f"at {number(architecture.cycle_time_ns)} ns a cycle",
        )
    return found


def _second_model(machine: SurfaceCode, solve: SolveCost) -> PhysicalCost | None:
    """The same solve by the other model; None where two levels of distillation cannot reach this
    budget, which the row then says.
    """
    try:
        return machine.cross_check(solve.counts)
    except ValueError:
        return None
