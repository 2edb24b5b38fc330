"""The ledger of one round: logical, physical and classical cost side by side, and the verdict that
follows from them.

    quantum time = copies x runs x run on the surface code + tables made and sent classically,
    classical time = gradients x 6 FLOP x multiply-adds x batch at a sustained rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from qdescent._checks import ArgumentError, argument_error, check_instance, check_text
from qdescent._evidence import derived
from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.resources.classical.descent import classical_cost
from qdescent.resources.classical.machines import A100, MACHINES, Accelerator
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.input_rows import input_rows
from qdescent.resources.ledger_rows import (
    built_row,
    classical_rows,
    loader_rows,
    oracle_rows,
    physical_rows,
    readout_rows,
    router_tree_rows,
    way_rows,
)
from qdescent.resources.physical.closed_form import code_distance
from qdescent.resources.physical.energy import Upkeep, upkeep_rows
from qdescent.resources.physical.surface_code import PhysicalCost, SurfaceCode
from qdescent.resources.platform_rows import platform_rows
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.spec_fields import word_of
from qdescent.resources.verdict.constants import constant_rows
from qdescent.resources.verdict.inputs import Case, held
from qdescent.resources.verdict.others import left_out_rows, other_rows, question_rows
from qdescent.resources.verdict.region import break_even_rows, tornado_rows
from qdescent.resources.verdict.verdict import Verdict, verdict_rows
from qdescent.resources.ways.circuit import CountedCircuit, circuit_rows, priced_circuit
from qdescent.resources.ways.least import least
from qdescent.resources.ways.priced import (
    ORACLE,
    SERIAL,
    TREE,
    PricedWay,
    all_ways,
    bits_of_way,
    keeps_epsilon,
    priced,
    together,
)
from qdescent.resources.ways.queries import query_rows
from qdescent.resources.ways.way import Way
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.rows.numbers import number


@dataclass(frozen=True)
class Ledger:
    """Rows with evidence, and the verdict they add up to.

    Args:
        rows: numbers in the sections "logical/", "physical/", "classical/" and "verdict/":
            `rows["physical/qrom/qubits"]`, `rows.number("verdict/ratio")`.
        verdict: one plain sentence, computed from the rows.
        counts: logical counts of one run of the best quantum way, for a resource estimator
            (`counts.as_job()`); None where they are not known.
    """

    rows: Rows = field(repr=False)
    verdict: str
    counts: LogicalCounts | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_instance("rows", self.rows, Rows)
        check_text("verdict", self.verdict)
        check_instance("counts", self.counts, LogicalCounts, optional=True)

    def __str__(self) -> str:
        return f"{Rows(row for row in self.rows if row.value != self.verdict)}\n\n{self.verdict}"


def ledger_of(
    spec: RoundSpec,
    architecture: SurfaceCode | None = None,
    accelerator: Accelerator | None = None,
    *,
    region: bool = False,
    circuit: CountedCircuit | None = None,
) -> Ledger:
    """What `qdescent.price` gives of a round.

    Args:
        spec: the round.
        architecture, accelerator, region: as there.
        circuit: one way more, as it was counted.

    Raises:
        ArgumentError: no way can be gone on the machine, or with the bits of an angle that were
            given.

    Example:
        >>> ledger = ledger_of(
        ...     RoundSpec(
        ...         n=10**4, parameters=10**5, order=2, steps=20, padding=0, kappa=40.0,
        ...         sparsity=100, batch=512, forward_macs=10**6, shots=10**6
        ...     )
        ... )
        >>> ledger.rows["logical/solves"].value
        2000000
    """
    architecture, accelerator = architecture or SurfaceCode(), accelerator or A100
    classical = classical_cost(spec, accelerator)
    others = {
        machine.name: classical_cost(spec, machine).seconds
        for machine in MACHINES
        if machine != accelerator
    }
    # 1. every way with every loader; of each way the shortest round
    ways = [
        min(
            (priced(spec, way, loader, architecture) for loader in SERIAL),
            key=lambda each: (each.seconds, each.copy_seconds),
        )
        for way in all_ways(spec)
    ]
    run = None if circuit is None else priced_circuit(spec, circuit, architecture)
    ways += [] if run is None else [run]
    built = min(ways, key=lambda each: (each.seconds, each.copy_seconds))
    if not built.is_within_reach or built.cost is None:
        _check_bits(spec, [each.way for each in ways])
        cheapest = min(ways, key=lambda each: each.way.queries * each.way.runs[0])
        raise _unreachable(spec, architecture, cheapest)
    # 2. the shortest of all in detail: with each loader, and on the machine
    details = (
        [built]
        if built is run
        else [priced(spec, built.way, loader, architecture) for loader in LOADERS]
    )
    machine = architecture.estimate(built.cost.counts, runs=together(spec, built.way))
    tree = least(spec, architecture, (TREE,))
    distance = (
        tree.cost and code_distance(architecture, tree.cost.counts)
    ) or machine.code_distance
    tree_qubits = 2 * distance**2 * tree.cost.counts.qubits if tree.cost else 0
    verdict = Verdict(
        spec=spec,
        built=built,
        machine=machine,
        tree=tree,
        tree_qubits=tree_qubits,
        classical=classical,
        run=run,
    )

    rows = [*input_rows(spec), built_row(built)]
    rows += query_rows(
        spec.alpha_over_norm * spec.history.kappa,
        spec.epsilon,
        derived(spec.history.kappa_evidence, word_of(spec.known, "alpha_over_norm")),
    ).under(names.LOGICAL)
    rows += readout_rows(spec)
    for way in sorted(ways, key=lambda each: (each.seconds, each.copy_seconds)):
        rows += way_rows(spec, way)
    if circuit is not None and run is not None:
        rows += circuit_rows(circuit, run, built)
    for detail in details:
        rows += loader_rows(spec, detail)
    second = _second_model(architecture, built.cost.counts)
    rows += physical_rows(built.loader, machine, second, architecture)
    if tree.cost is not None:
        rows += router_tree_rows(tree, distance)
    oracle = least(spec, architecture, (ORACLE,))
    rows += oracle_rows(oracle, verdict.classical_share, classical.seconds)
    rows += classical_rows(spec, classical, accelerator, others)
    rows += verdict_rows(verdict)
    if region:
        case = Case(held(spec), architecture, accelerator)
        rows += [*break_even_rows(case), *tornado_rows(case), *platform_rows(verdict, architecture)]
        rows += upkeep_rows(Upkeep(), machine.qubits, built.seconds, accelerator, classical.seconds)
        rows += [*other_rows(verdict), *question_rows(verdict), *left_out_rows(spec)]
        rows += constant_rows(spec, architecture, accelerator)
    return Ledger(Rows(rows), verdict.sentence, built.cost.counts)


def _check_bits(spec: RoundSpec, ways: list[Way]) -> None:
    """Where too few bits of an angle are why no way can be gone, say how many are needed."""
    possible = [way for way in ways if math.isfinite(way.queries) and way.success > 0]
    if possible and not any(keeps_epsilon(spec, way) for way in possible):
        least = min(bits_of_way(spec, way) for way in possible)
        must = f"be at least {least} for epsilon = {spec.epsilon:g}"
        raise argument_error("angle_bits", must, spec.angle_bits)


def _unreachable(spec: RoundSpec, machine: SurfaceCode, best: PricedWay) -> ArgumentError:
    """Why no way at all can be gone on the machine."""
    runs = best.way.runs[0]
    size = (
        f"one whose cheapest way takes {best.way.queries:.1e} queries a run and {runs:.1e} runs a"
        f" copy, at kappa {number(spec.history.kappa)}, error rate {machine.error_rate:g} and"
        f" {number(machine.cycle_time_ns)} ns a cycle"
    )
    return argument_error("spec", "be within reach of the architecture in a finite time", size)


def _second_model(machine: SurfaceCode, counts: LogicalCounts) -> PhysicalCost | None:
    """The same run by the other model; None where two levels of distillation cannot reach this
    budget, which the row then says.
    """
    try:
        return machine.cross_check(counts)
    except ValueError:
        return None
