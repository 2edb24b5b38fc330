"""The linear solve as a circuit: built from bloqs, simulated, post-selected, rescaled, and counted,
one definition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qdescent._arrays import Ints
from qdescent.linalg.chebyshev import InversePolynomial
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.amplification import RegisterValues
from qdescent.quantum.algorithms.qsp_angles import qsp_angles
from qdescent.quantum.algorithms.qsvt import LinearSolve, QSVTSequence, projector_phases
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.solvers.circuits.run import (
    SUBNORMALISATION,
    CircuitRun,
    counted_run,
    right_side,
    typed,
)


@dataclass(frozen=True)
class SolveCircuit:
    """A circuit for M Z = B and the constants that turn its amplitudes into Z.

    Args:
        bloq: |B> prepared, then the transform.
        scale: c of p = c q, q the polynomial for 1/x; the kept amplitudes are (c alpha/||B||) Z.
        certificate: of the angles.
        rhs_error: ||B/||B|| - prepared||_2.
        encoding: of M; its adjoint is what the transform calls.
    """

    bloq: LinearSolve
    scale: float
    certificate: float
    rhs_error: float
    encoding: BlockEncoding

    @property
    def basis_states(self) -> Ints:
        """The index of the system's basis state of each unknown, (D,)."""
        return self.encoding.basis_states

    @property
    def success(self) -> RegisterValues:
        """All but the system."""
        return ("ancilla", self.encoding.ancilla_bitsize), ("part", 1)

    def kept(self, amplitudes: Tensor) -> Tensor:
        """All of them."""
        return amplitudes

    def read(self, system: LinearSystem, amplitudes: Tensor, bare: Tensor) -> Tensor:
        """Z in its units."""
        return amplitudes * unit(system, self)


def build_circuit(
    system: LinearSystem, polynomial: InversePolynomial, encoding: BlockEncoding
) -> SolveCircuit:
    """The circuit of M^-1 |B>.

    Args:
        system: real or complex, of any sparsity pattern.
        polynomial: for 1/x on [1/kappa, 1], kappa = alpha ||M^-1||.
        encoding: of M, from the plan of an encoding; |B> takes angles of as many bits, and the same
            loader.

    Returns:
        SolveCircuit: the bloq, and what is needed to read it.

    Example:
        >>> from qdescent.linalg.chebyshev import minimax_inverse
        >>> from qdescent.solvers.encodings import BalancedEntries
        >>> matrix = torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
        >>> system = LinearSystem(matrix, torch.tensor([1.0, 1.0], dtype=torch.float64))
        >>> encoding = BalancedEntries().plan(system).encode(16)
        >>> round(build_circuit(system, minimax_inverse(3.0, 1e-2), encoding).encoding.alpha, 6)
        1.280776
    """
    scale = SUBNORMALISATION / polynomial.supremum
    angles = qsp_angles(scale * polynomial.coefficients)
    # M = W S V^H is inverted by V (1/S) W^H: the transform of the adjoint encoding.
    sequence = QSVTSequence(encoding.adjoint(), projector_phases(angles))
    rhs = right_side(system)
    exact = np.zeros(2**encoding.system_bitsize, dtype=rhs.dtype)
    exact[encoding.basis_states] = rhs / np.linalg.norm(rhs)
    prepare = encoding.right_side(exact)
    rhs_error = float(np.linalg.norm(prepare.prepared - exact))
    return SolveCircuit(
        LinearSolve(prepare, sequence), scale, angles.certificate, rhs_error, encoding
    )


def run_circuit(
    system: LinearSystem,
    circuit: SolveCircuit,
    epsilon: float,
    simulator: Simulator | None = None,
) -> CircuitRun:
    """Simulate the circuit, keep ancilla = part = 0, rescale to Z, and count the gates.

        Z = ||B||/(c alpha) x kept amplitudes,   success probability = ||kept amplitudes||^2.

    Args:
        system: as given to `build_circuit`; its device holds the state vector.
        circuit: from `build_circuit`.
        epsilon: the relative error that rotation synthesis shares with the rest (it sets T gates,
            not the simulation).
        simulator: one that has compiled the circuit; None: a new one.

    Returns:
        CircuitRun: the value and the counts.

    Cost: degree x (a few passes over 2^(s + k + 2) complex128 amplitudes).

    References:
        T gates of a rotation: Kliuchnikov et al., arXiv:2203.10064 (1.149 log2(1/error) + 9.2, as
        in Qualtran).
    """
    encoding, bloq = circuit.encoding, circuit.bloq
    state = (simulator or Simulator(device=system.matrix.device)).run(bloq)
    kept = state.project(ancilla=0, part=0)
    probability = float(torch.linalg.vector_norm(kept)) ** 2
    value = answer(system, circuit.basis_states, kept) * unit(system, circuit)
    return counted_run(bloq, [encoding], state, value, probability, epsilon, rounds=0)


def answer(system: LinearSystem, basis_states: Ints, kept: Tensor) -> Tensor:
    """The amplitudes of the unknowns."""
    return typed(system, kept)[torch.as_tensor(basis_states, device=kept.device)]


def unit(system: LinearSystem, circuit: SolveCircuit) -> float:
    """Z per kept amplitude, ||B||/(c alpha)."""
    return system.rhs_norm / (circuit.scale * circuit.encoding.alpha)
