"""The linear solve as a circuit: built from bloqs, simulated, post-selected, rescaled, and counted, one definition."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
import torch
from qualtran.cirq_interop.t_complexity_protocol import TComplexity
from qualtran.resource_counting import GateCounts, QECGatesCost, QubitCount, get_cost_value
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.linalg.chebyshev import InversePolynomial, KernelFilter
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.access import Ints, MatrixTables, matrix_entries, matrix_tables, rotation_tree
from qdescent.quantum.balanced_encoding import BalancedEncoding
from qdescent.quantum.balanced_tables import BalancedTables
from qdescent.quantum.block_encoding import SparseBlockEncoding
from qdescent.quantum.composition import Identity
from qdescent.quantum.history_encoding import HistoryEncoding
from qdescent.quantum.history_tables import HistoryTables
from qdescent.quantum.kernel_encoding import KernelEncoding, KernelTransform, augmented_tables
from qdescent.quantum.multiplexing import BlockDiagonal, block_diagonal
from qdescent.quantum.phases import qsp_angles
from qdescent.quantum.qsvt import LinearSolve, QSVTSequence, projector_phases
from qdescent.quantum.simulator import Simulator, StateVector
from qdescent.quantum.state_preparation import RealStatePreparation

MatrixBloq = SparseBlockEncoding | HistoryEncoding | BalancedEncoding

SUBNORMALISATION = 0.98  # max |p|: nearer to 1 the angles need more FFT points, further away successes are lost


@dataclass(frozen=True)
class SolveCircuit:
    """A circuit for M Z = B and the constants that turn its amplitudes into Z.

    Args:
        bloq: |B> prepared, then the transform.
        scale: c of p = c q, q the polynomial for 1/x; the kept amplitudes are (c alpha/||B||) Z.
        certificate: of the angles.
        rhs_error: ||B/||B|| - prepared||_2.
        places: the system's basis state of each unknown, (D,).
    """

    bloq: LinearSolve
    scale: float
    certificate: float
    rhs_error: float
    places: Ints

    @property
    def encoding(self) -> MatrixBloq:
        """The block-encoding of M."""
        return cast("MatrixBloq", self.bloq.sequence.encoding.adjoint())


@dataclass(frozen=True)
class CircuitRun:
    """What a simulated circuit gave and took; its gates are counted when they are asked for.

    Args:
        value: Z in true units, shape (D,); of kernel reflection y = R(G) e, shape (D + 1,).
        success_probability: of finding ancilla = 0 and part = 0, and of a reflection also the added block empty.
        forward_queries: calls of U counted while simulating.
        adjoint_queries: calls of U-dagger counted while simulating.
        simulated_qubits: held by the state vector (fast leaves need no loaded registers).
        state_vector_bytes: of the simulation.
        bloq: what was run.
        epsilon: the relative error that rotation synthesis shares with the rest; it sets T gates, not the simulation.
    """

    value: Tensor = field(repr=False)
    success_probability: float
    forward_queries: int
    adjoint_queries: int
    simulated_qubits: int
    state_vector_bytes: int
    bloq: LinearSolve | KernelTransform = field(repr=False)
    epsilon: float

    @cached_property
    def gates(self) -> GateCounts:
        """Counted over the call graph."""
        return get_cost_value(self.bloq, QECGatesCost())

    @cached_property
    def logical_qubits(self) -> int:
        """Of the decomposed circuit, with loaded angles and the look-ups' own work qubits."""
        return int(get_cost_value(self.bloq, QubitCount()))

    @property
    def rotation_error(self) -> float:
        """The synthesis error per rotation that keeps the answer's relative error below epsilon/2."""
        return self.epsilon * math.sqrt(max(self.success_probability, 1e-300)) / (4 * max(1, self.gates.rotation))

    @property
    def t_per_rotation(self) -> float:
        """T gates of one such rotation."""
        return float(TComplexity.rotation_cost(self.rotation_error))

    @property
    def t_gates(self) -> int:
        """T gates, 4 for each AND, Toffoli or controlled swap, and rotations by synthesis (arXiv:2203.10064, as in Qualtran)."""
        gates = self.gates
        return math.ceil(gates.t + 4 * (gates.and_bloq + gates.toffoli + gates.cswap) + self.t_per_rotation * gates.rotation)


