"""How a solver's circuit is built: what only a circuit has, as one argument of a solver."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent._checks import (
    argument_error,
    check_boolean,
    check_field,
    check_integer,
    check_interval,
    shown,
)
from qdescent.quantum.gates.loading.loader import Loader, check_loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.simulator.forecast import MOST_SECONDS
from qdescent.quantum.tables.angles import MOST_ANGLE_BITS


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """How a solver's circuit is built and run on a state vector: its argument `circuit`.

    `circuit=True` stands for `Circuit()`. A solver without a circuit applies the same polynomial by
    products with the matrix, at any size, and has no such settings.

    Args:
        angle_bits: b of every loaded angle, 3 to 45; None takes the fewest that keep the derived
            error within the solver's epsilon.
        loader: loader of every table; it changes gates and logical qubits, not the answer. QROM:
            fewest qubits.
        amplify: amplitude amplification until the circuit succeeds for certain, from the success
            probability of one run without it (not counted as queries): 2 r + 1 times the calls,
            r = ceil(pi/(4 asin sqrt(p)) - 1/2).
        most_seconds: forecast of a simulation beyond which it is refused, with its number, before
            it begins: gates x (50 us + 20 ns x 2^qubits), as measured on one core. 600: ten
            minutes.

    Raises:
        ArgumentError: fewer than 3 angle bits, a loader that is not one of the three, a limit that
            is not above 0.

    Example:
        >>> from qdescent.quantum.gates.loading.qroam import QROAMLoader
        >>> from qdescent.solvers.qsvt import QSVT
        >>> QSVT(circuit=True) == QSVT(circuit=Circuit())
        True
        >>> QSVT(circuit=Circuit(loader=QROAMLoader(), amplify=True)).circuit.amplify
        True
    """

    angle_bits: int | None = None
    loader: Loader = DEFAULT_LOADER
    amplify: bool = False
    most_seconds: float = MOST_SECONDS

    def __post_init__(self) -> None:
        if self.angle_bits is not None:
            check_field(self, "angle_bits", check_integer, 3, MOST_ANGLE_BITS)
        check_loader(self.loader)
        check_field(self, "amplify", check_boolean)
        limit = check_interval("most_seconds", self.most_seconds, "(0, inf]")
        object.__setattr__(self, "most_seconds", limit)


def check_circuit(value: Circuit | bool | None) -> Circuit | None:
    """The circuit that an argument `circuit` asks for: True is `Circuit()`, False none.

    Raises:
        ArgumentError: anything else.

    Example:
        >>> check_circuit(True) == Circuit(), check_circuit(False)
        (True, None)
    """
    if value is None or isinstance(value, Circuit):
        return value
    try:
        return Circuit() if check_boolean("circuit", value) else None
    except ValueError:
        must = "be True, False or a Circuit(angle_bits=..., loader=..., ...)"
        raise argument_error("circuit", must, shown(value)) from None
