"""The polynomials of a segment where they are nearly constant: few steps, or a small rate."""

from fractions import Fraction

import numpy as np
import pytest

from qdescent.quantum.algorithms.power_sums import geometric_sums
from qdescent.resources.ways.segment_plan import second_supremum
from qdescent.resources.ways.segment_polynomial import segment_polynomial


@pytest.mark.parametrize("steps", [1, 2, 5, 278])
def test_sums_of_powers_to_the_last_digits(steps):
    y = np.array([1.0, *(1 + sign * 10.0**-k for k in range(1, 12) for sign in (-1, 1)),
                  0.5, 0.4, 0.0, -0.3, -1.5])  # fmt: skip
    exact = [float(sum(Fraction(each) ** t for t in range(steps))) for each in y]
    assert geometric_sums(y, steps) == pytest.approx(exact, rel=1e-13)
    # planted: a few terms in T (y - 1) for small ones, as they were
    e = steps * (y[11:13] - 1)
    planted = steps * (1 + e / 2 + e * e / 6)
    assert steps == 1 or planted != pytest.approx(exact[11:13], rel=1e-13)


def test_a_small_rate_asks_for_no_more_than_a_few_degrees():
    # sum_t (1 - 7e-5 + 2e-4 s)^t of 278 steps: T_k's coefficient is about T (T a/2)^k/k!
    for tolerance, degree in ((1e-3, 1), (1e-5, 2), (1e-6, 3), (1e-9, 4)):
        assert segment_polynomial(278, 1 - 7e-5, 2e-4, 278 * tolerance).degree == degree


@pytest.mark.parametrize("steps", [1, 2, 5, 20, 300])
def test_what_all_nodes_add_up_to_is_the_sum_itself(steps):
    for y in (1.0, 1 - 1e-4 / steps, 1 + 1e-2 / steps, 1 - 0.3 / steps, 0.6, -0.4):
        powers = y ** np.arange(steps)
        sums = np.concatenate([[0.0], powers.cumsum()[:-1]])
        assert second_supremum(y, steps) == pytest.approx((powers[::-1] * sums**2).sum(), rel=1e-3)
