"""What an uninterrupted quantum job consumes, in logical qubits and gates."""

from __future__ import annotations

from dataclasses import dataclass, fields

from qdescent._checks import argument_error, check_integer


@dataclass(frozen=True)
class LogicalCounts:
    """What one uninterrupted quantum job consumes.

    Args:
        qubits: logical qubits of the algorithm.
        toffoli: Toffoli (CCZ) gates.
        rotations: arbitrary single-qubit rotations, left to synthesis.
        t_gates: T gates outside rotations.
        measurements: mid-circuit measurements.
        rotation_depth: layers that hold a rotation; None: one each.
        toffoli_depth: layers that hold a Toffoli gate; None: one each.
    """

    qubits: int
    toffoli: int = 0
    rotations: int = 0
    t_gates: int = 0
    measurements: int = 0
    rotation_depth: int | None = None
    toffoli_depth: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                number = check_integer(field.name, value, 1 if field.name == "qubits" else 0)
                object.__setattr__(self, field.name, number)
        for layers, of in ((self.rotation_depth, "rotations"), (self.toffoli_depth, "toffoli")):
            if layers is not None and layers > getattr(self, of):
                name = "rotation_depth" if of == "rotations" else "toffoli_depth"
                raise argument_error(name, f"be at most `{of}` ({getattr(self, of)})", layers)

    def as_job(self, pieces: int = 1) -> dict[str, int]:
        """The job as the Azure estimator takes it, `qdk.estimator.LogicalCounts`; or one of equal
        pieces of it.

        Args:
            pieces: so many, each rounded up.

        Example:
            >>> LogicalCounts(3, toffoli=5, rotations=2).as_job()["cczCount"]
            5
        """
        layers = self.rotations if self.rotation_depth is None else self.rotation_depth
        return {
            "numQubits": self.qubits,
            "cczCount": -(-self.toffoli // pieces),
            "tCount": -(-self.t_gates // pieces),
            "rotationCount": -(-self.rotations // pieces),
            "rotationDepth": -(-layers // pieces),
            "measurementCount": -(-self.measurements // pieces),
        }
