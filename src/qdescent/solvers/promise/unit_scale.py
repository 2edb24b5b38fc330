"""Any solve at entries of order one: squares of 1e-170 and of 1e160 are lost to float64, and no
solver should have to care.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qdescent._checks import argument_error, check_instance
from qdescent._evidence import Evidence, Row
from qdescent.linalg.linear_system import LinearSystem
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.solvers.solve import Solution

HARMLESS = 20  # powers of two: within 1e-6 to 1e6 a system stays the object that it was
MOST_AT_ONCE = 1000  # powers of two that float64 multiplies by without an overflow on the way


@dataclass(frozen=True)
class UnitScale:
    """M = 2^a M', B = 2^b B' with the largest moduli of M' and B' between 1 and 2: exact, and
    undone by Z = 2^(b-a) Z'.

    Args:
        given: the system in the user's units.
        system: M' Z' = B'; the very object that was given where its scale is harmless.
        matrix_power: a.
        rhs_power: b.
    """

    given: LinearSystem
    system: LinearSystem
    matrix_power: int
    rhs_power: int

    def shrunk(self, norm: float | None) -> float | None:
        """A length of Z in the units of Z'."""
        return None if norm is None else math.ldexp(norm, self.matrix_power - self.rhs_power)

    def restored(self, found: Solution) -> Solution:
        """The solution in the user's units; residual and bound are relative and stay.

        Raises:
            ArgumentError: an answer that its type cannot hold in these units.
        """
        if self.system is self.given:
            return found
        powers = {
            names.ALPHA: self.matrix_power,
            names.ENCODING_ERROR: self.matrix_power,
            names.NORM_ESTIMATE: self.rhs_power - self.matrix_power,
        }
        rows = [_row(row, powers.get(row.name, 0)) for row in found.cost]
        unit = _times(1.0, self.matrix_power)
        source = "power of two by which M is divided before it is solved; what a circuit encodes"
        rows.append(Row("matrix_unit", unit, "1", Evidence.EXACT, source))
        power = self.rhs_power - self.matrix_power
        value, answer = self._held(found.value, power), self._held(found.answer, power)
        return replace(found, value=value, answer=answer, cost=Rows(rows))

    def _held(self, value: Tensor, power: int) -> Tensor:
        largest = float(value.abs().max())
        if not 0 < largest < math.inf:
            return value
        log, kind = math.log2(largest) + power, torch.finfo(value.dtype)
        if not math.log2(kind.tiny) <= log < math.log2(kind.max):
            must = (
                f"leave an answer that {value.dtype} can hold (scale B by a power of two, and the"
                " answer back)"
            )
            raise argument_error(
                "rhs", must, f"such that its largest entry is near 1e{log * math.log10(2):+.0f}"
            )
        for each in _steps(power):
            value = value * each
        return value


def unit_scale(system: LinearSystem) -> UnitScale:
    """The system with entries of order one.

    Example:
        >>> scaled = unit_scale(LinearSystem([[4e-300]], [3.0]))
        >>> scaled.matrix_power, 1 <= float(scaled.system.matrix) < 2, scaled.system.rhs.tolist()
        (-995, True, [3.0])
    """
    check_instance("system", system, LinearSystem)
    entries = system.matrix.coalesce().values() if system.matrix.is_sparse else system.matrix
    powers = [_power(entries), _power(system.rhs)]
    if powers == [0, 0]:
        return UnitScale(system, system, 0, 0)
    a, b = powers
    scaled = replace(
        system,
        matrix=_multiplied(system.matrix, -a),
        rhs=_multiplied(system.rhs, -b),
        norm_bound=_bound(system.norm_bound, -a),
        inverse_norm_bound=_bound(system.inverse_norm_bound, a),
    )
    return UnitScale(system, scaled, a, b)


def _power(values: Tensor) -> int:
    largest = float(values.abs().max()) if values.numel() else 0.0
    # the modulus of a complex number may overflow where its parts do not
    if largest in (0.0, math.inf):
        parts = torch.view_as_real(values) if values.is_complex() else values
        largest = float(parts.abs().max()) if values.numel() else 0.0
    power = math.frexp(largest)[1] - 1 if largest else 0
    return power if abs(power) > HARMLESS else 0


def _steps(power: int) -> list[float]:
    """Powers of two whose product is 2^power, none beyond float64."""
    whole, rest = divmod(abs(power), MOST_AT_ONCE)
    sign = 1 if power > 0 else -1
    return [2.0 ** (sign * MOST_AT_ONCE)] * whole + [2.0 ** (sign * rest)]


def _times(value: float, power: int) -> float:
    for each in _steps(power):
        value *= each
    return value


def _bound(value: float | None, power: int) -> float | None:
    scaled = 0.0 if value is None else _times(value, power)
    return scaled if 0 < scaled < math.inf else None


def _multiplied(values: Tensor, power: int) -> Tensor:
    for each in _steps(power):
        values = values * each
    return values


def _row(row: Row, power: int) -> Row:
    return (
        replace(row, value=_times(row.value, power))
        if power and isinstance(row.value, float)
        else row
    )
