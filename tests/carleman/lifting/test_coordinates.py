"""Words, sorted words and their numbers, against itertools."""

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.carleman.lifting.coordinates import Coordinates


@pytest.mark.parametrize("letters", [1, 2, 3, 5])
def test_symmetric_words_are_the_multisets_in_order(letters):
    coordinates = Coordinates(letters, 4, "plain", symmetric=True)
    for j in range(1, 5):
        multisets = list(combinations_with_replacement(range(letters), j))
        assert coordinates.count(j) == len(multisets)
        digits = [np.array(column) for column in zip(*multisets, strict=True)]
        np.testing.assert_array_equal(coordinates.rank(digits), np.arange(len(multisets)))
        # in any order
        np.testing.assert_array_equal(coordinates.rank(digits[::-1]), np.arange(len(multisets)))
        first, rest = coordinates.split(j, np.arange(len(multisets)))
        np.testing.assert_array_equal(first, digits[0])
        if j > 1:
            np.testing.assert_array_equal(rest, coordinates.rank(digits[1:]))
        kronecker = [int(np.ravel_multi_index(word, (letters,) * j)) for word in multisets]
        assert coordinates.positions(j).tolist() == kronecker


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("form", ["plain", "homogenised"])
def test_products_of_words(form, symmetric):
    coordinates = Coordinates(2, 4, form, symmetric)
    q = coordinates.letters
    for k, m in [(1, 1), (1, 2), (2, 1), (1, 3), (2, 2), (0, 3), (3, 0)]:
        kind = (
            combinations_with_replacement
            if symmetric
            else lambda letters, j: product(letters, repeat=j)
        )
        for (a, left), (b, right) in product(
            enumerate(kind(range(q), k)), enumerate(kind(range(q), m))
        ):
            word = sorted(left + right) if symmetric else left + right
            expected = list(kind(range(q), k + m)).index(tuple(word))
            assert int(coordinates.multiply(np.array([a]), k, np.array([b]), m)[0]) == expected


def test_published_sizes():
    assert [Coordinates(2, 5, "plain", symmetric).dimension for symmetric in (False, True)] == [
        62,
        20,
    ]
    assert [Coordinates(16, 4, "plain", symmetric).dimension for symmetric in (False, True)] == [
        69904,
        4844,
    ]
    assert Coordinates(3000, 2, "plain", symmetric=True).dimension == 4_504_500
    assert Coordinates(2, 5, "homogenised").dimension == 3 + 9 + 27 + 81 + 243 - 5


@pytest.mark.parametrize("form", ["plain", "homogenised"])
def test_a_symmetric_lift_holds_each_monomial_once(form):
    u = torch.tensor([2.0, -3.0, 0.5], dtype=torch.float64)
    small, full = (Coordinates(3, 3, form, symmetric) for symmetric in (True, False))
    letters = [1.0, *u.tolist()] if form == "homogenised" else u.tolist()
    expected = []
    for j in (1, 2, 3):
        words = list(combinations_with_replacement(letters, j))
        expected += [
            float(np.prod(word)) for word in (words[1:] if form == "homogenised" else words)
        ]
    assert small.lift(u).tolist() == expected
    assert sorted(set(full.lift(u).tolist())) == sorted(set(expected))
    assert torch.equal(small.project(small.lift(u)), u)


def test_errors():
    with pytest.raises(
        ArgumentError, match="Argument `order` must be an integer of at least 1, but is 0."
    ):
        Coordinates(2, 0, "plain")
    with pytest.raises(
        ArgumentError, match="Argument `form` must be one of 'homogenised', 'plain'"
    ):
        Coordinates(2, 1, "ordinary")
    with pytest.raises(
        ArgumentError, match=r"Argument `order` must leave fewer than 2\^62 unknowns .*, but is 4."
    ):
        Coordinates(100_000_000, 4, "plain", symmetric=True)
    with pytest.raises(ArgumentError, match=r"Argument `u` must have shape \(2,\)"):
        Coordinates(2, 1, "plain").lift(torch.ones(3))
