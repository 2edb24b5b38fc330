"""Phase estimation as a circuit: built from the system's entries, simulated, post-selected,
rescaled, and counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.amplification import AmplitudeAmplification, amplified
from qdescent.quantum.algorithms.hamiltonian_simulation import (
    EvolutionSequence,
    evolution,
    product_error,
)
from qdescent.quantum.algorithms.hhl_inverse import PEAK, SERIES_ERROR, TURN, clock_window, rotated
from qdescent.quantum.algorithms.phase_estimation import PhaseEstimationSolve
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.multiplexed import TableRotation
from qdescent.quantum.gates.state_preparation import RealStatePreparation
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import AngleTable, rotation_tree
from qdescent.solvers.circuits.run import CircuitRun, counted_run, right_side, typed


@dataclass(frozen=True, kw_only=True)
class PhaseEstimationCircuit:
    """A circuit for M Z = B by phase estimation, and the constants that it is read by.

    Args:
        bloq: all of it.
        kappa: the flag's amplitude is g/(1.09 kappa).
        error: a bound on the distance of the kept amplitudes from those of exact evolutions, window
            and rotation.
        encoding_error: a bound on ||H - alpha <0|U|0>||, as for M.
        rhs_error: ||B/||B|| - prepared||_2.
        certificate: of the angles.
    """

    bloq: PhaseEstimationSolve
    kappa: float
    error: float
    encoding_error: float
    rhs_error: float
    certificate: float


def build_phase_estimation(
    system: LinearSystem, encoding: BlockEncoding, kappa: float, clock_bits: int
) -> PhaseEstimationCircuit:
    """The circuit of f(A) |B>/(1.09 kappa), f as in `phase_estimation_inverse`.

    Args:
        system: real or complex.
        encoding: of an `EncodingPlan.hermitian`; its angle bits and loader serve all others.
        kappa: of what it encodes.
        clock_bits: of the clock register.

    Example:
        >>> system = LinearSystem(
        ...     torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
        ... )
        >>> from qdescent.solvers.encodings import ColouredEntries
        >>> encoding = ColouredEntries().plan(system).hermitian.encode(20)
        >>> circuit = build_phase_estimation(system, encoding, kappa=2.0, clock_bits=3)
        >>> circuit.bloq.signature.n_qubits(), circuit.error < 1e-4
        (10, True)
    """
    bits, loader, size = encoding.angle_bits, encoding.loader, 2**clock_bits
    steps = [evolution(encoding, 2**j * TURN, SERIES_ERROR) for j in range(clock_bits)]
    window = RealStatePreparation(rotation_tree(clock_window(size), bits), loader=loader)
    cosines = np.zeros(size)  # of k = 0, 1, ..., K/2 - 1, -K/2, ..., -1
    positive = rotated(2 * math.pi * np.arange(1, size // 2) / (size * TURN), kappa) / (
        PEAK * kappa
    )
    cosines[1 : size // 2], cosines[size // 2 + 1 :] = positive, -positive[::-1]
    rotation = AngleTable.nearest(np.arccos(np.clip(cosines, -1, 1)), bits)
    b = right_side(system)
    # the first block of H, the second is empty
    exact = np.zeros(2 ** (encoding.system_bitsize - 1), dtype=b.dtype)
    exact[encoding.basis_states] = b / np.linalg.norm(b)
    prepare = encoding.right_side(exact)
    bloq = PhaseEstimationSolve(
        prepare, window, tuple(step.bloq for step in steps), TableRotation(rotation, loader)
    )
    off = 2 * float(np.linalg.norm(window.prepared - clock_window(size)))
    off += float(np.abs(np.cos(rotation.half_angles) - cosines).max())
    return PhaseEstimationCircuit(
        bloq=bloq,
        kappa=kappa,
        error=product_error([*steps, *steps]) + off,
        encoding_error=encoding.epsilon,
        rhs_error=float(np.linalg.norm(prepare.prepared - exact)),
        certificate=max(step.certificate for step in steps),
    )


def run_phase_estimation(
    system: LinearSystem,
    circuit: PhaseEstimationCircuit,
    epsilon: float,
    simulator: Simulator | None = None,
) -> CircuitRun:
    """Simulate the circuit and keep clock = flag = ancilla = part = choice = 0 and the second block
    of the system.

        Z = 1.09 kappa ||B||/alpha x kept amplitudes.

    Args:
        system: as given to `build_phase_estimation`; its device holds the state vector.
        circuit: from there.
        epsilon: the relative error that rotation synthesis shares with the rest (it sets T gates,
            not the simulation).
        simulator: one that has compiled the circuit; None: a new one.

    Cost: `evolution_queries` x (a few passes over the amplitudes).
    """
    return _run(system, circuit, circuit.bloq, epsilon, simulator=simulator)


def run_amplified_phase_estimation(
    system: LinearSystem,
    circuit: PhaseEstimationCircuit,
    run: CircuitRun,
    simulator: Simulator | None = None,
) -> CircuitRun:
    """The same under amplitude amplification, as `run_amplified` does it for the other circuits.

    Args:
        system, circuit, simulator: as for `run_phase_estimation`.
        run: without amplification.

    Cost: 2r + 1 circuits, r = ceil(pi/(4 asin sqrt(p)) - 1/2).
    """
    indices = tuple(
        (each.name, each.total_bits()) for each in circuit.bloq.signature if each.name != "system"
    )
    return _run(
        system,
        circuit,
        amplified(circuit.bloq, indices, run.success_probability),
        run.epsilon,
        run.success_probability,
        simulator,
    )


def _run(
    system: LinearSystem,
    circuit: PhaseEstimationCircuit,
    bloq: PhaseEstimationSolve | AmplitudeAmplification,
    epsilon: float,
    bare: float = 1.0,
    simulator: Simulator | None = None,
) -> CircuitRun:
    """`bare`: the success probability that amplification took out of the amplitudes."""
    sequence = cast(EvolutionSequence, circuit.bloq.evolutions[0].solve)
    state = (simulator or Simulator(device=system.matrix.device)).run(bloq)
    kept = state.project(**{name: 0 for name in state.registers if name != "system"})
    kept = typed(system, kept[len(kept) // 2 :])  # the first block stays empty: f is odd
    probability = float(torch.linalg.vector_norm(kept)) ** 2
    norm = system.rhs_norm
    indices = torch.as_tensor(sequence.encoding.basis_states, device=kept.device)
    value = kept[indices] * (
        math.sqrt(bare) * PEAK * circuit.kappa * norm / sequence.encoding.alpha
    )
    rounds = bloq.rounds if isinstance(bloq, AmplitudeAmplification) else 0
    return counted_run(
        bloq, [sequence.encoding, sequence.selected], state, value, probability, epsilon, rounds
    )
