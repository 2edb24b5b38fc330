"""The settings of `qdescent circuit`, checked before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent._checks import check_choice, check_integer, check_interval

# what stands behind each name: the pipeline
SOLVERS = ("kernel-reflection", "qsvt")
ENCODINGS = ("balanced", "coloured", "composed")
LOADERS = (
    "qrom",
    "qrom-measured",
    "qroam",
    "qroam-measured",
    "qroam-dirty",
    "bucket-brigade",
)


@dataclass(frozen=True)
class CircuitSettings:
    """The settings of `qdescent circuit`; each is a flag of the same name.

    Args:
        source: a directory of `qdescent run`, or an npz of F0 (n,), F1 (n, n), F2 (n, n^2), ...,
            and if wanted u0 (n,).
        order: N. 2: the least that sees the curvature change.
        steps: T. 4: a circuit of seconds for two unknowns.
        padding: p, further copies of the end. 3: with 4 steps, 8 blocks of time, a whole number of
            qubits.
        epsilon: the promised relative error of Z. 1e-4: below the shot noise of 10^6 shots.
        solver: "kernel-reflection" (few runs are thrown away, so that queries grow as kappa even
            where padding makes the solution long) or "qsvt" (one polynomial for 1/x, the textbook's
            circuit; most runs are thrown away).
        encoding: of the history matrix: "balanced" (its entries with the least alpha), "coloured"
            (its entries by colours) or "composed" (of F_0, F_1, ... alone: fewest gates, but more
            qubits to simulate).
        loader: "qrom" (fewest qubits), "qroam" or "qroam-dirty" (fewest Toffoli gates, clean or
            borrowed work qubits), or "bucket-brigade" (fewest layers of them in a load); it changes
            the count, not the answer.
        amplify: amplitude amplification until the circuit succeeds for certain. False: a reflection
            succeeds at nine of ten runs.
        noise: chance of a depolarising error a query, for the answer of an imperfect machine. 0:
            only the standard table of rates.
        export: write one query, down to single gates, as OpenQASM 3. False: the text of 100
            unknowns has megabytes.

    Raises:
        ArgumentError: a value outside its range.
    """

    source: str
    order: int = 2
    steps: int = 4
    padding: int = 3
    epsilon: float = 1e-4
    solver: str = "kernel-reflection"
    encoding: str = "balanced"
    loader: str = "qrom"
    amplify: bool = False
    noise: float = 0.0
    export: bool = False

    def __post_init__(self) -> None:
        check_integer("order", self.order, 1)
        check_integer("steps", self.steps, 1)
        check_integer("padding", self.padding, 0)
        check_interval("epsilon", self.epsilon, "(0, 1)")
        check_choice("solver", self.solver, SOLVERS)
        check_choice("encoding", self.encoding, ENCODINGS)
        check_choice("loader", self.loader, LOADERS)
        check_interval("noise", self.noise, "[0, 1]")
