"""Tables compared by what they hold: equal ones are equal and hash alike, unpickled ones, too."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np

WIDEST: dict[str, type[np.number]] = {
    "i": np.int64,
    "f": np.float64,
    "c": np.complex128,
}  # numbers count, not their width


class ByValue:
    """Equality and hash of a frozen dataclass whose fields may be arrays.

    Two of one class are equal where all fields are; arrays by shape, kind of number and entries.
    A pickle holds the fields alone: what was derived from them is derived again.

    Cost: one digest of each array (SHA-256), the first time that it is compared or hashed.

    Example:
        >>> from qdescent.quantum.tables.angles import AngleTable
        >>> one, other = (AngleTable(np.array([3, 1]), bits=4) for _ in range(2))
        >>> one == other, hash(one) == hash(other), one == AngleTable(np.array([3, 1]), bits=5)
        (True, True, False)
    """

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(self) is not type(other) or not isinstance(other, ByValue):
            return NotImplemented
        return self._hash == other._hash and self._held == other._held

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]

    @cached_property
    def _held(self) -> tuple[Any, ...]:
        return tuple(_key(value) for value in self.__getstate__().values())

    @cached_property
    def _hash(self) -> int:
        return hash(self._held)


def _key(value: Any) -> Any:
    """What stands for a field in a comparison."""
    if not isinstance(value, np.ndarray):
        return value
    kind = value.dtype.kind if value.dtype.kind in WIDEST else "i"
    wide: np.ndarray = value.astype(WIDEST[kind], order="C") + 0  # so that -0.0 is 0.0
    return value.shape, kind, hashlib.sha256(wide.tobytes()).digest()
