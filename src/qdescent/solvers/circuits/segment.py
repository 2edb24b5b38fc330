"""A planned segment as a circuit: built, simulated, read and counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from qdescent._arrays import Floats, Ints
from qdescent.quantum.algorithms.amplification import AmplitudeAmplification, amplified
from qdescent.quantum.algorithms.bounded_polynomials import BoundedPolynomial
from qdescent.quantum.algorithms.qsp_angles import qsp_angles
from qdescent.quantum.algorithms.qsvt import projector_phases
from qdescent.quantum.algorithms.segment_transform import SegmentTransform
from qdescent.quantum.algorithms.selected_sequence import SelectedSequence
from qdescent.quantum.algorithms.sharpening import SUBNORMALISATION
from qdescent.quantum.encodings.balanced import BalancedEncoding
from qdescent.quantum.encodings.letters import LetterCoupling
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.force_preparation import StatePreparation
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.state_preparation import RealStatePreparation, state_preparation
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import rotation_tree
from qdescent.quantum.tables.balanced import balanced_matrix, letter_tables
from qdescent.solvers.circuits.run import CircuitRun, counted_run
from qdescent.solvers.polynomials.segment_plan import SegmentPlan


@dataclass(frozen=True)
class SegmentCircuit:
    """A circuit for u_T, and what it is read by.

    Args:
        bloq: all of it.
        error: a bound on the distance of what it gives from the planned u, over ||F_0||.
        bits: of every loaded angle.
        encoding_error: of F_1 - c.
        certificate: of the angles, the largest.
    """

    bloq: SegmentTransform
    error: float
    bits: int
    encoding_error: float
    certificate: float

    @property
    def queried(self) -> list[BlockEncoding]:
        """The block-encodings that are called."""
        outer, coupling = self.bloq.outer, self.bloq.coupling
        found = [outer.encoding, outer.augmented]
        return found if coupling is None else [*found, coupling]


def build_segment(plan: SegmentPlan, bits: int, loader: Loader) -> SegmentCircuit:
    """The circuit of a plan.

    Args:
        plan: of the segment.
        bits: of every loaded angle.
        loader: of every table.
    """
    query = plan.encoding.encode(bits, loader)
    given = plan.start.given
    padded = np.zeros(2**query.system_bitsize)
    padded[: len(given)] = given
    prepared = state_preparation(padded, bits, loader)
    start_off = float(np.linalg.norm(prepared.prepared - padded))
    start, sharp_off = _start(plan, prepared, query, bits, loader)
    outer, outer_off = _sequence([plan.first, *plan.outer], query, bool(plan.inner))
    wanted = _weights(plan, outer.choice_bits)
    weights = RealStatePreparation(rotation_tree(np.sqrt(wanted), bits), loader=loader)
    choice_off = float(np.abs(weights.prepared**2 - wanted).sum())
    if not plan.inner:
        bloq, certificate = SegmentTransform(start, weights, outer), outer_off
    else:
        inner, inner_off = _sequence([None, *plan.inner], query, True)
        coupling = _coupled(plan, padded, bits, loader)
        bloq = SegmentTransform(start, weights, outer, inner, coupling)
        choice_off += coupling.epsilon
        certificate = max(inner_off, outer_off)
    sequences = 3 if plan.inner else 1
    error = plan.sensitivity(
        query.epsilon / plan.alpha, start_off, choice_off + sequences * certificate, sharp_off
    )
    return SegmentCircuit(bloq, error, bits, query.epsilon, certificate)


def run_segment(
    plan: SegmentPlan,
    circuit: SegmentCircuit,
    epsilon: float,
    simulator: Simulator | None = None,
    *,
    amplify: bool = False,
    bare: float = 1.0,
) -> CircuitRun:
    """Simulate, keep all but the system at 0, and rescale to u_T/||F_0||.

    Args:
        plan: what the circuit was built from.
        circuit: from `build_segment`.
        epsilon: the relative error that rotation synthesis shares with the rest.
        simulator: one that has compiled the circuit; None: a new one.
        amplify: until it succeeds for certain.
        bare: the success probability of a run without amplification, which sets its rounds and
            gives back the length that it takes from the amplitudes.

    Cost: `plan.queries` x (a few passes over the amplitudes).
    """
    bloq: SegmentTransform | AmplitudeAmplification = circuit.bloq
    if amplify:
        registers = [each for each in bloq.signature if each.name != "system"]
        held_registers = tuple((each.name, each.total_bits()) for each in registers)
        bloq = amplified(bloq, held_registers, bare)
    state = (simulator or Simulator()).run(bloq)
    kept = state.project(**{name: 0 for name in state.registers if name != "system"}).real
    probability = float(torch.linalg.vector_norm(kept)) ** 2
    value = plan.attenuation * math.sqrt(bare) * kept[: len(plan.start.given)]
    rounds = bloq.rounds if isinstance(bloq, AmplitudeAmplification) else 0
    return counted_run(bloq, circuit.queried, state, value, probability, epsilon, rounds)


def _start(
    plan: SegmentPlan,
    prepared: StatePreparation,
    query: BlockEncoding,
    bits: int,
    loader: Loader,
) -> tuple[StatePreparation | AmplitudeAmplification, float]:
    """What prepares f', and what the weights and the angles of g miss together."""
    start = plan.start
    if start.floor == 1:
        return prepared, 0.0
    g = BoundedPolynomial(start.coefficients, 0.0)
    sequence, off = _sequence([g], query, False, start.scale)
    wanted = np.array([g.norms[1], g.norms[0]])  # the odd part takes the query
    weights = RealStatePreparation(rotation_tree(np.sqrt(wanted), bits), loader=loader)
    off += float(np.abs(weights.prepared**2 - wanted).sum())
    solve = SegmentTransform(prepared, weights, sequence)
    places = tuple((e.name, e.total_bits()) for e in solve.signature if e.name != "system")
    return AmplitudeAmplification(solve, places, start.rounds), off


