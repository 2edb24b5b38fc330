"""The explicit polynomial of a gradient step."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import jacfwd, jacrev
from torch.nn.utils.parametrizations import weight_norm

from qdescent._checks import ArgumentError
from qdescent.learning.gradient_map import gradient_map, sparse_gradient_map
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import gradient_series

ETA = 0.3


def test_low_degrees_are_gradient_and_hessian(seventeen):
    f = gradient_map(seventeen.task, ParameterSpace(seventeen.task.network), ETA, degree=1)
    F0, F1 = f.coefficients
    torch.testing.assert_close(
        F0[:, 0], -ETA * seventeen.gradient(seventeen.theta), rtol=1e-12, atol=1e-14
    )
    truth = torch.eye(17).double() - ETA * seventeen.hessian(seventeen.theta)
    torch.testing.assert_close(F1, truth, rtol=1e-12, atol=1e-14)
    # ascent
    assert (
        float((F1 - (torch.eye(17).double() + ETA * seventeen.hessian(seventeen.theta))).norm())
        > 0.1
    )


def test_the_remainder_shrinks_with_the_degree_s_power(seventeen):
    """|f(u) - (u - eta grad L(theta + u))| = O(|u|^{degree + 1}): the order of the error is the
    proof of each 1/k!.
    """
    space = ParameterSpace(seventeen.task.network)
    direction = torch.randn(17, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    direction /= direction.norm()
    for degree in (1, 2, 3):
        f = gradient_map(seventeen.task, space, ETA, degree)
        errors = []
        for size in (0.02, 0.01):
            u = size * direction
            errors.append(
                float((f(u) - (u - ETA * seventeen.gradient(seventeen.theta + u))).norm())
            )
        assert errors[0] / errors[1] == pytest.approx(2 ** (degree + 1), rel=0.05)


@pytest.mark.parametrize("density", [1.0, 0.5])
def test_coefficients_agree_with_the_taylor_rules(seventeen, density):
    """Two derivations that share no code: nested derivatives here, truncated power series there."""
    space = ParameterSpace(
        seventeen.task.network, MASKS["random"](seventeen.task.network, density=density)
    )
    f = gradient_map(seventeen.task, space, ETA, degree=3, theta=space.theta + 0.1)
    u = torch.randn(space.n, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    terms = [u, torch.zeros_like(u), torch.zeros_like(u)]
    series = gradient_series(seventeen.task, space, space.theta + 0.1, terms)
    power = u
    for k in (1, 2, 3):
        expected = -ETA * series[k - 1] + (u if k == 1 else 0)
        torch.testing.assert_close(f.coefficients[k] @ power, expected, rtol=1e-11, atol=1e-13)
        power = torch.kron(power, u)


def problem(function, loss=F.cross_entropy):
    """A linear layer before it; four samples, two classes."""

    class Through(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.first, self.function = nn.Linear(3, 4), function

        def forward(self, x):
            return self.function(self.first(x))

    network = Through().double()
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return Task(network, loss, (x, torch.tensor([0, 1, 1, 0]))), ParameterSpace(network)


def encoder():
    layer = nn.TransformerEncoderLayer(4, 2, 3, 0.0, F.gelu, batch_first=True)
    return nn.Sequential(nn.Unflatten(1, (1, 4)), layer, nn.Flatten(), nn.Linear(4, 2))


FUSED = {
    "layer norm": lambda: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2)),
    "weight norm": lambda: nn.Sequential(weight_norm(nn.Linear(4, 2)), nn.Tanh()),
    "attention": encoder,
}


@pytest.mark.parametrize("fused", FUSED)
def test_fused_layers_go_by_elementary_operations(fused):
    """PyTorch's own have wrong nested derivatives, or none."""
    task, whole = problem(FUSED[fused]())
    space = whole.restrict(whole.theta, torch.arange(0, whole.n, whole.n // 6))
    u = torch.randn(space.n, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    truth = -ETA * gradient_series(task, space, space.theta, [u, torch.zeros_like(u)])[1]
    for f in (gradient_map(task, space, ETA), sparse_gradient_map(task, space, ETA, threshold=0)):
        torch.testing.assert_close(f.coefficients[2] @ torch.kron(u, u), truth)
    if fused == "layer norm":  # without a word
        third = jacfwd(jacfwd(jacrev(lambda point: task.loss_at(space, point))))(space.theta)
        plain = -ETA / 2 * third.detach().reshape(space.n, -1) @ torch.kron(u, u)
        assert float((plain - truth).norm()) > 0.01 * float(truth.norm())


def test_third_derivatives_that_pytorch_has_wrong_are_refused():
    def determinant(y):
        square = y.reshape(-1, 2, 2) @ y.reshape(-1, 2, 2).mT + torch.eye(2, dtype=y.dtype)
        return torch.stack([torch.logdet(square), square[:, 0, 0]], 1)

    for dtype in (torch.float64, torch.float32):
        task, space = problem(determinant)
        network, (x, y) = task.network.to(dtype), task.data
        task, space = Task(network, F.cross_entropy, (x.to(dtype), y)), ParameterSpace(network)
        gradient_map(task, space, ETA, degree=1)
        for build in (gradient_map, sparse_gradient_map):
            with pytest.raises(ArgumentError, match="third derivatives that PyTorch has right"):
                build(task, space, ETA)
    # a kink is none
    for dtype in (torch.float64, torch.float32):
        task, space = problem(nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
        network, (x, y) = task.network.to(dtype), task.data
        task = Task(network, F.cross_entropy, (x.to(dtype), y))
        gradient_map(task, ParameterSpace(network), ETA)


def test_third_derivatives_are_symmetric(seventeen):
    space = ParameterSpace(seventeen.task.network)
    F2 = gradient_map(seventeen.task, space, ETA, degree=2).coefficients[2].reshape(17, 17, 17)
    for axes in ((0, 2, 1), (1, 0, 2), (2, 1, 0)):
        torch.testing.assert_close(F2, F2.permute(axes), rtol=1e-12, atol=1e-14)


def test_a_restricted_space_takes_rows_and_columns(seventeen):
    full = ParameterSpace(seventeen.task.network)
    places = torch.tensor([3, 11])
    small = gradient_map(seventeen.task, full.restrict(full.theta, places), ETA, degree=2)
    large = gradient_map(seventeen.task, full, ETA, degree=2)
    torch.testing.assert_close(small.coefficients[1], large.coefficients[1][places][:, places])
    block = large.coefficients[2].reshape(17, 17, 17)[places][:, places][:, :, places]
    torch.testing.assert_close(small.coefficients[2], block.reshape(2, 4))


def test_errors(small_conv):
    space = ParameterSpace(small_conv.task.network)
    assert space.n**5 > 5e7
    with pytest.raises(
        ArgumentError, match=r"Argument `degree` must leave F_degree at most 5e\+07 entries"
    ):
        gradient_map(small_conv.task, space, ETA, degree=4)
    with pytest.raises(ArgumentError, match="Argument `degree` must be an integer of at least 1"):
        gradient_map(small_conv.task, space, ETA, degree=0)
    with pytest.raises(ArgumentError, match=r"Argument `learning_rate` must be in \(0, inf\)"):
        gradient_map(small_conv.task, space, -0.1)


@pytest.mark.parametrize("chunk", [5, 64])
def test_threshold_zero_is_the_dense_map(seventeen, chunk):
    space = ParameterSpace(seventeen.task.network)
    dense, sparse = (
        gradient_map(seventeen.task, space, ETA),
        sparse_gradient_map(seventeen.task, space, ETA, threshold=0.0, chunk=chunk),
    )
    for ours, truth in zip(sparse.coefficients, dense.coefficients, strict=True):
        torch.testing.assert_close(ours.to_dense(), truth, rtol=1e-12, atol=1e-14)
    assert sparse.dropped == (0.0, 0.0)


@pytest.mark.parametrize("threshold", [0.01, 0.1, 0.5])
def test_what_is_dropped_is_reported(seventeen, threshold):
    """Entry by entry against the dense map: kept where large, zero where not, the norm of the rest
    stated; exactly symmetric.
    """
    space = ParameterSpace(seventeen.task.network)
    dense = gradient_map(seventeen.task, space, ETA)
    sparse = sparse_gradient_map(seventeen.task, space, ETA, threshold=threshold, chunk=5)
    eye = torch.eye(17).double()
    for k, part in ((1, eye), (2, 0.0)):
        truth, ours = dense.coefficients[k] - part, sparse.coefficients[k].to_dense() - part
        large = truth.abs() >= threshold * truth.abs().max()
        torch.testing.assert_close(ours, torch.where(large, truth, 0.0), rtol=1e-12, atol=1e-14)
        assert sparse.kept[k - 1] == int(large.sum())
        assert sparse.largest[k - 1] == pytest.approx(float(truth.abs().max()), rel=1e-12)
        assert sparse.dropped[k - 1] == pytest.approx(float((truth * ~large).norm()), rel=1e-10)
    cube = sparse.coefficients[2].to_dense().reshape(17, 17, 17)
    assert torch.equal(cube, cube.permute(1, 0, 2))
    assert torch.equal(cube, cube.permute(0, 2, 1))
    u = 0.3 * torch.randn(17, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gap = float((sparse(u) - dense(u)).norm())
    assert 0 < gap <= sparse.step_error(float(u.norm()))


def test_errors_of_the_thresholded_map(seventeen):
    space = ParameterSpace(seventeen.task.network)
    with pytest.raises(
        ArgumentError, match=r"Argument `threshold` must be in \[0, 1\], but is 2.0."
    ):
        sparse_gradient_map(seventeen.task, space, ETA, threshold=2.0)
    with pytest.raises(ArgumentError, match="Argument `degree` must be one of 1, 2, but is 3."):
        sparse_gradient_map(seventeen.task, space, ETA, degree=3)
    nowhere = torch.full_like(space.theta, 1e200)  # overflows
    with pytest.raises(ArgumentError, match="Argument `network derivatives` must be finite"):
        sparse_gradient_map(seventeen.task, space, ETA, theta=nowhere)
