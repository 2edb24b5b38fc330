"""What overflows declares no bound, and leaves the rest alone."""

import math

import pytest
import torch

from qdescent.carleman.dissipation import diagnose
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.spectra.density import spectral_density


def test_a_history_that_overflows_declares_no_bound():
    f = PolynomialMap([torch.ones(1), torch.tensor([[3.0]])])
    system = history_system(carleman_linearize(f, 4), torch.zeros(1), 200)
    assert system.inverse_norm_bound in (None, math.inf)


def test_a_proxy_that_overflows_leaves_the_other_parts_alone():
    s = spectral_density(
        torch.diag(torch.tensor([-1e4, 0.5], dtype=torch.float64)), steps=2, probes=2
    )
    assert float(diagnose(s, 1.0, horizon=100).proxy_dissipative[-1]) == pytest.approx(0.5**101)