def _sequence(
    polynomials: Sequence[BoundedPolynomial | None],
    query: BlockEncoding,
    nodes: bool,
    scale: float = SUBNORMALISATION,
) -> tuple[SelectedSequence, float]:
    """The phases of every branch, order and node above the parity, of polynomials whose halves are
    brought to this supremum; the largest certificate.

    None is the identity: no phase turns, and an even number of queries undo each other.
    """
    degree = max(p.degree for p in polynomials if p is not None)
    at_rest = (0.0,) * (degree + 1)
    found: list[tuple[float, ...]] = []
    worst = 0.0
    for p in polynomials:
        for short in (0, 1):
            if p is None:
                found.append(at_rest)
                continue
            parity = (degree - short) % 2
            half, norm = p.halves[parity], p.norms[parity]
            scaled = np.zeros(degree - short + 1)
            if norm > 0:
                length = min(len(half), len(scaled))
                scaled[:length] = scale / norm * half[:length]
            angles = qsp_angles(scaled)
            worst = max(worst, angles.certificate)
            found.append((*projector_phases(angles), *(0.0,) * short))
    if nodes:  # order 0 fills as many amplitudes as the nodes of order 1
        slots = 2 * 2 ** (len(polynomials) - 2).bit_length()
        first, rest = found[:2], found[2:]
        found = first + [at_rest] * (slots - 2) + rest + [at_rest] * (slots - len(rest))
    return SelectedSequence(query, tuple(found)), worst


def _weights(plan: SegmentPlan, choice_bits: int) -> Floats:
    """v_i^2 of the choice: the shares of order and nodes, split over their parities."""

    def split(p: BoundedPolynomial, degree: int) -> Floats:
        halves = np.array([p.norms[degree % 2], p.norms[(degree - 1) % 2]])
        return halves / halves.sum()

    shares, outer = plan.shares / plan.attenuation, plan.outer_degree
    if not plan.inner:
        return split(plan.first, outer)
    inner = plan.inner_degree
    found = np.zeros((2, 2 ** (choice_bits - 2), 2, 2, 2))
    # the identity stands where the number of queries is even
    found[0, 0, inner % 2, inner % 2] = shares[0] * split(plan.first, outer)
    for j, (b, a) in enumerate(zip(plan.inner, plan.outer, strict=True)):
        pair = split(b, inner)
        found[1, j] = shares[1 + j] * np.einsum("i,k,l->ikl", pair, pair, split(a, outer))
    return found.reshape(-1)


def _coupled(
    plan: SegmentPlan, start: Floats, bits: int, loader: Loader
) -> BalancedEncoding | LetterCoupling:
    """<f| and F_2: of few weights pairs of letters as a matrix's columns, else by letters."""
    assert plan.coupling is not None
    if not plan.by_letters:
        tables = balanced_matrix(*_coupling(plan, start), 2 * len(start) ** 2, bits)
        return BalancedEncoding(tables, loader=loader)
    given = plan.coupling.tocoo()
    first, second = np.divmod(given.col.astype(np.int64), len(plan.start.given))
    rows, values = given.row.astype(np.int64), given.data / plan.coupling_norm
    return LetterCoupling(letter_tables(rows, first, second, values, start, bits), loader=loader)


def _coupling(plan: SegmentPlan, start: Floats) -> tuple[Ints, Ints, Floats]:
    """Rows, columns and entries of K on (order, system, other): 1 (x) <f| at order 0, the coupling
    over its norm at order 1.

    Both have moduli of norm 1, and so has K: its encoding takes no more from u than they do.
    """
    assert plan.coupling is not None
    size, n = len(start), len(plan.start.given)
    given = plan.coupling.tocoo()
    i, k = np.divmod(given.col.astype(np.int64), n)
    system, other = np.repeat(np.arange(n), n), np.tile(np.arange(n), n)
    filled = start[other] != 0
    rows = np.concatenate([system[filled] * size, size**2 + given.row * size])
    columns = np.concatenate([(system * size + other)[filled], size**2 + i * size + k])
    return rows, columns, np.concatenate([start[other][filled], given.data / plan.coupling_norm])
