"""The linear solve as a circuit: built from bloqs, simulated, post-selected, rescaled, and counted, one definition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from qualtran.cirq_interop.t_complexity_protocol import TComplexity
from qualtran.resource_counting import GateCounts, QECGatesCost, QubitCount, get_cost_value
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.linalg.chebyshev import InversePolynomial, KernelFilter
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.access import Ints, MatrixTables, matrix_entries, matrix_tables
from qdescent.quantum.amplification import AmplitudeAmplification, amplified
from qdescent.quantum.balanced_encoding import BalancedEncoding
from qdescent.quantum.balanced_tables import BalancedTables
from qdescent.quantum.block_encoding import SparseBlockEncoding
from qdescent.quantum.composition import Identity
from qdescent.quantum.history_encoding import HistoryEncoding
from qdescent.quantum.history_tables import HistoryTables
from qdescent.quantum.kernel_encoding import KernelEncoding, KernelTransform, augmented_tables
from qdescent.quantum.loading import DEFAULT_LOADER, Loader
from qdescent.quantum.multiplexing import BlockDiagonal, block_diagonal
from qdescent.quantum.phase_estimation import PhaseEstimationSolve
from qdescent.quantum.phase_table import state_preparation
from qdescent.quantum.phases import qsp_angles
from qdescent.quantum.qsvt import LinearSolve, QSVTSequence, projector_phases
from qdescent.quantum.simulator import Simulator, StateVector

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
        success_probability: of finding ancilla = 0 and part = 0 (and what else a solver post-selects: the added block empty of a
            reflection; clock, flag and choice of HHL; the damping qubit of an amplification).
        forward_queries: calls of U counted while simulating.
        adjoint_queries: calls of U-dagger counted while simulating.
        simulated_qubits: held by the state vector (fast leaves need no loaded registers).
        state_vector_bytes: of the simulation.
        bloq: what was run.
        epsilon: the relative error that rotation synthesis shares with the rest; it sets T gates, not the simulation.
        rounds: of amplitude amplification.
    """

    value: Tensor = field(repr=False)
    success_probability: float
    forward_queries: int
    adjoint_queries: int
    simulated_qubits: int
    state_vector_bytes: int
    bloq: LinearSolve | KernelTransform | PhaseEstimationSolve | AmplitudeAmplification = field(repr=False)
    epsilon: float
    rounds: int = 0

    @cached_property
    def gates(self) -> GateCounts:
        """Counted over the call graph."""
        return get_cost_value(self.bloq, QECGatesCost())

    @cached_property
    def logical_qubits(self) -> int:
        """Of the decomposed circuit, with loaded angles and the look-ups' own work qubits."""
        return int(get_cost_value(self.bloq, QubitCount()))

    @property
    def toffoli_gates(self) -> int:
        """AND, Toffoli and controlled-swap gates."""
        return int(self.gates.and_bloq + self.gates.toffoli + self.gates.cswap)

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
        return math.ceil(self.gates.t + 4 * self.toffoli_gates + self.t_per_rotation * self.gates.rotation)


