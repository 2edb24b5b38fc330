"""The one wording of argument errors."""

import math

import numpy as np
import pytest
import torch

from qdescent._array_checks import check_array, check_dtype, check_finite, check_shape, check_tensor
from qdescent._checks import (
    ArgumentError,
    argument_error,
    check_boolean,
    check_callable,
    check_choice,
    check_instance,
    check_integer,
    check_interval,
    check_methods,
    check_sequence,
    check_text,
    shortened,
    shown,
)


def test_what_was_given_cannot_break_the_sentence_by_its_name():
    sentence = str(argument_error(f"data['a`\x1b{'b' * 500}']", "be finite", "not"))
    assert sentence.count("`") == 2
    assert sentence.isprintable()
    assert len(sentence) < 300


def test_the_sentence():
    assert (
        str(argument_error("density", "be in (0, 1]", 1.5))
        == "Argument `density` must be in (0, 1], but is 1.5."
    )
    assert (
        str(argument_error("mask", "keep a weight", "empty"))
        == "Argument `mask` must keep a weight, but is empty."
    )
    assert issubclass(ArgumentError, ValueError)


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (1, "(0, 1]"),
        (1e-300, "(0, 1]"),
        (0, "[0, inf)"),
        (-5.5, "(-inf, 0)"),
        (np.float64(0.5), "(0, 1)"),
    ],
)
def test_interval_accepts(value, interval):
    found = check_interval("x", value, interval)
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize(
    ("value", "interval"),
    [
        (0, "(0, 1]"), (1.5, "(0, 1]"), (1, "[0, 1)"), (-1e-9, "[0, 1)"), (math.nan, "[0, inf)"),
        (math.inf, "[0, inf)"),
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
    with pytest.raises(
        ArgumentError, match="Argument `steps` must be an integer of at least 1, but is"
    ):
        check_integer("steps", value, 1)


def test_choice():
    assert check_choice("form", "plain", iter(["homogenised", "plain"])) == "plain"
    with pytest.raises(ArgumentError, match="Argument `form` must be one of 'a', 'b', but is .*c"):
        check_choice("form", "c", ["a", "b"])


def test_finite_counts_and_places():
    x = torch.zeros(2, 3)
    x[0, 2], x[1, 1] = math.nan, math.inf
    with pytest.raises(
        ArgumentError,
        match=r"Argument `x` must be finite, but is not, in 2 of 6 entries, first at \(0, 2\).",
    ):
        check_finite("x", x)
    assert check_finite("x", torch.tensor([1, 2])).dtype == torch.int64
    with pytest.raises(ArgumentError, match="must be finite"):
        check_finite("x", torch.tensor([complex(1, math.nan)]))


def test_shape():
    x = torch.zeros(2, 3)
    assert check_shape("x", x, (None, 3)) is x
    with pytest.raises(
        ArgumentError,
        match=r"Argument `x` must have shape \(2, any, 1\), but is of shape \(2, 3\).",
    ):
        check_shape("x", x, (2, None, 1))
    with pytest.raises(ArgumentError, match=r"must have shape \(4,\), but is of shape \(3,\)."):
        check_shape("x", torch.zeros(3), (4,))


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), 10**5000], ids=["large", "negative", "vast"]
)
def test_no_number_is_too_large_to_be_refused(value):
    with pytest.raises(
        ArgumentError,
        match=r"^Argument `rate` must be in \(0, inf\), but is an integer of \d+ digits\.$",
    ):
        check_interval("rate", value, "(0, inf)")
    assert check_integer("seed", abs(value), 0) == abs(value)
    with pytest.raises(
        ArgumentError,
        match=r"an integer of at (least 1|most 9), but is an integer of \d+ digits\.$",
    ):
        check_integer("steps", value, 1, 9)


@pytest.mark.parametrize(
    "value",
    [torch.tensor([3]), np.array([3]), torch.tensor(3, device="meta"), torch.tensor(True), int],
    ids=str,
)
def test_what_only_looks_like_an_integer_is_refused(value):
    with pytest.raises(
        ArgumentError, match="Argument `steps` must be an integer of at least 1, but is"
    ):
        check_integer("steps", value, 1)


@pytest.mark.parametrize("value", [torch.zeros(2), np.zeros(2), 1, True, None, ["a"], str])
def test_choices_are_compared_with_their_type(value):
    with pytest.raises(ArgumentError, match="Argument `form` must be one of 'a', 'b', but is"):
        check_choice("form", value, ["a", "b"])
    assert [
        check_choice("k", value, [0, 1, math.inf]) for value in (1, 1.0, np.int64(1), math.inf)
    ] == [1, 1, 1, math.inf]
    with pytest.raises(ArgumentError, match="must be one of 0, 1, but is True"):
        check_choice("k", True, [0, 1])


class Evil:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.zeros(2, 3), "a tensor of shape (2, 3) and type torch.float32"),
        (np.zeros(4), "an array of shape (4,) and type float64"),
        (
            torch.zeros(2, device="meta"),
            "a tensor of shape (2,) and type torch.float32 on the meta device, without values",
        ),
        (dict, "the class dict, not an instance"),
        (Evil(), "an object of type Evil"),
        (10**30, "an integer of 31 digits"),
        (1.5, "1.5"),
        ("a\x1b[2J", "'a\\x1b[2J'"),
    ],
)
def test_shown_in_a_few_words(value, text):
    assert shown(value) == text
    with pytest.raises(ArgumentError) as refusal:
        check_interval("x", value, "(2, 3)")
    assert str(refusal.value) == f"Argument `x` must be in (2, 3), but is {text}."


