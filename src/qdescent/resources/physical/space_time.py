"""Space against time: fewer factories take longer."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent.resources.physical.surface_code import PhysicalCost


@dataclass(frozen=True)
class SpaceTime:
    """The curve of one run.

    Args:
        qubits: physical, from one factory to as many as the algorithm can use.
        seconds: of the run with each.
    """

    qubits: tuple[float, ...]
    seconds: tuple[float, ...]


def space_time(cost: PhysicalCost) -> SpaceTime:
    """Halve the factories until one is left: the run takes as much longer as they are fewer, once
    they limit it; the distance stays that of the whole run.

    Args:
        cost: with as many factories as keep up with the algorithm.

    Example:
        >>> space_time(PhysicalCost(1800, 3, 1.0, tiles=50, factories=2, segments=1)).seconds
        (2.0, 1.0)
    """
    data = 2 * cost.code_distance**2 * cost.tiles
    each = max(0.0, (cost.qubits - data) / max(1, cost.factories))
    factories, points = max(1, cost.factories), []
    while True:
        points.append((data + each * factories, cost.seconds * max(1, cost.factories) / factories))
        if factories == 1:
            break
        factories = -(-factories // 2)
    qubits, seconds = zip(*points[::-1], strict=True)
    return SpaceTime(qubits, seconds)
