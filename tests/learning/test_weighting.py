"""Several batches of one loss: their operators are that of the loss over all, or refused."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.learning.weighting.by_outputs import weighted

F64 = torch.float64
CLASSES = torch.tensor([0.2, 1.0, 3.0], dtype=F64)
SIZES = (5, 2, 4)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def batches():
    g = torch.Generator().manual_seed(1)
    labels = [torch.randint(3, (k,), generator=g) for k in SIZES]
    labels[0][:3] = -100  # ignored
    labels[2][1] = -100
    return [
        (torch.randn(k, 3, generator=g, dtype=F64), y) for k, y in zip(SIZES, labels, strict=True)
    ]


def truth(dense, net, loss, data):
    x, y = torch.cat([a for a, _ in data]), torch.cat([b for _, b in data])
    return dense(lambda p: loss(functional_call(net, p, (x,)), y), dict(net.named_parameters()))[1]


def penalised(net):
    return lambda out, y: (
        F.cross_entropy(out, y) + 0.3 * sum(p.square().sum() for p in net.parameters())
    )


LOSSES = {
    "ignored labels": F.cross_entropy,
    "class weights": lambda out, y: F.cross_entropy(out, y, weight=CLASSES),
    "smoothed": lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1),
    "a sum": lambda out, y: F.cross_entropy(out, y, reduction="sum"),
    "weights, summed": lambda out, y: F.cross_entropy(out, y, weight=CLASSES, reduction="sum"),
    "over another constant": lambda out, y: F.cross_entropy(out, y, reduction="sum") / 7,
    "negative log-likelihood": lambda out, y: F.nll_loss(out.log_softmax(1), y, weight=CLASSES),
    "a mean over samples": lambda out, y: F.mse_loss(out, F.one_hot(y.clamp(min=0), 3).to(out)),
    "counted by hand": lambda out, y: (
        (F.cross_entropy(out, y, reduction="none") * (y >= 0)).sum() / (y >= 0).sum()
    ),
}


@pytest.mark.parametrize("name", list(LOSSES))
def test_several_batches_are_the_loss_over_all(dense, name):
    net, data = network(), batches()
    tasks, space = [Task(net, LOSSES[name], each) for each in data], ParameterSpace(net)
    H, eye = truth(dense, net, LOSSES[name], data), torch.eye(space.n, dtype=F64)
    torch.testing.assert_close(hessian(tasks, space) @ eye, H, rtol=1e-9, atol=1e-12)
    whole = Task(net, LOSSES[name], tuple(torch.cat(parts) for parts in zip(*data, strict=True)))
    torch.testing.assert_close(
        gauss_newton(tasks, space) @ eye, gauss_newton(whole, space) @ eye, rtol=1e-9, atol=1e-12
    )
    by_size = sum(
        k / sum(SIZES) * (hessian(t, space) @ eye) for k, t in zip(SIZES, tasks, strict=True)
    )
    if name not in ("a mean over samples", "smoothed"):
        with pytest.raises(AssertionError):  # what it was: every loss taken for a mean over samples
            torch.testing.assert_close(by_size, H, rtol=1e-2, atol=1e-3)


def test_a_mean_over_samples_has_exactly_the_weights_of_its_sizes():
    net = network().float()
    tasks = [Task(net, F.mse_loss, (x.float(), torch.zeros(len(x), 3))) for x, _ in batches()]
    assert [weight for _, weight in weighted(tasks)] == [5 / 11, 2 / 11, 4 / 11]


def test_a_penalty_counts_once(dense):
    net, data = network(), batches()
    tasks, space = [Task(net, penalised(net), each) for each in data], ParameterSpace(net)

    def loss(p):
        x, y = torch.cat([a for a, _ in data]), torch.cat([b for _, b in data])
        return F.cross_entropy(functional_call(net, p, (x,)), y) + 0.3 * sum(
            w.square().sum() for w in p.values()
        )

    H = dense(loss, dict(net.named_parameters()))[1]
    torch.testing.assert_close(
        hessian(tasks, space) @ torch.eye(space.n, dtype=F64), H, rtol=1e-9, atol=1e-12
    )
    summed = [
        Task(net, lambda out, y: 5 * penalised(net)(out, y) + LOSSES["a sum"](out, y), each)
        for each in data
    ]
    with pytest.raises(ArgumentError, match="`loss` must be a mean"):
        hessian(summed, space)
    twice = [
        Task(net, lambda out, y: LOSSES["a sum"](out, y) + net[0].weight.square().sum(), each)
        for each in data
    ]
    with pytest.raises(
        ArgumentError, match="`loss` must be a mean where it uses the weights itself"
    ):
        hessian(twice, space)


def token_loss(out, y):
    return F.cross_entropy(out.flatten(0, 1), y.flatten())


def shifted(out, y):
    return F.cross_entropy(out[:, :-1].flatten(0, 1), y[:, 1:].flatten())


@pytest.mark.parametrize("loss", [token_loss, shifted])
def test_ragged_labels(dense, loss):
    """Sequences padded to the longest of their batch; the whole is padded to the longest of all."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(6, 3), nn.Tanh(), nn.Linear(3, 6)).double()
    g = torch.Generator().manual_seed(2)
    data = []
    for samples, longest, kept in ((3, 7, 6), (2, 4, 4), (4, 9, 2)):
        ids = torch.randint(6, (samples, longest), generator=g)
        labels = ids.clone()
        labels[0, kept:] = -100
        data.append((ids, labels))
    padded = [
        (F.pad(ids, (0, 9 - ids.shape[1])), F.pad(labels, (0, 9 - labels.shape[1]), value=-100))
        for ids, labels in data
    ]
    space = ParameterSpace(net)
    H = hessian([Task(net, loss, each) for each in data], space) @ torch.eye(space.n, dtype=F64)
    torch.testing.assert_close(H, truth(dense, net, loss, padded), rtol=1e-9, atol=1e-12)


