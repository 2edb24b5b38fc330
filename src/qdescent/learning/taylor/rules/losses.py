"""Softmax and the losses on Jets, composed of elementary rules."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qdescent.learning.taylor.jet import Jet, rule
from qdescent.learning.taylor.rules.elementwise import log_sigmoid


@rule("logsumexp")
def logsumexp(x: Jet, dim: Any, keepdim: bool = False) -> Jet:
    """log sum exp(x) along `dim`; the largest entry is taken out first: nothing overflows."""
    peak = x.value.amax(dim, keepdim=True)
    total = (x - peak).exp().sum(dim, keepdim=True).log() + peak
    return total if keepdim else total.squeeze(dim)


@rule("log_softmax")
def log_softmax(x: Jet, dim: int = -1, _stacklevel: int = 3, dtype: Any = None) -> Jet:
    """x - logsumexp(x)."""
    x = x if dtype in (None, x.dtype) else x.to(dtype)
    return x - logsumexp(x, dim, keepdim=True)


@rule("softmax")
def softmax(x: Jet, dim: int = -1, _stacklevel: int = 3, dtype: Any = None) -> Jet:
    """exp(x - peak) over its sum, peak the largest entry with all its coefficients.

    With its value alone the series of a saturated softmax would be a quotient of large numbers that
    cancel.
    """
    x = x if dtype in (None, x.dtype) else x.to(dtype)
    e = (x - x.gather(dim, x.value.argmax(dim, keepdim=True))).exp()
    return e * e.sum(dim, keepdim=True).reciprocal()


@rule("softmin")
def softmin(x: Jet, dim: int = -1, _stacklevel: int = 3, dtype: Any = None) -> Jet:
    """softmax(-x)."""
    return softmax(-x, dim, dtype=dtype)


@rule("cross_entropy")
def cross_entropy(
    x: Jet, target: Tensor, weight: Tensor | None = None, size_average: Any = None,
    ignore_index: int = -100, reduce: Any = None,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Jet:  # fmt: skip
    """Mean of <p, 1> logsumexp(x) - <p, x> over samples, p the one-hot, smoothed or given weights
    of each sample's classes, times the classes' own.

    The weight of a label counts its sample so many times in what the sum is divided by.
    """
    if size_average is not None or reduce is not None:
        return NotImplemented
    places = target.shape if not target.is_floating_point() else target.shape[:1]
    if x.ndim == 1:
        x, target = x.unsqueeze(0), target.unsqueeze(0)
    classes = x.shape[1]
    if x.ndim > 2:  # (batch, classes, *places)
        if target.is_floating_point():
            places = torch.Size((target.shape[0], *target.shape[2:]))
            target = target.movedim(1, -1).reshape(-1, classes)
        else:
            target = target.reshape(-1)
        x = x.movedim(1, -1).reshape(-1, classes)
    if target.is_floating_point():
        p, counted = target, torch.ones(len(target), dtype=x.dtype, device=x.device)
        total = float(len(target))
    else:
        counted = (target != ignore_index).to(x.value)
        label = target.where(target != ignore_index, 0)
        p = F.one_hot(label, classes).to(x.value)
        each_counts = counted if weight is None else counted * weight.to(x.value)[label]
        total = float(each_counts.sum())
    p = p * (1 - label_smoothing) + label_smoothing / classes
    p = p if weight is None else p * weight.to(x.value)
    each = (logsumexp(x, 1) * p.sum(1) - (x * p).sum(1)) * counted
    if reduction == "none":
        return each.reshape(places)
    return each.sum() if reduction == "sum" else each.sum() * (1 / total)


@rule("nll_loss")
def nll_loss(
    x: Jet, target: Tensor, weight: Any = None, size_average: Any = None, ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Jet:  # fmt: skip
    """Of log-probabilities (batch, classes): the mean of -x[target]."""
    if weight is not None or size_average is not None or reduce is not None:
        return NotImplemented
    places = target.shape
    if x.ndim > 2:
        x, target = x.movedim(1, -1).reshape(-1, x.shape[1]), target.reshape(-1)
    counted = (target != ignore_index).to(x.value)
    p = (
        F.one_hot(target.where(target != ignore_index, 0), x.shape[1]).to(x.value)
        * counted[:, None]
    )
    if reduction == "none":
        return -(x * p).sum(1).reshape(places)
    return (x * p).sum() * (-1.0 if reduction == "sum" else -1 / float(counted.sum()))


@rule("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(
    x: Jet, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", pos_weight: Any = None,
) -> Jet:  # fmt: skip
    """Mean of (1 - t) x + (1 + (p - 1) t) log(1 + exp(-x)), p the weight of a positive."""
    if size_average is not None or reduce is not None:
        return NotImplemented
    share = 1.0 if pos_weight is None else 1 + (pos_weight - 1) * target
    return _reduced((1 - target) * x - log_sigmoid(x) * share, weight, reduction)


@rule("binary_cross_entropy")
def binary_cross_entropy(
    x: Jet, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Jet:  # fmt: skip
    """Mean of -t log x - (1 - t) log(1 - x), for x within (0, 1)."""
    if size_average is not None or reduce is not None or bool((x.value * (1 - x.value) == 0).any()):
        return NotImplemented
    return _reduced(-(x.log() * target) - (1 - x).log() * (1 - target), weight, reduction)


@rule("soft_margin_loss")
def soft_margin_loss(
    x: Jet, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Jet:
    """Mean of log(1 + exp(-t x)), t = 1 or -1."""
    if size_average is not None or reduce is not None:
        return NotImplemented
    return _reduced(-log_sigmoid(x * target), None, reduction)


@rule("gaussian_nll_loss")
def gaussian_nll_loss(
    x: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Jet:
    """Mean of (log v + (x - t)^2 / v) / 2 for variances v above eps, below which it has a kink."""
    if not isinstance(var, (Jet, Tensor)):
        var = torch.full_like(target, var)
    if bool((var.value if isinstance(var, Jet) else var).min() <= eps):
        return NotImplemented
    var = var.unsqueeze(-1) if var.shape == x.shape[:-1] != x.shape else var
    each = 0.5 * (var.log() + (x - target) ** 2 / var)
    return _reduced(each + 0.5 * math.log(2 * math.pi) if full else each, None, reduction)


def _reduced(each: Jet, weight: Any, reduction: str) -> Jet:
    each = each if weight is None else each * weight
    return each if reduction == "none" else each.sum() if reduction == "sum" else each.mean()


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
    if weight is not None or size_average is not None or reduce is not None:
        return NotImplemented
    return _reduced((x - y) ** 2, None, reduction)
