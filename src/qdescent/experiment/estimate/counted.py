"""A circuit that was run: its gates as they were counted, and the round that it is one of."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent._evidence import Evidence
from qdescent.carleman.history import HistorySystem
from qdescent.carleman.majorant import norms_of
from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.resources.counts.loads import Part
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.circuit import CountedCircuit
from qdescent.resources.ways.way import HISTORY, SEGMENT
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.solvers.segment.map_segment import MapSegment, SegmentStatus
from qdescent.solvers.solve import Solution, Status

FLOPS_AN_ENTRY, FLOPS_A_MAC = 2, 6  # a step multiplies and adds each entry; a gradient takes six
GIVEN = "the map that the circuit ran"
RUN = Solution | MapSegment


def circuit_of(found: RUN) -> tuple[RoundSpec, CountedCircuit]:
    """The round of a circuit, and its count.

    Args:
        found: what `solve` or `fast_forward_map` returned, with a circuit.

    Raises:
        ArgumentError: no circuit was run, its answer is not known to be within the error whose
            price is asked for, or what was solved is no history.
    """
    if found.circuit is None:
        must = "hold a circuit (solve with `circuit=True`)"
        raise argument_error("what", must, f"a {type(found).__name__} by products")
    reached = (Status.SOLVED, Status.SOLVED_IF_KAPPA_IS_RIGHT, SegmentStatus.REACHED)
    if found.status not in reached:
        must = "be of an answer within its bound, which is what a price is of"
        raise argument_error("what", must, f"a {type(found).__name__}: {found.status.value}")
    spec = _of_segment(found) if isinstance(found, MapSegment) else _of_history(found)
    return spec, _counted(found)


def _of_history(found: Solution) -> RoundSpec:
    """The round of a linear system of all steps."""
    system, at = found.system, found.cost.number
    if not isinstance(system, HistorySystem):
        must = "be of a history system (of `history_system`, by `solve`)"
        raise argument_error("what", must, f"of {type(system).__name__}")
    # the words of one letter come first in each block: F_1, and F_2 behind it
    n, D = system.variables, system.block
    matrix = system.matrix.coalesce() if system.matrix.is_sparse else system.matrix.to_sparse()
    rows, columns = matrix.indices()
    step = (rows >= D) & (rows < D + n) & (columns < D)
    linear = step & (columns < n)
    counts = [_most(rows[step & ~linear])] if system.order > 1 else []
    kappa = found.cost[names.KAPPA]
    return RoundSpec(
        **_sizes(n, system.order, system.steps, int(step.sum())),
        padding=system.padding,
        kappa=max(1.0, kappa.number),
        kappa_evidence=kappa.evidence,
        kappa_source=f"alpha ||M^-1|| of the circuit: {kappa.source}",
        sparsity=max(1, _most(rows[linear]), _most(columns[linear])),
        **_measured("sparsity"),
        coupling_sparsity=counts[0] if counts else None,
        alpha_over_norm=1.0,
        epsilon=at(names.EPSILON),
        **_success_of(system),
        known=_known(alpha_over_norm="alpha is in kappa already"),
    )


def _success_of(system: HistorySystem) -> dict[str, Any]:
    if system.success_probability is None:
        return {}
    return {
        "success_probability": min(1.0, system.success_probability),
        "success_evidence": Evidence.EXACT,
        "success_source": f"(p+1) ||u_T||^2 / ||Z||^2 of {GIVEN}",
    }


def _of_segment(found: MapSegment) -> RoundSpec:
    """The round of a segment without its steps."""
    f, at = found.f, found.cost.number
    assert f is not None
    parts = [part.to_dense().double().reshape(f.size, -1) for part in f.coefficients]
    low, high = (float(y) for y in torch.linalg.eigvalsh(parts[1])[[0, -1]])
    shift, alpha = at("shift"), at(names.ALPHA)
    norm = max(abs(low - shift), abs(high - shift))
    entries = sum(int((part != 0).sum()) for part in parts[: found.order + 1])
    return RoundSpec(
        **_sizes(f.size, found.order, found.steps, entries),
        norms=norms_of(f, found.steps, found.order),
        norms_evidence=Evidence.EXACT,
        norms_source=GIVEN,
        grams=_grams(parts, found.steps, found.order),
        learning_rate=1.0,
        lambda_min=1 - high,
        lambda_max=1 - low,
        spectrum_evidence=Evidence.EXACT,
        spectrum_source=f"eigenvalues of F_1 = 1 - H of {GIVEN}",
        sparsity=_full(parts[1]),
        **_measured("sparsity"),
        coupling_sparsity=_full(parts[2]) if found.order > 1 and f.degree > 1 else None,
        alpha_over_norm=max(1.0, alpha / norm) if norm > 0 else 1.0,
        epsilon=at(names.EPSILON),
        known=_known(
            learning_rate="1: F_1 = 1 - H of a map", alpha_over_norm="of the circuit's F_1 - c",
        ),
    )  # fmt: skip


def _grams(
    parts: list[Tensor], steps: int, order: int
) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """<u_k, u_l> of the displacement's terms at t = 1 ... T."""
    F0, F1, *higher = parts
    first, second = torch.zeros_like(F0[:, 0]), torch.zeros_like(F0[:, 0])
    found = []
    for _ in range(steps):
        driven = higher[0] @ torch.kron(first, first) if higher else torch.zeros_like(first)
        first, second = F0[:, 0] + F1 @ first, F1 @ second + driven
        terms = torch.stack([first, second][:order])
        found.append(tuple(map(tuple, (terms @ terms.T).tolist())))
    return tuple(found)