NO_PARTS = {
    "a root": lambda out, y: F.mse_loss(out, F.one_hot(y.clamp(min=0), 3).to(out)).sqrt(),
    "a contrast": lambda out, y: F.cross_entropy(out @ out.T, torch.arange(len(out))),
    "a variance": lambda out, y: out.var(0).sum(),
    "a worst case": lambda out, y: F.cross_entropy(out, y.clamp(min=0), reduction="none").max(),
    "a ratio": lambda out, y: out.square().sum() / out.abs().sum(),
}


@pytest.mark.parametrize("name", list(NO_PARTS))
def test_a_loss_without_parts_is_refused(name):
    net = network()
    tasks, space = [Task(net, NO_PARTS[name], each) for each in batches()], ParameterSpace(net)
    with pytest.raises(
        ArgumentError, match="`loss` must be a mean or a sum over samples or tokens"
    ):
        hessian(tasks, space)
    hessian(tasks[0], space, check=False)  # of one batch it is what it is


def test_outputs_that_cannot_be_joined_are_judged_by_halves():
    class Transposed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, x):
            return self.inner(x).T

    net, space_of = Transposed().double(), ParameterSpace
    mean = [
        Task(net, lambda out, y: F.mse_loss(out.T, torch.zeros_like(out.T)), each)
        for each in batches()
    ]
    twin = [
        Task(net.inner, lambda out, y: F.mse_loss(out, torch.zeros_like(out)), each)
        for each in batches()
    ]
    v = torch.ones(space_of(net).n, dtype=F64)
    torch.testing.assert_close(
        hessian(mean, space_of(net)) @ v,
        hessian(twin, space_of(net.inner)) @ v,
        rtol=1e-9,
        atol=1e-12,
    )


def marked_mean(out, y):
    counts = y == 0
    return (F.cross_entropy(out, y, reduction="none") * counts).sum() / counts.sum().clamp(min=1)


def hinge(reduction):
    def loss(out, y):
        parts = (1 - out[:, 0] * (y.to(out) - 1)).clamp(min=0).square()
        return parts.sum() if reduction == "sum" else parts.mean()

    return loss


def fitted(reduction):
    """Exactly fitted by a network of zeros."""
    return lambda out, y: F.mse_loss(out, torch.zeros_like(out), reduction=reduction)


UNMOVED = {
    "none marked in the second": (marked_mean, ([0, 1, 0, 2], [1, 2, 1])),
    "none marked in the first": (marked_mean, ([1, 2, 1, 1, 2], [0, 1])),
    "none marked in the middle": (marked_mean, ([0, 1], [1, 2, 1], [2, 0, 0, 0])),
    "none marked at all": (marked_mean, ([1, 2], [2, 2, 1])),
    "marked, summed": (
        lambda out, y: (F.cross_entropy(out, y, reduction="none") * (y == 0)).sum(),
        ([0, 1, 0, 2], [1, 2, 1]),
    ),
    "mean": (fitted("mean"), ([0, 1, 0], [1, 2])),
    "sum": (fitted("sum"), ([0, 1, 0], [1, 2])),
    "hinge": (hinge("mean"), ([0, 1, 2, 0], [1, 1])),
    "hinge, summed": (hinge("sum"), ([0, 1, 2, 0], [1, 1])),
}


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("name", list(UNMOVED))
def test_a_batch_that_does_not_move_the_loss_counts_what_it_counts(dense, name, zero):
    loss, labels = UNMOVED[name]
    net = network()
    if zero:
        with torch.no_grad():
            net[2].weight.zero_()
            net[2].bias.zero_()
    g = torch.Generator().manual_seed(1)
    data = [(torch.randn(len(y), 3, generator=g, dtype=F64), torch.tensor(y)) for y in labels]
    space = ParameterSpace(net)
    H = hessian([Task(net, loss, each) for each in data], space) @ torch.eye(space.n, dtype=F64)
    torch.testing.assert_close(H, truth(dense, net, loss, data), rtol=1e-9, atol=1e-12)


