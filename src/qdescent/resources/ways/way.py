"""A quantum way to u_T: what one run of it asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdescent._evidence import Evidence

HISTORY, SEGMENT = "history", "segment"
CIRCUIT = "circuit"  # the name of a way that was run
PLAIN, AUGMENTED, DILATED = "M", "diag(M, 1/t)", "[[0, M], [M^H, 0]]"


@dataclass(frozen=True, kw_only=True)
class Way:
    """What one run of a way asks for, before any loader or machine.

    Args:
        name: as rows name it.
        title: in words.
        encoding: what its queries go to: the history matrix, or F_1 - c of a segment.
        padding: copies of the end that the history has.
        queries: of one run; infinite where the way cannot be gone.
        preparations: of F_0 (of the right-hand side) in one run.
        form: of the matrix that a query goes to: as it is, with the block that a reflection adds,
            or beside its adjoint.
        couplings: queries to F_2 in one run.
        success: probability that a run gives u_T.
        counted: whether circuits of this package count its queries; else they are a theorem's
            leading terms.
        evidence: of the queries.
        source: of the queries.
        success_source: of the success.
    """

    name: str
    title: str
    encoding: str
    padding: int = 0
    queries: float
    preparations: float
    form: str = PLAIN
    couplings: int = 0
    success: float
    counted: bool
    evidence: Evidence
    source: str
    success_source: str

    @property
    def runs(self) -> tuple[float, bool]:
        """Runs until one succeeds, and whether they are one amplified run: whichever takes fewer.

        Amplified to certainty, r rounds are 2 r + 1 runs, r = ceil(pi/(4 asin sqrt p) - 1/2).

        Example:
            >>> way = Way(
            ...     name="w", title="", encoding=HISTORY, queries=1.0, preparations=1.0,
            ...     success=1e-4, counted=True, evidence=Evidence.MODELLED, source="",
            ...     success_source="",
            ... )
            >>> way.runs
            (159, True)
        """
        if self.success <= 0:
            return math.inf, False
        angle = math.asin(math.sqrt(min(1.0, self.success)))
        rounds = max(0.0, math.ceil(math.pi / (4 * angle) - 0.5 - 1e-12))
        amplified = 2 * rounds + 1
        repeated = 1 / self.success
        return (amplified, True) if amplified < repeated else (repeated, False)
