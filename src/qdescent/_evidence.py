"""What stands behind a number: all that a user sees is a `Row` with evidence and source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral, Real
from typing import Any

import numpy as np

from qdescent._checks import (
    argument_error,
    check_instance,
    check_sequence,
    check_text,
    plain_number,
    shown,
)


class Evidence(StrEnum):
    """How a number is known, from the strongest to the weakest."""

    EXACT = "exact"  # computed to rounding
    MEASURED = "measured"  # sampled, or observed on one instance
    BOUNDED = "bounded"  # a theorem, its number and source in the row
    MODELLED = "modelled"  # a cost formula
    ASSUMED = "assumed"  # an input


def derived(*inputs: Evidence) -> Evidence:
    """How a number is known that was computed from others: no better than the weakest of them.

    What follows from an assumption is a model that rests on it ("assumed" is what somebody chose
    itself); so is a theorem's bound at a measured number, which is neither proven nor measured.

    Args:
        inputs: of the numbers, and of the formula where it is a theorem (bounded) or a model.

    Example:
        >>> derived(Evidence.EXACT, Evidence.MEASURED).value
        'measured'
        >>> derived(Evidence.BOUNDED, Evidence.ASSUMED).value
        'modelled'
    """
    order = list(Evidence)
    given = check_sequence("inputs", inputs, Evidence, called="members of `qdescent.Evidence`")
    if {Evidence.MEASURED, Evidence.BOUNDED} <= set(given):
        return Evidence.MODELLED
    return min(max(given, key=order.index), Evidence.MODELLED, key=order.index)


Value = float | int | str | bool | None | Sequence[float] | Sequence[int]


@dataclass(frozen=True)
class Row:
    """One number, or one curve, that a user sees.

    Args:
        name: a path of words, "spectrum/before/lambda_max"; the first word is the section of the
            report.
        value: a number, a text, or a sequence of numbers (a curve; kept as a tuple).
        unit: the unit, "1" for a ratio, "" for a text.
        evidence: the word for how the value is known.
        source: the computation, the paper with its equation, or the setting that the value comes
            from.
        error: one standard error, in the value's unit, where the value was sampled (a sequence for
            a curve).

    Raises:
        ArgumentError: a row without evidence or without a source.
    """

    name: str
    value: Value
    unit: str
    evidence: Evidence
    source: str
    error: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        check_text("name", self.name)
        object.__setattr__(self, "value", _taken("value", self.value))
        check_text("unit", self.unit, empty=True)
        if not isinstance(self.evidence, Evidence):
            raise argument_error(
                "evidence",
                "be one of "
                + ", ".join(Evidence)
                + " (a member of `qdescent.Evidence`, not its text)",
                shown(self.evidence),
            )
        if not isinstance(self.source, str) or not self.source:
            actual = "empty" if isinstance(self.source, str) else shown(self.source)
            raise argument_error("source", f"say where {self.name!r} comes from", actual)
        if isinstance(self.error, (str, bool)):
            raise argument_error(
                "error", "be a number, a sequence of numbers or None", shown(self.error)
            )
        error = _taken("error", self.error)
        if any(size < 0 for size in (error if isinstance(error, list | tuple) else [error or 0])):
            raise argument_error("error", "be a size, at least 0", shown(self.error))
        object.__setattr__(self, "error", error)

    @property
    def number(self) -> float:
        """The value of a row that holds one number; an integer stays one.

        Raises:
            ArgumentError: it is a text, a curve, True, False or None.
        """
        if isinstance(self.value, (int, float)) and not isinstance(self.value, bool):
            return self.value
        raise argument_error(self.name, "hold one number", self.value)

    @property
    def curve(self) -> tuple[float, ...]:
        """The value of a row that holds a sequence of numbers.

        Raises:
            ArgumentError: it holds something else.
        """
        if isinstance(self.value, tuple):
            return self.value
        raise argument_error(self.name, "hold a curve", self.value)

    def to_json(self) -> dict[str, Any]:
        """The row as JSON types; a number that JSON cannot hold (infinity, NaN) becomes its name as
        a text.
        """
        return {
            "name": self.name,
            "value": _json_value(self.value),
            "unit": self.unit,
            "evidence": str(self.evidence),
            "source": self.source,
            "error": _json_value(self.error),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Row:
        """The inverse of `to_json`.

        Raises:
            ArgumentError: a field is missing, or holds what no row holds.
        """
        check_instance("fields", fields, Mapping, called="the fields of a row by name")
        try:
            return cls(
                name=fields["name"],
                value=_python_value(fields["value"]),
                unit=fields["unit"],
                evidence=Evidence(fields["evidence"]),
                source=fields["source"],
                error=_python_value(fields["error"]),
            )
        except KeyError as problem:
            raise argument_error("fields", f"hold {problem.args[0]!r}", "without it") from None
        except (TypeError, ValueError) as problem:
            raise argument_error("fields", "be those of a row", f"others ({problem})") from None


def _taken(name: str, value: Any) -> Any:
    """The value in Python's own types: a number of NumPy as an int or a float."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        if all(type(item) in (int, float) for item in value):
            return tuple(value)
        return tuple(_number(name, item) for item in value)
    value = plain_number(value)
    return value if isinstance(value, bool) else _number(name, value)


def _number(name: str, value: Any) -> float | int:
    value = plain_number(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            whole = isinstance(value, Integral) and math.isfinite(float(value))
            return int(value) if whole else float(value)  # type: ignore[call-overload]
        except OverflowError:
            pass
    raise argument_error(
        name, "be a number, a text, True, False, None or a sequence of numbers", shown(value)
    )


def _json_value(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(float(value))  # "inf", "-inf", "nan"
    return value


def _python_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_python_value(item) for item in value]
    return float(value) if value in ("inf", "-inf", "nan") else value