@dataclass
class Outputs:
    logits: torch.Tensor
    loss: torch.Tensor


class ByAttribute(dict):
    __getattr__ = dict.__getitem__


class LanguageModel(nn.Module):
    """Computes its own loss, as those of Hugging Face do."""

    def __init__(self, made, reduction="mean"):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.head = nn.Embedding(9, 3), nn.Linear(3, 9)
        self.made, self.reduction = made, reduction

    def forward(self, ids, labels):
        logits = self.head(torch.tanh(self.table(ids)))
        pair = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
        loss = F.cross_entropy(*pair, reduction="sum" if self.reduction == "sum" else "mean")
        if self.reduction == "root":
            loss = loss.sqrt()
        return self.made(logits=logits, loss=loss)


def token_batches(lengths=(6, 6, 6)):
    g = torch.Generator().manual_seed(0)
    ids = torch.randint(1, 9, (3, 6), generator=g)
    labels = ids.clone()
    labels[0, :4] = -100  # 2 tokens of the first count, 5 of each of the others
    for sample, length in enumerate(lengths):
        ids[sample, length:], labels[sample, length:] = 0, -100
    parts = [slice(0, 1), slice(1, 3)]
    longest = [max(lengths[part]) for part in parts]
    whole = {"ids": ids, "labels": labels}
    cut = [
        {k: x[part, :end] for k, x in whole.items()}
        for part, end in zip(parts, longest, strict=True)
    ]
    return whole, cut


def own_loss(outputs, batch):
    return outputs["loss"] if type(outputs) is dict else outputs.loss


def outside(outputs, batch):
    return shifted(outputs.logits, batch["labels"])


@pytest.mark.parametrize(
    ("made", "reduction", "lengths"),
    [
        (dict, "mean", (6, 4, 3)),
        (ByAttribute, "sum", (6, 4, 3)),
        (Outputs, "mean", (6, 6, 6)),
        (Outputs, "sum", (6, 4, 3)),
    ],
)
def test_a_network_that_computes_its_own_loss_is_weighted_by_what_counts(made, reduction, lengths):
    net = LanguageModel(made, reduction).double()
    whole, parts = token_batches(lengths)
    space = ParameterSpace(net)
    eye = torch.eye(space.n, dtype=F64)
    H = hessian(Task(net, own_loss, whole), space, check=False) @ eye
    tasks = [Task(net, own_loss, part) for part in parts]
    torch.testing.assert_close(hessian(tasks, space) @ eye, H, rtol=1e-9, atol=1e-12)
    both = [Task(net, own_loss, part) for part in (parts[0], parts[0])]  # alike: counted by samples
    alone = hessian(tasks[0], space) @ eye
    factor = 2.0 if reduction == "sum" else 1.0
    torch.testing.assert_close(hessian(both, space) @ eye, factor * alone, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("made", [ByAttribute, Outputs])
def test_outputs_by_attribute_are_seen(made):
    net = LanguageModel(made).double()
    whole, parts = token_batches()
    space = ParameterSpace(net)
    eye = torch.eye(space.n, dtype=F64)
    for curvature in (hessian, gauss_newton):
        torch.testing.assert_close(
            curvature([Task(net, outside, part) for part in parts], space) @ eye,
            curvature(Task(net, outside, whole), space, check=False) @ eye,
            rtol=1e-9,
            atol=1e-12,
        )


def test_a_root_inside_the_network_is_refused():
    net = LanguageModel(dict, "root").double()
    tasks = [Task(net, own_loss, part) for part in token_batches()[1]]
    with pytest.raises(ArgumentError, match="`loss` must be a mean or a sum over samples"):
        hessian(tasks, ParameterSpace(net))


def test_a_gauss_newton_matrix_of_a_loss_inside_the_network_is_refused():
    net = LanguageModel(Outputs).double()
    with pytest.raises(ArgumentError, match="`loss` must be computed outside of the network"):
        gauss_newton(Task(net, own_loss, token_batches()[0]), ParameterSpace(net))


class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize(
    "coupling", [lambda: nn.BatchNorm1d(4, track_running_stats=False).eval(), Centred]
)
def test_several_batches_of_a_network_that_couples_samples_are_refused(coupling, size):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), coupling(), nn.Tanh(), nn.Linear(4, 2)).double()
    x, y = torch.randn(12, 3, dtype=F64), torch.randn(12, 2, dtype=F64)
    if size == 1 and coupling is not Centred:  # PyTorch's refuses a single sample itself
        size = 3
    tasks = [Task(net, F.mse_loss, (x[part], y[part])) for part in (slice(size), slice(size, 12))]
    with pytest.raises(ArgumentError, match="`network` must treat each sample by itself"):
        hessian(tasks, ParameterSpace(net))
    hessian(tasks[-1], ParameterSpace(net))  # of one batch it is what it is
