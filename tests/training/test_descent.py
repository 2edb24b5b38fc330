"""Plain descent against its closed form, and dense training that can be cut anywhere between
epochs.
"""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.datasets import ImageData
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.training import descent as descent_module
from qdescent.training.descent import accuracy, correct, descend, train_dense
from qdescent.training.samples import Samples, named_correctly


@pytest.fixture
def images():
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    pictures = torch.randn(60, 1, 4, 4, generator=g) + 2 * labels[:, None, None, None].float()
    return ImageData(
        pictures[:45], labels[:45], pictures[45:], labels[45:], ("a", "b", "c"), "planted"
    )


def small_network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 3))


def weights(network):
    return torch.cat([w.detach().flatten() for w in network.parameters()])


def train(network, images, epochs=4, **settings):
    return train_dense(
        network,
        nn.functional.cross_entropy,
        images,
        epochs,
        batch=16,
        learning_rate=1e-2,
        **settings,
    )


def test_descent_on_a_quadratic_is_its_closed_form(regression):
    """theta_T = theta* + (I - eta H)^T (theta_0 - theta*), theta* by least squares."""
    X, y = (part.numpy() for part in regression.task.data)
    best = np.linalg.lstsq(X, y, rcond=None)[0][:, 0]
    space = ParameterSpace(regression.task.network)
    path = list(itertools.islice(descend(regression.task, space, space.theta, 0.1), 25))
    factor = np.linalg.matrix_power(np.eye(4) - 0.1 * (2 / 5) * X.T @ X, 25)
    np.testing.assert_allclose(
        path[-1][1], best + factor @ (space.theta.numpy() - best), rtol=1e-11
    )
    residual = X @ space.theta.numpy() - y[:, 0]
    assert path[0][0] == pytest.approx((residual**2).mean(), rel=1e-13)  # the loss before the step


def test_pruned_weights_stay_away(seventeen):
    mask = MASKS["random"](seventeen.task.network, density=0.5)
    space = ParameterSpace(seventeen.task.network, mask)
    (_, theta), keep = (
        next(descend(seventeen.task, space, space.theta, 0.1)),
        torch.cat([k.flatten() for k in mask.keep.values()]),
    )
    start = seventeen.theta * keep
    torch.testing.assert_close(
        theta, (start - 0.1 * seventeen.gradient(start))[keep], rtol=1e-12, atol=1e-14
    )


def test_a_learning_rate_that_is_too_large_says_so(regression, seventeen):
    space = ParameterSpace(regression.task.network)
    with pytest.raises(
        ArgumentError, match=r"Argument `learning_rate` must keep the loss finite .*, but is 1e\+60"
    ):
        list(itertools.islice(descend(regression.task, space, space.theta, 1e60), 20))
    with pytest.raises(ArgumentError, match=r"Argument `learning_rate` must be in \(0, inf\)"):
        next(descend(regression.task, space, space.theta, -1.0))


