"""How a hybrid run is cut into rounds and segments."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent._checks import check_integer, check_interval
from qdescent.solvers.series import ORDER_LIMIT


@dataclass(frozen=True)
class Schedule:
    """The settings of quantum-emulated training.

    Args:
        order: N of the Carleman truncation, 1 to 6. 2 is the least order that sees the curvature change.
        segment: K, steps between an upload and a download. 20 keeps the truncation error below 1 % at eta = 0.02 and N = 2 on
            the embedded task (measured).
        rounds: R, uploads.
        learning_rate: eta. The paper asks for small rates; 0.02 is plain descent's, ten times less than is usual with momentum.
        shots: S per readout for magnitudes, and as many for signs; None reads out perfectly. 10^6 leave about sqrt(n/(4S)), 5 %
            of the displacement at n = 10^4.

    Example:
        >>> Schedule(segment=10, rounds=3).steps
        30
    """

    order: int = 2
    segment: int = 20
    rounds: int = 5
    learning_rate: float = 0.02
    shots: int | None = 1_000_000

    def __post_init__(self) -> None:
        check_interval("order", check_integer("order", self.order, 1), f"[1, {ORDER_LIMIT}]")
        check_integer("segment", self.segment, 1)
        check_integer("rounds", self.rounds, 1)
        check_interval("learning_rate", self.learning_rate, "(0, inf)")
        if self.shots is not None:
            check_integer("shots", self.shots, 1)

    @property
    def steps(self) -> int:
        """R K, all steps of the run."""
        return self.segment * self.rounds
