"""What stands behind a number: every figure that a user sees is a `Row` with its evidence and source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from qdescent._checks import argument_error


class Evidence(StrEnum):
    """How a number is known, from the strongest to the weakest."""

    EXACT = "exact"  # computed to rounding
    MEASURED = "measured"  # sampled, or observed on one instance
    BOUNDED = "bounded"  # a theorem, its number and source in the row
    MODELLED = "modelled"  # a cost formula
    ASSUMED = "assumed"  # an input


Value = float | int | str | bool | None | Sequence[float] | Sequence[int]


@dataclass(frozen=True)
class Row:
    """One number, or one curve, that a user sees.

    Args:
        name: a path of words, "spectrum/before/lambda_max"; the first word is the section of the report.
        value: a number, a text, or a sequence of numbers (a curve).
        unit: the unit, "1" for a ratio, "" for a text.
        evidence: how the value is known.
        source: the computation, the paper with its equation, or the setting that the value comes from.
        error: one standard error, in the value's unit, where the value was sampled (a sequence for a curve).

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
        if not isinstance(self.evidence, Evidence):
            raise argument_error("evidence", "be one of " + ", ".join(Evidence), self.evidence)
        if not self.source:
            raise argument_error("source", f"say where {self.name!r} comes from", "empty")

    def to_json(self) -> dict[str, Any]:
        """The row as JSON types; a number that JSON cannot hold (infinity, NaN) becomes its name as a text."""
        fields = asdict(self)
        return {
            "name": self.name,
            "value": _json_value(fields["value"]),
            "unit": self.unit,
            "evidence": str(self.evidence),
            "source": self.source,
            "error": _json_value(fields["error"]),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Row:
        """The inverse of `to_json`."""
        return cls(
            name=fields["name"],
            value=_python_value(fields["value"]),
            unit=fields["unit"],
            evidence=Evidence(fields["evidence"]),
            source=fields["source"],
            error=_python_value(fields["error"]),
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
