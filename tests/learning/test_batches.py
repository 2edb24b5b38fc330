"""A batch in every form gives the numbers of the same batch as two tensors, or one sentence with
the cure.
"""

import itertools
from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from qdescent._checks import ArgumentError
from qdescent.learning.batches import (
    as_batch,
    mapped,
    picked,
    samples_of,
    tensors_of,
    ways_to_call,
    written,
)
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.solvers.series import series_descent
from qdescent.training.callback import SpectrumCallback

F64 = torch.float64
X = torch.randn(6, 3, dtype=F64, generator=torch.Generator().manual_seed(1))
MASK = (torch.arange(18).reshape(6, 3) % 4 > 0).to(F64)
Y = torch.tensor([0, 1, 1, 0, 1, 0])
IDS = torch.tensor([[0, 1], [2, 3], [3, 3], [1, 0], [4, 2], [0, 4]])


class Outputs(OrderedDict):
    """As the outputs of Hugging Face: a dict that is read by attributes."""

    def __init__(self, **parts):
        super().__init__(parts)
        self.__dict__.update(parts)

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.__dict__[key] = value


@dataclass
class Scores:
    logits: Any
    hidden: Any = None


Pair = namedtuple("Pair", ["x", "mask"])


class Core(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


class Plain(Core):
    def forward(self, x):
        return self.layers(x * MASK)


class Two(Core):
    def forward(self, x, mask):
        return self.layers(x * mask)


class Optional(Core):
    def forward(self, x, mask=None, labels=None):
        logits = self.layers(x * mask)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return Outputs(logits=logits) if loss is None else Outputs(loss=loss, logits=logits)


class Whole(Core):
    def forward(self, batch):
        return self.layers(batch["x"] * batch["mask"])


class ByField(Core):
    def forward(self, pair):
        return self.layers(pair.x * pair.mask)


class Anything(Core):
    def forward(self, *given, **named):
        return self.layers(named["x"] * named["mask"])


class Rows(Core):
    """Takes a list of samples, as detectors do, and an optional second argument."""

    def forward(self, rows, targets=None):
        return self.layers(torch.stack(list(rows)) * MASK)


def giving(wrap):
    class Giving(Core):
        def forward(self, x):
            return wrap(self.layers(x * MASK))

    return Giving


PARTS = {"x": X, "mask": MASK}
with torch.inference_mode():
    INFERRED = X * 1
PICKED = lambda out, y: F.cross_entropy(out["logits"], y)  # noqa: E731
CASES = {
    "tensors": (Plain, F.cross_entropy, (X, Y)),
    "arrays and a list": (Plain, F.cross_entropy, (X.numpy(), Y.tolist())),
    "labels as int32": (Plain, F.cross_entropy, (X, Y.int())),
    "labels as bytes": (Plain, F.cross_entropy, (X, Y.to(torch.uint8))),
    "labels as int16 arrays": (Plain, F.cross_entropy, [X, Y.numpy().astype(np.int16)]),
    "arrays in a tuple": (Two, F.cross_entropy, ((X.numpy(), MASK.numpy()), Y.tolist())),
    "arrays in a list of parts": (Two, F.cross_entropy, [[X.numpy(), MASK], Y]),
    "inference tensors": (Two, F.cross_entropy, ((INFERRED, MASK), Y)),
    "a dict with labels that forward does not know": (
        Two, lambda out, batch: F.cross_entropy(out, batch["labels"]),
                                                      {**PARTS, "labels": Y}),
    "a tuple": (Two, F.cross_entropy, ((X, MASK), Y)),
    "a list, as a loader collates tuples": (Two, F.cross_entropy, [[X, MASK], Y]),
    "a dict over arguments": (Two, F.cross_entropy, (PARTS, Y)),
    "a dict as one argument": (Whole, F.cross_entropy, (PARTS, Y)),
    "another mapping": (Two, F.cross_entropy, (UserDict(PARTS), Y)),
    "another mapping as one argument": (Whole, F.cross_entropy, (UserDict(PARTS), Y)),
    "a dict for anything": (Anything, F.cross_entropy, (PARTS, Y)),
    "a named tuple as one argument": (ByField, F.cross_entropy, (Pair(X, MASK), Y)),
    "a record as one argument": (ByField, F.cross_entropy, (SimpleNamespace(**PARTS), Y)),
    "a list of samples": (Rows, F.cross_entropy, (list(X), Y)),
    "a dict with its labels": (Optional, lambda out, batch: out.loss, {**PARTS, "labels": Y}),
    "labels of a dict by hand": (
        Optional, lambda out, batch: F.cross_entropy(out.logits, batch["labels"]),
        {**PARTS, "labels": Y}),
    "logits by themselves": (Optional, F.cross_entropy, (PARTS, Y)),
    "logits beside a loss": (Optional, F.cross_entropy, ({**PARTS, "labels": Y}, Y)),
    "outputs: a dict": (giving(lambda z: {"logits": z}), PICKED, (X, Y)),
    "outputs: a dict, tensors' loss": (giving(lambda z: {"logits": z, "hidden": 2 * z}),
                                       F.cross_entropy, (X, Y)),
    "outputs: a dataclass": (giving(lambda z: Scores(z)),
                             lambda out, y: F.cross_entropy(out.logits, y), (X, Y)),
    "outputs: a dataclass, tensors' loss": (giving(lambda z: Scores(z, 3 * z)), F.cross_entropy,
                                            (X, Y)),
    "outputs: a tuple of one": (giving(lambda z: (z,)), F.cross_entropy, (X, Y)),
    "outputs: a tuple": (giving(lambda z: (z, z.sum())), lambda out, y: F.cross_entropy(out[0], y),
                         (X, Y)),
    "ragged labels": (
        Plain,
        lambda out, ys: sum(
            F.cross_entropy(o, torch.tensor(y[-1])) for o, y in zip(out, ys, strict=True)) / 6,
                      (X, [[1] * k + [y] for k, y in enumerate(Y.tolist())])),
}  # fmt: skip


@pytest.fixture
def truth(dense):
    network = Plain()
    return dense(
        lambda p: F.cross_entropy(torch.func.functional_call(network, p, (X,)), Y),
        dict(network.named_parameters()),
    )


@pytest.mark.parametrize("case", CASES)
def test_every_form_gives_the_same_numbers(case, truth):
    build, loss, data = CASES[case]
    network = build()
    task, space = Task(network, loss, data), ParameterSpace(network)
    assert task.batch == 6
    torch.testing.assert_close(
        task.loss_and_gradient(space, space.theta)[1], truth[0], rtol=0, atol=1e-14
    )
    for method in ("auto", "double-backward"):
        torch.testing.assert_close(
            hessian(task, space, method=method).to_dense(), truth[1], rtol=0, atol=1e-13
        )
    torch.testing.assert_close(
        task.with_data(task.data).loss_at(space, space.theta), task.loss_at(space, space.theta)
    )
    seen = SpectrumCallback(loss, data, at=1, learning_rate=0.1, steps=30, probes=1)(
        0, network
    ).spectrum
    assert seen.lambda_max[0] == pytest.approx(float(torch.linalg.eigvalsh(truth[1])[-1]), abs=1e-9)


@pytest.mark.parametrize(
    "case", ["a dict over arguments", "logits by themselves", "outputs: a dataclass, tensors' loss"]
)
def test_series_map_and_gauss_newton_take_them_too(case):
    build, loss, data = CASES[case]
    results = []
    for network, each, batch in ((Plain(), F.cross_entropy, (X, Y)), (build(), loss, data)):
        task, space = Task(network, each, batch), ParameterSpace(network)
        results.append(
            [
                gauss_newton(task, space).to_dense(),
                series_descent(task, space, order=2, steps=3, learning_rate=0.1).value,
                gradient_map(task, space.restrict(space.theta, torch.arange(4)), 0.1, 2)
                .coefficients[2]
                .to_dense(),
                torch.as_tensor(task.outputs_at(space, space.theta, task.data[0])),
            ]
        )
    for ours, expected in zip(*reversed(results), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_token_ids_of_any_integer_type(kind):
    network = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2)).double()
    space = ParameterSpace(network)
    expected = hessian(Task(network, F.cross_entropy, (IDS, Y)), space).to_dense()
    assert torch.equal(
        hessian(Task(network, F.cross_entropy, (IDS.to(kind), Y)), space).to_dense(), expected
    )


