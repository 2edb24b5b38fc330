"""Hybrid rounds where the training of Lightning, of the Hugging Face Trainer or of a plain loop
ends: stand-ins everywhere, the real ones where installed.
"""

import types
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from training.trainers import Base, fit_by_lightning, stand_in, train_by_transformers

import qdescent as qd

DATA = torch.randn(12, 4, generator=torch.Generator().manual_seed(1)), torch.arange(12) % 3
SCHEDULE = qd.Schedule(segment=3, rounds=2, learning_rate=0.05, shots=None)
LOADER = [tuple(part[k : k + 4] for part in DATA) for k in (0, 4, 8)]


def network_of():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Dropout(0.5), nn.Linear(6, 3))


def by_hand(network, batches, loss=F.cross_entropy, schedule=SCHEDULE):
    """The same rounds as `train_hybrid` makes them."""
    network.eval()
    space = qd.ParameterSpace(network, qd.magnitude_mask(network, 0.5, scope="layer"))
    return space, qd.train_hybrid([qd.Task(network, loss, b) for b in batches], space, schedule)


def assert_same_end(network, callback, twin, batches, loss=F.cross_entropy):
    space, run = by_hand(twin, batches, loss)
    assert torch.equal(callback.run.theta, run.theta)
    for name, weight in space.unpack(run.theta).items():
        assert torch.equal(network.get_parameter(name), weight)


def test_a_plain_loop():
    network, callback = network_of(), qd.HybridCallback(F.cross_entropy, SCHEDULE, density=0.5)
    assert callback.run is None
    callback(network, iter(LOADER))
    assert all(module.training for module in network.modules())  # as it was
    assert int((network[0].weight != 0).sum()) == 12
    assert_same_end(network, callback, network_of(), LOADER[:2])
    few = qd.HybridCallback(F.cross_entropy, SCHEDULE, density=0.5)
    few(network := network_of(), LOADER[:1])  # one batch for both rounds
    assert_same_end(network, few, network_of(), LOADER[:1])
    # two for three rounds: they begin again, none is left out
    three = replace(SCHEDULE, rounds=3)
    run = qd.HybridCallback(F.cross_entropy, three, density=0.5)(network_of(), LOADER[:2])
    again = by_hand(network_of(), [LOADER[0], LOADER[1], LOADER[0]], schedule=three)[1]
    assert torch.equal(run.theta, again.theta)


def test_what_cannot_be_is_refused_and_leaves_the_network():
    network, callback = network_of(), qd.HybridCallback(F.cross_entropy, SCHEDULE)
    before = {name: w.clone() for name, w in network.state_dict().items()}
    for loader, must in (
        ([], "give at least one batch"),
        (3, "be an iterable of batches"),
        ([3], "give batches of"),
    ):
        with pytest.raises(qd.ArgumentError, match=must):
            callback(network, loader)
    assert all(torch.equal(w, before[name]) for name, w in network.state_dict().items())
    assert all(module.training for module in network.modules())


class Model(nn.Module):
    """Takes what the Hugging Face Trainer gives, and returns what it wants."""

    def __init__(self):
        super().__init__()
        self.network = network_of()

    def forward(self, x, labels=None):
        logits = self.network(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def loss_of(outputs, batch):
    return outputs["loss"]


def test_stand_ins(monkeypatch):
    stand_in(monkeypatch, "lightning.pytorch", Callback=Base)
    stand_in(monkeypatch, "transformers", TrainerCallback=Base)
    callback, network = qd.HybridCallback(F.cross_entropy, SCHEDULE, density=0.5), network_of()
    trainer = types.SimpleNamespace(world_size=1, train_dataloader=LOADER)
    callback.for_lightning().on_train_end(trainer, network)
    assert_same_end(network, callback, network_of(), LOADER[:2])
    dicts = [{"x": x, "labels": y} for x, y in LOADER]
    callback, model = qd.HybridCallback(loss_of, SCHEDULE, density=0.5), Model()
    arguments = types.SimpleNamespace(world_size=1)
    door = callback.for_hugging_face()
    door.on_train_end(arguments, None, None, model=model, train_dataloader=dicts, optimizer=None)
    assert_same_end(model, callback, Model(), dicts[:2], loss_of)
    arguments.world_size = 2
    with pytest.raises(qd.ArgumentError, match="`trainer` must be of one process"):
        door.on_train_end(arguments, None, None, model=model, train_dataloader=dicts)


def test_with_lightning_itself(tmp_path):
    lightning = pytest.importorskip(
        "lightning.pytorch", reason="optional; its adapter is tested with a stand-in above"
    )

    def fit(*callbacks):
        return fit_by_lightning(lightning, network_of(), LOADER, tmp_path, *callbacks)

    callback = qd.HybridCallback(F.cross_entropy, SCHEDULE, density=0.5)
    assert_same_end(fit(callback.for_lightning()), callback, fit(), LOADER[:2])


def test_with_transformers_itself(tmp_path):
    transformers = pytest.importorskip(
        "transformers", reason="optional; its adapter is tested with a stand-in above"
    )
    pytest.importorskip("accelerate", reason="the Trainer of transformers needs it")

    def train(*callbacks):
        samples = [{"x": x, "labels": y} for x, y in zip(*DATA, strict=True)]
        return train_by_transformers(transformers, Model(), samples, tmp_path, *callbacks)

    callback = qd.HybridCallback(loss_of, SCHEDULE, density=0.5)
    model, plain = train(callback.for_hugging_face()), train()
    assert callback.run is not None
    assert len(callback.run.rounds) == 2
    assert int((model.network[0].weight != 0).sum()) == 12
    assert int((plain.network[0].weight != 0).sum()) == 24
