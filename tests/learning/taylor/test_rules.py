"""Each Taylor rule, values and adjoints to order 5, against nested forward derivatives of PyTorch's
function and its gradient.
"""

import math
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from learning.taylor.network_cases import ALONE, CONSTANT, MORE_CASES, MORE_VARIANTS
from learning.taylor.rule_cases import (
    CASES,
    ORDER,
    VARIANTS,
    assert_rule,
    assert_series,
    curve,
    nested,
    random,
)

from qdescent._checks import ArgumentError
from qdescent.learning.taylor import functions as taylor_towers
from qdescent.learning.taylor.gradient_series import propagate
from qdescent.learning.taylor.jet import RULES
from qdescent.learning.taylor.smooth import Smooth
from qdescent.learning.taylor.tape import Node


@contextmanager
def seen(name):
    """Raises unless the rule of this name is used meanwhile."""
    calls, own = [], RULES.get(name)
    with pytest.MonkeyPatch.context() as patch:
        if own is not None:
            patch.setitem(
                RULES, name, lambda *args, **kwargs: calls.append(name) or own(*args, **kwargs)
            )
        yield
    assert calls or own is None, name


def test_every_rule_has_a_case():
    assert set(RULES) == set(CASES) | set(MORE_CASES) | set(CONSTANT)


ALL = CASES | VARIANTS | MORE_CASES | MORE_VARIANTS


def assert_rule_of(name, a, b, c, order, seed):
    case, sizes = ALL[name], {"a": a, "b": b, "c": c}
    shapes = [
        tuple(sizes.get(s) or int(s) for s in shape.strip("-")) for shape in case.shapes.split()
    ]
    curves = [curve(seed + i, shape, order, case.above) for i, shape in enumerate(shapes, start=1)]
    with seen(name):
        assert_rule(case.function, curves, case.elementary)


@pytest.mark.parametrize("name", ALL)
def test_values_and_adjoints(name):
    """To order 5; and of sides of length 1, where shapes are broadcast."""
    assert_rule_of(name, 2, 3, 2, ORDER, 0)
    assert_rule_of(name, 1, 1, 1, 2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
@settings(max_examples=12, deadline=None)
@given(
    a=st.integers(1, 3),
    b=st.integers(1, 3),
    c=st.integers(1, 3),
    order=st.integers(1, ORDER),
    seed=st.integers(0, 1000),
)
def test_values_and_adjoints_of_any_shape_and_order(name, a, b, c, order, seed):
    assert_rule_of(name, a, b, c, order, seed)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("name", ALONE)
def test_a_smooth_function_without_a_rule_is_an_operation_of_its_own(name, order):
    case = ALONE[name]
    shapes = [[{"a": 2, "b": 3}.get(s) or int(s) for s in each] for each in case.shapes.split()]
    assert_rule(
        case.function,
        [curve(i, shape, order, case.above) for i, shape in enumerate(shapes)],
        case.elementary,
    )


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: torch.linalg.solve(x + 3 * torch.eye(3).double(), x), "linalg_solve"),
        (lambda x: torch.linalg.det(x + 3 * torch.eye(3).double()), "linalg_det"),
        (lambda x: x.cummax(0).values, "cummax"),
        (lambda x: torch.ceil(x) * x, "ceil"),
        (lambda x: torch.fft.rfft(x), "fft_rfft"),
        (lambda x: x * x.sum().item(), "item"),
        (lambda x: torch.zeros(3, 3).double().copy_(x), "copy_"),
        (lambda x: x.view(9).mul_(2), "mul_"),
    ],
)
def test_what_has_no_series_or_wrong_nested_derivatives_is_named(function, name):
    """PyTorch's own first derivative of `solve` and `det` is right, all further ones are wrong."""
    with pytest.raises(ArgumentError, match=rf"Argument `network` must be .* using '{name}'"):
        propagate(function, curve(1, (3, 3), 3))


def test_only_what_is_wrong_is_refused():
    """A planted factor at the second derivative, and the function itself."""

    class Wrong(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x**3

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, y):
            return 3 * ctx.saved_tensors[0] ** 2 * y

        @staticmethod
        def jvp(ctx, v):
            return 3 * ctx.saved_tensors[0].detach() ** 2 * v

    value = Node(random(1, 3))
    Smooth("cube", lambda x: x**3, [value], 3)
    Smooth("wrong", Wrong.apply, [value], 1)
    with pytest.raises(ArgumentError, match="using 'wrong', .* off in coefficient"):
        Smooth("wrong", Wrong.apply, [value], 2)


@pytest.mark.parametrize("top", range(1, ORDER + 2))
def test_a_rule_that_is_wrong_in_one_coefficient_is_caught(monkeypatch, top):
    """In f^(top) alone, which the adjoint of degree top - 1 is the first to need."""
    tower, terms = taylor_towers.tanh, curve(1, (2, 3), ORDER)
    monkeypatch.setattr(
        taylor_towers,
        "tanh",
        lambda x, M: [a * (1 + 1e-8 * (m == top)) for m, a in enumerate(tower(x, M))],
    )
    with pytest.raises(AssertionError):
        assert_rule(torch.tanh, [terms[: top + 1]])
    if top > 2:
        assert_rule(torch.tanh, [terms[: top - 1]])
    if top > ORDER:  # no value shows it
        assert_series(
            propagate(torch.tanh, terms), nested(torch.tanh, [terms], random(77, 2, 3))[0]
        )


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_shorter_series_is_the_beginning_of_a_longer_one(order):
    terms = curve(1, (3, 4), ORDER)
    for function in (
        F.gelu,
        torch.tanh,
        F.softplus,
        lambda x: torch.softmax(x, 1),
        lambda x: 1 / (2 + x * x),
    ):
        long, short = propagate(function, terms), propagate(function, terms[: order + 1])
        torch.testing.assert_close(short, long[: order + 1], rtol=1e-13, atol=1e-13)


@settings(max_examples=8, deadline=None)
@given(
    batch=st.integers(1, 3), channels=st.integers(1, 3), out=st.integers(1, 3),
    size=st.integers(3, 6), kernel=st.integers(1, 3),
    stride=st.integers(1, 2), padding=st.integers(0, 1), order=st.integers(1, 3),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_convolution_shapes(batch, channels, out, size, kernel, stride, padding, order, seed):
    shapes = (batch, channels, size, size), (out, channels, kernel, kernel), (out,)
    assert_rule(
        lambda x, w, b: F.conv2d(x, w, b, stride, padding),
        [curve(seed + i, s, order) for i, s in enumerate(shapes)],
    )


def test_a_saturated_softmax_keeps_its_digits():
    """A coefficient of 100 on the entry that leads by 30: exp's own terms, 10^4, would cancel."""
    terms = [
        torch.tensor([[30.0, 0.0]]).double(),
        torch.tensor([[100.0, -50.0]]).double(),
        torch.tensor([[7.0, 80.0]]).double(),
    ]
    for dim, series in ((1, terms), (0, [term.T for term in terms])):
        found = propagate(lambda x, dim=dim: torch.softmax(x, dim), series)
        gap = [a.flatten()[1] - a.flatten()[0] for a in terms]
        small = math.exp(gap[0])  # share of the other entry, to first order in e^-30
        expected = [small, small * gap[1], small * (gap[2] + gap[1] ** 2 / 2)]
        for ours, true in zip(found, expected, strict=True):
            assert float(ours.flatten()[1]) == pytest.approx(float(true), rel=1e-12)
            assert float(ours.sum()) == pytest.approx(float(ours is found[0]), abs=1e-14)
