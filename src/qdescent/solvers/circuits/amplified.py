"""Amplitude amplification of a solve: the same circuit, until it succeeds for certain."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from qdescent._arrays import Ints
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.amplification import RegisterValues, amplified
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.solvers.circuits.qsvt import answer
from qdescent.solvers.circuits.run import CircuitRun, counted_run, typed


class Amplifiable(Protocol):
    """A circuit of which amplification knows where it succeeds, and how it is then read."""

    @property
    def bloq(self) -> Any:
        """What is run, and undone."""
        ...

    @property
    def encoding(self) -> BlockEncoding:
        """What its queries call."""
        ...

    @property
    def basis_states(self) -> Ints:
        """The index of the system's basis state of each unknown, (D,)."""
        ...

    @property
    def success(self) -> RegisterValues:
        """The registers that are found at 0, and how many first bits of each."""
        ...

    def kept(self, amplitudes: Tensor) -> Tensor:
        """Those of the system that count as a success."""
        ...

    def read(self, system: LinearSystem, amplitudes: Tensor, bare: Tensor) -> Tensor:
        """The value, by what was kept and by the value without amplification."""
        ...


def run_amplified(
    system: LinearSystem,
    circuit: Amplifiable,
    run: CircuitRun,
    simulator: Simulator | None = None,
) -> CircuitRun:
    """The same circuit under amplitude amplification: success is certain, and the value that of the
    run without it.

    The success probability p of that run sets the rounds and the damping, and gives back the length
    that amplification takes from the amplitudes: sqrt(p) of a unit vector. On a machine p comes
    from as many runs, or from amplitude estimation, as its precision asks for: a relative error d
    of sqrt(p) costs (pi d/2)^2 of the success.

    Args:
        system, circuit: as for `run`.
        run: without amplification.
        simulator: one that has compiled the circuit; None: a new one.

    Returns:
        CircuitRun: its value is Z; of a reflection y = R(G) e, whose last entry is that of `run`
            (only the other block succeeds).

    Cost: 2r + 1 circuits, r = ceil(pi/(4 asin sqrt(p)) - 1/2).
    """
    bloq = amplified(circuit.bloq, circuit.success, run.success_probability)
    state = (simulator or Simulator(device=system.matrix.device)).run(bloq)
    kept = circuit.kept(typed(system, state.project(damping=0, ancilla=0, part=0)))
    probability = float(torch.linalg.vector_norm(kept)) ** 2
    amplitudes = answer(system, circuit.basis_states, kept) * math.sqrt(run.success_probability)
    value = circuit.read(system, amplitudes, run.value)
    return counted_run(
        bloq, [circuit.encoding], state, value, probability, run.epsilon, bloq.rounds
    )
