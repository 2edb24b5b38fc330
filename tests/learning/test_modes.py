"""Which weights are modes: one rule for space, operator, callback and `places`, each against a
dense twin without the package.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import qdescent as qd
from qdescent._checks import ArgumentError
from qdescent.experiment.sources import load_mask
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.masks import Mask, full_mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.magnitude import magnitude_mask
from qdescent.learning.pruning.nonzero import nonzero_mask
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import GradientSeries
from qdescent.learning.torch_prune import mask_from_prune
from qdescent.training.callback import SpectrumCallback


def random(seed, *shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


DATA = random(1, 7, 3), torch.arange(7) % 2
TOKENS = torch.arange(14).reshape(7, 2) % 5, torch.arange(7) % 5


class Tied(nn.Module):
    """An embedding whose weight is the output's, too, and a buffer that is no weight."""

    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(5, 3), nn.Linear(3, 5)
        self.out.weight = self.embed.weight
        self.register_buffer("shift", torch.ones(3))

    def forward(self, tokens):
        return self.out(torch.tanh(self.embed(tokens).sum(1) + self.shift))


class LowRank(nn.Module):
    """W frozen, plus B A with B at 0: the start of LoRA."""

    def __init__(self):
        super().__init__()
        self.W, self.A, self.B = (
            nn.Linear(3, 4),
            nn.Linear(3, 2, bias=False),
            nn.Linear(2, 4, bias=False),
        )
        self.head = nn.Linear(4, 2)
        nn.init.zeros_(self.B.weight)
        for part in (self.W, self.head):
            part.requires_grad_(False)

    def forward(self, x):
        return self.head(torch.tanh(self.W(x) + self.B(self.A(x))))


def plain():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def frozen_body():
    network = plain()
    network[0].requires_grad_(False)
    return network


def frozen_bias():
    network = plain()
    network[0].bias.requires_grad_(False)
    return network


def zero_head():
    network = plain()
    nn.init.zeros_(network[2].weight)
    return network


def one_zero():
    network = plain()
    with torch.no_grad():
        network[0].weight[1, 2] = 0.0
    return network


def pruned():
    network = plain()
    prune.l1_unstructured(network[0], "weight", amount=5)
    prune.random_unstructured(network[2], "bias", amount=1)
    return network


def pruned_and_frozen():
    network = pruned()
    network[0].weight_orig.requires_grad_(False)
    return network


def pruned_in_one_of_two_uses():
    network = Tied()
    prune.l1_unstructured(network.embed, "weight", amount=6)
    return network


def normed():
    network = plain()
    parametrizations.weight_norm(network[0])
    return network


class Positive(nn.Module):
    def forward(self, raw):
        return torch.exp(raw)


def positive():
    network = plain()
    parametrize.register_parametrization(network[0], "weight", Positive())
    return network


def spectrally_normed_and_pruned():
    network = plain()
    parametrizations.spectral_norm(network[0])
    prune.l1_unstructured(network[2], "weight", amount=3)
    return network


