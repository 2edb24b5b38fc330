"""The rows of a ledger: ways, logical, physical and classical cost, each with its source."""

from __future__ import annotations

import math

from qdescent._evidence import Evidence, Row, derived
from qdescent.resources.classical.descent import ClassicalCost
from qdescent.resources.classical.machines import Accelerator
from qdescent.resources.input_rows import assumed, modelled, said
from qdescent.resources.physical.surface_code import PhysicalCost, SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.priced import PricedWay, bits_of_way, keeps_epsilon
from qdescent.resources.ways.way import CIRCUIT, HISTORY
from qdescent.rows import names

# the least and the most that circuits' queries had of what is declared from sizes alone, where rows
# of 1 to s entries are taken to be as full as the fullest: benchmarks/uneven_rows.py
UNEVEN = {
    "qrom": (0.68, 1.45), "qrom-measured": (0.73, 1.53), "qroam": (0.78, 1.39),
    "qroam-measured": (0.86, 1.49), "qroam-dirty": (0.7, 1.45), "bucket-brigade": (1.0, 2.13),
}  # fmt: skip
_SEEN = (
    "seen of circuits whose rows have 1 to s entries, order 1 and 2, 400 maps of up to 24 weights"
    " and 12 of up to 96 (benchmarks/uneven_rows.py)"
)
OUT_OF_REACH = "out of the machine's reach"


def readout_rows(spec: RoundSpec) -> list[Row]:
    """How many states of u_T the readout takes."""
    kept = "" if spec.largest is None else f", of the m = {spec.largest} largest entries"
    if spec.readout == "coherent":
        source = "m / readout_error calls, van Apeldoorn et al., arXiv:2207.08800"
        return [modelled(names.SOLVES, spec.copies, "solves a round", source + kept)]
    signs = "for the magnitudes; as many again for the signs"
    shots = (
        modelled("logical/shots", spec.shot_count, "shots", f"m/(4 readout_error^2){kept}, {signs}")
        if spec.shots is None
        else said(spec, "shots", "shots", f"argument `shots`, {signs}")
    )
    return [shots, modelled(names.SOLVES, spec.copies, "solves a round", "2 x shots")]


def way_rows(spec: RoundSpec, best: PricedWay) -> list[Row]:
    """One way with its fastest loader."""
    way, at = best.way, f"{names.WAYS}{best.way.name}"
    runs, amplified = way.runs
    is_counted = way.evidence is Evidence.EXACT
    counted = Evidence.EXACT if is_counted else Evidence.MODELLED
    rows = [
        Row(f"{at}/queries", way.queries, "queries a run", way.evidence, way.source),
        Row(f"{at}/preparations", way.preparations, "uploads a run", counted, "of F_0"),
        Row(f"{at}/success_probability", way.success, "1", counted, way.success_source),
        modelled(
            f"{at}/runs", runs, "runs a copy", "2 r + 1 of an amplified run" if amplified else "1/p"
        ),
    ]
    if best.cost is None or not best.is_within_reach:
        return [*rows, modelled(f"{at}/time", OUT_OF_REACH, "", _unreached(spec, best))]
    counts = best.cost.counts
    source = f"{best.loader}: queries x (query + phases) + preparations"
    return [
        *rows,
        modelled(f"{at}/loader", best.loader, "", "the one of the shortest round"),
        modelled(f"{at}/toffoli", counts.toffoli, "Toffoli a run", source),
        modelled(f"{at}/qubits", counts.qubits, "logical qubits", "registers, ancillas, loader"),
        modelled(f"{at}/copy_time", best.copy_seconds, "s", "runs x logical steps x d x cycle"),
        modelled(f"{at}/time", best.seconds, "s", "copies of u_T x copy_time"),
    ]


def _unreached(spec: RoundSpec, best: PricedWay) -> str:
    if not math.isfinite(best.way.queries) or best.way.success <= 0:
        return "its success underflows: the polynomials grow beyond the spectrum"
    if not keeps_epsilon(spec, best.way):
        return (
            f"{spec.angle_bits} `angle_bits` do not keep epsilon: {bits_of_way(spec, best.way)} do"
        )
    return "no distillation and no code distance is that good"


