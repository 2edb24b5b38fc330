"""What a sweep shares among its points: the same numbers, to the bit, as of points that share
nothing; and a table that is kept by too little is seen.
"""

import random
import sys
from functools import cache

import pytest

from qdescent.experiment.estimate.inputs import round_of
from qdescent.experiment.estimate.ranges import WHOLE, ranges_of
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.estimate.sweep import swept
from qdescent.resources.classical.machines import A100
from qdescent.resources.counts import segment_query
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.verdict.inputs import Case, held

ENDS = {
    "n": (1e3, 1e10), "sparsity": (1, 300), "steps": (2, 100), "learning_rate": (1e-3, 0.03),
    "kappa": (300, 1e5), "epsilon": (1e-6, 1e-1), "largest": (10, 1e3), "readout_error": (1e-4, .3),
    "alpha_over_norm": (1, 2), "batch": (8, 8192), "error_rate": (1e-5, 5e-3),
    "cycle_time_ns": (1, 1e5),
}  # fmt: skip
FLAGS = [
    {}, {"order": 1}, {"readout": "coherent"}, {"coupling_sparsity": 0}, {"kappa": 900.0},
    {"padding": 3}, {"success_probability": 0.5},
]  # fmt: skip


def forget():
    """Empty every cache of the package."""
    for name, module in list(sys.modules.items()):
        if name.startswith("qdescent."):
            for found in list(vars(module).values()):
                if hasattr(found, "cache_clear"):
                    found.cache_clear()


@pytest.fixture(autouse=True)
def _nothing_planted_stays():
    yield
    forget()


def ranges(names):
    asked = []
    for name in names:
        low, high = (int(end) if name in WHOLE else end for end in ENDS[name])
        asked.append(f"{name}={low}:{high}:3")
    return ranges_of(asked)


def shared_and_alone(settings, names):
    """The lines of a sweep, and of its points one by one, each with nothing in any cache."""
    case = Case(held(round_of(settings)), SurfaceCode(), A100)
    moved = ranges(names)
    lines = list(swept(case, settings, moved))
    alone = []
    for line in lines:
        forget()
        here = [type(each)(each.name, (line[each.name],)) for each in moved]
        alone += swept(case, settings, here)
    return [repr(line) for line in lines], [repr(line) for line in alone]


@pytest.mark.parametrize("seed", [3, *(pytest.param(k, marks=pytest.mark.slow)
                                       for k in range(20))])  # fmt: skip
def test_what_points_share_changes_no_bit_of_them(seed):
    draws = random.Random(seed)
    settings = EstimateSettings(**draws.choice(FLAGS))
    lines, alone = shared_and_alone(settings, draws.sample(sorted(ENDS), 2))
    assert lines == alone


@pytest.mark.parametrize("name", ["_step_tables", "_letter_tables"])
def test_tables_that_are_kept_by_n_alone_are_seen(name, monkeypatch):
    right = getattr(segment_query, name)
    first = {}

    @cache
    def planted(n, colours):
        return right(n, first.setdefault(n, colours))

    settings = EstimateSettings(n=10**5)
    lines, alone = shared_and_alone(settings, ("sparsity", "epsilon"))
    assert lines == alone
    monkeypatch.setattr(segment_query, name, planted)
    forget()
    lines, _ = shared_and_alone(settings, ("sparsity", "epsilon"))
    assert lines != alone