def build_circuit(
    system: LinearSystem,
    polynomial: InversePolynomial,
    angle_bits: int,
    tables: HistoryTables | BalancedTables | None = None,
    loader: Loader = DEFAULT_LOADER,
) -> SolveCircuit:
    """The circuit of M^-1 |B> from the system's entries, or from the maps that made it.

    Args:
        system: real or complex, of any sparsity pattern.
        polynomial: for 1/x on [1/kappa, 1], kappa = alpha ||M^-1||.
        angle_bits: bits of every loaded angle.
        tables: of M's block-encoding; None colours the system's entries.
        loader: of every table.

    Returns:
        SolveCircuit: the bloq, and what is needed to read it.

    Raises:
        ArgumentError: an encoding of another number of unknowns.

    Example:
        >>> from qdescent.linalg.chebyshev import minimax_inverse
        >>> matrix = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
        >>> system = LinearSystem(matrix, torch.tensor([1.0, 1.0], dtype=torch.float64))
        >>> build_circuit(system, minimax_inverse(3.0, 1e-2), angle_bits=16).encoding.alpha
        1.5
    """
    given = tables or matrix_tables(*matrix_entries(system), system.size, angle_bits)
    encoding, places = _matrix_bloq(given, loader), _fitting(given.places, system)
    scale = SUBNORMALISATION / polynomial.supremum
    angles = qsp_angles(scale * polynomial.coefficients)
    # M = W S V^H is inverted by V (1/S) W^H: the transform of the adjoint encoding.
    sequence = QSVTSequence(encoding.adjoint(), projector_phases(angles))
    rhs = right_side(system)
    exact = np.zeros(2**encoding.system_bitsize, dtype=rhs.dtype)
    exact[places] = rhs / np.linalg.norm(rhs)
    prepare = state_preparation(exact, angle_bits, loader)
    rhs_error = float(np.linalg.norm(prepare.prepared - exact))
    return SolveCircuit(LinearSolve(prepare, sequence), scale, angles.certificate, rhs_error, places)


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
    value = _answer(system, circuit, kept) * _unit(system, circuit)
    return counted(bloq, [encoding], state, value, probability, epsilon)


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
    loader: Loader = DEFAULT_LOADER,
) -> KernelCircuit:
    """The circuit of (2 R(G) - 1) e, or of R(G) e.

    Args:
        system: real or complex.
        tables: of its matrix.
        guess: t, in [1, kappa].
        kernel: the filter R.
        bits: of every other loaded angle.
        reflects: reflect about the kernel; else project on it (the search for the norm does).
        loader: of every table.
    """
    augmented: SparseBlockEncoding | BlockDiagonal
    if isinstance(tables, MatrixTables):  # one more bit in the tables themselves
        augmented = SparseBlockEncoding(augmented_tables(tables, guess), loader=loader)
    else:
        encoding = _matrix_bloq(tables, loader)
        augmented = block_diagonal([encoding, Identity(encoding.system_bitsize, tables.alpha / guess)], bits, loader)
    places = _fitting(tables.places, system)
    size = 2 ** (augmented.system_bitsize - 1)
    b = right_side(system)
    exact = np.zeros(2 * size, dtype=b.dtype)
    exact[places], exact[size] = b / (math.sqrt(2) * np.linalg.norm(b)), math.sqrt(0.5)
    prepare = state_preparation(exact, bits, loader)
    polynomial = kernel.coefficients * (2 if reflects else 1)
    polynomial[0] -= 1 if reflects else 0
    scale = SUBNORMALISATION / (1 + 2 * kernel.error if reflects else 1)  # -1 - 2 eta <= 2 R - 1 <= 1, |R| <= 1
    angles = qsp_angles(scale * polynomial)
    kernel_encoding = KernelEncoding(augmented, prepare)
    bloq = KernelTransform(QSVTSequence(kernel_encoding, projector_phases(angles)))
    rhs_error = float(np.linalg.norm(prepare.prepared - exact))
    return KernelCircuit(bloq, guess, scale, reflects, angles.certificate / scale, rhs_error, places)


def run_kernel_circuit(system: LinearSystem, circuit: KernelCircuit, epsilon: float) -> CircuitRun:
    """Simulate the circuit and keep ancilla = part = 0: the run's value is y = R(G) e, shape (D + 1,), e last.

    Its success probability is that of finding, besides, the added block empty: the reflected state is then the solution's.
    """
    encoding, bloq = circuit.encoding, circuit.bloq
    state = Simulator(device=system.matrix.device).run(bloq)
    kept = typed(system, state.project(ancilla=0, part=0))
    size = len(kept) // 2
    probability = float(torch.linalg.vector_norm(kept[:size] if circuit.reflects else kept)) ** 2
    value = torch.cat([kept[torch.as_tensor(circuit.places, device=kept.device)], kept[size : size + 1]]) / circuit.scale
    if circuit.reflects:
        value[-1] += 1
        value /= 2
    return counted(bloq, [encoding], state, value, probability, epsilon)


