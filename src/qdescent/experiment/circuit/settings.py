"""The settings of `qdescent circuit`, each declared once."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from typing import ClassVar

from qdescent._checks import argument_error
from qdescent.experiment import shared_settings as shared
from qdescent.experiment.setting import PATH, SWITCH, check_settings, setting
from qdescent.quantum.gates.loading.loaders import LOADERS

# what stands behind each name: the pipeline
SOLVERS = ("kernel-reflection", "qsvt", "hhl", "fast-forward")
ENCODINGS = ("balanced", "coloured", "composed")


@dataclass(frozen=True)
class CircuitSettings:
    """The settings of `qdescent circuit`: each line is a flag, a key of the TOML file, its check,
    and a line of the documentation.

    Raises:
        ArgumentError: a value outside its range.

    Example:
        >>> CircuitSettings("map.npz", steps=0)
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `steps` must be an integer of at least 1, but is 0.
    """

    command: ClassVar[str] = "circuit"

    source: str = setting(
        MISSING,
        PATH,
        "A directory of qdescent run, or an npz of F0 (n,), F1 (n, n), F2 (n, n^2), ...; with h,"
        " the step, they are those of du/dt.",
        positional=True,
    )
    order: int = setting(
        2,
        "[1, inf)",
        "N, order of the Carleman linearisation.",
        why="The least that sees the curvature change.",
    )
    steps: int = setting(
        4,
        "[1, inf)",
        "T, steps of the map.",
        unit="steps",
        why="A circuit of seconds for two unknowns.",
    )
    padding: int = setting(
        3,
        "[0, inf)",
        "p, further copies of the end; fast-forward has none.",
        unit="steps",
        why="With 4 steps, 8 blocks of time: a whole number of qubits.",
    )
    scale: float = setting(
        0.0,
        "[0, 1e100]",
        "Unit of the displacement in the encoded history; 0: the one of fewest queries.",
        why="By the bound on kappa and the success; the answer stays in the map's own units.",
    )
    epsilon: float = setting(
        1e-4,
        "(0, 1)",
        "Promised relative error.",
        why="Of Z; below the shot noise of 10^6 shots.",
    )
    solver: str = setting(
        "kernel-reflection",
        SOLVERS,
        "How the linear system is solved; fast-forward makes none.",
        why="kernel-reflection: few runs are thrown away, so that queries grow as kappa even where"
        " padding makes the solution long. qsvt: one polynomial for 1/x, the textbook's circuit;"
        " most runs are thrown away. hhl: phase estimation, the paper's method, for an epsilon near"
        " .1: its queries grow as the root of 1/epsilon, not as its logarithm. fast-forward:"
        " polynomials of a shifted F_1, for a symmetric F_1 from u = 0 at order 1 or 2.",
    )
    encoding: str | None = setting(
        None,
        ENCODINGS,
        "How the history matrix becomes gates.",
        why="balanced: its entries with the least alpha. coloured: its entries by colours."
        " composed: of F_0, F_1, ... alone: fewest gates, but more qubits to simulate.",
        left_open="balanced; of hhl, which knows no other, coloured",
    )
    loader: str = setting(
        "qrom",
        tuple(LOADERS),
        "How tables are loaded.",
        why="qrom: fewest qubits. qroam, qroam-dirty: fewest Toffoli gates, with clean or borrowed"
        " work qubits. With -measured: cleared by measurement, for few Toffoli gates more."
        " bucket-brigade: fewest layers of them in a load. It changes the count, not the answer.",
    )
    most_seconds: float = shared.most_seconds()
    amplify: bool = setting(
        False,
        SWITCH,
        "Amplitude amplification until it succeeds for certain.",
        why="A reflection succeeds at nine of ten runs without.",
    )
    noise: float = setting(
        0.0,
        "[0, 1]",
        "Chance of a depolarising error a query; a table of rates is shown in any case.",
        why="For the answer of an imperfect machine.",
    )
    export: bool = setting(
        False,
        SWITCH,
        "Write one query as OpenQASM 3 gates, encoding.qasm.",
        why="The text of 100 unknowns has megabytes.",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        only = "coloured" if self.solver == "hhl" else None
        if self.encoding is None:
            object.__setattr__(self, "encoding", only or "balanced")
        elif only and self.encoding != only:
            must = f"be {only!r} for the solver 'hhl': M and its adjoint take the same angles"
            raise argument_error("encoding", must, self.encoding)