def integer_table():
    """A frozen parameter of integers, as quantised networks have them."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.code = nn.Parameter(torch.tensor([1, -2, 3]), requires_grad=False)
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            return self.layer(torch.tanh(x * self.code))

    return Network()


def frozen_batchnorm():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    network[1].requires_grad_(False)
    return network


BUILDS = [
    plain, frozen_body, frozen_bias, zero_head, one_zero, pruned, pruned_and_frozen, Tied,
    pruned_in_one_of_two_uses, positive,
    spectrally_normed_and_pruned, LowRank, integer_table, frozen_batchnorm,
]  # fmt: skip
TRAINED = {  # counted by hand: entries that are trained and not pruned
    plain: 26, frozen_body: 10, frozen_bias: 22, zero_head: 26, one_zero: 26, pruned: 20,
    pruned_and_frozen: 13, Tied: 20,
    pruned_in_one_of_two_uses: 20, positive: 26, spectrally_normed_and_pruned: 23, LowRank: 14,
    integer_table: 8,
    frozen_batchnorm: 26,
}  # fmt: skip


def built(build):
    torch.manual_seed(0)
    return (
        build().double().eval(),
        TOKENS if "Tied" in build.__name__ or "uses" in build.__name__ else DATA,
    )


def dense_twin(network, data):
    """The Hessian over all trained parameters, as the network itself computes its loss; rows of
    pruned entries are zero.
    """
    weights = [w for w in network.parameters() if w.requires_grad]
    loss = F.cross_entropy(network(data[0]), data[1])
    gradient = torch.autograd.grad(loss, weights, create_graph=True, materialize_grads=True)
    flat = torch.cat([g.reshape(-1) for g in gradient])
    rows = [
        (
            torch.autograd.grad(g, weights, retain_graph=True, materialize_grads=True)
            if g.requires_grad
            else [torch.zeros_like(w) for w in weights]
        )
        for g in flat
    ]
    return torch.stack([torch.cat([part.reshape(-1) for part in row]) for row in rows])


def pruned_places(network):
    """Which entries of the trained parameters are left by prune's masks in some use, by hand."""
    keep = []
    for weight in (w for w in network.parameters() if w.requires_grad):
        uses = [
            module._buffers.get(key.replace("_orig", "_mask"), torch.ones_like(weight))
            for module in network.modules()
            for key, own in module._parameters.items()
            if own is weight
        ]
        keep.append(sum(uses).reshape(-1) > 0)
    return torch.cat(keep)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_every_door_sees_the_same_modes_and_the_twin_s_hessian(build):
    network, data = built(build)
    keep = pruned_places(network)
    truth = dense_twin(network, data)[keep][:, keep]
    assert len(truth) == TRAINED[build]
    spaces = [
        ParameterSpace(network),
        ParameterSpace(network, full_mask(network)),  # what prune took out stays out
        ParameterSpace(network, mask_from_prune(network)),
        ParameterSpace(network, load_mask(network, None)[0]),  # the command line's
    ]
    for space in spaces:
        assert (space.n, space.total) == (len(truth), sum(w.numel() for w in network.parameters()))
        assert torch.equal(space.theta, spaces[0].theta)
    space, task = spaces[0], Task(network, F.cross_entropy, data)
    found = hessian(task, space, method="double-backward").to_dense()
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-13)
    torch.testing.assert_close(hessian(task, space).to_dense(), truth, rtol=0, atol=1e-12)
    eigenvalues = torch.linalg.eigvalsh(truth)
    callback = SpectrumCallback(F.cross_entropy, data, at=1, learning_rate=0.1, steps=40, probes=1)
    seen = callback(0, network).spectrum
    assert seen.size == len(truth)
    assert seen.lambda_max[0] == pytest.approx(float(eigenvalues[-1]), abs=1e-8)
    assert seen.lambda_min[0] == pytest.approx(float(eigenvalues[0]), abs=1e-8)
    modules = {name for name, _ in network.named_children()}
    own = {name: set(space.indices(name).tolist()) for name in modules if any_mode(space, name)}
    assert set().union(*own.values()) == set(range(space.n))
    assert torch.equal(space.indices(""), torch.arange(space.n))


def any_mode(space, name):
    try:
        return len(space.indices(name)) > 0
    except ArgumentError:
        return False


def test_a_lowrank_start_at_zero_keeps_its_modes_and_its_gauss_newton():
    network, data = built(LowRank)
    space = ParameterSpace(network)
    assert space.names == ("A.weight", "B.weight")
    assert (space.n, space.frozen, space.total) == (14, 26, 40)
    G = gauss_newton(Task(network, F.cross_entropy, data), space).to_dense()
    assert float(G[6:, 6:].trace()) > 0.01  # all curvature is B's while B is 0
    assert float(G[:6].abs().max()) == 0
    assert (
        float(hessian(Task(network, F.cross_entropy, data), space).to_dense()[:6, 6:].abs().max())
        > 1e-3
    )


def test_zeros_count_as_pruned_only_where_they_are_asked_to():
    network = one_zero()
    nn.init.zeros_(network[2].weight)
    assert ParameterSpace(network).n == 26
    # the head is 0 throughout: an initial value
    assert ParameterSpace(network, nonzero_mask(network)).n == 25
    network[0].requires_grad_(False)
    assert ParameterSpace(network, nonzero_mask(network)).n == 10


