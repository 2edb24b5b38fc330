"""The one wording of argument errors."""

import math

import numpy as np
import pytest
import torch

from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_choice,
    check_finite,
    check_integer,
    check_interval,
    check_shape,
)


def test_the_sentence():
    assert str(argument_error("density", "be in (0, 1]", 1.5)) == "Argument `density` must be in (0, 1], but is 1.5."
    assert str(argument_error("mask", "keep a weight", "empty")) == "Argument `mask` must keep a weight, but is empty."
    assert issubclass(ArgumentError, ValueError)


@pytest.mark.parametrize(
    ("value", "interval"), [(1, "(0, 1]"), (1e-300, "(0, 1]"), (0, "[0, inf)"), (-5.5, "(-inf, 0)"), (np.float64(0.5), "(0, 1)")]
)
def test_interval_accepts(value, interval):
    found = check_interval("x", value, interval)
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (0, "(0, 1]"), (1.5, "(0, 1]"), (1, "[0, 1)"), (-1e-9, "[0, 1)"), (math.nan, "[0, inf)"), (math.inf, "[0, inf)"),
        ("0.5", "[0, 1]"), (True, "[0, 1]"), (None, "[0, 1]"), (1j, "[0, 1]"),
    ],
)  # fmt: skip
def test_interval_refuses(value, interval):
    with pytest.raises(ArgumentError, match=r"Argument `density` must be in [\[(].*[\])], but is"):
        check_interval("density", value, interval)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_integer_accepts(value):
    found = check_integer("steps", value, 1)
    assert type(found) is int
    assert found == 3


@pytest.mark.parametrize("value", [0, -1, 2.0, "3", True, None, math.nan, np.float64(2)])
def test_integer_refuses(value):
    with pytest.raises(ArgumentError, match="Argument `steps` must be an integer of at least 1, but is"):
        check_integer("steps", value, 1)


def test_choice():
    assert check_choice("form", "plain", iter(["homogenised", "plain"])) == "plain"
    with pytest.raises(ArgumentError, match="Argument `form` must be one of 'a', 'b', but is .*c"):
        check_choice("form", "c", ["a", "b"])


def test_finite_counts_and_places():
    x = torch.zeros(2, 3)
    x[0, 2], x[1, 1] = math.nan, math.inf
    with pytest.raises(ArgumentError, match=r"Argument `x` must be finite, but is not, in 2 of 6 places, first at \(0, 2\)."):
        check_finite("x", x)
    assert check_finite("x", torch.tensor([1, 2])).dtype == torch.int64
    with pytest.raises(ArgumentError, match="must be finite"):
        check_finite("x", torch.tensor([complex(1, math.nan)]))


def test_shape():
    x = torch.zeros(2, 3)
    assert check_shape("x", x, (None, 3)) is x
    with pytest.raises(ArgumentError, match=r"Argument `x` must have shape \(2, any, 1\), but is of shape \(2, 3\)."):
        check_shape("x", x, (2, None, 1))
    with pytest.raises(ArgumentError, match=r"must have shape \(4,\), but is of shape \(3,\)."):
        check_shape("x", torch.zeros(3), (4,))
