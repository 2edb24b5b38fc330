"""How a solver's circuit may encode the matrix, other than by colouring its entries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from qdescent._checks import argument_error, check_integer
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.access import matrix_entries
from qdescent.quantum.balanced_tables import BalancedTables, balanced_matrix
from qdescent.quantum.history_tables import HistoryTables, history_tables
from qdescent.quantum.loading import DEFAULT_LOADER, BucketBrigade, Loader, QROAMLoader, QROMLoader

TRIAL_BITS = 20  # alpha does not depend on the bits, and the error is proportional to 2^-bits


class MatrixEncoding(Protocol):
    """What a solver asks for: alpha before it knows the bits, then the tables of its circuit."""

    @property
    def alpha(self) -> float:
        """The normalisation."""
        ...

    def enough_bits(self, kappa: float, epsilon: float) -> int:
        """Bits for which kappa (error of the encoding/alpha + error of |B>) stays below epsilon/2."""
        ...

    def tables(self, bits: int) -> HistoryTables | BalancedTables:
        """With angles of b bits."""
        ...


@dataclass(frozen=True, eq=False)
class ComposedHistory:
    """The composed block-encoding of `history_system(carleman_linearize(f, order), u0, steps, padding)`.

    Its tables are those of F_0, F_1, ... and do not grow with the lifted dimension; alpha is the norm of a matrix of norms. With
    generic maps of 2 to 16 variables alpha was 1.00 to 1.22 ||M|| where the colouring of M's entries had 1.08 to 4.1
    (`benchmarks/block_encodings.py`). The colouring is the better one for a single variable with a large F_0 (1.1 against 1.6).

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

    @cached_property
    def _trial(self) -> HistoryTables:
        return self.tables(TRIAL_BITS)

    @property
    def alpha(self) -> float:
        """The normalisation."""
        return self._trial.alpha

    def enough_bits(self, kappa: float, epsilon: float) -> int:
        """Bits for which kappa (error of the encoding/alpha + error of |B>) stays below epsilon/2."""
        return _enough_bits(self._trial, kappa, epsilon)


@dataclass(frozen=True, eq=False)
class BalancedEntries:
    """The block-encoding of a system's entries with balanced weights: alpha = || |M| ||_2, never above that of the colouring.

    Args:
        system: real.

    Raises:
        ArgumentError: when it is used, a matrix with complex entries.

    Example:
        >>> import torch
        >>> M = torch.tensor([[1.0, 0.0], [-0.5, 1.0]], dtype=torch.float64)
        >>> round(BalancedEntries(LinearSystem(M, torch.ones(2, dtype=torch.float64))).alpha, 4)  # the colouring has 1.5
        1.2808
    """

    system: LinearSystem = field(repr=False)

    def tables(self, bits: int) -> BalancedTables:
        """With angles of b bits."""
        rows, columns, values = matrix_entries(self.system)
        if np.iscomplexobj(values):
            raise argument_error("matrix", "be real for balanced entries (the colouring takes complex ones)", "complex")
        return balanced_matrix(rows, columns, np.real(values), self.system.size, bits)

    @cached_property
    def _trial(self) -> BalancedTables:
        return self.tables(TRIAL_BITS)

    @property
    def alpha(self) -> float:
        """The normalisation."""
        return self._trial.alpha

    def enough_bits(self, kappa: float, epsilon: float) -> int:
        """Bits for which kappa (error of the encoding/alpha + error of |B>) stays below epsilon/2."""
        return _enough_bits(self._trial, kappa, epsilon)


def check_circuit_settings(
    circuit: bool, loader: Loader, angle_bits: int | None, amplify: bool, encoding: MatrixEncoding | None = None
) -> None:
    """Check what speaks of a circuit alone: a matrix polynomial multiplies by the system's matrix itself, and loads nothing.

    Raises:
        ArgumentError: a loader that is not one of the three, too few angle bits, or any of these without a circuit.
    """
    if not isinstance(loader, (QROMLoader, QROAMLoader, BucketBrigade)):
        raise argument_error("loader", "be a QROMLoader(), QROAMLoader() or BucketBrigade()", repr(loader))
    if angle_bits is not None:
        check_integer("angle_bits", angle_bits, 3)
    if circuit:
        return
    if amplify:
        raise argument_error("amplify", "be False without a circuit", amplify)
    if encoding is not None:
        raise argument_error("encoding", "be None unless `circuit` is True", repr(encoding))
    if loader != DEFAULT_LOADER or angle_bits is not None:
        name, value = ("angle_bits", angle_bits) if angle_bits is not None else ("loader", loader)
        raise argument_error(name, "be left out unless `circuit` is True", repr(value))


def _enough_bits(trial: HistoryTables | BalancedTables, kappa: float, epsilon: float) -> int:
    """From the error at `TRIAL_BITS`, twice of it for how it scatters, and pi/2^b for each level of |B>."""
    encoding = 2 * trial.error / trial.alpha * 2**TRIAL_BITS
    return math.ceil(math.log2(2.5 * kappa * (encoding + math.pi * trial.system_bits) / epsilon))