def build_circuit(
    system: LinearSystem, polynomial: InversePolynomial, angle_bits: int, tables: HistoryTables | BalancedTables | None = None
) -> SolveCircuit:
    """The circuit of M^-1 |B> from the system's entries, or from the maps that made it.

    Args:
        system: real, of any sparsity pattern.
        polynomial: for 1/x on [1/kappa, 1], kappa = alpha ||M^-1||.
        angle_bits: bits of every loaded angle.
        tables: of M's block-encoding; None colours the system's entries.

    Returns:
        SolveCircuit: the bloq, and what is needed to read it.

    Raises:
        ArgumentError: a complex system, or an encoding of another number of unknowns.

    Example:
        >>> from qdescent.linalg.chebyshev import minimax_inverse
        >>> matrix = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
        >>> system = LinearSystem(matrix, torch.tensor([1.0, 1.0], dtype=torch.float64))
        >>> build_circuit(system, minimax_inverse(3.0, 1e-2), angle_bits=16).encoding.alpha
        1.5
    """
    if system.rhs.is_complex():
        raise argument_error("rhs", "be real", "complex")
    given = tables or matrix_tables(*matrix_entries(system), system.size, angle_bits)
    encoding, places = _matrix_bloq(given), _fitting(given.places, system)
    scale = SUBNORMALISATION / polynomial.supremum
    angles = qsp_angles(scale * polynomial.coefficients)
    # M = W S V^T is inverted by V (1/S) W^T: the transform of the adjoint encoding.
    sequence = QSVTSequence(encoding.adjoint(), projector_phases(angles))
    exact = np.zeros(2**encoding.system_bitsize)
    exact[places] = system.rhs.cpu().double().numpy() / float(torch.linalg.vector_norm(system.rhs.double()))
    tree = rotation_tree(exact, angle_bits)
    rhs_error = float(np.linalg.norm(tree.prepared - exact))
    return SolveCircuit(LinearSolve(RealStatePreparation(tree), sequence), scale, angles.certificate, rhs_error, places)


def run_circuit(system: LinearSystem, circuit: SolveCircuit, epsilon: float) -> CircuitRun:
    """Simulate the circuit, keep ancilla = part = 0, rescale to Z by known constants, and count the gates.

        Z = ||B||/(c alpha) x kept amplitudes,   success probability = ||kept amplitudes||^2.

    Args:
        system: as given to `build_circuit`; its device holds the state vector.
        circuit: from `build_circuit`.
        epsilon: the relative error that rotation synthesis shares with the rest (it sets T gates, not the simulation).

    Returns:
        CircuitRun: the value and the counts.

    Cost: degree x (a few passes over 2^(s + k + 2) complex128 amplitudes).

    References:
        T gates of a rotation: Kliuchnikov et al., arXiv:2203.10064 (1.149 log2(1/error) + 9.2, as in Qualtran).
    """
    encoding, bloq = circuit.encoding, circuit.bloq
    state = Simulator(device=system.matrix.device).run(bloq)
    kept = state.project(ancilla=0, part=0)
    probability = float(torch.linalg.vector_norm(kept)) ** 2
    norm = float(torch.linalg.vector_norm(system.rhs))
    value = kept.real[torch.as_tensor(circuit.places, device=kept.device)] * (norm / (circuit.scale * encoding.alpha))
    return _counted(bloq, encoding, state, value, probability, epsilon)


@dataclass(frozen=True)
class KernelCircuit:
    """A circuit that applies an even polynomial of G to the last basis vector e, and the constants that it is read by.

    Args:
        bloq: e prepared, then the transform.
        guess: t.
        scale: c of p = c (2 R - 1), or of p = c R.
        reflects: the polynomial is 2 R - 1.
        certificate: of the angles, over c.
        rhs_error: ||b_t - prepared||_2.
        places: the system's basis state of each unknown, (D,).
    """

    bloq: KernelTransform
    guess: float
    scale: float
    reflects: bool
    certificate: float
    rhs_error: float
    places: Ints

    @property
    def encoding(self) -> KernelEncoding:
        """The block-encoding of G."""
        return cast(KernelEncoding, self.bloq.sequence.encoding)


