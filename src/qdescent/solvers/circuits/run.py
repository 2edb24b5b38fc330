"""What every simulated solve has in common: what a run gave, and what it took."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from qualtran.cirq_interop.t_complexity_protocol import TComplexity
from qualtran.resource_counting import GateCounts, QECGatesCost, QubitCount, get_cost_value
from torch import Tensor

from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.amplification import AmplitudeAmplification
from qdescent.quantum.algorithms.phase_estimation import PhaseEstimationSolve
from qdescent.quantum.algorithms.qsvt import KernelTransform, LinearSolve
from qdescent.quantum.algorithms.segment_transform import SegmentTransform
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.simulator.state_vector import StateVector

Solving = (
    LinearSolve | KernelTransform | PhaseEstimationSolve | SegmentTransform | AmplitudeAmplification
)

# max |p|: nearer to 1 the angles need more FFT points, further away successes are lost
SUBNORMALISATION = 0.98


@dataclass(frozen=True, eq=False)
class CircuitRun:
    """What a simulated circuit gave and took; its gates are counted when they are asked for.

    Args:
        value: Z in true units, shape (D,); of kernel reflection y = R(G) e, shape (D + 1,).
        success_probability: of finding ancilla = 0 and part = 0 (and what else a solver
            post-selects: the added block empty of a reflection; clock, flag and choice of HHL; the
            damping qubit of an amplification).
        forward_queries: calls of U counted while simulating.
        adjoint_queries: calls of U-dagger counted while simulating.
        simulated_qubits: held by the state vector (fast kernels need no loaded registers).
        state_vector_bytes: of the simulation.
        bloq: what was run.
        epsilon: the relative error that rotation synthesis shares with the rest; it sets T gates,
            not the simulation.
        rounds: of amplitude amplification; 0: none.
    """

    value: Tensor = field(repr=False)
    success_probability: float
    forward_queries: int
    adjoint_queries: int
    simulated_qubits: int
    state_vector_bytes: int
    bloq: Solving = field(repr=False)
    epsilon: float
    rounds: int

    @cached_property
    def gates(self) -> GateCounts:
        """Counted over the call graph."""
        return get_cost_value(self.bloq, QECGatesCost())

    @cached_property
    def logical_qubits(self) -> int:
        """Of the decomposed circuit, with loaded angles and the look-ups' own work qubits."""
        return int(get_cost_value(self.bloq, QubitCount()))

    @property
    def queries(self) -> int:
        """Calls in both directions."""
        return self.forward_queries + self.adjoint_queries

    @property
    def toffoli_gates(self) -> int:
        """AND, Toffoli and controlled-swap gates."""
        return int(self.gates.and_bloq + self.gates.toffoli + self.gates.cswap)

    @property
    def rotation_error(self) -> float:
        """The synthesis error per rotation for a relative error of the answer below epsilon/2."""
        return (
            self.epsilon
            * math.sqrt(max(self.success_probability, 1e-300))
            / (4 * max(1, self.gates.rotation))
        )

    @property
    def t_per_rotation(self) -> float:
        """T gates of one such rotation."""
        return float(TComplexity.rotation_cost(self.rotation_error))

    @property
    def t_gates(self) -> int:
        """T gates, 4 for each AND, Toffoli or controlled swap, and rotations by synthesis
        (arXiv:2203.10064, as in Qualtran).
        """
        return math.ceil(
            self.gates.t + 4 * self.toffoli_gates + self.t_per_rotation * self.gates.rotation
        )


def right_side(system: LinearSystem) -> NDArray[np.float64] | NDArray[np.complex128]:
    """B in double precision."""
    rhs = system.rhs.cpu()
    return rhs.to(torch.complex128 if rhs.is_complex() else torch.float64).numpy()


def typed(system: LinearSystem, amplitudes: Tensor) -> Tensor:
    """Complex amplitudes of a complex system; of a real one their real parts."""
    return amplitudes if system.is_complex else amplitudes.real


def counted_run(
    bloq: Solving,
    queries: Sequence[BlockEncoding],
    state: StateVector,
    value: Tensor,
    probability: float,
    epsilon: float,
    rounds: int,
) -> CircuitRun:
    """A run with the calls of its queries, and of their inverses, as the simulator counted them."""
    return CircuitRun(
        value=value,
        success_probability=min(1.0, probability),  # rounding
        forward_queries=sum(state.calls.get(query, 0) for query in queries),
        adjoint_queries=sum(state.calls.get(query.adjoint(), 0) for query in queries),
        simulated_qubits=state.peak_qubits,
        state_vector_bytes=2**state.peak_qubits * state.amplitudes.element_size(),
        bloq=bloq,
        epsilon=epsilon,
        rounds=rounds,
    )
