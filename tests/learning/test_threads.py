"""Threads that measure one network come one after the other: the right numbers, and the network as
it was. What is copied or sharded is known for it.
"""

import copy
import pickle
import threading
import time

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from qdescent import (
    ArgumentError,
    ParameterSpace,
    Task,
    gauss_newton,
    hessian,
    magnitude_mask,
    series_descent,
)
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.untouched import ALONE

F64 = torch.float64


class Slow(nn.Module):
    """Lets the other threads run in the midst of it."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        inside = torch.tanh(self.first(x))
        time.sleep(1e-4)
        return self.last(inside)


def made():
    torch.manual_seed(0)
    return Slow().double(), (torch.randn(6, 3, dtype=F64), torch.randn(6, 2, dtype=F64))


WORK = {
    "taylor": lambda task, space, v: hessian(task, space, method="taylor") @ v,
    "double backward": lambda task, space, v: hessian(task, space, method="double-backward") @ v,
    "gauss-newton": lambda task, space, v: gauss_newton(task, space) @ v,
    "series": lambda task, space, v: series_descent(task, space, 2, 2, 0.1).terms,
    "gradient": lambda task, space, v: task.loss_and_gradient(space, space.theta)[1],
}


def test_threads_that_measure_one_network_wait_for_each_other():
    network, data = made()
    before = dict(network.named_parameters())
    state = {name: weight.clone() for name, weight in network.state_dict().items()}
    mask, found, failed = magnitude_mask(network, 0.5), {name: [] for name in WORK}, []

    def work(name):
        try:
            assert magnitude_mask(network, 0.5).kept == mask.kept
            task, space = Task(network, mse_loss, data), ParameterSpace(network, mask)
            found[name].append(WORK[name](task, space, torch.ones(space.n, dtype=F64)))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in WORK for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for name in WORK:
        work(name)
        one, other, alone = found[name]
        assert torch.equal(one, alone)
        assert torch.equal(other, alone)
    assert all(weight is before[name] for name, weight in network.named_parameters())
    assert all(torch.equal(w, state[name]) for name, w in network.state_dict().items())
    assert torch.backends.cuda.flash_sdp_enabled()  # a flag of the process, put back


@pytest.mark.parametrize("name", MASKS)
def test_a_criterion_waits_for_the_thread_that_has_lent_other_weights(name):
    network, data = made()
    task, lent = Task(network, mse_loss, data), threading.Event()
    right = MASKS[name](network, task, 0.5).keep

    def lend():
        with ALONE:
            kept = network.first.weight.data
            network.first.weight.data = torch.flip(kept, (0, 1)) * 100
            lent.set()
            time.sleep(0.05)
            network.first.weight.data = kept

    thread = threading.Thread(target=lend)
    thread.start()
    lent.wait()
    found = MASKS[name](network, task, 0.5).keep
    thread.join()
    assert all(torch.equal(found[key], right[key]) for key in right)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copied_task_is_a_task(again):
    network, data = nn.Linear(3, 2).double(), made()[1]
    task = Task(network, mse_loss, data)
    twin = again(task)
    v = torch.ones(8, dtype=F64)
    H = hessian(task, ParameterSpace(network)) @ v
    assert torch.equal(hessian(twin, ParameterSpace(twin.network)) @ v, H)
    twin.data[0].mul_(2)
    with pytest.raises(ArgumentError, match="`data` must stay as it was"):
        hessian(twin, ParameterSpace(twin.network))
    data[0].mul_(2)  # changed before it is copied
    with pytest.raises(ArgumentError, match="`data` must stay as it was"):
        hessian(again(task), ParameterSpace(network))


class FSDPModule:
    """A stand-in."""


FSDPModule.__module__ = "torch.distributed.fsdp._fully_shard"


def test_a_sharded_network_is_refused_for_that():
    class Sharded(nn.Linear, FSDPModule):
        pass

    network, data = nn.Sequential(Sharded(3, 2)), torch.ones(4, 3)
    for call in (lambda: Task(network, mse_loss, (data, data)), lambda: ParameterSpace(network)):
        with pytest.raises(ArgumentError, match="`network` must hold whole weights .*, at '0'"):
            call()
