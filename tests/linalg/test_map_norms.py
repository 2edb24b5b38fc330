"""Norms that no map has are refused, where they can be seen to be."""

import pytest

import qdescent as qd
from qdescent._checks import ArgumentError
from qdescent.carleman.majorant import history_kappa_bound

BASE = {"constant": 0.1, "linear": 0.5, "higher": (0.1,)}


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"powers": (0.0, 0.0)}, "powers"),
        ({"powers": (0.5, 0.5)}, "powers"),
        ({"powers": (1.0, 0.1)}, "powers"),
        ({"powers": (1.0,)}, "powers"),
        ({"drift": (0.0, 0.01)}, "drift"),
    ],
)
def test_a_power_below_the_identity_or_a_step_below_f0_is_refused(more, name):
    with pytest.raises(ArgumentError, match=f"`{name}` must begin with"):
        qd.MapNorms(**BASE, **more)


def test_single_precision_is_enough_and_no_kappa_lies_below_one():
    norms = qd.MapNorms(**BASE, powers=(1 - 1e-7, 0.5 - 1e-8), drift=(0.0, 0.1 - 1e-9, 0.15))
    for steps in (1, 20):
        assert history_kappa_bound(norms, 1, steps) >= 1
