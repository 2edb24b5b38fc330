"""The law of the entries that a segment needs, against what was measured."""

import json
from pathlib import Path

import numpy as np
import pytest

import qdescent as qd
from qdescent.linalg.spectra import needed_entries as module
from qdescent.linalg.spectra.needed_entries import needed_entries

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results" / "needed_sparsity_gpu.json"


@pytest.fixture(scope="module")
def measured():
    return json.loads(RESULTS.read_text())


def test_the_constants_are_those_of_the_committed_fit(measured):
    law = measured["law"]["a share of the row"]
    assert law["constant"] == pytest.approx(module.SHARE, rel=1e-2)
    assert law["power of 1/error"] == pytest.approx(module.POWER_OF_ACCURACY, rel=1e-2)
    assert law["power of eta T"] == pytest.approx(module.POWER_OF_TIME, rel=1e-2)
    assert law["spread factor"] == pytest.approx(module.SPREAD, rel=1e-2)
    assert law["points"] == 72
    assert law["weights"][1] == module.MEASURED_TO
    free = measured["law"]["any power of n"]
    assert abs(free["power of n"] - 1) < free["standard errors"][3]


def test_it_says_what_every_network_asked_for(measured):
    off = []
    for case in measured["cases"]:
        if case["case"] == "trained, magnitude" and case["weights"] > 4000:
            for segment in case["segments"]:
                time = segment["learning_rate"] * segment["steps"]
                found = needed_entries(case["weights"], time, 0.01)
                off.append(segment["order 2"]["needed"]["0.01"] / found.entries)
    assert len(off) == 18
    assert np.exp(np.log(off).std()) < module.SPREAD
    assert 1 / 1.4 < min(off) < 1 < max(off) < 1.4
    # planted: entries that grow as the root of n
    assert not 1 / 1.4 < 2500 / (needed_entries(4438, 1.0).entries * (10792 / 4438) ** 0.5) < 1.4


def test_it_says_what_a_first_look_had_seen():
    """Another training of the same network (another code): errors at 1,000 and 3,000 entries a row
    of 10,792.
    """
    for time, errors in ((0.2, (0.0095, 0.0013)), (0.4, (0.020, 0.0027)), (1.0, (0.048, 0.0066))):
        wanted = np.exp(np.interp(np.log(100), -np.log(errors), np.log([1000, 3000])))
        if errors[0] > 0.01:
            assert needed_entries(10_792, time).entries == pytest.approx(wanted, rel=0.25)


def test_it_ends_with_the_row_and_says_where_it_is_extrapolated():
    assert needed_entries(50, 100.0, 1e-5).entries == 50
    row = needed_entries(10**6, 0.1).row("a/b")
    assert row.evidence is qd.Evidence.MODELLED
    assert "extrapolated" in row.source
    assert "extrapolated" not in needed_entries(10**4, 0.1).row("a/b").source


@pytest.mark.parametrize(
    ("given", "name"),
    [((0, 0.1), "size"), ((10, 0.0), "time"), ((10, 0.1, 1.0), "accuracy"), (("a", 0.1), "size")],
)
def test_refusals(given, name):
    with pytest.raises(qd.ArgumentError, match=f"`{name}` must"):
        needed_entries(*given)