def _uneven_rows(at: str, best: PricedWay) -> list[Row]:
    """How far a circuit's query may lie off what sizes alone say."""
    assert best.cost is not None
    least, most = UNEVEN[best.loader]
    declared = best.cost.query_toffoli
    over = "some of a hundred maps take twice the colours, more than declared"
    return [
        modelled(f"{at}_least", least * declared, "Toffoli", f"{least:g} of it, the least {_SEEN}"),
        modelled(
            f"{at}_most", most * declared, "Toffoli", f"{most:g} of it, the most {_SEEN}; {over}"
        ),
    ]


def loader_rows(spec: RoundSpec, best: PricedWay) -> list[Row]:
    """The built way with one loader, in logical qubits and gates."""
    assert best.cost is not None
    cost, at = best.cost, f"logical/{best.loader}"
    counted = "as the circuits' tables are counted, equal neighbours once"
    parts = ", ".join(f"{part.name} {part.toffoli:.3g}" for part in cost.query.parts)
    preparation = cost.preparation
    return [
        modelled(f"{at}/query_toffoli", cost.query_toffoli, "Toffoli", f"{counted}: {parts}"),
        *(_uneven_rows(f"{at}/query_toffoli", best) if best.way.name != CIRCUIT else []),
        modelled(
            f"{at}/query_rotations",
            cost.query_rotations,
            "rotations",
            "by loaded angles, b - 2 each; priced as so many Toffoli of an addition into a phase"
            " gradient (arXiv:1709.06648)",
        ),
        modelled(
            f"{at}/upload_toffoli",
            preparation.toffoli + preparation.turns * (cost.bits - 2),
            "Toffoli",
            f"n values of F_0, angle by angle, loaded, added and cleared; {counted} (of two or"
            " three weights, up to 1.7 times as many as they have)",
        ),
        (
            modelled(
                f"{at}/value_bits",
                cost.bits,
                "bits",
                "rotation errors of all queries below epsilon",
            )
            if spec.angle_bits is None
            else assumed(f"{at}/value_bits", cost.bits, "bits", "argument `angle_bits`")
        ),
        modelled(
            f"{at}/system_qubits", cost.query.system_qubits, "logical qubits", "of the encoding"
        ),
        modelled(
            f"{at}/ancilla_qubits",
            cost.counts.qubits - cost.query.system_qubits,
            "logical qubits",
            "encoding, loader, signal, phase gradient",
        ),
        modelled(
            names.logical_qubits_of(best.loader), cost.counts.qubits, "logical qubits", "the sum"
        ),
        modelled(
            names.toffoli_of(best.loader),
            cost.counts.toffoli,
            "Toffoli a run",
            "queries x (query + phases) + preparations x upload",
        ),
        modelled(
            f"{at}/toffoli_depth",
            cost.depth,
            "layers a run",
            "QROM entry by entry, swaps of one control or one level of a tree together",
        ),
        modelled(
            f"{at}/rotations", cost.counts.rotations, "rotations a run", "of the filter's phases"
        ),
    ]


def physical_rows(
    loader: str, cost: PhysicalCost, second: PhysicalCost | None, machine: SurfaceCode
) -> list[Row]:
    """One run with this loader on the machine, and by a second model (None: beyond it)."""
    at = f"physical/{loader}"
    source = (
        f"Azure estimator (qdk), arXiv:2211.07629, error rate {machine.error_rate:g}, cycle"
        f" {machine.cycle_time_ns:g} ns, budget {machine.budget:g}, {cost.segments} segments"
    )
    rows = [
        modelled(names.physical_qubits_of(loader), cost.qubits, "physical qubits", source),
        modelled(f"{at}/code_distance", cost.code_distance, "1", source),
        modelled(f"{at}/factories", cost.factories, "1", source),
        modelled(
            names.solve_time_of(loader), cost.seconds, "s", f"{source}; depth x cycle, recomputed"
        ),
    ]
    check = "qualtran.surface_code, one CCZ factory of searched distances, arXiv:1812.01238"
    if second is None:
        rows.append(
            modelled(f"{at}/cross_check", "below the error floor of a two-level factory", "", check)
        )
    else:
        rows += [
            modelled(f"{at}/cross_check_qubits", second.qubits, "physical qubits", check),
            modelled(f"{at}/cross_check_code_distance", second.code_distance, "1", check),
            modelled(f"{at}/cross_check_solve_time", second.seconds, "s", check),
        ]
    return rows


