"""The spectrum callback inside Lightning and the Hugging Face Trainer: stand-ins everywhere, the
real ones where installed.
"""

import sys
import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from training.trainers import (
    Base,
    disturbable_network,
    fit_by_lightning,
    random,
    stand_in,
    train_by_transformers,
)

import qdescent as qd
from qdescent.training.callback import SpectrumCallback

DATA = random(1, 12, 1, 6, 6), torch.arange(12) % 3


def callback_of(**settings):
    return SpectrumCallback(
        F.cross_entropy,
        DATA,
        **{"at": 2, "learning_rate": 0.1, "steps": 6, "budget": float("inf"), **settings},
    )


def test_lightning(monkeypatch):
    stand_in(monkeypatch, "lightning.pytorch", Callback=Base)
    callback, network = callback_of(at=2), disturbable_network()
    adapter = callback.for_lightning()
    assert isinstance(adapter, Base)
    trainer = types.SimpleNamespace(global_step=0, is_global_zero=True)
    adapter.on_train_start(trainer, network)
    for batch in range(8):  # two batches are accumulated for each update
        trainer.global_step = (batch + 1) // 2
        adapter.on_train_batch_end(trainer, network, {"loss": 0.0}, DATA, batch)
    assert [one.step for one in callback.measurements] == [0, 2, 4]
    trainer.is_global_zero, trainer.global_step = False, 6
    adapter.on_train_batch_end(trainer, network, None, DATA, 8)
    assert len(callback.measurements) == 3


class Model(nn.Module):
    """Takes what the Hugging Face Trainer gives, and returns what it wants: a loss, and logits."""

    def __init__(self):
        super().__init__()
        self.network = disturbable_network()

    def forward(self, pixel_values, labels=None):
        logits = self.network(pixel_values)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return (
            types.SimpleNamespace(logits=logits)
            if loss is None
            else {"loss": loss, "logits": logits}
        )


def test_hugging_face(monkeypatch):
    stand_in(monkeypatch, "transformers", TrainerCallback=Base)

    callback = callback_of(at=[0, 1, 3])
    callback.loss = lambda out, y: F.cross_entropy(out.logits, y)
    adapter, model = callback.for_hugging_face(), Model()
    assert isinstance(adapter, Base)
    state = types.SimpleNamespace(global_step=0, is_world_process_zero=True)
    adapter.on_train_begin(None, state, None, model=model, optimizer=None)
    for state.global_step in (1, 2, 3):
        adapter.on_step_end(None, state, None, model=model, lr_scheduler=None)
    assert [one.step for one in callback.measurements] == [0, 1, 3]
    same = callback_of()(0, disturbable_network())
    assert torch.equal(callback.measurements[0].spectrum.nodes, same.spectrum.nodes)


@pytest.mark.parametrize(
    "callback",
    [callback_of(), qd.HybridCallback(F.cross_entropy, qd.Schedule(segment=3, rounds=2))],
    ids=["spectrum", "hybrid"],
)
@pytest.mark.parametrize(
    ("package", "door"),
    [("lightning.pytorch", "for_lightning"), ("transformers", "for_hugging_face")],
)
def test_without_the_package_its_name_is_told(monkeypatch, package, door, callback):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=package.split(".")[0]):
        getattr(callback, door)()


def same_weights(first, second):
    return all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def assert_seen_at_the_ends(callback, trained):
    """First and last spectrum are those of the start and the trained network, which differ."""
    start, end = (
        callback_of()(0, network).spectrum for network in (disturbable_network(), trained.network)
    )
    assert torch.equal(callback.measurements[0].spectrum.nodes, start.nodes)
    assert torch.equal(callback.measurements[-1].spectrum.nodes, end.nodes)
    assert not torch.equal(start.nodes, end.nodes)


def test_with_lightning_itself(tmp_path):
    """A real Trainer: measured at 0, 2 and 4 of 4 updates (8 batches, two accumulated), and the
    training is as without.
    """
    lightning = pytest.importorskip(
        "lightning.pytorch",
        reason="lightning is optional; its adapter is tested with a stand-in above",
    )

    def fit(*callbacks):
        batches = [tuple(part[[k, k + 3, k + 1]] for part in DATA) for k in range(8)]
        return fit_by_lightning(
            lightning, disturbable_network(), batches, tmp_path, *callbacks, momentum=0.9,
            accumulate_grad_batches=2,
        )  # fmt: skip

    callback = callback_of(at=2)
    adapter = callback.for_lightning()
    assert isinstance(adapter, lightning.Callback)
    module = fit(adapter)
    assert [one.step for one in callback.measurements] == [0, 2, 4]
    assert same_weights(module, fit())
    assert_seen_at_the_ends(callback, module)


def test_with_transformers_itself(tmp_path):
    """A real Trainer: measured at 0, 1 and 3 of 3 updates, and the training is as without."""
    transformers = pytest.importorskip(
        "transformers",
        reason="transformers is optional; its adapter is tested with a stand-in above",
    )
    pytest.importorskip("accelerate", reason="the Trainer of transformers needs it")

    def train(*callbacks):
        samples = [{"pixel_values": x, "labels": y} for x, y in zip(*DATA, strict=True)]
        return train_by_transformers(transformers, Model(), samples, tmp_path, *callbacks)

    callback = callback_of(at=[0, 1, 3])
    callback.loss = lambda out, y: F.cross_entropy(out.logits, y)
    adapter = callback.for_hugging_face()
    assert isinstance(adapter, transformers.TrainerCallback)
    model = train(adapter)
    assert [one.step for one in callback.measurements] == [0, 1, 3]
    assert same_weights(model, train())
    assert_seen_at_the_ends(callback, model)
