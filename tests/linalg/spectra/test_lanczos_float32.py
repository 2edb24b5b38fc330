"""Single precision at full size: sums of ten million entries, and an outlier over a small bulk."""

import pytest
import torch

from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.spectra.density import quadrature
from qdescent.linalg.spectra.lanczos import lanczos, lanczos_start


def test_single_precision_lengths_do_not_drift_at_ten_million_entries():
    v = torch.ones(10_000_000, 4) * torch.linspace(0.5, 1.5, 10_000_000)[:, None]
    unit = lanczos_start(v).current
    assert float((unit[:, 0].double() ** 2).sum()) == pytest.approx(1, abs=1e-5)


def test_a_large_outlier_in_single_precision():
    """n = 1e6, one eigenvalue 100 over a bulk in [0, .02]."""
    n, g = 1_000_000, torch.Generator().manual_seed(0)
    d = 0.02 * torch.rand(n, generator=g)
    d[0] = 100.0
    v = (2 * torch.randint(0, 2, (n, 1), generator=g) - 1).float()
    found = []
    for e in (d, d.double()):
        operator = LinearOperator((n, n), lambda x, e=e: e[:, None] * x, dtype=e.dtype)
        found.append(quadrature(lanczos(operator, v.to(e), 12), n))
    assert found[0].nodes.shape == found[1].nodes.shape  # no early stop
    for q in found:
        assert q.lambda_max[0] == pytest.approx(100, rel=1e-5)
        assert float(
            (q.weights * torch.where(q.nodes < 1, (1 - 20 * q.nodes) ** 20, 0.0)).sum()
        ) == pytest.approx(0.1188, abs=5e-4)