def run_amplified(system: LinearSystem, circuit: SolveCircuit | KernelCircuit, run: CircuitRun) -> CircuitRun:
    """The same circuit under amplitude amplification: success is certain, and the value that of the run without it.

    The success probability p of that run sets the rounds and the damping, and gives back the length that amplification takes from
    the amplitudes: sqrt(p) of a unit vector. On a machine p comes from as many runs, or from amplitude estimation, as its
    precision asks for: a relative error d of sqrt(p) costs (pi d/2)^2 of the success.

    Args:
        system, circuit: as for `run`.
        run: without amplification.

    Returns:
        CircuitRun: its value is Z; of a reflection y = R(G) e, whose last entry is that of `run` (only the other block succeeds).

    Cost: 2r + 1 circuits, r = ceil(pi/(4 asin sqrt(p)) - 1/2).
    """
    places: tuple[tuple[str, int], ...] = (("ancilla", circuit.encoding.ancilla_bitsize), ("part", 1))
    if isinstance(circuit, KernelCircuit):
        places += (("system", 1),)
    bloq = amplified(circuit.bloq, places, run.success_probability)
    state = Simulator(device=system.matrix.device).run(bloq)
    kept = typed(system, state.project(damping=0, ancilla=0, part=0))
    if isinstance(circuit, KernelCircuit):
        kept = kept[: len(kept) // 2]
    probability = float(torch.linalg.vector_norm(kept)) ** 2
    amplitudes = _answer(system, circuit, kept) * math.sqrt(run.success_probability)
    if isinstance(circuit, KernelCircuit):
        value = torch.cat([amplitudes / (2 * circuit.scale), run.value[-1:]])
    else:
        value = amplitudes * _unit(system, circuit)
    return counted(bloq, [circuit.encoding], state, value, probability, run.epsilon, bloq.rounds)


def right_side(system: LinearSystem) -> NDArray[np.float64] | NDArray[np.complex128]:
    """B in double precision."""
    rhs = system.rhs.cpu()
    return rhs.to(torch.complex128 if rhs.is_complex() else torch.float64).numpy()


def typed(system: LinearSystem, amplitudes: Tensor) -> Tensor:
    """Complex amplitudes of a complex system; of a real one their real parts (the others are rounding)."""
    return amplitudes if system.is_complex else amplitudes.real


def _answer(system: LinearSystem, circuit: SolveCircuit | KernelCircuit, kept: Tensor) -> Tensor:
    """The amplitudes on the places of the unknowns."""
    return typed(system, kept)[torch.as_tensor(circuit.places, device=kept.device)]


def _unit(system: LinearSystem, circuit: SolveCircuit) -> float:
    """Z per kept amplitude, ||B||/(c alpha)."""
    return float(torch.linalg.vector_norm(system.rhs)) / (circuit.scale * circuit.encoding.alpha)


def counted(
    bloq: LinearSolve | KernelTransform | PhaseEstimationSolve | AmplitudeAmplification,
    queries: Sequence[MatrixBloq | KernelEncoding],
    state: StateVector,
    value: Tensor,
    probability: float,
    epsilon: float,
    rounds: int = 0,
) -> CircuitRun:
    """A run with the calls of its queries, and of their inverses, as the simulator counted them."""
    return CircuitRun(
        value=value,
        success_probability=probability,
        forward_queries=sum(state.calls.get(query, 0) for query in queries),
        adjoint_queries=sum(state.calls.get(query.adjoint(), 0) for query in queries),
        simulated_qubits=state.peak_qubits,
        state_vector_bytes=2**state.peak_qubits * state.amplitudes.element_size(),
        bloq=bloq,
        epsilon=epsilon,
        rounds=rounds,
    )


def _matrix_bloq(tables: MatrixTables | HistoryTables | BalancedTables, loader: Loader) -> MatrixBloq:
    if isinstance(tables, HistoryTables):
        return HistoryEncoding(tables, loader=loader)
    if isinstance(tables, BalancedTables):
        return BalancedEncoding(tables, loader=loader)
    return SparseBlockEncoding(tables, loader=loader)


def _fitting(places: Ints, system: LinearSystem) -> Ints:
    if len(places) != system.size:
        raise argument_error("encoding", f"encode {system.size} unknowns, as the system has", f"an encoding of {len(places)}")
    return places