def test_bytes_stay_bytes_for_a_network_that_looks():
    class Looks(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(x.float() / 255 if x.dtype == torch.uint8 else x.float())

    network = Looks()
    task = Task(network, F.cross_entropy, (IDS.to(torch.uint8) * 50, Y))
    assert task.data[0].dtype == torch.uint8
    assert torch.equal(
        task.outputs_with(dict(network.named_parameters())), network(IDS.to(torch.uint8) * 50)
    )


BROADCAST = [
    F.mse_loss,
    F.l1_loss,
    F.smooth_l1_loss,
    lambda o, t: ((o - t) ** 2).mean(),
    lambda o, t: (t - o.tanh()).square().mean(),
    lambda o, t: torch.sub(t.float(), o).abs().sum(),
    lambda o, t: (torch.log(1 + torch.exp(-t * o))).mean(),
    lambda o, t: torch.where(t > 0, o, -o).mean(),
]


@pytest.mark.parametrize("loss", BROADCAST)
@pytest.mark.parametrize(("columns", "shape"), [(1, (6,)), (None, (6, 1))])
def test_outputs_are_not_paired_with_the_targets_of_others(loss, columns, shape):
    network = nn.Linear(3, 1) if columns else nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    with pytest.raises(
        ArgumentError,
        match=r"`data` must have targets of the outputs' shape .*compared as .*6.* with .*6",
    ):
        Task(network, loss, (X.float(), torch.ones(shape)))
    assert (
        Task(network, loss, (X.float(), torch.ones(6, 1) if columns else torch.ones(6))).batch == 6
    )


@pytest.mark.parametrize(
    "loss",
    [
        lambda o, t: F.mse_loss(o.squeeze(1), t),
        lambda o, t: F.mse_loss(o, t[:, None]),
        # the nearest target: all pairs, by hand
        lambda o, t: (o[:, None] - t[None, :, None]).square().min(1).values.sum(),
        lambda o, t: (o - o.T).square().sum() + (o.flatten() - t).square().mean(),
        lambda o, t: ((t[:, None] == t).float() * (o @ o.T)).mean(),
        lambda o, t: o.mean() * t.mean(),
        lambda o, t: F.binary_cross_entropy_with_logits(o.flatten(), t),
    ],
)
def test_shapes_that_are_meant_are_taken(loss):
    assert Task(nn.Linear(3, 1), loss, (X.float(), torch.ones(6))).batch == 6


LOADER = DataLoader(TensorDataset(X, Y), batch_size=3)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            LOADER,
            r"one batch.*\[Task\(network, loss, batch\) for batch in loader\].*but is a DataLoader",
        ),
        (
            TensorDataset(X, Y),
            r"one batch.*DataLoader\(dataset, batch_size=64\).*but is a TensorDataset",
        ),
        ((X, MASK, Y), r"several inputs: \(\(x1, x2\), targets\)\), but is of 3 parts"),
        (X, "one batch.*but is a tensor of shape"),
        (None, "one batch.*but is None"),
        (3, "one batch.*but is 3"),
        ("xy", "one batch.*but is 'xy'"),
        (((), ()), "one length, at least 1, but is empty"),
        (({}, {}), "one length, at least 1, but is empty"),
        ((X, Y[:3]), r"one length, at least 1, but is of shapes \(6, 3\) and \(3,\)"),
        ((X, torch.tensor(1)), r"one length, at least 1, but is of shapes \(6, 3\) and \(\)"),
        (({"x": X, "mask": MASK * torch.nan}, Y), r"`data inputs\['mask'\]` must be finite"),
        (((X, [X, X / 0]), Y), r"`data inputs\[1\]\[1\]` must be finite"),
        ((X, {"a": Scores(X * torch.inf)}), r"`data targets\['a'\].logits` must be finite"),
        (
            (X.float(), Y),
            (
                r"fit the network \(torch.as_tensor\(inputs\).to\(torch.float64\), the type of its"
                r" weights\), but is not"
            ),
        ),
        ((X[:, :2], Y), r"fit the network, but is not \(RuntimeError: "),
        (
            ({"x": X, "mask": MASK, "other": MASK}, Y),
            r"fit the network, whose forward has no argument 'other' \(leave it out",
        ),
        (({"y": X, "other": MASK}, Y), r"fit the network, but is not \(TypeError: "),
        (
            (torch.ones(6, 3, dtype=torch.uint8), Y),
            r"fit the network \(bytes of images: inputs.float\(\) / 255\), but is not",
        ),
        (
            (X, Y + 5),
            (
                r"`loss` must take the network's outputs and the targets, but is not \(IndexError:"
                r" Target"
            ),
        ),
        (
            {"x": X, "mask": MASK},
            r"`loss` must take.*\(a dict goes to it whole: give \(inputs, targets\)",
        ),
    ],
)
def test_what_cannot_be_used_says_what_would_help(data, sentence):
    network = (
        Two()
        if isinstance(data, dict) or (isinstance(data, tuple) and isinstance(data[0], dict))
        else Plain()
    )
    network = nn.Linear(3, 2).double() if isinstance(network, Plain) else network
    with pytest.raises(ArgumentError, match=sentence):
        Task(network, F.cross_entropy, data)


