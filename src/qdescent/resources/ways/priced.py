"""A way with a loader on a machine: gates of a run, seconds of a copy of u_T and of a round."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdescent.quantum.gates.loading.loader import LoadCosts
from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.resources.counts.history_query import (
    QueryCost,
    augmented_query,
    dilated_query,
    history_query,
)
from qdescent.resources.counts.history_tables import HistorySize
from qdescent.resources.counts.loads import Part
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.counts.oracle import Oracle
from qdescent.resources.counts.right_side import right_side
from qdescent.resources.counts.segment_query import (
    coupling_query,
    step_query,
    vector_preparation,
)
from qdescent.resources.physical.closed_form import code_distance, run_seconds
from qdescent.resources.physical.surface_code import MOST_QUBITS, SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.history import history_ways
from qdescent.resources.ways.queries import dalzell_queries
from qdescent.resources.ways.segment import segment_ways
from qdescent.resources.ways.way import AUGMENTED, DILATED, HISTORY, PLAIN, Way

TREE = "bucket-brigade"
ORACLE = "oracle"  # look-ups for nothing: shown, and never what is built
# one gate after another, as the estimator has it; a router tree works in parallel
SERIAL = tuple(name for name, loader in LOADERS.items() if not loader.by_address)
_TABLES: dict[str, LoadCosts] = {**LOADERS, ORACLE: Oracle()}
SIGNAL = 3  # qubits: signal, padding and choice of a transform
MOST_FLOAT = 10**300


@dataclass(frozen=True)
class RunCost:
    """One run of a way with one loader, before any repetition.

    Args:
        query, preparation, coupling: their parts; None where the run has none.
        bits: b, of an angle.
        counts: of the run.
        depth: layers of Toffoli gates.
    """

    query: QueryCost
    preparation: Part
    coupling: QueryCost | None
    bits: int
    counts: LogicalCounts
    depth: int

    @property
    def query_toffoli(self) -> int:
        """One query as circuits count it: look-ups and flips."""
        return self.query.toffoli

    @property
    def query_rotations(self) -> int:
        """Rotations by loaded angles in one query."""
        return self.query.turns * (self.bits - 2)


@dataclass(frozen=True)
class PricedWay:
    """A way, its loader, and what it takes.

    Args:
        way: the way.
        loader: by name.
        cost: of one run.
        copy_seconds: one copy of u_T, until a run succeeds.
        copies: that the readout takes.
        seconds: of all copies; infinite out of the machine's reach.
    """

    way: Way
    loader: str
    cost: RunCost | None
    copy_seconds: float
    copies: int
    seconds: float

    @property
    def is_within_reach(self) -> bool:
        """Whether the machine can do it at all."""
        return math.isfinite(self.seconds)


def all_ways(spec: RoundSpec) -> list[Way]:
    """Every quantum way to this round's u_T."""
    return [*history_ways(spec), *segment_ways(spec)]


def value_bits(spec: RoundSpec, queries: float) -> int:
    """b, bits of a loaded value: as given, else as many as epsilon asks for."""
    return needed_bits(spec, queries) if spec.angle_bits is None else spec.angle_bits


def needed_bits(spec: RoundSpec, queries: float) -> int:
    """The fewest with which N Q rotations of error 2 pi 2^-b stay below epsilon."""
    rotations = math.log2(2 * math.pi * spec.order) + math.log2(max(1.0, queries))
    return max(3, math.ceil(rotations - math.log2(spec.epsilon)))


def history_bits(spec: RoundSpec) -> int:
    """b of all ways by a history: for the queries of kernel reflection, norm unknown."""
    return value_bits(spec, _history_queries(spec))


def _history_queries(spec: RoundSpec) -> float:
    return dalzell_queries(spec.alpha_over_norm * spec.history.kappa, spec.epsilon)


def bits_of_way(spec: RoundSpec, way: Way) -> int:
    """The fewest bits of a loaded value with which a way keeps epsilon."""
    return needed_bits(spec, _history_queries(spec) if way.encoding == HISTORY else way.queries)


