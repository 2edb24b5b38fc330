"""||z_t|| from the series terms equals the norm of the explicit lifted state; the shortcut
"monomials as products" does not.
"""

import pytest
import torch

from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.state_norms import lifted_norm
from qdescent.learning.gradient_map import gradient_map
from qdescent.learning.parameters import ParameterSpace
from qdescent.solvers.series import SeriesSteps


@pytest.mark.parametrize("order", [1, 2, 3])
def test_norms_of_the_lifted_history(seventeen, order):
    space = ParameterSpace(seventeen.task.network)
    space = space.restrict(space.theta, torch.tensor([1, 4, 9, 15]))
    lift = carleman_linearize(gradient_map(seventeen.task, space, 0.5, order), order)
    z = lift.lift(torch.zeros(space.n, dtype=torch.float64))
    walk = SeriesSteps(seventeen.task, space, space.theta, order, 0.5)
    for _ in range(5):
        z, terms = lift.step(z), next(walk)
        assert lifted_norm(terms @ terms.T) == pytest.approx(float(z.norm()), rel=1e-13)
    u = float(terms.sum(0).norm()) ** 2
    products = sum((1 + u) ** j - 1 for j in range(1, order + 1)) ** 0.5
    assert (products == pytest.approx(float(z.norm()), rel=1e-6)) == (order == 1)
