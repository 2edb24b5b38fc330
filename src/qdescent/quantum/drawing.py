"""What a circuit looks like: its gates in order, each with the registers it touches, read off a bloq's own decomposition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qdescent._checks import check_callable, check_methods

if TYPE_CHECKING:
    from qualtran import Bloq

WORK = "work"  # qubits that a bloq takes and gives back
BOOKKEEPING = ("Allocate", "Free", "Join", "Partition", "Split", "Cast")
NAMES = {
    "SparseBlockEncoding": "U",
    "HistoryEncoding": "U",
    "BalancedEncoding": "U",
    "RealStatePreparation": "prepare",
    "ComplexStatePreparation": "prepare",
    "SparseStatePreparation": "prepare",
    "TableRotation": "rotate by table",
    "TablePhase": "phase by table",
    "SelectedPreparation": "prepare by table",
    "ColourPermutation": "permute",
    "PatternFlip": "is it?",
    "SelectedSwap": "swap by table",
    "MultiControlX": "is 0?",
    "KernelEncoding": "G",
    "VectorFlip": "flip b",
    "ZeroReflection": "flip 0",
    "ControlledSparse": "U",
    "TensorProduct": "⊗",
    "Product": "product",
    "WeightedSum": "sum",
    "BlockDiagonal": "diagonal",
    "Shift": "+ 1",
    "Identity": "1",
    "LinearSolve": "solve",
    "KernelTransform": "reflect",
    "PhaseEstimationSolve": "estimate, rotate, undo",
    "AmplitudeAmplification": "amplify",
    "EvolutionSequence": "evolve",
    "SelectedPhase": "phase",
    "FourierTransform": "Fourier",
    "QSVTSequence": "queries and phases",
    "XGate": "X",
    "Hadamard": "H",
}


@dataclass(frozen=True)
class Gate:
    """One box of a drawing.

    Args:
        label: its name, short.
        registers: the registers of the whole circuit that it touches.
        kind: the name of its bloq's class.
    """

    label: str
    registers: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Drawing:
    """A circuit as a sequence of boxes on registers.

    Args:
        registers: name and bits of each, from top to bottom; "work" stands for qubits taken and given back, with 0 bits.
        gates: in the order of time.
    """

    registers: tuple[tuple[str, int], ...]
    gates: tuple[Gate, ...]

    def shortened(self, head: int, tail: int) -> tuple[tuple[Gate, ...], int, tuple[Gate, ...]]:
        """The first and last gates, and how many between them are left out."""
        if len(self.gates) <= head + tail:
            return self.gates, 0, ()
        return self.gates[:head], len(self.gates) - head - tail, self.gates[-tail:]


def draw(bloq: Bloq, expand: Callable[[Bloq], bool] = lambda bloq: False) -> Drawing:
    """The gates of a bloq's decomposition, one level deep, or deeper where `expand` says so.

    Args:
        bloq: with a decomposition whose registers all pass through.
        expand: whether a bloq inside is to be replaced by its own parts.

    Example:
        >>> from qdescent.quantum.qsvt import ProjectorPhase
        >>> [gate.label for gate in draw(ProjectorPhase(0.25, 2)).gates]
        ['is 0?', 'CNOT', 'Rz 0.500', 'CNOT', 'is 0?']
    """
    check_methods("bloq", bloq, ("call_graph", "decompose_bloq"), "a Qualtran bloq")
    check_callable("expand", expand, "a function of a bloq")
    from qualtran import LeftDangle, Soquet

    circuit = bloq.decompose_bloq().flatten(lambda instance: expand(instance.bloq))
    sizes = {register.name: register.total_bits() for register in bloq.signature}
    names = [*sizes, WORK]
    holds = {
        Soquet(LeftDangle, register, index): {register.name} for register in bloq.signature.lefts() for index in register.all_idxs()
    }
    gates = []
    for instance, before, after in circuit.iter_bloqnections():
        kind = type(instance.bloq).__name__
        carried = {connection.right: holds[connection.left] for connection in before}
        touched = set().union(*carried.values()) or {WORK}
        for connection in after:  # what goes in by a register comes out by it; bookkeeping mixes
            same = [origin for soquet, origin in carried.items() if soquet.reg.name == connection.left.reg.name]
            holds[connection.left] = touched if kind in BOOKKEEPING or not same else set().union(*same)
        if kind not in BOOKKEEPING:
            gates.append(Gate(label(instance.bloq), tuple(name for name in names if name in touched), kind))
    used = {name for gate in gates for name in gate.registers}
    return Drawing(tuple((name, sizes.get(name, 0)) for name in names if name in sizes or name in used), tuple(gates))


def label(bloq: Bloq) -> str:
    """A short name for a box; a dagger marks an inverse."""
    kind = type(bloq).__name__
    if kind == "ProjectorPhase":
        return f"φ {bloq.phi:.3f}".replace("-", "−")
    if kind == "Rz":
        return f"Rz {float(bloq.angle):.3f}".replace("-", "−")
    return NAMES.get(kind, kind) + ("†" if getattr(bloq, "is_adjoint", False) else "")
