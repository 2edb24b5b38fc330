"""The rows of a ledger: queries, logical, physical and classical cost, each with its source."""

from __future__ import annotations

from qdescent._evidence import Row
from qdescent.resources.classical import ClassicalCost
from qdescent.resources.input_rows import assumed, modelled
from qdescent.resources.logical import SolveCost
from qdescent.resources.physical import Accelerator, PhysicalCost, SurfaceCode
from qdescent.resources.queries import query_rows
from qdescent.resources.round_spec import RoundSpec
from qdescent.rows import names


def solve_rows(spec: RoundSpec) -> list[Row]:
    """Queries of one solve, here and by other solvers, and the solves of a round."""
    per_solve = "queries a solve"
    return [
        modelled(
            names.LEDGER_QUERIES,
            spec.queries,
            per_solve,
            "priced: Dalzell, arXiv:2406.12086, leading terms 56 kappa + 1.05 kappa ln(1/eps), norm"
            " unknown, o(kappa) left out",
        ),
        assumed(
            "logical/norm_free",
            "yes",
            "",
            "the readout needs the solution's norm; estimating it is not priced, in favour of the"
            " quantum side",
        ),
        *query_rows(spec.solver_kappa, spec.epsilon, spec.kappa_evidence).under("logical/"),
        (
            modelled(
                "logical/shots",
                spec.shot_count,
                "shots",
                "for the magnitudes; as many again for the signs",
            )
            if spec.shots is None
            else assumed(
                "logical/shots",
                spec.shots,
                "shots",
                "argument `shots`; as many again for the signs",
            )
        ),
        modelled(names.SOLVES, spec.solves, "solves a round", _solves_source(spec)),
    ]


def _solves_source(spec: RoundSpec) -> str:
    if spec.readout == "unitary":
        return (
            "n / (readout_error x sqrt(success probability)) calls, van Apeldoorn et al.,"
            " arXiv:2207.08800"
        )
    return "2 x shots / success probability"


def logical_rows(loader: str, solve: SolveCost) -> list[Row]:
    """One solve with this loader in logical qubits and gates."""
    at = f"logical/{loader}"
    counted, block = (
        ("controlled swaps of the router tree (arXiv:2305.10310: O(N))", "leaves of the tree")
        if loader == "qram"
        else (
            "And gates in Qualtran's call graph of the loader",
            "lines fetched at once; the power of two with fewest Toffoli gates",
        )
    )
    return [
        modelled(f"{at}/block", solve.block, "lines", block),
        modelled(
            f"{at}/query_toffoli",
            solve.query_toffoli,
            "Toffoli",
            f"2N table reads, {counted}, and rotations",
        ),
        modelled(
            f"{at}/upload_toffoli",
            solve.upload_toffoli,
            "Toffoli",
            f"n values loaded, used and cleared again, {counted}; 2 uploads a query",
        ),
        modelled(
            f"{at}/system_qubits",
            solve.system_qubits,
            "logical qubits",
            "N words, word length, clock",
        ),
        modelled(
            f"{at}/ancilla_qubits",
            solve.ancilla_qubits,
            "logical qubits",
            "encoding, loader, phase gradient",
        ),
        modelled(
            names.logical_qubits_of(loader),
            solve.counts.qubits,
            "logical qubits",
            "system + ancillas",
        ),
        modelled(
            names.toffoli_of(loader),
            solve.counts.toffoli,
            "Toffoli a solve",
            "Q x (query + 2 uploads)",
        ),
        modelled(
            f"{at}/toffoli_depth",
            solve.depth,
            "layers a solve",
            "Q x (query + 2 uploads): QROM line by line, swaps of one control or one level of a"
            " tree together",
        ),
        modelled(
            f"{at}/rotations", solve.counts.rotations, "rotations a solve", "one phase a query"
        ),
    ]


def physical_rows(
    loader: str, cost: PhysicalCost, second: PhysicalCost | None, machine: SurfaceCode
) -> list[Row]:
    """One solve with this loader on the machine, and by a second model (None: beyond it)."""
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


def router_tree_rows(qubits: int, seconds: float, distance: int) -> list[Row]:
    """A bucket-brigade memory at its best."""
    source = (
        f"distance {distance} of the priced machine; factories not counted, in favour of the"
        " quantum side"
    )
    return [
        modelled(
            "physical/qram/qubits_at_least",
            qubits,
            "physical qubits",
            f"2 d^2 a logical qubit, {source}",
        ),
        modelled(
            "physical/qram/solve_time_at_best",
            seconds,
            "s",
            f"a logical cycle a Toffoli layer, {source}",
        ),
    ]


def classical_rows(cost: ClassicalCost, machine: Accelerator) -> list[Row]:
    """The classical round, and the classical work of the quantum one."""
    formula = "T x 6 FLOP x multiply-adds of one sample x batch, T at most useful_steps"
    at_rate = (
        f"{machine.name}: {machine.flops:.3g} FLOP/s x {machine.efficiency:g},"
        f" {machine.bandwidth:.3g} B/s"
    )
    return [
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
            "24 bytes a weight and step; no activations",
        ),
        (
            assumed(
                "classical/rate",
                machine.flops * machine.efficiency,
                "FLOP/s",
                f"NVIDIA A100 data sheet; {at_rate}",
            )
            if machine == Accelerator()
            else assumed("classical/rate", machine.flops * machine.efficiency, "FLOP/s", at_rate)
        ),
        modelled(
            names.CLASSICAL_TIME, cost.seconds, "s", f"longer of dense FLOPs and bytes on {at_rate}"
        ),
        modelled(
            "classical/table_time",
            cost.table_seconds,
            "s",
            "s Hessian-vector products of two gradients each",
        ),
        modelled("classical/upload_bytes", cost.upload_bytes, "B", "table lines and n fp32 values"),
        modelled("classical/readout_bits", cost.readout_bits, "bit", "solves x index bits"),
    ]
