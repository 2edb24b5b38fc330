"""The ledger of one round: logical, physical and classical cost side by side, and the verdict that
follows from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_boolean,
    check_instance,
    check_text,
)
from qdescent._evidence import Evidence, derived
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
from qdescent.resources.verdict.constants import constant_rows
from qdescent.resources.verdict.inputs import Case, held
from qdescent.resources.verdict.others import left_out_rows, other_rows, question_rows
from qdescent.resources.verdict.region import break_even_rows, tornado_rows
from qdescent.resources.verdict.verdict import Verdict, verdict_rows
from qdescent.resources.ways.priced import (
    ORACLE,
    SERIAL,
    TREE,
    PricedWay,
    all_ways,
    least,
    priced,
    together,
)
from qdescent.resources.ways.queries import query_rows
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
    region: bool = False,
) -> Ledger:
    """Price one round (upload, T steps, readout): the best quantum way beside the best classical.

        quantum time = copies x runs x run on the surface code + tables made and sent classically,
        classical time = gradients x 6 FLOP x multiply-adds x batch at a sustained rate.

    Every way (`ways/`) is priced with every loader that works one gate after another, and the
    shortest round counts; a bucket-brigade QRAM, which no fault-tolerant estimator knows, gets a
    time at best: its layers of gates, each taking one logical cycle; an oracle, whose look-ups take
    nothing, stands beside them as assumed, and is never what is built. Classically it is the fewer
    of T gradients and those of a fast-forwarded segment. What is unknown is counted in favour of
    the quantum side, so that "no advantage" is safe to say and "advantage" is to be read with the
    evidence column.

    Args:
        spec: the round.
        architecture: None is `SurfaceCode()`.
        accelerator: the classical machine; None is one A100.
        region: break-even and tenfold change of every input, other machines, energy and money, and
            what others found, too.

    Returns:
        Ledger: its rows, and the verdict as one sentence.

    Raises:
        ArgumentError: the architecture can go none of the ways within its budget (a kappa beyond
            some 1e40, and nothing to fast-forward by: no distillation is that good).

    Cost:
        Some tenths of a second after Qualtran's import, at any n; with `norms` their search.

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
    check_boolean("region", region)
    architecture = (
        check_instance("architecture", architecture, SurfaceCode, optional=True) or SurfaceCode()
    )
    accelerator = check_instance("accelerator", accelerator, Accelerator, optional=True) or A100
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
    built = min(ways, key=lambda each: (each.seconds, each.copy_seconds))
    if not built.is_within_reach or built.cost is None:
        cheapest = min(ways, key=lambda each: each.way.queries * each.way.runs[0])
        raise _unreachable(spec, architecture, cheapest)
    # 2. the shortest of all in detail: with each loader, and on the machine
    details = [priced(spec, built.way, loader, architecture) for loader in LOADERS]
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
    )

    rows = [*input_rows(spec), built_row(built)]
    rows += query_rows(
        spec.alpha_over_norm * spec.history.kappa,
        spec.epsilon,
        derived(spec.history.kappa_evidence, Evidence.ASSUMED),  # alpha is
    ).under(names.LOGICAL)
    rows += readout_rows(spec)
    for way in sorted(ways, key=lambda each: (each.seconds, each.copy_seconds)):
        rows += way_rows(way)
    for detail in details:
        rows += loader_rows(detail)
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
    return Ledger(Rows(rows), verdict.sentence)


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