def router_tree_rows(tree: PricedWay, distance: int) -> list[Row]:
    """A bucket-brigade memory at its best."""
    assert tree.cost is not None
    source = (
        f"distance {distance}; factories not counted, in favour of the quantum side; the way"
        f" {tree.way.name}"
    )
    at = f"physical/{tree.loader}"
    return [
        modelled(
            f"{at}/qubits_at_least",
            2 * distance**2 * tree.cost.counts.qubits,
            "physical qubits",
            f"2 d^2 a logical qubit, {source}",
        ),
        modelled(
            f"{at}/copy_time_at_best",
            tree.copy_seconds,
            "s",
            f"a logical cycle a Toffoli layer, {source}",
        ),
    ]


def oracle_rows(oracle: PricedWay, classical_share: float, classical_seconds: float) -> list[Row]:
    """The shortest round if look-ups took no gate, as where queries alone are counted."""
    assert oracle.cost is not None
    source = (
        "look-ups taken for nothing, as papers that count queries have them, and no one can build;"
        f" the way {oracle.way.name}"
    )
    counts, at = oracle.cost.counts, f"logical/{oracle.loader}"
    whole = oracle.seconds + classical_share
    return [
        assumed(f"{at}/queries", oracle.way.queries, "queries a run", source),
        assumed(names.toffoli_of(oracle.loader), counts.toffoli, "Toffoli a run",
                f"all but look-ups; {source}"),
        assumed(names.logical_qubits_of(oracle.loader), counts.qubits, "logical qubits",
                f"without a look-up's own; {source}"),
        assumed(f"physical/{oracle.loader}/copy_time", oracle.copy_seconds, "s", source),
        assumed(names.ORACLE_RATIO, whole / classical_seconds, "1",
                f"quantum / classical time, tables made and sent as ever; {source}"),
    ]  # fmt: skip


def classical_rows(
    spec: RoundSpec, cost: ClassicalCost, machine: Accelerator, others: dict[str, float]
) -> list[Row]:
    """The classical round, and the classical work of the quantum one."""
    at_rate = (
        f"{machine.name}: {machine.flops:.3g} FLOP/s x {machine.efficiency:g},"
        f" {machine.bandwidth:.3g} B/s"
    )
    formula = "gradients x 6 FLOP x multiply-adds of one sample x batch"
    found = derived(Evidence.MODELLED, machine.evidence)
    return [
        *(
            modelled(f"classical/{way.name}/gradients", way.gradients, "gradients", way.source)
            for way in cost.ways
        ),
        modelled(
            "classical/dense_flops",
            cost.dense_flops,
            "FLOP",
            f"{formula}, pruned weights computed too",
        ),
        modelled("classical/kept_flops", cost.kept_flops, "FLOP", f"{formula}, kept weights only"),
        modelled(
            "classical/weight_bytes",
            cost.weight_bytes,
            "B",
            "24 bytes a weight and gradient; no activations",
        ),
        Row("classical/rate", machine.rate, "FLOP/s", machine.evidence, at_rate),
        modelled("classical/gradient_time", cost.gradient_seconds, "s", f"of one, on {at_rate}"),
        Row(
            names.CLASSICAL_TIME,
            cost.seconds,
            "s",
            found,
            f"{cost.best.name}, longer of dense FLOPs and bytes on {at_rate}",
        ),
        *(
            modelled(
                f"classical/time_on/{name}",
                seconds,
                "s",
                "the same way on another machine, the batch split as far as it takes, no latencies",
            )
            for name, seconds in others.items()
        ),
        modelled(
            "classical/table_time",
            cost.table_seconds,
            "s",
            "s Hessian-vector products of two gradients each"
            + (f", for each of {spec.steps} batches" if spec.fresh_batches else ""),
        ),
        modelled(
            "classical/upload_bytes", cost.upload_bytes, "B", "table entries and n fp32 values"
        ),
        modelled(
            "classical/upload_time",
            cost.upload_seconds,
            "s",
            "at the classical machine's own bandwidth, in favour of the quantum side",
        ),
        modelled("classical/readout_bits", cost.readout_bits, "bit", "copies x index bits"),
    ]


def built_row(built: PricedWay) -> Row:
    """The queries that the detailed rows speak of."""
    way = built.way
    matrix = "the history matrix" if way.encoding == HISTORY else "F_1 - c"
    return Row(
        names.LEDGER_QUERIES,
        way.queries,
        "queries a run",
        way.evidence,
        f"to {matrix}, {way.title}: {way.source}",
    )
