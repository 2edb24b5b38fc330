"""Amplitude amplification of a solve: the same circuit, until it succeeds for certain."""

from __future__ import annotations

import math

import torch

from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.algorithms.amplification import amplified
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.solvers.circuits.kernel_reflection import KernelCircuit
from qdescent.solvers.circuits.qsvt import SolveCircuit, answer, unit
from qdescent.solvers.circuits.run import CircuitRun, counted_run, typed


def run_amplified(
    system: LinearSystem, circuit: SolveCircuit | KernelCircuit, run: CircuitRun
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

    Returns:
        CircuitRun: its value is Z; of a reflection y = R(G) e, whose last entry is that of `run`
            (only the other block succeeds).

    Cost: 2r + 1 circuits, r = ceil(pi/(4 asin sqrt(p)) - 1/2).
    """
    places: tuple[tuple[str, int], ...] = (
        ("ancilla", circuit.encoding.ancilla_bitsize),
        ("part", 1),
    )
    if isinstance(circuit, KernelCircuit):
        places += (("system", 1),)
    bloq = amplified(circuit.bloq, places, run.success_probability)
    state = Simulator(device=system.matrix.device).run(bloq)
    kept = typed(system, state.project(damping=0, ancilla=0, part=0))
    if isinstance(circuit, KernelCircuit):
        kept = kept[: len(kept) // 2]
    probability = float(torch.linalg.vector_norm(kept)) ** 2
    amplitudes = answer(system, circuit.basis_states, kept) * math.sqrt(run.success_probability)
    if isinstance(circuit, KernelCircuit):
        value = torch.cat([amplitudes / (2 * circuit.scale), run.value[-1:]])
    else:
        value = amplitudes * unit(system, circuit)
    return counted_run(
        bloq, [circuit.encoding], state, value, probability, run.epsilon, bloq.rounds
    )
