"""The kernel reflection as a circuit: an even polynomial of G on the last basis vector, built,
simulated and read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from qdescent._arrays import Ints
from qdescent.linalg.chebyshev import KernelFilter
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.amplification import RegisterValues
from qdescent.quantum.algorithms.qsp_angles import qsp_angles
from qdescent.quantum.algorithms.qsvt import KernelTransform, QSVTSequence, projector_phases
from qdescent.quantum.encodings.kernel import KernelEncoding
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.solvers.circuits.run import (
    SUBNORMALISATION,
    CircuitRun,
    counted_run,
    right_side,
    typed,
)


@dataclass(frozen=True, eq=False)
class KernelCircuit:
    """A circuit that applies an even polynomial of G to the last basis vector e, and the constants
    that it is read by.

    Args:
        bloq: e prepared, then the transform.
        norm_estimate: t.
        scale: c of p = c (2 R - 1), or of p = c R.
        reflects: the polynomial is 2 R - 1.
        certificate: of the angles, over c.
        rhs_error: ||b_t - prepared||_2.
        basis_states: the index of the system's basis state of each unknown, (D,).
    """

    bloq: KernelTransform
    norm_estimate: float
    scale: float
    reflects: bool
    certificate: float
    rhs_error: float
    basis_states: Ints

    @property
    def encoding(self) -> KernelEncoding:
        """The block-encoding of G."""
        return cast(KernelEncoding, self.bloq.sequence.encoding)

    @property
    def success(self) -> RegisterValues:
        """The block without e, where x stands."""
        return ("ancilla", self.encoding.ancilla_bitsize), ("part", 1), ("system", 1)

    def kept(self, amplitudes: Tensor) -> Tensor:
        """The half whose first bit is 0."""
        return amplitudes[: len(amplitudes) // 2]

    def read(self, system: LinearSystem, amplitudes: Tensor, bare: Tensor) -> Tensor:
        """y = R(G) e: what was kept, and the entry at e, which only the bare run has."""
        return torch.cat([amplitudes / (2 * self.scale), bare[-1:]])


def build_kernel_circuit(
    system: LinearSystem,
    encoding: BlockEncoding,
    norm_estimate: float,
    kernel: KernelFilter,
    *,
    reflects: bool,
) -> KernelCircuit:
    """The circuit of (2 R(G) - 1) e, or of R(G) e.

    Args:
        system: real or complex.
        encoding: of its matrix; every other angle has as many bits, and the same loader.
        norm_estimate: t, in [1, kappa].
        kernel: the filter R.
        reflects: reflect about the kernel; else project on it (the search for the norm does).
    """
    unknowns, size = encoding.basis_states, 2**encoding.system_bitsize
    b = right_side(system)
    exact = np.zeros(2 * size, dtype=b.dtype)
    exact[unknowns], exact[size] = b / (math.sqrt(2) * np.linalg.norm(b)), math.sqrt(0.5)
    prepare = encoding.right_side(exact)
    polynomial = kernel.coefficients * (2 if reflects else 1)
    polynomial[0] -= 1 if reflects else 0
    # -1 - 2 eta <= 2 R - 1 <= 1, |R| <= 1
    scale = SUBNORMALISATION / (1 + 2 * kernel.error if reflects else 1)
    angles = qsp_angles(scale * polynomial)
    kernel_encoding = KernelEncoding(encoding.augmented(norm_estimate), prepare)
    bloq = KernelTransform(QSVTSequence(kernel_encoding, projector_phases(angles)))
    rhs_error = float(np.linalg.norm(prepare.prepared - exact))
    return KernelCircuit(
        bloq, norm_estimate, scale, reflects, angles.certificate / scale, rhs_error, unknowns
    )


def run_kernel_circuit(
    system: LinearSystem,
    circuit: KernelCircuit,
    epsilon: float,
    simulator: Simulator | None = None,
) -> CircuitRun:
    """Simulate the circuit and keep ancilla = part = 0: the run's value is y = R(G) e, shape (D +
    1,), e last.

    Its success probability is that of finding, besides, the added block empty: the reflected state
    is then the solution's.
    """
    encoding, bloq = circuit.encoding, circuit.bloq
    state = (simulator or Simulator(device=system.matrix.device)).run(bloq)
    kept = typed(system, state.project(ancilla=0, part=0))
    size = len(kept) // 2
    probability = float(torch.linalg.vector_norm(kept[:size] if circuit.reflects else kept)) ** 2
    value = (
        torch.cat(
            [kept[torch.as_tensor(circuit.basis_states, device=kept.device)], kept[size : size + 1]]
        )
        / circuit.scale
    )
    if circuit.reflects:
        value[-1] += 1
        value /= 2
    return counted_run(bloq, [encoding], state, value, probability, epsilon, rounds=0)
