"""NumPy and torch numbers as arguments, and infinities in JSON."""

import math

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError, check_integer, check_interval
from qdescent._evidence import Evidence, Row


def test_numpy_infinity_survives_json():
    assert Row.from_json(Row("a", np.float64("inf"), "1", Evidence.EXACT, "x").to_json()).value == math.inf


@pytest.mark.parametrize("value", [torch.tensor(1.5), np.array([1, 2]), torch.tensor([1, 2]), torch.tensor(True)])
def test_integers_that_are_none(value):
    with pytest.raises(ArgumentError):
        check_integer("a", value, 1)


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(1)])
def test_numpy_numbers_are_numbers(value):
    assert check_interval("a", value, "(0, 1]") == value


def test_a_text_is_quoted():
    with pytest.raises(ArgumentError, match=r"but is '0.5'\."):
        check_interval("a", "0.5", "(0, 1]")