def test_accuracy_is_the_share_of_right_answers(seventeen):
    space = ParameterSpace(seventeen.task.network)
    x = torch.randn(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outputs = seventeen.task.network(x).detach().numpy()
    labels = torch.arange(40) % 2
    expected = np.mean(outputs.argmax(1) == labels.numpy())
    assert accuracy(seventeen.task, space, space.theta, x, labels) == pytest.approx(expected)
    assert (
        accuracy(seventeen.task, space, space.theta, x, torch.from_numpy(outputs.argmax(1))) == 1.0
    )


class OfWords(nn.Module):
    """Takes its batch by names, as networks for texts do."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, input_ids, attention_mask):
        seen = attention_mask[..., None].to(self.head.weight.dtype)
        return self.head((self.table(input_ids) * seen).sum(1) / seen.sum(1))


@pytest.mark.parametrize("at_once", [7, 1000])
def test_accuracy_takes_what_a_task_takes(monkeypatch, at_once):
    monkeypatch.setattr(descent_module, "TESTED_AT_ONCE", at_once)
    g = torch.Generator().manual_seed(0)
    network, labels = OfWords(), torch.randint(3, (20,), generator=g)
    words = torch.randint(1, 9, (20, 5), generator=g)
    inputs = {"input_ids": words, "attention_mask": torch.ones_like(words)}
    task = Task(network, nn.functional.cross_entropy, (inputs, labels))
    space = ParameterSpace(network)
    truth = float((network(**inputs).argmax(1) == labels).double().mean())
    assert accuracy(task, space, space.theta, inputs, labels) == pytest.approx(truth, abs=1e-12)
    assert 0 < truth < 1
    with pytest.raises(ArgumentError, match="must"):
        accuracy(task, space, space.theta, None, labels)
    with pytest.raises(ArgumentError, match="`labels`|`data`"):
        accuracy(task, space, space.theta, inputs, labels[:10])


@pytest.mark.parametrize("at_once", [7, 1000])
def test_of_labels_that_are_left_out_accuracy_says_nothing(monkeypatch, seventeen, at_once):
    monkeypatch.setattr(descent_module, "TESTED_AT_ONCE", at_once)
    space = ParameterSpace(seventeen.task.network)
    x = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = seventeen.task.network(x).detach().argmax(1)
    labels[:5], labels[5:8] = -100, 1 - labels[5:8]
    found = correct(seventeen.task, space, space.theta, x, labels)
    assert found.tolist() == [False] * 3 + [True] * 12
    assert accuracy(seventeen.task, space, space.theta, x, labels) == pytest.approx(12 / 15)
    nothing = torch.full_like(labels, -100)
    assert accuracy(seventeen.task, space, space.theta, x, nothing) == 0.0


def test_dense_training_learns_a_planted_difference(images):
    network = small_network()
    done = train(network, images, epochs=40)
    assert done.epoch == len(done.loss) == len(done.test_accuracy) == 40
    assert done.loss[-1] < 0.5 * done.loss[0]
    assert done.test_accuracy[-1] > 0.6  # one in three by guessing
    assert not network.training
    truth = (network(images.test_images).argmax(1) == images.test_labels).double().mean()
    assert done.test_accuracy[-1] == float(truth)


@pytest.mark.parametrize("cut", [1, 3])
def test_resumed_training_ends_in_the_same_bits(images, cut):
    whole, saved = small_network(), []
    reference = train(whole, images, on_epoch=saved.append)
    other = small_network()
    with torch.no_grad():
        for w in other.parameters():
            w.zero_()  # nothing but the state may count
    torch.manual_seed(12345)
    resumed = train(other, images, state=saved[cut - 1])
    assert torch.equal(weights(whole), weights(other))
    assert (resumed.loss, resumed.test_accuracy) == (reference.loss, reference.test_accuracy)
    fresh = small_network()  # the weights alone, without the optimizer's moments
    with torch.no_grad():
        for name, w in fresh.named_parameters():
            w.copy_(saved[cut - 1].tensors[f"weight/{name}"])
    train(fresh, images, epochs=4 - cut)
    assert not torch.equal(weights(whole), weights(fresh))


def test_a_saved_state_does_not_move_on(images):
    saved = []
    network = small_network()
    train(
        network,
        images,
        on_epoch=lambda state: saved.append(
            (state, {k: v.clone() for k, v in state.tensors.items()})
        ),
    )
    for state, copy in saved:
        assert all(torch.equal(state.tensors[key], copy[key]) for key in copy)


def test_seed_orders_the_samples_and_finished_training_stays(images):
    one, same, other = small_network(), small_network(), small_network()
    done = train(one, images, epochs=1, seed=0)
    train(same, images, epochs=1, seed=0)
    train(other, images, epochs=1, seed=1)
    assert torch.equal(weights(one), weights(same))
    assert not torch.equal(weights(one), weights(other))
    assert train(other, images, epochs=1, state=done) is done
    assert torch.equal(weights(other), weights(one))


def test_batches_are_counted(images):
    calls = []
    train(small_network(), images, epochs=2, on_batch=lambda: calls.append(1))
    assert len(calls) == 2 * 3


def test_errors(images):
    with pytest.raises(ArgumentError, match="Argument `epochs` must be an integer of at least 1"):
        train(small_network(), images, epochs=0)
    network = small_network()
    with pytest.raises(
        ArgumentError, match=r"learning_rate` must keep the loss finite \(try a tenth of it\)"
    ):
        train_dense(
            network, lambda o, t: nn.functional.cross_entropy(o, t) * float("inf"), images, 1
        )


def tokens(outputs, targets):
    return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def test_dense_training_of_a_language_model_names_its_tokens():
    """Outputs (samples, tokens, classes); by hand, without the labels that do not count."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(7, 6), nn.Tanh(), nn.Linear(6, 5))
    x, y = torch.randint(7, (12, 3)), torch.randint(5, (12, 3))
    y[::2, 0] = -100
    done = train_dense(network, tokens, Samples((x, y), (x[:5], y[:5]), "drawn"), epochs=1, batch=4)
    named, counted = network(x[:5]).argmax(2) == y[:5], y[:5] >= 0
    assert done.test_accuracy == (float(named[counted].double().mean()),)
    assert float(named.double().mean()) != done.test_accuracy[0]  # with those that do not count


def test_which_axis_holds_the_classes():
    """The one after the samples where both may be, as for PyTorch's losses; one number is none."""
    scores = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[0, 1, 2], [2, 2, 0]])
    assert torch.equal(named_correctly(scores, labels), (scores.argmax(1) == labels).flatten())
    wide = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(named_correctly(wide, labels), (wide.argmax(2) == labels).flatten())
    for outputs in (scores[..., :1], scores[0, 0], torch.ones(2, 3), (scores,)):
        assert named_correctly(outputs, labels) is None


