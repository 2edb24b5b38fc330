"""A history system's maps, for a solver whose circuit encodes the matrix from them instead of from its entries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from qdescent._checks import argument_error
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.history_tables import HistoryTables, history_tables

if TYPE_CHECKING:
    from qdescent.quantum.history_encoding import HistoryEncoding

TRIAL_BITS = 20  # alpha does not depend on the bits, and the error is proportional to 2^-bits


@dataclass(frozen=True, eq=False)
class ComposedHistory:
    """The composed block-encoding of `history_system(carleman_linearize(f, order), u0, steps, padding)`.

    Its tables are those of F_0, F_1, ... and do not grow with the lifted dimension. alpha is the norm of a matrix of norms: on
    generic maps with n = 2 and 3, N = 1 and 2, it was 1.00 to 1.4 times ||M||, where colouring M's entries gave 1.1 to 2.8. The
    colouring is the better one for a single variable with a large F_0 (1.1 against 1.6 at N = 2).

    Args:
        maps: f, or one map a step (SGD), as they were linearised.
        order: N.
        steps: T; None: one for each map.
        padding: p.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.tensor([0.5, 1.0]), torch.diag(torch.tensor([0.5, 0.75]))])
        >>> round(ComposedHistory(f, order=1, steps=3).alpha, 4)
        1.65
    """

    maps: PolynomialMap | Sequence[PolynomialMap] = field(repr=False)
    order: int
    steps: int | None = None
    padding: int = 0

    def tables(self, bits: int) -> HistoryTables:
        """With angles of b bits."""
        return history_tables(self.maps, self.order, self.steps, self.padding, bits=bits)

    def encoding(self, bits: int) -> HistoryEncoding:
        """With angles of b bits."""
        # Qualtran takes seconds to import: only a solve that runs a circuit pays for it.
        from qdescent.quantum.history_encoding import HistoryEncoding

        return HistoryEncoding(self.tables(bits))

    @cached_property
    def _trial(self) -> HistoryTables:
        return self.tables(TRIAL_BITS)

    @property
    def alpha(self) -> float:
        """The normalisation."""
        return self._trial.alpha

    def enough_bits(self, kappa: float, epsilon: float) -> int:
        """Bits for which kappa (error of the encoding/alpha + error of |B>) stays below epsilon/2.

        The encoding's error is extrapolated from that of 20 bits, with a factor 2 for how it scatters; each of the levels of |B> is
        off by at most pi/2^b.
        """
        trial = self._trial.words.error * 2**TRIAL_BITS / self.alpha
        return math.ceil(math.log2(2.5 * kappa * (2 * trial + math.pi * self._trial.system_bits) / epsilon))


def check_composed(composed: ComposedHistory | None, circuit: bool) -> None:
    """Check that maps are given to circuits alone: a matrix polynomial multiplies by the system's matrix itself.

    Raises:
        ArgumentError: maps without a circuit.
    """
    if composed is not None and not circuit:
        raise argument_error("composed", "be None unless `circuit` is True", repr(composed))
