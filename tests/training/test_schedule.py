"""The settings of a hybrid run."""

import math

import pytest

from qdescent._checks import ArgumentError
from qdescent.training.schedule import Schedule


def test_steps():
    assert Schedule(segment=7, rounds=3).steps == 21
    assert Schedule(shots=None).shots is None


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"order": 0}, "`order` must be an integer of at least 1"),
        ({"order": 7}, r"`order` must be in \[1, 6\]"),
        ({"order": 1.5}, "`order` must be an integer"),
        ({"segment": 0}, "`segment` must be an integer of at least 1"),
        ({"rounds": -1}, "`rounds` must be an integer of at least 1"),
        ({"learning_rate": 0.0}, r"`learning_rate` must be in \(0, inf\)"),
        ({"learning_rate": math.nan}, r"`learning_rate` must be in \(0, inf\)"),
        (
            {"learning_rate": lambda: 0.1},
            "`learning_rate` must be .* that takes 1 argument, but is",
        ),
        ({"shots": 0}, "`shots` must be an integer of at least 1"),
    ],
)
def test_errors(settings, text):
    with pytest.raises(ArgumentError, match="Argument " + text):
        Schedule(**settings)