def test_outputs_without_classes_are_refused_before_the_training():
    x, y = torch.ones(4, 2), torch.tensor([[0], [1], [1], [0]])
    with pytest.raises(ArgumentError, match=r"`data` must have class labels \(B, \.\.\.\) as"):
        train_dense(
            nn.Linear(2, 1),
            lambda out, labels: (out - labels).square().mean(),
            Samples((x, y), (x, y), "made up"),
            epochs=1,
        )


def test_samples_of_another_precision_than_the_weights_are_one_sentence():
    x, y = torch.ones(4, 3).double(), torch.tensor([0, 1, 0, 1])
    samples, network = Samples((x, y), (x, y), "made here"), torch.nn.Linear(3, 2)
    must = r"`data` must fit the network \(torch.as_tensor\(inputs\).to\(torch.float32\), the type"
    with pytest.raises(ArgumentError, match=must):
        train_dense(network, torch.nn.functional.cross_entropy, samples, 1)
    train_dense(network.double(), torch.nn.functional.cross_entropy, samples, 1)


def test_a_dense_training_goes_on_from_a_state_of_its_own_alone():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(20, 1, 2, 2, generator=generator)
    data = ImageData(
        images, torch.arange(20) % 2, images[:4], torch.arange(4) % 2, ("a", "b"), "us"
    )

    def network():
        torch.manual_seed(3)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))

    states = []
    cross_entropy = torch.nn.functional.cross_entropy
    whole = train_dense(network(), cross_entropy, data, 3, on_epoch=states.append)
    on = train_dense(network(), cross_entropy, data, 3, state=states[0])
    assert all(bool((on.tensors[name] == x).all()) for name, x in whole.tensors.items())
    for given, must in (
        ({"seed": 9}, "`seed` was 0, here it is 9"),
        ({"learning_rate": 0.2}, "`learning_rate` was 0.1, here it is 0.2"),
        ({"epochs": 5}, "`epochs` was 3, here it is 5"),
        ({"epochs": 1}, "hold at most the 1 epochs that are asked for, but is 2 of them"),
    ):
        with pytest.raises(ArgumentError, match=f"Argument `state` must .*{must}"):
            train_dense(network(), cross_entropy, data, **{"epochs": 3, "state": states[1]} | given)