def test_outputs_that_a_loss_cannot_take_name_their_parts():
    for wrap, part in (
        (lambda z: (z, z.sum()), r"outputs\[0\] is a tensor"),
        (lambda z: {"a": z, "b": [z]}, r"outputs\['a'\] is a tensor"),
        (lambda z: SimpleNamespace(a=z, b=z), r"outputs.a is a tensor"),
    ):
        with pytest.raises(
            ArgumentError,
            match=rf"`loss` must take .*loss=lambda outputs, targets: ..., where {part}",
        ):
            Task(giving(wrap)(), F.cross_entropy, (X, Y))
    with pytest.raises(
        ArgumentError, match="`loss` must return a scalar tensor, but is one that returns 0.5"
    ):
        Task(Plain(), lambda o, y: 0.5, (X, Y))
    with pytest.raises(
        ArgumentError,
        match=(
            r"have targets of floating type for mse_loss \(targets.to\(outputs\)\), but is of type"
        ),
    ):
        Task(nn.Linear(3, 2).double(), F.mse_loss, (X, torch.ones(6, 2, dtype=torch.int64)))


def test_a_loader_s_batches_become_tasks():
    network = nn.Linear(3, 2).double()
    space = ParameterSpace(network)
    tasks = [Task(network, F.cross_entropy, batch) for batch in LOADER]
    found = hessian(tasks, space).to_dense()
    torch.testing.assert_close(
        found, hessian(Task(network, F.cross_entropy, (X, Y)), space).to_dense(), rtol=0, atol=1e-14
    )