def run_cost(spec: RoundSpec, way: Way, loader: str) -> RunCost:
    """One run: queries x (query and phases) + preparations x (n values) + couplings x F_2.

    Loaded angles turn by an addition of b bits into a phase gradient, b - 2 Toffoli gates
    (arXiv:1709.06648); each AND is cleared by one measurement.
    """
    tables = _TABLES[loader]
    coupling = None
    if way.encoding == HISTORY:
        bits = history_bits(spec)
        size = history_size(spec, way)
        query = history_query(size, tables, bits)
        if way.form == AUGMENTED:
            query = augmented_query(query, tables, bits)
        elif way.form == DILATED:
            query = dilated_query(query)
        preparation = right_side(size, tables, bits, marked=way.form == AUGMENTED)
        system = query.system_qubits
        rotations = 2 if way.form == DILATED else 1
    else:
        bits = value_bits(spec, way.queries)
        query = step_query(spec.n, spec.sparsity, tables, bits)
        preparation = vector_preparation(spec.n, tables, bits)
        system, rotations = query.system_qubits, 2
        if way.couplings and len(spec.colours) > 1:
            coupling = coupling_query(spec.n, spec.colours[1], tables, bits)
            system += query.system_qubits
    ancilla = query.ancilla_qubits + (coupling.ancilla_qubits if coupling else 0) + SIGNAL
    # a reflection about b_t marks it by a flip where its register is 0: one more ancilla
    reflected = int(way.form == AUGMENTED)
    phases = 2 * max(0, query.ancilla_qubits + reflected - 1)
    flips = reflected * max(0, system - 1)
    add = bits - 2
    queries, preparations = whole(way.queries), whole(way.preparations)
    each = query.toffoli + query.turns * add + phases + flips
    layers = query.depth + query.turns * add + phases + flips
    toffoli = queries * each + preparations * (preparation.toffoli + preparation.turns * add)
    depth = queries * layers + preparations * (preparation.depth + preparation.turns * add)
    work = [query.work_qubits, preparation.work]
    if coupling is not None:
        toffoli += way.couplings * (coupling.toffoli + coupling.turns * add)
        depth += way.couplings * (coupling.depth + coupling.turns * add)
        work.append(coupling.work_qubits)
    counts = LogicalCounts(
        qubits=system + ancilla + max(work) + bits,  # the last for the phase gradient
        toffoli=toffoli,
        rotations=rotations * queries,
        measurements=toffoli,
        toffoli_depth=min(depth, toffoli),
    )
    return RunCost(query, preparation, coupling, bits, counts, depth)


def priced(spec: RoundSpec, way: Way, loader: str, machine: SurfaceCode) -> PricedWay:
    """A way with one loader on the machine; its runs one after another, or amplified as one."""
    runs, _ = way.runs
    if not is_possible(way) or not keeps_epsilon(spec, way):
        return PricedWay(way, loader, None, math.inf, spec.copies, math.inf)
    cost = run_cost(spec, way, loader)
    if cost.counts.qubits > MOST_QUBITS:
        return PricedWay(way, loader, cost, math.inf, spec.copies, math.inf)
    if loader == TREE:
        once = tree_seconds(cost, machine)
    else:
        once = run_seconds(machine, cost.counts, together(spec, way))
    copy = once * runs
    return PricedWay(way, loader, cost, copy, spec.copies, product(copy, spec.copies))


def is_possible(way: Way) -> bool:
    """Whether its queries and runs are numbers that can be computed with."""
    return way.queries < MOST_FLOAT and math.isfinite(way.runs[0])


def keeps_epsilon(spec: RoundSpec, way: Way) -> bool:
    """Whether the bits of a loaded value that were given are enough."""
    return spec.angle_bits is None or spec.angle_bits >= bits_of_way(spec, way)


def together(spec: RoundSpec, way: Way) -> int:
    """Runs that must all succeed: those of an amplification, all calls of a coherent readout."""
    runs, amplified = way.runs
    return (whole(runs) if amplified else 1) * (spec.copies if spec.readout == "coherent" else 1)


def tree_seconds(cost: RunCost, machine: SurfaceCode) -> float:
    """A logical cycle a layer of gates, at the distance that as many gates one after another would
    ask for: at best.
    """
    distance = code_distance(machine, cost.counts)
    if distance is None:
        return math.inf
    return product(distance * machine.cycle_time_ns * 1e-9, cost.depth)


def history_size(spec: RoundSpec, way: Way) -> HistorySize:
    """The tables of a way by a history."""
    return HistorySize(
        spec.n, spec.order, spec.steps, way.padding, spec.colours, spec.fresh_batches,
        controlled=way.form != PLAIN,
    )  # fmt: skip


def whole(number: float) -> int:
    """The integer not below it."""
    return math.ceil(number)


def product(seconds: float, times: int) -> float:
    """Seconds so many times; infinite beyond what a float holds."""
    try:
        return seconds * times
    except OverflowError:
        return math.inf
