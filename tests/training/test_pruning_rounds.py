"""Pruning along the way: its law, what grows back, and the classical run that is pruned alike."""

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.pruning.magnitude import magnitude_mask
from qdescent.learning.task import Task
from qdescent.training.hybrid import train_hybrid
from qdescent.training.rounds.pruning import Pruning
from qdescent.training.schedule import AdaptiveSchedule, Schedule

SLOW = pytest.mark.slow


def schedule(rounds=3, **settings):
    usual = {"order": 2, "segment": 3, "learning_rate": 0.05, "shots": None}
    return Schedule(**(usual | settings), rounds=rounds)


def test_one_shot_is_the_run_of_a_mask_that_was_given(small_conv):
    task = small_conv.task
    whole, masked = (
        ParameterSpace(task.network),
        ParameterSpace(task.network, magnitude_mask(task.network, 0.4)),
    )
    for settings in ({}, {"momentum": 0.9, "shots": 10**6}):
        given = train_hybrid([task], masked, schedule(**settings), seed=2)
        found = train_hybrid([task], whole, schedule(**settings), seed=2, pruning=Pruning(0.4))
        kept = found.rounds[-1].kept
        assert int(kept.sum()) == masked.n
        torch.testing.assert_close(found.theta[kept], given.theta, rtol=1e-12, atol=1e-14)
        assert not found.theta[~kept].any()
        torch.testing.assert_close(
            found.rounds[-1].sparse.theta[kept], given.rounds[-1].sparse.theta
        )


@pytest.mark.parametrize(
    "by", [b if b in ("magnitude", "snip") else pytest.param(b, marks=SLOW) for b in MASKS]
)
def test_the_density_falls_by_the_cubic_law(small_conv, by):
    task, space = small_conv.task, ParameterSpace(small_conv.task.network)
    law = Pruning(0.2, by=by, rounds=2)
    assert [law.density_at(r) for r in range(4)] == pytest.approx([1, 0.2 + 0.8 / 8, 0.2, 0.2])
    seen = []
    run = train_hybrid([task], space, schedule(rounds=4), pruning=law, on_round=seen.append)
    prunable = sum(w.numel() for n, w in task.network.named_parameters() if "weight" in n)
    always = space.n - prunable
    for r, each in enumerate(seen):
        kept = round(prunable * law.density_at(r + 1)) + always
        assert int(each.kept.sum()) == int(each.sparse.kept.sum()) == kept
        assert not each.theta[~each.kept].any()
    assert torch.equal(seen[2].kept, seen[3].kept)  # nothing falls or grows: chosen once
    again = train_hybrid([task], space, schedule(rounds=4), pruning=law, done=run.rounds[:2])
    assert torch.equal(again.theta, run.theta)


def test_what_was_pruned_grows_back_by_the_dense_gradient():
    """Of two weights the loss wants the one that magnitude prunes."""
    network = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, 0.5]]))
    data = torch.eye(2, dtype=torch.float64), torch.tensor([[0.0], [3.0]], dtype=torch.float64)
    task, space = Task(network, nn.functional.mse_loss, data), ParameterSpace(network)
    for regrow, kept in ((0, [True, False]), (2, [False, True])):
        run = train_hybrid(
            [task], space, schedule(learning_rate=0.3), pruning=Pruning(0.5, regrow=regrow)
        )
        assert run.rounds[-1].kept.tolist() == kept == run.rounds[-1].sparse.kept.tolist()
        assert run.rounds[0].gradients == pytest.approx(1 + 3 * 4 + regrow)
    assert float(task.loss_at(space, run.theta)) < 3.5  # 4.5 where it does not come back


def test_the_networks_own_weights_are_untouched(small_conv):
    before = small_conv.theta
    space = ParameterSpace(small_conv.task.network)
    train_hybrid([small_conv.task], space, schedule(), pruning=Pruning(0.3, regrow=1))
    assert torch.equal(small_conv.theta, before)


def test_a_dense_run_goes_beside(small_conv):
    task = small_conv.task
    masked = ParameterSpace(task.network, magnitude_mask(task.network, 0.4))
    run = train_hybrid([task], masked, schedule(), dense=ParameterSpace(task.network))
    truth = small_conv.descend(small_conv.theta, 0.05, 9)
    torch.testing.assert_close(run.rounds[-1].dense.theta, truth, rtol=1e-12, atol=1e-13)
    assert [len(each.dense.loss) for each in run.rounds] == [4, 4, 4]
    assert run.rounds[0].dense.loss[0] < run.rounds[0].sparse.loss[0] + 10
    assert run.rounds[-1].sparse.gradients == run.rounds[-1].dense.gradients == 3


def test_single_steps_lead_on_where_no_segment_is_worth_it(small_conv):
    space = ParameterSpace(small_conv.task.network)
    strict = {"tolerance": 2e-5, "orders": (2,), "steps": 8, "learning_rate": 0.05, "shots": None}
    with pytest.raises(ArgumentError, match="must let at least two steps meet the tolerance"):
        train_hybrid([small_conv.task], space, AdaptiveSchedule(**strict))
    run = train_hybrid([small_conv.task], space, AdaptiveSchedule(**strict, patience=20))
    assert [each.steps for each in run.rounds] == [1] * 8
    truth = small_conv.descend(small_conv.theta, 0.05, 8)
    torch.testing.assert_close(run.theta, truth, rtol=1e-12, atol=1e-13)
    short = train_hybrid([small_conv.task], space, AdaptiveSchedule(**strict, patience=2))
    assert len(short.rounds) == 2
    assert "truncation error of step 2" in short.stopped


def test_errors():
    for settings, said in (
        ({"density": 0}, "`density` must be in"),
        ({"density": 0.5, "start": 0.4}, "`start` must be at least the density, 0.5"),
        ({"by": "size"}, "`by` must be one of"),
        ({"regrow": -1}, "`regrow` must be an integer"),
    ):
        with pytest.raises(ArgumentError, match=said):
            Pruning(**settings)
