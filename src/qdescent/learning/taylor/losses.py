"""Softmax and the losses on Jets, composed of elementary rules."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.learning.taylor.jet import Jet, rule


@rule("logsumexp")
def logsumexp(x: Jet, dim: Any, keepdim: bool = False) -> Jet:
    """log sum exp(x) along `dim`; the largest entry is taken out first: nothing overflows."""
    peak = x.value.amax(dim, keepdim=True)
    total = (x - peak).exp().sum(dim, keepdim=True).log() + peak
    return total if keepdim else total.squeeze(dim)


@rule("log_softmax")
def log_softmax(x: Jet, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Jet:
    """x - logsumexp(x)."""
    return x - logsumexp(x, dim, keepdim=True)


@rule("softmax")
def softmax(x: Jet, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Jet:
    """exp(x - peak) over its sum, peak the largest entry with all its coefficients.

    With its value alone the series of a saturated softmax would be a quotient of large numbers that
    cancel.
    """
    largest = F.one_hot(x.value.argmax(dim), x.value.shape[dim]).movedim(-1, dim).to(x.value.dtype)
    e = (x - (x * largest).sum(dim, keepdim=True)).exp()
    return e * e.sum(dim, keepdim=True).reciprocal()


@rule("cross_entropy")
def cross_entropy(
    x: Jet, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Jet:  # fmt: skip
    """Mean of <p, 1> logsumexp(x) - <p, x> over samples, p the one-hot, smoothed or given weights
    of each sample's classes.

    A class weight counts a sample so many times, in the sum and in what it is divided by.
    """
    plain = weight is None or not (label_smoothing or target.is_floating_point())
    usual = plain and size_average is None and reduce is None
    if not usual or reduction not in ("mean", "sum") or x.ndim != 2:
        must = (
            "be cross-entropy of (batch, classes) by mean or sum, with class weights for unsmoothed"
            " labels only"
        )
        raise argument_error("loss", must, 'another one (method="jvp" takes any smooth loss)')
    classes = x.shape[1]
    if target.is_floating_point():
        p, counted = target, torch.ones(len(target), dtype=target.dtype, device=target.device)
    else:
        counted = (target != ignore_index).to(x.value)
        label = target.where(target != ignore_index, 0)
        p = F.one_hot(label, classes).to(x.value)
        counted = counted if weight is None else counted * weight.to(x.value)[label]
    p = p * (1 - label_smoothing) + label_smoothing / classes
    total = ((logsumexp(x, 1) * p.sum(1) - (x * p).sum(1)) * counted).sum()
    return total if reduction == "sum" else total * (1 / float(counted.sum()))


@rule("nll_loss")
def nll_loss(
    x: Jet, target: Tensor, weight: Any = None, size_average: Any = None, ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Jet:  # fmt: skip
    """Of log-probabilities (batch, classes): the mean of -x[target]."""
    if (
        weight is not None
        or size_average is not None
        or reduce is not None
        or reduction not in ("mean", "sum")
        or x.ndim != 2
    ):
        raise argument_error(
            "loss",
            "be the negative log-likelihood of (batch, classes) by mean or sum, without weights",
            "another one",
        )
    counted = (target != ignore_index).to(x.value)
    p = (
        F.one_hot(target.where(target != ignore_index, 0), x.shape[1]).to(x.value)
        * counted[:, None]
    )
    return (x * p).sum() * (-1.0 if reduction == "sum" else -1 / float(counted.sum()))


@rule("mse_loss")
def mse_loss(
    x: Any,
    y: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: None = None,
) -> Jet:
    """Mean (or sum) of (x - y)^2, unweighted."""
    if (
        weight is not None
        or size_average is not None
        or reduce is not None
        or reduction not in ("mean", "sum")
    ):
        raise argument_error(
            "loss", "be the mean squared error by mean or sum, without weights", "another one"
        )
    square = (x - y) ** 2
    return square.mean() if reduction == "mean" else square.sum()
