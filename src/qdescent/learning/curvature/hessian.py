"""The Hessian and the Gauss-Newton matrix of a task in kept-weight coordinates, as operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

import torch
from torch import Tensor

from qdescent._array_checks import check_dtype
from qdescent._checks import (
    argument_error,
    check_boolean,
    check_choice,
    check_instance,
)
from qdescent.learning.curvature.differentiable import suspects, twice_differentiable
from qdescent.learning.curvature.digits import check_digits
from qdescent.learning.curvature.few_samples import few_samples
from qdescent.learning.curvature.guard import Checked, as_checked, check_curvature
from qdescent.learning.curvature.products import (
    METHODS,
    Build,
    Product,
    by_series_if_faster,
    double_backward_product,
    gauss_newton_product,
)
from qdescent.learning.curvature.twins import (
    GaussNewtonTwin,
    HessianTwin,
    gauss_newton_twin,
    gradient_rounding,
    gradient_vanishes,
    hessian_twin,
    steps_seen,
)
from qdescent.learning.parameters import ParameterSpace, check_space
from qdescent.learning.refusals.unscaled import unscaled
from qdescent.learning.task import Task
from qdescent.learning.taylor.gradient_series import GradientSeries
from qdescent.learning.taylor.nested_jvp import NestedSeries
from qdescent.learning.untouched import alone
from qdescent.learning.weighting.by_outputs import weighted
from qdescent.linalg.operator import LinearOperator


@alone
def hessian(
    task: Task | Sequence[Task],
    space: ParameterSpace,
    theta: Tensor | None = None,
    precision: torch.dtype | None = None,
    method: str = "auto",
    check: bool = True,
) -> LinearOperator:
    """H = grad^2 L(theta) restricted to the kept weights, (n, n), symmetric, never stored.

    H v is the first coefficient of grad L(theta + eps v) in eps. One batch: what does not depend on
    v is computed once and kept, the values of a Taylor series or the graph of the gradient, and
    each product is one pass through it. Several batches: H is their mean weighted by size, and each
    batch's pass is prepared, used for all columns of the block, and let go. At a kink (zeros under
    abs or ReLU) H is, as PyTorch's derivatives are, that of one side; where the check sees one, its
    `remark` says so, and the diagnosis of its spectrum; and so where the network makes steps of
    what depends on its weights (`round`, thresholds), whose derivatives are 0. Where the check sees
    products off by more than their type's rounding, `rounding` is twice that, and the error bars of
    eigenvalues hold it.

    Args:
        task: network, loss and batch; or several tasks of one network, each with its batch.
        space: the kept weights.
        theta: the point, (n,); None: the network's own weights, which must be those of the space.
        precision: dtype of the products, e.g. torch.bfloat16; vectors keep theta's. `product_error`
            measures what it costs.
        method: "taylor": by `GradientSeries` of order 1, for networks whose every operation has a
            Taylor rule, in theta's own precision; "double-backward": by autograd, for any network;
            "auto": the first where it is possible and the faster way (convolutions of many
            numbers), and its gradient is autograd's too (`no_grad` inside would part them).
        check: comparison of the operator with the loss moved in float64 along a fixed random
            direction (`check_curvature`); of a batch of more than 3e7 weights times samples on 4
            of these (`few_samples`), and on all of them only where these disagree. Where products
            are 0 to rounding (a softmax saturated by 43 logits and more) H is 0, and a derivative
            that is wrong elsewhere is not seen. False: for those who have compared the same network
            and loss before.

    Returns:
        LinearOperator: `H @ v` for v of shape (n,) or (n, k).

    Raises:
        ArgumentError: an operation of the network has no second derivative, or for "taylor" no
            rule; the products are not the second derivatives of the loss; half precision inside a
            network of wider weights.

    Cost: a product, in gradients, one batch: about 1.7 (taylor) or 2.2 (double-backward); several
        batches: one gradient more. The check: two products, and two gradients in float64; more only
        where these disagree; of a large batch on 4 of its samples.

    References:
        Pearlmutter (1994), fast exact multiplication by the Hessian; Griewank and Walther (2008),
        chapter 13 (Taylor arithmetic).

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(2, 1, bias=False)
        >>> task = Task(
        ...     network,
        ...     torch.nn.functional.mse_loss,
        ...     (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.zeros(2, 1)),
        ... )
        >>> (hessian(task, ParameterSpace(network)) @ torch.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 4.0]]
    """
    method = check_choice("method", method, ["auto", *METHODS])
    way = by_series_if_faster if method == "auto" else lambda samples: METHODS[method]
    return _operator("hessian", task, space, theta, precision, way, check)


@alone
def gauss_newton(
    task: Task | Sequence[Task],
    space: ParameterSpace,
    theta: Tensor | None = None,
    precision: torch.dtype | None = None,
    check: bool = True,
) -> LinearOperator:
    """G = J^T H_out J restricted to the kept weights: J the Jacobian of the outputs, H_out the
    loss's Hessian in the outputs.

    Positive semi-definite for a loss that is convex in the outputs, and equal to the Hessian where
    the network is linear in its weights (Schraudolph 2002). A part of the loss that uses the
    weights itself enters whole, as if they were outputs. Arguments as for `hessian`.

    Cost: a product is about 3 gradients; the check two products, and some six passes forward in
    float64.

    Example:
        >>> import torch
        >>> network = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Tanh())
        >>> with torch.no_grad():
        ...     _ = network[0].weight.fill_(1.0)
        >>> data = torch.ones(1, 1), torch.zeros(1, 1)
        >>> task, space = Task(network, torch.nn.functional.mse_loss, data), ParameterSpace(network)
        >>> G, H = gauss_newton(task, space), hessian(task, space)  # of tanh(theta)^2
        >>> round(float(G @ torch.ones(1)), 3), round(float(H @ torch.ones(1)), 3)
        (0.353, -0.622)
    """
    return _operator(
        "gauss-newton", task, space, theta, precision, lambda samples: gauss_newton_product, check
    )


def check_operator(
    curvature: str,
    operator: LinearOperator,
    parts: Sequence[tuple[Task, float]],
    space: ParameterSpace,
    theta: Tensor | None = None,
    total: Callable[[Tensor], Tensor] | None = None,
) -> Checked:
    """Check a "hessian" or "gauss-newton" of a weighted sum of tasks, see `check_curvature`.

    Args:
        curvature: which of the two.
        operator: (n, n).
        parts: each task with its weight.
        space: the kept weights.
        theta: the point, (n,); None: the network's own weights, which must be those of the space.
        total: the sum over processes of what each has of its own parts; None: there is one.
    """
    # what a network casts may depend on its batch
    steps = [(task, check_digits(task, space)) for task, _ in parts]
    point = space.theta if theta is None else space.point(theta)
    build = gauss_newton_product if curvature == "gauss-newton" else double_backward_product

    def exact(task: Task, theta: Tensor, v: Tensor) -> Tensor:
        return build(task, space, theta, torch.float64)(v)

    def reason() -> str:
        weights = {name: w.detach().requires_grad_() for name, w in space.unpack(point).items()}
        return next((suspects(task.loss_with(weights), task.network) for task, _ in parts), "")

    twin: HessianTwin | GaussNewtonTwin
    if curvature == "gauss-newton":
        twin = gauss_newton_twin(parts, space, exact, total, reason)
    else:
        twin = hessian_twin(parts, space, exact, total, reason)
    with ExitStack() as stack:
        for network in {id(task.network): task.network for task, _ in parts}.values():
            stack.enter_context(twice_differentiable(network))
        checked = check_curvature(operator, twin, point, reason)
    remarks = (steps_seen(task, space, point, names) for task, names in steps)
    return checked._replace(remark=next(filter(None, remarks), ""))


@alone
def check_series(
    series: GradientSeries | NestedSeries, task: Task, space: ParameterSpace, theta: Tensor
) -> None:
    """Check a gradient's series at theta: its degree 0 beside autograd's gradient, degree 1 as a
    Hessian product. What was checked of a task at a point is not checked again.

    Raises:
        ArgumentError: as `check_curvature`; the series' gradient is not autograd's; nested
            derivatives whose second is not the slope of the first.

    Cost: one gradient, two calls of the series to order 1, two gradients in float64; more only
        where these disagree.
    """
    what, network = (type(series), series.order), task.network
    tensors = (theta, *network.parameters(), *network.buffers())
    if task.checked.holds(what, space, tensors):
        return
    gradient = task.loss_and_gradient(space, theta)[1]
    error, size = (
        float(torch.linalg.vector_norm(x)) for x in (series.gradient - gradient, gradient)
    )
    if (
        not error <= series.rounding**0.5 * size
        and not gradient_vanishes(task, space, theta)
        and not error <= gradient_rounding(task, space, theta)
    ):
        must = (
            "have the gradient that follows from its operations (no `no_grad`, `detach` or backward"
            " of its own)"
        )
        raise argument_error("network", must, f"{100 * error / (size or 1.0):.2g} % off")

    if isinstance(series, NestedSeries) and series.order > 1:
        series.check_second()

    def apply(block: Tensor) -> Tensor:
        return torch.stack([series([v])[0] for v in block.T.contiguous()]).T

    shape = (space.n, space.n)
    check_operator(
        "hessian",
        LinearOperator(shape, apply, apply, theta.dtype, theta.device),
        [(task, 1.0)],
        space,
        theta,
    )
    task.checked.add(what, space, tensors)


def _operator(
    curvature: str,
    task: Task | Sequence[Task],
    space: ParameterSpace,
    theta: Tensor | None,
    precision: torch.dtype | None,
    way: Callable[[int], Build],
    check: bool,
) -> LinearOperator:
    """The operator of the products that `way` to a batch of so many samples makes of each task,
    checked as this curvature: of a large batch first on a few samples, and on the whole only where
    these disagree or see nothing.
    """
    check_instance("space", space, ParameterSpace)
    parts = weighted(task)
    build = way(parts[0][0].batch)
    if not check_boolean("check", check):
        return _unchecked(parts, space, theta, precision, build)
    few, seen = few_samples(parts[0][0], space) if len(parts) == 1 else None, None
    if few is not None:
        some = [(few, 1.0)]
        # made first: what `build` compares to choose its way it compares on these; the whole batch
        # has the last word, for of a few samples a loss of pairs, say, may raise anything
        with suppress(Exception):
            on_few = _unchecked(some, space, theta, precision, build)
            seen = check_operator(curvature, on_few, some, space, theta)
    operator = _unchecked(parts, space, theta, precision, build)
    if seen is None or seen.vanishes:
        seen = check_operator(curvature, operator, parts, space, theta)
    return as_checked(operator, seen)


def _unchecked(
    parts: Sequence[tuple[Task, float]],
    space: ParameterSpace,
    theta: Tensor | None,
    precision: torch.dtype | None,
    build: Build,
) -> LinearOperator:
    for each, _ in parts:
        check_space(space, each.network)
    point = space.pivot(theta, parts[0][0].network)
    dtype = point.dtype if precision is None else check_dtype("precision", precision)

    def times(product: Product, v: Tensor) -> Tensor:
        with twice_differentiable(parts[0][0].network):
            return product(v.to(dtype))

    def prepared(each: Task) -> Product:
        with twice_differentiable(each.network):
            return build(each, space, point, dtype)

    kept = prepared(parts[0][0]) if len(parts) == 1 else None

    @torch.inference_mode(False)
    def apply(block: Tensor) -> Tensor:
        block = block.clone() if block.is_inference() else block
        for each, _ in parts:
            each.standing.check()
        # the common case, without two passes over a vector of zeros
        if kept is not None and block.shape[1] == 1:
            return times(kept, block[:, 0]).to(point.dtype)[:, None]
        result = torch.zeros(block.shape[1], space.n, dtype=point.dtype, device=point.device)
        for each, weight in parts:
            product = kept or prepared(each)
            for column, v in zip(result, block.T, strict=True):
                column.add_(times(product, v), alpha=weight)
        return result.T

    steady = kept is not None  # what is recorded is played again
    shape, kind = (space.n, space.n), point.dtype
    rounding = 8 * eps if (eps := torch.finfo(dtype).eps) > torch.finfo(kind).eps else None
    return LinearOperator(
        shape,
        apply,
        apply,
        kind,
        point.device,
        steady=steady,
        rounding=rounding,
        remark=unscaled(parts[0][0].data[0]),
    )