def _sizes(n: int, order: int, steps: int, entries: int) -> dict[str, Any]:
    """What a map says of a round; a step of it is two FLOPs an entry."""
    macs = max(1, math.ceil(entries * FLOPS_AN_ENTRY / FLOPS_A_MAC))
    return {
        "n": n, "parameters": n, "order": order, "steps": steps, "batch": 1, "forward_macs": macs,
    }  # fmt: skip


def _measured(name: str) -> dict[str, Any]:
    return {f"{name}_evidence": Evidence.EXACT, f"{name}_source": f"counted in {GIVEN}"}


def _known(**sources: str) -> dict[str, tuple[Evidence, str]]:
    """Words and sources of what a map says."""
    counted = dict.fromkeys(("n", "parameters", "order", "steps", "batch"), f"of {GIVEN}")
    macs = f"a third of the entries of {GIVEN}: two FLOPs each"
    return {
        name: (Evidence.EXACT, source)
        for name, source in {**counted, "forward_macs": macs, **sources}.items()
    }


def _most(indices: Tensor) -> int:
    """The most entries of one index."""
    return int(torch.bincount(indices).max()) if len(indices) else 0


def _full(matrix: Tensor) -> int:
    """The most entries of a row, at least 1."""
    return max(1, int((matrix != 0).sum(1).max()))


def _counted(found: RUN) -> CountedCircuit:
    # Qualtran takes seconds to import: only what counts a circuit pays for it
    from qdescent.solvers.circuits.counted import count_circuit

    cost, count = found.cost, count_circuit(found.circuit)
    success, source = _success(cost)
    loader = str(cost["loader"].value)
    return CountedCircuit(
        title=count.title,
        loader=next((name for name, each in LOADERS.items() if str(each) == loader), loader),
        encoding=SEGMENT if isinstance(found, MapSegment) else HISTORY,
        queries=round(cost.number(names.FORWARD_QUERIES) + cost.number(names.ADJOINT_QUERIES)),
        preparations=count.preparations,
        success=success,
        success_source=source,
        bits=round(cost.number(names.ANGLE_BITS)),
        system_qubits=count.system_qubits,
        ancilla_qubits=count.ancilla_qubits,
        query=Part("query", count.query.toffoli, count.query.toffoli, count.query.turns),
        preparation=Part(
            "upload", count.preparation.toffoli, count.preparation.toffoli, count.preparation.turns
        ),
        toffoli=count.whole.toffoli,
        turned=count.whole.turned,
        rotations=count.whole.rotations,
        qubits=count.whole.qubits,
    )


def _success(cost: Rows) -> tuple[float, str]:
    """That a run ends as wanted, and that u_T is then found in what it leaves."""
    success, source = cost.number(names.SUCCESS_PROBABILITY), "norm of the post-selected state"
    if "answer_probability" in cost:
        success *= cost.number("answer_probability")
        source += ", times the weight of u_T in it"
    return min(1.0, success), source
