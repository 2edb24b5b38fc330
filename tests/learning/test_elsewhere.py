"""Weights that a loss keeps without their graph are found by their memory, which is left as it
was.
"""

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.learning.curvature.hessian import gauss_newton, hessian
from qdescent.learning.elsewhere import memory_moved
from qdescent.learning.masks import full_mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task

INPUTS, LABELS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 2
entropy = nn.functional.cross_entropy


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


def task(net: nn.Module, penalty) -> Task:
    return Task(
        net, lambda out, labels: entropy(out, labels) + penalty(), (INPUTS.double(), LABELS)
    )


KEPT = {  # what somebody takes out of the network once, and uses in the loss
    "state_dict": lambda net: list(net.state_dict().values()),
    "detach": lambda net: [w.detach() for w in net.parameters()],
    "data": lambda net: [w.data for w in net.parameters()],
    "a view": lambda net: [w.detach().view(-1)[1:] for w in net.parameters()],
    "numpy": lambda net: [w.detach().numpy() for w in net.parameters()],
    "one bias": lambda net: [net[2].bias.detach()],
}


@pytest.mark.parametrize("kept", KEPT)
def test_a_penalty_on_kept_weights_is_refused(kept):
    net = network()
    values = KEPT[kept](net)
    with pytest.raises(
        ArgumentError, match="Argument `loss` must use the weights by way of the net"
    ):
        task(net, lambda: sum(float((w**2).sum()) for w in values))


@pytest.mark.parametrize("start", [0, 1])
def test_a_loss_that_is_another_at_every_second_call_takes_nothing_out(start):
    calls = [start]

    def alternating():
        calls[0] += 1
        return 0.1 * (calls[0] % 2)

    with pytest.raises(ArgumentError, match="`loss` must be deterministic .* the next time"):
        task(network(), alternating)


def test_weights_that_a_loss_holds_as_objects_without_a_graph_are_refused():
    net = network()
    held = list(net.parameters())

    @torch.no_grad()
    def penalty():
        return sum((w**2).sum() for w in held)

    with pytest.raises(
        ArgumentError, match="Argument `loss` must use the weights by way of the net"
    ):
        task(net, penalty)


@pytest.mark.parametrize("build", [hessian, gauss_newton])
def test_a_penalty_whose_gradient_is_cut_off_is_refused_by_either_operator(build):
    net = network()
    space = ParameterSpace(net, full_mask(net))
    for penalty in (
        lambda: sum((w**2).sum() for w in net.state_dict().values()),
        lambda: sum((w.detach() ** 2).sum() for w in net.parameters()),
        lambda: sum(float((w**2).sum()) for w in net.parameters()),
    ):
        with pytest.raises(ArgumentError, match="must have the gradient of its loss"):
            build(task(net, penalty), space)


@pytest.mark.parametrize("build", [hessian, gauss_newton])
def test_a_pull_to_where_the_weights_were_counts(build):
    """Copies are constants: the penalty |w - w_0|^2 / 2 adds the identity."""
    net = network()
    start = [w.detach().clone() for w in net.parameters()]
    space = ParameterSpace(net, full_mask(net))

    def penalty():
        return sum(((w - s) ** 2).sum() / 2 for w, s in zip(net.parameters(), start, strict=True))

    eye = torch.eye(space.n, dtype=torch.float64)
    with_pull, without = (build(task(net, p), space) @ eye for p in (penalty, lambda: 0.0))
    assert torch.allclose(with_pull - without, eye, atol=1e-12)


def test_the_memory_is_put_back_to_the_last_bit_and_no_graph_is_spoilt():
    net = nn.Sequential(nn.Embedding(5, 3, max_norm=0.5), nn.Flatten(), nn.Linear(6, 2))
    net[2].bias.data[0] = -0.0
    ids = torch.arange(6).reshape(3, 2) % 5
    before = {name: w.clone() for name, w in net.state_dict().items()}
    waiting = net[2](torch.ones(3, 6)).sum()
    Task(net, entropy, (ids, torch.arange(3) % 2))
    for name, value in net.state_dict().items():
        assert torch.equal(value.view(torch.int32), before[name].view(torch.int32))
    waiting.backward()


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_the_memory_is_put_back_whatever_happens(end):
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    seen = []

    def interrupted():
        with memory_moved(layer, {"weight": before}):
            seen.append(layer.weight.detach().clone())
            raise end

    with pytest.raises(end):
        interrupted()
    assert not torch.equal(seen[0], before)
    assert torch.equal(layer.weight, before)


def test_memory_that_may_not_be_written_is_left_alone():
    with torch.inference_mode():
        inference = nn.Linear(2, 2)
    shared = nn.Linear(2, 2).share_memory()
    for layer in (inference, shared):
        before = layer.weight.clone()
        with memory_moved(layer, {"weight": before}):
            assert torch.equal(layer.weight, before)