def test_the_parts_of_a_batch():
    tree = {"a": [X, (Y, 3)], "b": Scores(MASK), "c": "text"}
    assert [written(path) for path, _ in tensors_of(tree)] == [
        "['a'][0]",
        "['a'][1][0]",
        "['b'].logits",
    ]
    moved = mapped(tree, lambda x: x + 1)
    assert torch.equal(moved["b"].logits, MASK + 1)
    assert moved["a"][1][1] == 3
    assert torch.equal(tree["b"].logits, MASK)
    assert ways_to_call(Rows(), [X, X]) == ["whole", "spread"]
    assert ways_to_call(Two(), {"x": X}) == ["whole"]
    ragged = [[1, 2], [3]]
    assert as_batch((X[:2], ragged))[1] is ragged
    assert torch.equal(picked({"x": X}, torch.tensor([1]), 6)["x"], X[1:2])
    assert picked([[1], [2, 3]], torch.tensor([1]), 2) == [[2, 3]]
    with pytest.raises(ArgumentError, match=r"here 6, but is with a tensor of shape \(3,\)"):
        picked((X, Y[:3]), torch.tensor([1]), 6)
    assert samples_of(({"n": torch.tensor(1), "x": X}, None)) == 6
    kinds = [np.float32(1.0), np.array(["a"]), None, "x"]
    assert list(itertools.chain(*(tensors_of(mapped(kind, lambda x: x)) for kind in kinds))) == []


