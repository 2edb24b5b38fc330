"""Joules and dollars of both sides, as ranges: no one knows them better."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent._evidence import Evidence, Row
from qdescent.resources.classical.machines import Accelerator

JOULES_A_KWH = 3.6e6
SECONDS_A_YEAR = 365 * 24 * 3600.0


@dataclass(frozen=True)
class Upkeep:
    """What a physical qubit draws and costs, least and most.

    Args:
        watts: a qubit, cryogenics and control (10 to 100: 10^12 to 10^13 J for 10^5 qubits and 10^6
            s in arXiv:2502.11239; 25 W are drawn by a 1,000-qubit annealer, IEEE Spectrum 2015).
        dollars: a qubit built (1,000 to 10,000, assumed: nobody has published what an
            error-corrected machine's cost; within it lies the one public price of a large machine,
            7,300: 15 million for an annealer of 2,048 qubits, D-Wave 2000Q, 2017).
        years: of its life (10).
        uptime: of a year (.9).
        dollars_a_kwh: of electricity (.05 to .3: wholesale to retail).
    """

    watts: tuple[float, float] = (10.0, 100.0)
    dollars: tuple[float, float] = (1e3, 1e4)
    years: float = 10.0
    uptime: float = 0.9
    dollars_a_kwh: tuple[float, float] = (0.05, 0.3)


def quantum_joules(upkeep: Upkeep, qubits: float, seconds: float) -> tuple[float, float]:
    """Watts x qubits x seconds, least and most.

    Example:
        >>> quantum_joules(Upkeep(), 1e5, 1e6)
        (1000000000000.0, 10000000000000.0)
    """
    low, high = (watts * qubits * seconds for watts in upkeep.watts)
    return low, high


def quantum_dollars(upkeep: Upkeep, qubits: float, seconds: float) -> tuple[float, float]:
    """The estimator's cost model, building spread over the life, and electricity.

    seconds x (qubits x dollars / years + electricity a year) / (uptime x a year)
    """
    found = []
    for watts, dollars, kwh in zip(upkeep.watts, upkeep.dollars, upkeep.dollars_a_kwh, strict=True):
        built = qubits * dollars / upkeep.years
        drawn = watts * qubits * SECONDS_A_YEAR / JOULES_A_KWH * kwh
        found.append(seconds * (built + drawn) / (upkeep.uptime * SECONDS_A_YEAR))
    return found[0], found[1]


def upkeep_rows(
    upkeep: Upkeep, qubits: float, quantum_seconds: float, machine: Accelerator, seconds: float
) -> list[Row]:
    """Energy and money of both rounds: (least, most)."""
    model = Evidence.MODELLED
    watts = f"{upkeep.watts[0]:g} to {upkeep.watts[1]:g} W a physical qubit (arXiv:2502.11239)"
    built = (
        f"{upkeep.dollars[0]:g} to {upkeep.dollars[1]:g} dollars a qubit over {upkeep.years:g}"
        " years (assumed; an annealer of 2,048 was sold at 7,300 each), and electricity"
    )
    classical_joules = [watt * seconds for watt in machine.watts]
    rent = [dollars / 3600 * seconds for dollars in machine.dollars_an_hour]
    return [
        Row("energy/quantum", list(quantum_joules(upkeep, qubits, quantum_seconds)), "J", model,
            f"least, most: {watts}"),
        Row("energy/classical", classical_joules, "J", model,
            f"least, most: {machine.name}, board to server"),
        Row("money/quantum", list(quantum_dollars(upkeep, qubits, quantum_seconds)), "dollars",
            model, f"least, most: {built}"),
        Row("money/classical", rent, "dollars", model,
            f"least, most: rent of {machine.name}, public price lists"),
    ]  # fmt: skip
