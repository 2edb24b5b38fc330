"""What surrounds a call changes no number: `no_grad`, `inference_mode`, and what was made in it."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from qdescent import (
    QSVT,
    ArgumentError,
    LinearSystem,
    ParameterSpace,
    PolynomialMap,
    Schedule,
    Task,
    diagnose,
    gauss_newton,
    hessian,
    history_system,
    magnitude_mask,
    map_norms,
    read_out,
    solve,
    spectral_density,
    train_hybrid,
)
from qdescent.linalg.operator import as_operator

F64 = torch.float64


def made():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = torch.randn(8, 3, dtype=F64), torch.randint(2, (8,))
    return Task(network, cross_entropy, data), ParameterSpace(network)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "build",
    [
        lambda task, space: hessian(task, space, method="taylor"),
        lambda task, space: hessian(task, space, method="double-backward"),
        lambda task, space: hessian([task, task], space),
        gauss_newton,
    ],
)
def test_products_are_the_same_in_any_context(context, build):
    task, space = made()
    operator, eye = build(task, space), torch.eye(space.n, dtype=F64)
    plain = operator @ eye
    with context():
        inside = operator @ torch.eye(space.n, dtype=F64)
        assert float(spectral_density(operator, 3, 1).lambda_max[0]) > 0
    assert torch.allclose(inside, plain, rtol=1e-12, atol=1e-14)
    if context is torch.no_grad:
        with context():
            again = build(task, space) @ eye
        assert torch.allclose(again, plain, rtol=1e-12, atol=1e-14)
    else:
        with context(), pytest.raises(ArgumentError, match="outside of `torch.inference_mode`"):
            build(task, space)


def test_a_point_that_was_made_in_inference_mode_is_a_point():
    task, space = made()
    with torch.inference_mode():
        theta = space.theta.clone()
    eye = torch.eye(space.n, dtype=F64)
    for build in (hessian, gauss_newton):
        assert torch.equal(build(task, space, theta) @ eye, build(task, space) @ eye)


@pytest.mark.parametrize("build", [hessian, gauss_newton])
def test_within_autocast_nothing_is_measured(build):
    """Its products are off by half a per cent, which no bar would say."""
    task, space = made()
    operator = build(task, space)
    with torch.autocast("cpu", torch.bfloat16):
        for call in (
            lambda: build(task, space),
            lambda: operator @ space.theta,
            lambda: train_hybrid([task], space, Schedule(2, 3, 1, 0.1, None)),
            lambda: made(),
        ):
            with pytest.raises(ArgumentError, match="outside of `torch.autocast`"):
                call()


def test_anomaly_detection_and_points_with_a_graph_change_nothing(recwarn):
    task, space = made()
    plain = train_hybrid([task], space, Schedule(2, 3, 1, 0.1, None)).theta
    with torch.autograd.set_detect_anomaly(True):
        again = train_hybrid([task], space, Schedule(2, 3, 1, 0.1, None)).theta
    assert torch.equal(again, plain)
    recwarn.clear()
    hessian(task, space, nn.Parameter(space.theta))
    assert not recwarn.list


def test_networks_of_another_type_inside_and_without_weights_are_told():
    class Rounded(nn.Linear):
        def forward(self, x):
            scale, zero = torch.full((2,), 1e-3), torch.zeros(2, dtype=torch.int32)
            return torch.fake_quantize_per_channel_affine(
                super().forward(x), scale, zero, 1, -99, 99
            )

    data = torch.randn(8, 3), torch.randint(2, (8,))
    task = Task(Rounded(3, 2), cross_entropy, data)
    with pytest.raises(ArgumentError, match="`network` must run in float64, too.*check=False"):
        hessian(task, ParameterSpace(task.network), method="double-backward")
    with pytest.raises(ArgumentError, match="`network` must have a parameter, but is without one"):
        Task(nn.Tanh(), cross_entropy, data)


A, B = torch.tensor([[2.0, 0.1], [0.3, 1.5]], dtype=F64), torch.ones(2, dtype=F64)
MAP = PolynomialMap([0.1 * B, 0.4 * A, 0.01 * torch.ones(2, 4, dtype=F64)])
ZERO = torch.zeros(2, dtype=F64)
FLOWS = {
    "diagnose": lambda task, space: (
        diagnose(spectral_density(hessian(task, space), 6, 2, deflate=2), 0.1, 0.5).proxy
    ),
    "masks": lambda task, space: magnitude_mask(task.network, 0.5).keep["0.weight"].double(),
    "map_norms": lambda task, space: torch.tensor(
        map_norms(task, space, 0.1, 2, products=12, samples=2).higher, device="cpu"
    ),
    "train_hybrid": lambda task, space: (
        train_hybrid([task], space, Schedule(2, 3, 2, 0.1, 1000)).theta
    ),
    "read_out": lambda task, space: read_out(space.theta, 1000).vector,
    "history": lambda task, space: history_system(MAP, ZERO, 4, order=2).matrix.to_dense(),
    "solve": lambda task, space: solve(LinearSystem(A, B), QSVT()).value,
}


@pytest.mark.parametrize("flow", FLOWS)
def test_the_default_device_changes_nothing(flow):
    """As of a notebook that says torch.set_default_device("cuda") at its top; what is made there
    without need would raise here, or have no values.
    """
    task, space = made()
    plain = FLOWS[flow](task, space)
    try:
        torch.set_default_device("meta")
        found = FLOWS[flow](task, space)
    finally:
        torch.set_default_device(None)
    assert torch.equal(found, plain)


@pytest.mark.parametrize("method", ["taylor", "double-backward"])
@pytest.mark.parametrize(
    "inside",
    [
        lambda A, X: torch.vmap(lambda v: A @ v)(X),
        lambda A, X: torch.vmap(lambda v: A @ v, in_dims=1)(X.T),
        lambda A, X: torch.func.jacrev(lambda v: A @ v)(X[0]),
        lambda A, X: torch.func.jvp(lambda v: A @ v, (X[0],), (X[1],)),
        lambda A, X: torch.func.grad(lambda v: (A @ v).sum())(X[0]),
    ],
)
def test_a_product_inside_transforms_is_refused_in_one_sentence(method, inside):
    task, space = made()
    operator = hessian(task, space, method=method)
    with pytest.raises(ArgumentError, match="`x` must be plain vectors, outside of torch.vmap and"):
        inside(operator, torch.eye(space.n, dtype=F64))


@pytest.mark.parametrize(
    ("name", "inside", "count"),
    [
        ("theta", lambda task, space, x: task.loss_at(space, x), 26),
        ("theta", lambda task, space, x: hessian(task, space, x) @ x, 26),
        ("u", lambda task, space, x: PolynomialMap([torch.zeros(2), torch.eye(2)])(x), 2),
        ("rhs", lambda task, space, x: LinearSystem(torch.eye(2, dtype=F64), x).rhs, 2),
        ("matrix", lambda task, space, x: LinearSystem(torch.diag(x), x).rhs, 2),
    ],
)
def test_what_is_looked_at_is_no_batch_of_vmap(name, inside, count):
    task, space = made()
    with pytest.raises(ArgumentError, match=f"`{name}.*outside of torch.vmap"):
        torch.vmap(lambda x: inside(task, space, x))(torch.ones(3, count, dtype=F64))


def test_a_matrix_is_applied_inside_vmap_as_ever():
    A, X = torch.randn(3, 4, dtype=F64), torch.randn(5, 4, dtype=F64)
    assert torch.allclose(torch.vmap(lambda v: as_operator(A) @ v)(X), X @ A.T)
