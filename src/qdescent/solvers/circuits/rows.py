"""What a circuit of any solver reports; no Qualtran is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from qdescent._evidence import Evidence, Row
from qdescent.linalg.linear_system import LinearSystem
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.rows import names

if TYPE_CHECKING:
    from qdescent.solvers.circuits.run import CircuitRun


def circuit_rows(
    system: LinearSystem,
    run: CircuitRun,
    value: Tensor,
    *,
    bits: int,
    loader: Loader,
    encoding_error: float,
    certificate: float,
) -> list[Row]:
    """Queries, qubits, gates and errors of a simulated circuit.

    Args:
        system: what was solved.
        run: of the circuit.
        value: Z, shape (D,).
        bits: of every loaded angle.
        loader: of every table.
        encoding_error: a bound on ||M - alpha <0|U|0>||.
        certificate: of the angles.
    """
    weights = value.abs() ** 2
    indices = (
        torch.arange(system.size, device="cpu")
        if system.answer_index is None
        else system.answer_index.unique()
    )
    answer = float(weights[indices].sum() / weights.sum())
    counted = "counted over the call graph by Qualtran"
    synthesis = (
        f"{counted}; AND and Toffoli 4 T, a rotation {run.t_per_rotation:.1f} T = 1.149"
        f" log2(1/{run.rotation_error:.1e}) + 9.2 (arXiv:2203.10064)"
    )
    exact, bounded = Evidence.EXACT, Evidence.BOUNDED
    return [
        Row(
            names.FORWARD_QUERIES,
            run.forward_queries,
            "calls",
            exact,
            "calls of U counted while simulating",
        ),
        Row(
            names.ADJOINT_QUERIES,
            run.adjoint_queries,
            "calls",
            exact,
            "calls of U-dagger counted while simulating",
        ),
        Row(
            names.QUBITS,
            run.simulated_qubits,
            "qubits",
            exact,
            "held by the simulated state vector",
        ),
        Row(
            names.LOGICAL_QUBITS,
            run.logical_qubits,
            "qubits",
            exact,
            f"{counted}, with loaded angles and work qubits",
        ),
        Row(
            names.SUCCESS_PROBABILITY,
            run.success_probability,
            "1",
            exact,
            "norm of the post-selected state",
        ),
        Row(
            "answer_probability",
            answer,
            "1",
            exact,
            "weight of the answer's copies in the post-selected state",
        ),
        Row(names.T_GATES, run.t_gates, "T gates", Evidence.MODELLED, synthesis),
        Row("rotations", run.gates.rotation, "rotations", exact, counted),
        Row("and_gates", run.gates.and_bloq, "AND gates", exact, counted),
        Row(
            "toffoli_gates",
            run.toffoli_gates,
            "Toffoli gates",
            exact,
            f"{counted}: AND, Toffoli and controlled swap",
        ),
        Row("loader", str(loader), "", Evidence.ASSUMED, "setting `loader`, of every table"),
        Row(names.ANGLE_BITS, bits, "bits", exact, "bits of every loaded angle"),
        Row(
            names.ENCODING_ERROR,
            encoding_error,
            "1",
            bounded,
            "derived from the quantised angles of its tables",
        ),
        Row(
            "angle_certificate",
            certificate,
            "1",
            bounded,
            "rebuilt against target on [-1, 1], Ehlich and Zeller 1964",
        ),
        Row("state_vector_bytes", run.state_vector_bytes, "bytes", exact, "complex128 amplitudes"),
    ]


def amplification_rows(probability: float, rounds: int) -> list[Row]:
    """What amplitude amplification started from, and its rounds.

    Args:
        probability: of success in the run without amplification.
        rounds: r.
    """
    source = "norm of the post-selected state of one run before amplification"
    return [
        Row("bare_success_probability", probability, "1", Evidence.EXACT, source),
        Row(
            names.AMPLIFICATION_ROUNDS,
            rounds,
            "rounds",
            Evidence.EXACT,
            "ceil(pi/(4 asin sqrt(p)) - 1/2)",
        ),
    ]
