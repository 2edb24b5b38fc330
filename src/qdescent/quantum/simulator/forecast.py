"""How long a circuit's simulation will take, and how much memory, before it begins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qdescent._checks import argument_error

if TYPE_CHECKING:
    from qdescent.quantum.simulator.compiler import Program

# Of one gate (a kernel and the move of its qubits), measured on one core: 20 to 40 us besides what
# its amplitudes cost, 6 ns each in the cache and 20 beyond it.
GATE, AMPLITUDE = 5e-5, 2e-8
MOST_SECONDS = 600.0  # one waits for ten minutes
VECTORS = 2  # the amplitudes and a spare vector that gates write into


@dataclass(frozen=True)
class Forecast:
    """What a simulation takes.

    Args:
        gates: calls of kernels.
        qubits: that pass through; a gate may hold a few more.
        item: bytes of an amplitude.

    Example:
        >>> print(Forecast(gates=40, qubits=28))
        40 gates on 28 qubits, about 215 s and 8 GiB
    """

    gates: int
    qubits: int
    item: int = 16

    @property
    def seconds(self) -> float:
        """On one core; infinite where no float holds it."""
        return self.gates * (GATE + self._amplitudes * AMPLITUDE)

    @property
    def bytes(self) -> float:
        """Of the state vectors."""
        return VECTORS * self._amplitudes * self.item

    @property
    def _amplitudes(self) -> float:
        return 2.0**self.qubits if self.qubits < 1000 else float("inf")

    def __str__(self) -> str:
        size = f" and {self.bytes / 2**30:.3g} GiB" if self.bytes >= 2**30 else ""
        return f"{self.gates:,} gates on {self.qubits} qubits, about {self.seconds:.3g} s{size}"


def forecast(program: Program[Any], item: int = 16) -> Forecast:
    """What a compiled circuit takes.

    Args:
        program: of the circuit.
        item: bytes of an amplitude.

    Cost: one look at each of its different parts.
    """
    known: dict[int, int] = {}

    def gates(part: Program[Any]) -> int:
        if part.kernel is not None:
            return 1
        if id(part) not in known:
            known[id(part)] = sum(gates(step) for step, _, _ in part.steps)
        return known[id(part)]

    return Forecast(gates(program), len(program.inputs), item)


def check_simulation(expected: Forecast, most_seconds: float, runs: int, on_cpu: bool) -> None:
    """Refuse a simulation that no one would wait for, or that no memory here holds, by its numbers.

    Args:
        expected: of one run of the circuit.
        most_seconds: the setting of `Circuit`.
        runs: of the circuit.
        on_cpu: whether the amplitudes lie in this machine's own memory.

    Raises:
        ArgumentError: it is one.
    """
    held = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if on_cpu and expected.bytes > held:
        must = (
            f"fit into this machine's {held / 2**30:.3g} GiB (take fewer unknowns, steps or a lower"
            " order)"
        )
        raise argument_error("circuit", must, f"one of {expected}")
    times = f", {runs} times" if runs > 1 else ""
    if runs * expected.seconds > most_seconds:
        must = (
            f"be at least {1.01 * runs * expected.seconds:.3g} for this circuit"
            f" ({expected}{times}; or take fewer unknowns, steps or a lower order)"
        )
        raise argument_error("most_seconds", must, most_seconds)
