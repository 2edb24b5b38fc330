"""The shortest round of all, by every way with every loader; and a segment that is shorter than any
history, without a search for their kappa.
"""

from __future__ import annotations

import math
from dataclasses import replace

from qdescent.resources.counts.fewest import fewest_gates, fewest_of_right_side
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.physical.closed_form import run_seconds
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.history import history_ways, marching_of
from qdescent.resources.ways.priced import (
    SERIAL,
    PricedWay,
    all_ways,
    history_bits,
    history_size,
    is_possible,
    priced,
    run_cost,
    together,
    whole,
)
from qdescent.resources.ways.segment import segment_ways
from qdescent.resources.ways.way import DILATED, SEGMENT, Way

# no other serial loader has fewer Toffoli gates for any table than one of these
FEWEST = ("qroam", "qroam-measured")
# what fewer copies of the end may add to a run: registers of another size, steps of a degree
MARGIN = 4.0


def least(spec: RoundSpec, machine: SurfaceCode, loaders: tuple[str, ...]) -> PricedWay:
    """The way and loader of the shortest round."""
    best = _shortest(spec, all_ways(spec), machine, loaders)
    assert best is not None
    return best


def _shortest(
    spec: RoundSpec, ways: list[Way], machine: SurfaceCode, loaders: tuple[str, ...]
) -> PricedWay | None:
    best: PricedWay | None = None
    serial = set(loaders) <= set(SERIAL)
    for way in sorted(ways, key=lambda way: way.queries * way.runs[0]):
        # what is longer anyway needs no tables; a tree's gates are not one after another
        bounds = least_seconds(spec, way, loaders, machine) if serial else dict.fromkeys(loaders, 0)
        for loader in sorted(loaders, key=bounds.__getitem__):
            if best is None or best.copy_seconds >= bounds[loader]:
                found = priced(spec, way, loader, machine)
                best = found if best is None else min(best, found, key=_length)
    return best


def least_segment(floor: RoundSpec, machine: SurfaceCode) -> PricedWay | None:
    """The shortest way without a linear system, where every history takes longer; None where that
    is not certain.

    Args:
        floor: the round with a kappa and a success that its histories do not surpass.
        machine: what it runs on.
    """
    best = _shortest(floor, segment_ways(floor), machine, FEWEST)
    if best is None:
        return None
    for way in (*history_ways(floor), *marching_of(floor, floor.padding or 0)):
        fewer = replace(way, queries=way.queries / MARGIN, preparations=way.preparations / MARGIN)
        at_least = least_seconds(floor, fewer, FEWEST, machine)[FEWEST[0]]
        # what is out of reach with fewer gates is so with all of them
        if is_possible(way) and math.isfinite(at_least) and at_least <= best.copy_seconds:
            return None
    return best


def _length(found: PricedWay) -> tuple[float, float]:
    return found.seconds, found.copy_seconds


def least_seconds(
    spec: RoundSpec, way: Way, loaders: tuple[str, ...], machine: SurfaceCode
) -> dict[str, float]:
    """No more than a copy of u_T takes with each loader, all of which work one gate after another:
    of a history by what none of them can do without, of a segment without the few queries to F_2,
    whose tables are the longest to count.
    """
    runs, _ = way.runs
    if not is_possible(way):
        return dict.fromkeys(loaders, 0.0)

    def seconds(counts: LogicalCounts) -> float:
        return run_seconds(machine, counts, together(spec, way)) * runs

    if way.encoding == SEGMENT:
        alone = replace(way, couplings=0)
        return {loader: seconds(run_cost(spec, alone, loader).counts) for loader in loaders}
    times, rotations = (2, 2) if way.form == DILATED else (1, 1)
    bits, queries, size = history_bits(spec), whole(way.queries), history_size(spec, way)
    gates = queries * times * fewest_gates(size, bits)
    gates += whole(way.preparations) * fewest_of_right_side(size, bits)
    counts = LogicalCounts(1, toffoli=gates, rotations=rotations * queries, measurements=gates)
    return dict.fromkeys(loaders, seconds(counts))
