"""Several batches are of one network: two networks of one form would be measured as one."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from qdescent import ArgumentError, ParameterSpace, Task, gauss_newton, hessian


@pytest.mark.parametrize("build", [hessian, gauss_newton])
def test_tasks_of_two_networks_are_refused(build):
    network, data = nn.Linear(2, 1), (torch.randn(4, 2), torch.randn(4, 1))
    tasks = [Task(network, mse_loss, data), Task(copy.deepcopy(network), mse_loss, data)]
    with pytest.raises(ArgumentError, match="`task` must be tasks of one network"):
        build(tasks, ParameterSpace(network))
    build([tasks[0], tasks[0].with_data(data)], ParameterSpace(network))


def test_a_table_is_told_how_it_becomes_an_array():
    class DataFrame:
        pass

    with pytest.raises(ArgumentError, match="DataFrame and DataFrame without a tensor or an array"):
        Task(nn.Linear(2, 1), mse_loss, (DataFrame(), DataFrame()))