def build_kernel_circuit(
    system: LinearSystem,
    tables: MatrixTables | HistoryTables | BalancedTables,
    guess: float,
    kernel: KernelFilter,
    bits: int,
    *,
    reflects: bool,
) -> KernelCircuit:
    """The circuit of (2 R(G) - 1) e, or of R(G) e.

    Args:
        system: real.
        tables: of its matrix.
        guess: t, in [1, kappa].
        kernel: the filter R.
        bits: of every other loaded angle.
        reflects: reflect about the kernel; else project on it (the search for the norm does).

    Raises:
        ArgumentError: a complex right-hand side.
    """
    if system.rhs.is_complex():
        raise argument_error("rhs", "be real", "complex")
    augmented: SparseBlockEncoding | BlockDiagonal
    if isinstance(tables, MatrixTables):  # one more bit in the tables themselves
        augmented = SparseBlockEncoding(augmented_tables(tables, guess))
    else:
        encoding = _matrix_bloq(tables)
        augmented = block_diagonal([encoding, Identity(encoding.system_bitsize, tables.alpha / guess)], bits)
    places = _fitting(tables.places, system)
    size = 2 ** (augmented.system_bitsize - 1)
    b = system.rhs.cpu().double().numpy()
    exact = np.zeros(2 * size)
    exact[places], exact[size] = b / (math.sqrt(2) * np.linalg.norm(b)), math.sqrt(0.5)
    tree = rotation_tree(exact, bits)
    polynomial = kernel.coefficients * (2 if reflects else 1)
    polynomial[0] -= 1 if reflects else 0
    scale = SUBNORMALISATION / (1 + 2 * kernel.error if reflects else 1)  # -1 - 2 eta <= 2 R - 1 <= 1, |R| <= 1
    angles = qsp_angles(scale * polynomial)
    kernel_encoding = KernelEncoding(augmented, RealStatePreparation(tree))
    bloq = KernelTransform(QSVTSequence(kernel_encoding, projector_phases(angles)))
    rhs_error = float(np.linalg.norm(tree.prepared - exact))
    return KernelCircuit(bloq, guess, scale, reflects, angles.certificate / scale, rhs_error, places)


def run_kernel_circuit(system: LinearSystem, circuit: KernelCircuit, epsilon: float) -> CircuitRun:
    """Simulate the circuit and keep ancilla = part = 0: the run's value is y = R(G) e, shape (D + 1,), e last.

    Its success probability is that of finding, besides, the added block empty: the reflected state is then the solution's.
    """
    encoding, bloq = circuit.encoding, circuit.bloq
    state = Simulator(device=system.matrix.device).run(bloq)
    kept = state.project(ancilla=0, part=0).real
    size = len(kept) // 2
    probability = float(torch.linalg.vector_norm(kept[:size] if circuit.reflects else kept)) ** 2
    value = torch.cat([kept[torch.as_tensor(circuit.places, device=kept.device)], kept[size : size + 1]]) / circuit.scale
    if circuit.reflects:
        value[-1] += 1
        value /= 2
    return _counted(bloq, encoding, state, value, probability, epsilon)


def _counted(
    bloq: LinearSolve | KernelTransform,
    query: MatrixBloq | KernelEncoding,
    state: StateVector,
    value: Tensor,
    probability: float,
    epsilon: float,
) -> CircuitRun:
    return CircuitRun(
        value=value,
        success_probability=probability,
        forward_queries=state.calls.get(query, 0),
        adjoint_queries=state.calls.get(query.adjoint(), 0),
        simulated_qubits=state.peak_qubits,
        state_vector_bytes=2**state.peak_qubits * state.amplitudes.element_size(),
        bloq=bloq,
        epsilon=epsilon,
    )


def _matrix_bloq(tables: MatrixTables | HistoryTables | BalancedTables) -> MatrixBloq:
    if isinstance(tables, HistoryTables):
        return HistoryEncoding(tables)
    return BalancedEncoding(tables) if isinstance(tables, BalancedTables) else SparseBlockEncoding(tables)


def _fitting(places: Ints, system: LinearSystem) -> Ints:
    if len(places) != system.size:
        raise argument_error("encoding", f"encode {system.size} unknowns, as the system has", f"an encoding of {len(places)}")
    return places