class Text(nn.Module):
    """Mean of the embeddings of what the mask leaves, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(9, 3, padding_idx=0), nn.Linear(3, 2)

    def forward(self, input_ids, attention_mask=None):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mask = mask[..., None].to(self.table.weight.dtype)
        return self.head((self.table(input_ids) * mask).sum(1) / mask.sum(1))


TOKENS, KINDS = torch.tensor([[3, 4, 0], [5, 6, 7], [8, 0, 0]]), torch.tensor([0, 1, 1])


@pytest.mark.parametrize("inputs", [{"input_ids": TOKENS}, TOKENS, {"input_ids": TOKENS.flip(1)}])
def test_a_padded_text_without_its_mask_is_refused(inputs):
    match = r"`data` must hold `attention_mask` beside token ids .*ids != 0\), but .*: 2 of 3 rows"
    with pytest.raises(ArgumentError, match=match):
        Task(Text(), nn.functional.cross_entropy, (inputs, KINDS))


@pytest.mark.parametrize(
    "inputs",
    [
        {"input_ids": TOKENS, "attention_mask": TOKENS != 0},
        {"input_ids": TOKENS.clamp(1)},
        TOKENS.clamp(1),
    ],
)
def test_a_text_with_its_mask_or_without_padding_is_not(inputs):
    network = Text().double()
    task = Task(network, nn.functional.cross_entropy, (inputs, KINDS))
    mask = inputs.get("attention_mask") if isinstance(inputs, dict) else None
    ids = inputs["input_ids"] if isinstance(inputs, dict) else inputs
    expected = nn.functional.cross_entropy(network(ids, mask), KINDS)
    assert float(task.loss_with(dict(network.named_parameters()))) == float(expected)


def test_arrays_that_pytorch_does_not_read_as_they_are():
    network = torch.nn.Linear(2, 1).double()
    for part, word in ((0, "masked"), (1, "masked")):
        data = [np.ones((2, 2)), np.ones((2, 1))]
        mask = np.zeros_like(data[part])
        mask[0, 0] = 1
        data[part] = np.ma.masked_array(data[part], mask)
        with pytest.raises(ArgumentError, match=f"`data` must be without {word} places"):
            Task(network, torch.nn.functional.mse_loss, tuple(data))
    whole = np.ma.masked_array(np.ones((2, 2)))
    wide = np.full((2, 1), 0.5, dtype=np.longdouble)
    task = Task(network, torch.nn.functional.mse_loss, (whole, wide))
    assert [x.dtype for x in task.data] == [torch.float64, torch.float64]
    assert task.data[1].tolist() == [[0.5], [0.5]]
    with pytest.raises(ArgumentError, match="hold numbers that float64 holds"):
        Task(network, torch.nn.functional.mse_loss, (whole, wide / 3))
