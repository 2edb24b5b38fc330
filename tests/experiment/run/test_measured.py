"""s of the main job's ledger: measured with all of H where that is stored, else on sampled rows."""

import math
from types import SimpleNamespace

import pytest
import torch

import qdescent as qd
from qdescent._evidence import Evidence
from qdescent.experiment.run import measured
from qdescent.resources.input_rows import needed_rows
from qdescent.solvers.segment.needed_sparsity import needed_sparsity


@pytest.fixture(scope="module")
def pruned():
    """A quadratic loss: H = diag(1 ... 12) / 6, but for two couplings."""
    network = torch.nn.Linear(12, 1, bias=False).double()
    data = torch.diag(torch.arange(1.0, 13).double().sqrt()), torch.ones(12, 1).double()
    data[0][0, 1], data[0][3, 7] = 0.2, 0.5
    task = qd.Task(network, torch.nn.functional.mse_loss, data)
    return SimpleNamespace(tasks=[task], space=qd.ParameterSpace(network))


def settings(**changed):
    return SimpleNamespace(**{"sparsity": None, "learning_rate": 0.1, "seed": 0, **changed})


def test_of_few_weights_it_is_what_the_segment_needs(pruned):
    calls = []
    found, rows = measured.measured_sparsity(settings(), pruned, 2, 9, lambda: calls.append(None))
    truth = needed_sparsity(pruned.tasks[0], pruned.space, 9, 0.1, order=2).needed(0.01)
    assert found.entries == max(1, math.ceil(truth)) <= 3
    assert found.evidence is Evidence.MEASURED
    assert "all of H of 12 weights" in found.source
    assert len(calls) == measured.blocks_of(settings(), 12)
    given = measured.needed_of(rows)
    spec = qd.RoundSpec(
        n=12, parameters=12, order=2, steps=9, kappa=50.0, sparsity=found.entries, batch=12,
        forward_macs=12, **given,
    )  # fmt: skip
    (shown,) = needed_rows(spec)
    assert (shown.value, shown.evidence) == (pytest.approx(truth), Evidence.MEASURED)


def test_of_many_weights_rows_are_sampled_and_the_law_stands_beside(pruned, monkeypatch):
    monkeypatch.setattr(measured, "MOST_STORED", 5)
    found, rows = measured.measured_sparsity(settings(), pruned, 2, 9, lambda: None)
    assert "99 % of a row" in found.source
    assert measured.needed_of(rows) == {}


def test_an_s_that_is_set_is_assumed(pruned):
    found, rows = measured.measured_sparsity(settings(sparsity=10), pruned, 2, 9, lambda: None)
    assert (found.entries, found.evidence, rows) == (10, Evidence.ASSUMED, [])
