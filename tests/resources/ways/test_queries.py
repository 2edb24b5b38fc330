"""Query counts against the published row at kappa = 1e3, eps = 1e-3, and against what the formulas
must obey.
"""

import math

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.linalg.linear_system import LinearSystem
from qdescent.resources.ways.queries import (
    COSTA_PROVEN,
    costa_queries,
    counted_kernel_queries,
    dalzell_queries,
    jennings_queries,
    kernel_reflection_queries,
    query_rows,
)
from qdescent.solvers.kernel_reflection import KernelReflection


def two_figures(value: float) -> str:
    return f"{value:.1e}"


def test_row_at_kappa_1000():
    got = [
        solver(1e3, 1e-3)
        for solver in (jennings_queries, dalzell_queries, kernel_reflection_queries, costa_queries)
    ]
    assert [two_figures(value) for value in got] == ["7.0e+05", "6.3e+04", "7.9e+03", "9.4e+03"]


def test_row_rejects_a_wrong_logarithm():
    wrong = 1e3 * math.log10(2 * math.sqrt(2) / 1e-3)
    assert two_figures(wrong) != "7.9e+03"
    # the proven constant stands apart
    assert two_figures(costa_queries(1e3, 1e-3, COSTA_PROVEN)) == "2.3e+06"


@pytest.mark.parametrize("solver", [dalzell_queries, kernel_reflection_queries, costa_queries])
def test_linear_in_kappa(solver):
    assert solver(2e4, 1e-2) == pytest.approx(2 * solver(1e4, 1e-2))


def test_jennings_grows_like_kappa_log_kappa():
    growth = jennings_queries(2e8, 0.1) / jennings_queries(1e8, 0.1)
    assert growth == pytest.approx(2 * (1 + math.log(2) / math.log(2e8)), rel=5e-3)
    assert growth > 2.05


@pytest.mark.parametrize(
    ("solver", "kappa", "epsilon", "message"),
    [
        (dalzell_queries, 0.5, 0.1, r"Argument `kappa` must be in \[1, inf\), but is 0.5."),
        (
            kernel_reflection_queries,
            2.0,
            0.0,
            r"Argument `epsilon` must be in \(0, 1\), but is 0.0.",
        ),
        (jennings_queries, 2.0, 0.1, "Argument `kappa` must be in"),
        (jennings_queries, 20.0, 0.3, r"Argument `epsilon` must be in \(0, 0.24\], but is 0.3."),
    ],
)
def test_outside_the_theorem(solver, kappa, epsilon, message):
    with pytest.raises(ArgumentError, match=message):
        solver(kappa, epsilon)


def test_a_reflection_takes_the_queries_that_the_model_counts():
    matrix = torch.tensor([[1.0, 0.4], [0.1, 0.6]], dtype=torch.float64)
    rhs = torch.tensor([1.0, -0.5], dtype=torch.float64)
    norm = float(torch.linalg.solve(matrix, rhs).norm())
    found = KernelReflection(epsilon=1e-3, norm=norm).solve(LinearSystem(matrix, rhs))
    assert found.cost.number("reflections") == 1
    assert found.cost.number("queries") == counted_kernel_queries(found.cost.number("kappa"), 1e-3)
    assert counted_kernel_queries(1e4, 1e-3) == pytest.approx(1e4 * math.log(8 / 1e-3), rel=1e-3)


def test_proven_and_measured_constants_stand_in_rows_of_their_own():
    rows = {row.name.removeprefix("queries_"): row for row in query_rows(1e3, 1e-3, Evidence.EXACT)}
    assert set(rows) == {
        "norm_known",
        "norm_known_counted",
        "costa_proven",
        "costa_measured",
        "jennings",
    }
    assert rows["costa_proven"].value - rows["costa_measured"].value == pytest.approx(
        (2305 - 1.84) * 1e3
    )
    assert [str(rows[name].evidence) for name in ("costa_proven", "costa_measured")] == [
        "bounded",
        "modelled",
    ]
    assert {str(row.evidence) for row in query_rows(1e3, 1e-3, Evidence.BOUNDED)} == {
        "bounded",
        "modelled",
    }
    # at a kappa that was measured, modelled or assumed a theorem is a model of that kappa's worth
    for weaker in (Evidence.MEASURED, Evidence.MODELLED, Evidence.ASSUMED):
        assert {str(row.evidence) for row in query_rows(1e3, 1e-3, weaker)} == {"modelled"}
    assert "queries_jennings" not in query_rows(2.0, 1e-3, Evidence.EXACT)
