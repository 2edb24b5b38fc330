"""Query counts against the published row at kappa = 1e3, eps = 1e-3, and against what the formulas must obey."""

import math

import pytest

from qdescent._checks import ArgumentError
from qdescent.resources.queries import (
    COSTA_PROVEN,
    costa_queries,
    dalzell_queries,
    jennings_queries,
    kernel_reflection_queries,
)


def two_figures(value: float) -> str:
    return f"{value:.1e}"


def test_row_at_kappa_1000():
    got = [solver(1e3, 1e-3) for solver in (jennings_queries, dalzell_queries, kernel_reflection_queries, costa_queries)]
    assert [two_figures(value) for value in got] == ["7.0e+05", "6.3e+04", "7.9e+03", "9.4e+03"]


def test_row_rejects_a_wrong_logarithm():
    wrong = 1e3 * math.log10(2 * math.sqrt(2) / 1e-3)
    assert two_figures(wrong) != "7.9e+03"
    assert two_figures(costa_queries(1e3, 1e-3, COSTA_PROVEN)) == "2.3e+06"  # the proven constant stands apart


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
        (kernel_reflection_queries, 2.0, 0.0, r"Argument `epsilon` must be in \(0, 1\), but is 0.0."),
        (jennings_queries, 2.0, 0.1, "Argument `kappa` must be in"),
        (jennings_queries, 20.0, 0.3, r"Argument `epsilon` must be in \(0, 0.24\], but is 0.3."),
    ],
)
def test_outside_the_theorem(solver, kappa, epsilon, message):
    with pytest.raises(ArgumentError, match=message):
        solver(kappa, epsilon)