def test_a_mask_sets_frozen_weights_to_zero_but_makes_them_no_modes():
    network, data = built(frozen_body)
    keep = dict(full_mask(network).keep)
    keep["0.weight"] = keep["0.weight"].clone()
    keep["0.weight"][0] = False
    space = ParameterSpace(network, Mask(keep))
    assert (space.n, space.names) == (10, ("0.weight", "2.weight", "2.bias"))
    with torch.no_grad():
        network[0].weight[0] = 0.0
    truth = dense_twin(network, data)
    found = hessian(Task(network, F.cross_entropy, data), space).to_dense()
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-12)


def test_masks_rank_only_what_is_trained_and_is_itself_a_weight():
    network = frozen_body()
    mask = magnitude_mask(network, 0.5)
    assert bool(mask.keep["0.weight"].all())
    assert int(mask.keep["2.weight"].sum()) == 4
    assert ParameterSpace(network, mask).n == 6
    network = normed()
    mask = magnitude_mask(network, 0.25)
    assert mask.total - mask.kept == 6
    assert int(mask.keep["2.weight"].sum()) == 2
    with pytest.raises(
        ArgumentError,
        match="two or more dimensions that is trained and not parametrized, but is without one",
    ):
        magnitude_mask(normed()[:1], 0.5)


def test_a_tied_weight_may_go_by_either_name():
    network, _ = built(Tied)
    keep = random(3, 5, 3) > 0
    rest = {"out.bias": torch.ones(5, dtype=torch.bool)}
    first = ParameterSpace(network, Mask({"embed.weight": keep, **rest}))
    for names in (["out.weight"], ["embed.weight", "out.weight"]):
        other = ParameterSpace(network, Mask({**dict.fromkeys(names, keep), **rest}))
        assert torch.equal(other.theta, first.theta)
    assert torch.equal(first.indices("embed"), first.indices("out.weight"))
    with pytest.raises(
        ArgumentError, match="`mask.keep.'out.weight'.` must be the same for a tied weight"
    ):
        ParameterSpace(network, Mask({"embed.weight": keep, "out.weight": ~keep, **rest}))


