"""One run of what is built on other machines, and with fewer factories."""

from __future__ import annotations

from qdescent._evidence import Row
from qdescent.resources.input_rows import modelled
from qdescent.resources.physical.platforms import platform_costs
from qdescent.resources.physical.space_time import space_time
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.verdict.verdict import Verdict
from qdescent.rows import names


def platform_rows(verdict: Verdict, machine: SurfaceCode) -> list[Row]:
    """Qubits and seconds of a run on each other machine; and the curve of space against time."""
    cost = verdict.built.cost
    assert cost is not None
    waiting = max(0, cost.query.work_qubits - cost.bits)
    rows: list[Row] = []
    for found in platform_costs(cost.counts, machine, waiting):
        at = f"physical/on/{found.name}"
        rows += [
            modelled(f"{at}/qubits", found.qubits, "physical qubits", found.source),
            modelled(f"{at}/run_time", found.seconds, "s", found.source),
        ]
    curve = space_time(verdict.machine)
    source = "factories halved until one is left; the distance stays"
    return [
        *rows,
        modelled(names.SPACE_TIME_QUBITS, list(curve.qubits), "physical qubits", source),
        modelled(names.SPACE_TIME_SECONDS, list(curve.seconds), "s", source),
    ]