def test_a_sentence_is_one_line_that_a_terminal_shows_as_it_stands():
    assert (
        str(argument_error("path", "be", "a\nb\x1b[31m\ud800"))
        == "Argument `path` must be, but is a b\\x1b[31m\\ud800."
    )
    assert len(str(argument_error("path", "be", "x" * 10**6))) < 1100
    assert len(shown(list(range(10**5)))) < 200
    nested = []
    nested.append(nested)
    assert len(shown(nested)) < 200


def test_tensors():
    x = torch.ones(2, 3, requires_grad=True)
    assert not check_tensor("x", x, (2, None)).requires_grad
    for value, sentence in (
        ([1.0], "must be a tensor (torch.as_tensor makes one), but is [1.0]."),
        (np.ones(2),
         "must be a tensor (torch.as_tensor makes one), but is an array of shape (2,) and "
         "type float64."),
        (torch.Tensor,
         "must be a tensor (torch.as_tensor makes one), but is the class Tensor, not an instance."),
        (torch.ones(2, device="meta"),
         "must be a tensor with values, but is a tensor of shape (2,) and type torch.float32 "
         "on the meta device, without values."),
        (torch.ones(2, dtype=torch.int64),
         "must hold floating-point numbers, but is of type torch.int64."),
        (torch.ones(2, dtype=torch.complex64),
         "must hold floating-point numbers, but is of type torch.complex64."),
        (torch.ones(2, 2), "must have shape (any,), but is of shape (2, 2)."),
        (torch.ones(0), "must hold at least one number, but is empty, of shape (0,)."),
        (torch.tensor([1, math.nan]),
         "must be finite, but is not, in 1 of 2 entries, first at (1,)."),
    ):  # fmt: skip
        with pytest.raises(ArgumentError) as refusal:
            check_tensor("x", value, (None,))
        assert str(refusal.value) == f"Argument `x` {sentence}"
    assert check_tensor("x", torch.tensor([1, math.nan]), finite=False).isnan().any()
    assert check_tensor("x", torch.ones(2, dtype=torch.complex64), kind="complex").is_complex()
    compressed = torch.tensor([[0.0, math.inf]]).to_sparse()
    with pytest.raises(ArgumentError, match="must be finite"):
        check_tensor("x", compressed, sparse=True)
    with pytest.raises(
        ArgumentError,
        match=r"must be dense \(to_dense\(\) makes it so\), but is of layout torch.sparse_coo",
    ):
        check_tensor("x", compressed)
    with pytest.raises(ArgumentError, match="must hold real numbers, but is"):
        check_array("x", [1j])
    assert check_array("x", [[1, 2]], (None, 2)).dtype == np.float64


def test_booleans_texts_and_nouns():
    assert check_boolean("symmetric", np.bool_(True)) is True
    assert check_boolean("symmetric", torch.tensor(False)) is False
    for value in (1, 0, "yes", None, torch.tensor([True]), bool):
        with pytest.raises(
            ArgumentError, match="Argument `symmetric` must be True or False, but is"
        ):
            check_boolean("symmetric", value)
    assert check_text("prefix", "", empty=True) == ""
    with pytest.raises(ArgumentError, match="must be a text of at least one character, but is ''"):
        check_text("prefix", "")
    assert check_instance("task", None, dict, optional=True) is None
    for value in (None, dict, 1):
        with pytest.raises(
            ArgumentError, match="Argument `task` must be a dict or an OSError, but is"
        ):
            check_instance("task", value, dict, OSError)
    assert check_callable("loss", len) is len
    with pytest.raises(
        ArgumentError, match="Argument `loss` must be a function of both or None, but is 3"
    ):
        check_callable("loss", 3, "a function of both", optional=True)
    assert check_methods("solver", [], ("append",), "a list") == []
    with pytest.raises(
        ArgumentError,
        match="Argument `solver` must be a list, but is the class list, not an instance.",
    ):
        check_methods("solver", list, ("append",), "a list")
    assert check_dtype("precision", torch.float16) is torch.float16
    for value in ("", torch.int8, float, None):
        with pytest.raises(
            ArgumentError,
            match="Argument `precision` must be a floating-point type such as torch.float64",
        ):
            check_dtype("precision", value)


def test_sequences():
    assert check_sequence("orders", (k for k in (1, 2)), int, called="integers") == (1, 2)
    assert check_sequence("orders", [], int, called="integers", empty=True) == ()
    for value, end in (
        ("12", "but is '12'."), (3, "but is 3."), ({1: 2}, "but is {1: 2}."),
        (list, "but is the class list, not an instance."),
        ([1, "2"], "but is '2' at index 1."), ([], "at least one, but is empty."),
        (np.array(1), "but is array(1)."),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match="^Argument `orders` must be integers") as refusal:
            check_sequence("orders", value, int, called="integers")
        assert str(refusal.value).endswith(end)


def test_a_strangers_text_says_where_it_was_cut():
    assert shortened("two\n lines", 9) == "two lines"
    assert shortened("two\n lines", 8) == "two lin…"
    with pytest.raises(ArgumentError, match=r"but is of a kind: a b…\."):
        raise argument_error("x", "fit", f"of a kind: {shortened('a b c d', 4)}")