def test_a_prefix_ends_at_a_dot():
    network = nn.Sequential(*[nn.Linear(2, 2) for _ in range(12)])
    space = ParameterSpace(network)
    assert space.indices("1").tolist() == space.indices("1.").tolist() == list(range(6, 12))
    assert space.indices("1.weight").tolist() == list(range(6, 10))
    for prefix in ("1.w", "12", "weight", "1..", "1.weight.x"):
        with pytest.raises(
            ArgumentError,
            match="Argument `prefix` must be the name of a module or a parameter with kept weights",
        ):
            space.indices(prefix)
    with pytest.raises(
        ArgumentError, match="`prefix` must be the name of a module or a parameter, but is 3"
    ):
        space.indices(3)
    # the weight that is computed from weight_orig
    assert len(ParameterSpace(pruned()).indices("0.weight")) == 7
    assert len(ParameterSpace(normed()).indices("0.weight")) == 4 + 12
    with pytest.raises(ArgumentError, match="that are trained, but is '0'"):
        ParameterSpace(frozen_body()).indices("0")
    compiled = nn.Module()  # as torch.compile names things
    compiled._orig_mod = plain()
    assert (
        len(ParameterSpace(compiled).indices("2"))
        == len(ParameterSpace(compiled).indices("_orig_mod.2"))
        == 10
    )


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (nn.Tanh(), "`network` must have a parameter, but is without one"),
        (
            plain().requires_grad_(False),
            "`network` must have a kept weight with requires_grad, but is without one",
        ),
        (
            nn.LazyLinear(3),
            (
                r"`network` must have weights with a shape \(call it once on a batch\), but is lazy"
                r" at 'weight'"
            ),
        ),
        (
            nn.Linear(2, 2, dtype=torch.complex64),
            "`network` must have real weights .*, but is complex at 'weight'",
        ),
        (
            nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, device="meta")),
            (
                "`network` must have weights that hold numbers, but is on the device meta at"
                " '1.weight'"
            ),
        ),
    ],
)
def test_networks_without_modes(network, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        ParameterSpace(network)


def test_a_space_of_another_network_is_refused_wherever_a_task_meets_it():
    task = Task(nn.Linear(3, 2), F.mse_loss, (torch.ones(4, 3), torch.zeros(4, 2)))
    others = {
        "'0.weight' is of shape .2, 3., and there it is not": ParameterSpace(
            nn.Sequential(nn.Linear(3, 2))
        ),
        "'weight' is of shape .5, 5., and there it is of shape .2, 3.": ParameterSpace(
            nn.Linear(5, 5)
        ),
        "in torch.float64, and the network in torch.float32": ParameterSpace(
            nn.Linear(3, 2).double()
        ),
    }
    doors = (
        lambda space: hessian(task, space),
        lambda space: qd.gauss_newton([task, task], space),
        lambda space: qd.series_descent(task, space, order=1, steps=1, learning_rate=0.1),
        lambda space: GradientSeries(task, space, space.theta, 1),
        lambda space: qd.gradient_map(task, space, 0.1),
        lambda space: qd.train_hybrid([task], space, qd.Schedule(order=1, segment=1, rounds=1)),
        lambda space: task.loss_at(space, space.theta),
        lambda space: task.loss_and_gradient(space, space.theta),
        lambda space: task.outputs_at(space, space.theta, torch.ones(1, 3)),
    )
    for sentence, space in others.items():
        for door in doors:
            with pytest.raises(
                ArgumentError, match=f"`space` must be of the task's network.*{sentence}"
            ):
                door(space)
    # of another object: the point is its, the network's modules are the task's
    alike = ParameterSpace(nn.Linear(3, 2))
    assert torch.equal(
        hessian(task, alike, alike.theta).to_dense(),
        hessian(task, ParameterSpace(task.network)).to_dense(),
    )


def test_a_space_from_before_a_training_needs_a_point():
    network = nn.Linear(3, 2)
    task = Task(network, F.mse_loss, (torch.ones(4, 3), torch.zeros(4, 2)))
    space = ParameterSpace(network)
    former = hessian(task, space).to_dense()
    with torch.no_grad():
        network.weight += 1
    doors = (
        lambda: hessian(task, space),
        lambda: qd.series_descent(task, space, order=1, steps=1, learning_rate=0.1),
        lambda: qd.fast_forward(task, space, 1, 0.1, order=1),
        lambda: qd.gradient_map(task, space, 0.1),
        lambda: qd.map_norms(task, space, 0.1),
        lambda: qd.train_hybrid([task], space, qd.Schedule(order=1, segment=1, rounds=1)),
    )
    for door in doors:
        with pytest.raises(ArgumentError, match="`theta` must be given where the network's wei"):
            door()
    assert torch.equal(hessian(task, space, space.theta).to_dense(), former)
    part = space.restrict(space.theta, torch.tensor([0, 1]))
    assert hessian(task, part).shape == (2, 2)  # its point is the one that it was cut at


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_scripted_network_has_the_modes_of_its_source():
    network = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    task = Task(torch.jit.script(network), F.mse_loss, (torch.ones(4, 3), torch.zeros(4, 2)))
    ours, theirs = ParameterSpace(network), ParameterSpace(task.network)
    truth = hessian(Task(network, *(task.loss, task.data)), ours).to_dense()
    assert theirs.names == ours.names
    assert torch.allclose(hessian(task, theirs).to_dense(), truth, atol=1e-6)


def test_inference_mode_is_refused_and_no_grad_is_not():
    network = nn.Linear(3, 2)
    task, space = (
        Task(network, F.mse_loss, (torch.ones(4, 3), torch.zeros(4, 2))),
        ParameterSpace(network),
    )
    with torch.no_grad():
        inside = hessian(task, space).to_dense()
    assert torch.equal(inside, hessian(task, space).to_dense())
    with (
        torch.inference_mode(),
        pytest.raises(
            ArgumentError, match=r"`network` must be measured outside of `torch.inference_mode`"
        ),
    ):
        hessian(task, space)
