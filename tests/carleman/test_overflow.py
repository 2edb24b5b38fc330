"""What overflows declares no bound, and leaves the rest alone."""

import math
import warnings

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.dissipation import diagnose
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.spectra.density import spectral_density
from qdescent.solvers.classical import Direct
from qdescent.solvers.solve import solve


def test_a_history_that_overflows_declares_no_bound():
    f = PolynomialMap([torch.ones(1), torch.tensor([[3.0]])])
    system = history_system(carleman_linearize(f, 4), torch.zeros(1), 200)
    assert system.inverse_norm_bound in (None, math.inf)


@pytest.mark.parametrize("kind", [PolynomialMap, PolynomialField])
@pytest.mark.parametrize("form", ["plain", "homogenised"])
def test_coefficients_whose_products_are_no_numbers_are_refused_by_name(kind, form):
    f = kind([torch.zeros(2), 1e200 * torch.eye(2, dtype=torch.float64)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if kind is PolynomialField:  # sums, not products
            assert carleman_linearize(f, 3, form).to_sparse().values().isfinite().all()
            return
        with pytest.raises(ArgumentError, match="`f` must have coefficients whose products"):
            carleman_linearize(f, 2, form)
        carleman_linearize(f, 1, form)


@pytest.mark.parametrize("sides", [(1, 1e150), (1e150, 1)])
def test_a_bound_that_overflows_is_infinite_without_warnings(sides):
    scale = [torch.tensor([s, 1 / s], dtype=torch.float64) for s in sides]
    M = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        system = LinearSystem(scale[0][:, None] * M * scale[1], torch.ones(2, dtype=torch.float64))
        assert not solve(system, Direct()).solved


def test_a_proxy_that_overflows_leaves_the_other_parts_alone():
    s = spectral_density(
        torch.diag(torch.tensor([-1e4, 0.5], dtype=torch.float64)), steps=2, probes=2
    )
    assert float(diagnose(s, 1.0, horizon=100).proxy_dissipative[-1]) == pytest.approx(0.5**101)
