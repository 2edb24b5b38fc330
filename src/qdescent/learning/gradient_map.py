"""The gradient-descent step of a small network as an explicit polynomial map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import jacfwd, jacrev

from qdescent._checks import argument_error, check_integer, check_interval
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.polynomial_map import PolynomialMap

ENTRY_LIMIT = 50_000_000  # float64 entries of the largest F_k: 400 MB, what a laptop holds next to the derivative's own graph


def gradient_map(
    task: Task, space: ParameterSpace, learning_rate: float, degree: int = 2, theta: Tensor | None = None
) -> PolynomialMap:
    """u -> u - eta grad L(theta + u), expanded at theta: F_0 = -eta grad L, F_1 = I - eta H, F_k = -(eta/k!) grad^{k+1} L.

    By nested exact derivatives (PyTorch's forward over forward over ... over reverse mode), independent of the Taylor rules of
    `taylor_rules.py`.

    Args:
        task: network, loss and batch.
        space: the kept weights (small n: F_k has n^{k+1} entries).
        learning_rate: eta.
        degree: the highest k, at least 1.
        theta: the pivot, (n,); None: the network's own weights.

    Returns:
        PolynomialMap in float64 or the network's dtype.

    Raises:
        ArgumentError: F_degree would have more than 5e7 entries.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task = Task(network, torch.nn.functional.mse_loss, data)
        >>> f = gradient_map(task, ParameterSpace(network), learning_rate=0.1, degree=1)
        >>> round(float(f.coefficients[1]), 6)  # 1 - eta * 2
        0.8
    """
    check_interval("learning_rate", learning_rate, "(0, inf)")
    check_integer("degree", degree, 1)
    n = space.n
    if n ** (degree + 1) > ENTRY_LIMIT:
        raise argument_error(
            "degree",
            f"leave F_degree at most {ENTRY_LIMIT:.0e} entries (use series_descent at this size)",
            f"{degree} with n = {n}",
        )
    theta = space.theta if theta is None else theta
    derivative = jacrev(lambda point: task.loss_at(space, point))
    coefficients = []
    factorial = 1
    for k in range(degree + 1):
        factorial *= max(k, 1)
        value = derivative(theta).detach().reshape(n, n**k)
        F = -(learning_rate / factorial) * value
        coefficients.append(F + torch.eye(n, dtype=F.dtype, device=F.device) if k == 1 else F)
        derivative = jacfwd(derivative)
    return PolynomialMap(coefficients)
