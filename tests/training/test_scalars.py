"""Where measurements are logged: TensorBoard and Weights & Biases by their own interfaces."""

import math

import pytest
import torch
from torch import nn

import qdescent as qd
from qdescent._checks import ArgumentError

DATA = torch.diag(torch.tensor([1.0, 2.0])), torch.zeros(2, 1)  # H = diag(1, 4)


class Writer:
    """As `torch.utils.tensorboard.SummaryWriter` has it."""

    def __init__(self):
        self.seen = []

    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None):
        self.seen.append((tag, scalar_value, global_step))


class Run:
    """As a run of wandb has it: its own step counts the calls of `log`."""

    def __init__(self):
        self.seen, self.defined = [], []

    def define_metric(self, name, step_metric=None):
        self.defined.append((name, step_metric))

    def log(self, data, step=None, commit=None):
        assert step is None  # the run's own, which the training's updates would fight with
        self.seen.append(data)


def trained(log_to, updates=4):
    """The callback after so many updates that change nothing, measured at every other."""
    callback = qd.SpectrumCallback(
        nn.functional.mse_loss, DATA, at=2, learning_rate=0.6, steps=2, budget=math.inf,
        horizon=3, log_to=log_to,
    )  # fmt: skip
    network = nn.Linear(2, 1, bias=False)
    for _ in range(updates):
        callback.step(network)
    return callback


# eigenvalues 1 and 4 at eta = .6: factors .4 and 1.4
EXPECTED = {
    "lambda_min": 1.0,
    "lambda_max": 4.0,
    "trace": 5.0,
    "dissipative": 0.5,
    "divergent": 0.5,
    "growth_a_step": 1.4,
    "growth": 1.4**3,
}


def test_a_writer_gets_each_scalar_at_its_step():
    writer = Writer()
    trained(writer)
    for step in (2, 4):
        got = {tag: value for tag, value, at in writer.seen if at == step}
        for name, value in EXPECTED.items():
            assert got[f"spectrum/{name}"] == pytest.approx(value, rel=1e-5), name
    assert {step for _, _, step in writer.seen} == {2, 4}
    assert all(type(value) is float for _, value, _ in writer.seen)


def test_a_run_gets_them_together_with_a_step_of_their_own():
    run = Run()
    trained(run)
    assert [data["spectrum/step"] for data in run.seen] == [2, 4]
    assert run.seen[0]["spectrum/lambda_max"] == pytest.approx(4.0, rel=1e-5)
    assert ("spectrum/*", "spectrum/step") in run.defined


def test_a_plain_log_and_none_are_enough():
    seen = []
    logger = type("Logger", (), {"log": staticmethod(seen.append)})()
    trained(logger)
    assert [data["spectrum/step"] for data in seen] == [2, 4]
    assert len(trained(None).measurements) == 2


@pytest.mark.parametrize(
    "value",
    [Writer, "tensorboard", 3, torch.ones(2), object(), print],
    ids=["class", "text", "number", "tensor", "object", "function"],
)
def test_what_cannot_log_is_refused(value):
    with pytest.raises(ArgumentError, match="^Argument `log_to` must have a method add_scalar"):
        trained(value)


def test_tensorboard_itself(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        trained(writer)
    read = EventAccumulator(str(tmp_path)).Reload()
    for name, value in EXPECTED.items():
        events = read.Scalars(f"spectrum/{name}")
        assert [event.step for event in events] == [2, 4]
        assert events[0].value == pytest.approx(value, rel=1e-5)


def test_weights_and_biases_itself(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(mode="offline", dir=tmp_path, project="qdescent")
    run.log({"loss": 1.0})
    trained(run)
    run.log({"loss": 0.5})  # the training's own goes on
    summary = dict(run.summary)
    run.finish()
    assert summary["spectrum/step"] == 4
    assert summary["spectrum/lambda_max"] == pytest.approx(4.0, rel=1e-5)
    assert summary["loss"] == 0.5
