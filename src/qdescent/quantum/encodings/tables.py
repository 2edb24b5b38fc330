"""What block-encodings that are made from tables have in common: the tables say alpha, epsilon and
the basis states.
"""

from __future__ import annotations

from typing import Protocol

import attrs

from qdescent._arrays import Ints
from qdescent.quantum.encodings.composition import Composition
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER


class EncodedTables(Protocol):
    """Tables that were made for an encoding, with quantised angles."""

    @property
    def alpha(self) -> float: ...

    @property
    def error(self) -> float: ...

    @property
    def bits(self) -> int: ...

    @property
    def basis_states(self) -> Ints: ...


@attrs.frozen
class TableEncoding(Composition):
    """A block-encoding whose circuit loads tables.

    Args:
        tables: what it loads.
        loader: of all its tables.
    """

    tables: EncodedTables
    loader: Loader = attrs.field(default=DEFAULT_LOADER, kw_only=True)

    @property
    def alpha(self) -> float:
        """The normalisation."""
        return self.tables.alpha

    @property
    def epsilon(self) -> float:
        """A bound on ||M - alpha <0|U|0>||_2, derived from the quantised angles."""
        return self.tables.error

    @property
    def angle_bits(self) -> int:
        """b."""
        return self.tables.bits

    @property
    def basis_states(self) -> Ints:
        """The index of the system's basis state of each unknown."""
        return self.tables.basis_states
