"""Norms, variances and lengths: layers that standardise, and what is made of squares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from qdescent._checks import argument_error
from qdescent.learning.taylor.jet import Jet, MissingRuleError, rule
from qdescent.learning.taylor.norms import Standardise


def standardised(x: Jet, dims: int, epsilon: float, weight: Jet | None = None) -> Jet:
    """(x - mean) / sqrt(variance + epsilon) over the last axes, times a weight for each first axis
    of a group.
    """
    return x.record(Standardise(x.node, None if weight is None else weight.node, dims, epsilon))


def even(x: torch.Tensor, dims: int, epsilon: float) -> torch.Tensor:
    """The same of a tensor, by elementary operations.

    The fused ones have wrong derivatives of derivatives.
    """
    axes = tuple(range(-dims, 0))
    gap = x - x.mean(axes, keepdim=True)
    return gap * torch.rsqrt(gap.square().mean(axes, keepdim=True) + epsilon)


@rule("group_norm")
def group_norm(
    x: Jet, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Jet:
    """As F.group_norm: x is (batch, channels, *places)."""
    places = len(x.shape) - 2
    if not isinstance(x, Jet):
        y: Any = even(x.unflatten(1, (num_groups, -1)), places + 1, eps).reshape(x.shape)
        y = y if weight is None else y * weight.reshape(-1, *(1,) * places)
        return y if bias is None else y + bias.reshape(-1, *(1,) * places)
    shape, grouped = x.shape, (num_groups, x.shape[1] // num_groups)
    scale = weight.reshape(*grouped, *(1,) * places) if isinstance(weight, Jet) else None
    y = standardised(x.unflatten(1, grouped), places + 1, eps, scale).reshape(*shape)
    if weight is not None and scale is None:
        y = y * weight.reshape(-1, *(1,) * places)
    return y if bias is None else y + bias.reshape(-1, *(1,) * places)


@rule("layer_norm")
def layer_norm(
    x: Jet,
    normalized_shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *_: Any,
) -> Jet:
    """As F.layer_norm, over the last axes."""
    y = (standardised if isinstance(x, Jet) else even)(x, len(normalized_shape), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@rule("rms_norm")
def rms_norm(
    x: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None
) -> Any:
    """x / sqrt(mean(x^2) + epsilon) over the last axes; of tensors, too."""
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    dims = tuple(range(-len(normalized_shape), 0))
    y = x * ((x * x).mean(dims, keepdim=True) + eps).rsqrt()
    return y if weight is None else y * weight


@rule("cdist")
def cdist(x: Any, y: Any, p: float = 2.0, *_: Any, **__: Any) -> Any:
    """Euclidean distances of all pairs, none of them 0, where they have a kink."""
    if p != 2:
        return NotImplemented
    squares = ((x.unsqueeze(-2) - y.unsqueeze(-3)) ** 2).sum(-1)
    return NotImplemented if bool((squares.value == 0).any()) else squares.sqrt()


@rule("batch_norm")
def batch_norm(
    x: Jet,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
    *_: Any,
) -> Jet:
    """With running statistics: an affine function of each channel."""
    if training:
        use = "using 'batch_norm' in training mode (use eval(), or SmoothGroupNorm instead)"
        raise MissingRuleError(
            str(argument_error("network", "be made of operations that have a Taylor rule", use))
        )
    channel = (-1, *(1,) * (x.ndim - 2))
    scale = torch.rsqrt(running_var + eps).reshape(channel)
    y = (x - running_mean.reshape(channel)) * scale
    y = y if weight is None else y * weight.reshape(channel)
    return y if bias is None else y + bias.reshape(channel)


@rule("instance_norm")
def instance_norm(
    x: Jet,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *_: Any,
) -> Jet:
    """A group norm with a group for each channel, or by running statistics."""
    if use_input_stats:
        return group_norm(x, x.shape[1], weight, bias, eps)
    return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)


@rule("_weight_norm")
def weight_norm(v: Any, g: Any, dim: int = 0) -> Any:
    """v g / ||v||, lengths over all axes but one (all for -1); of tensors, too."""
    axes = [axis for axis in range(v.ndim) if dim == -1 or axis != dim % v.ndim]
    return v * (g * (v * v).sum(axes, keepdim=dim != -1).rsqrt())


@rule("var")
def var(
    x: Jet, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None
) -> Jet:
    """sum (x - mean)^2 / (count - correction)."""
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    axes = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    axes = tuple(axis % x.ndim for axis in axes)
    gap = x - x.mean(axes, keepdim=True)
    count = math.prod(x.shape[axis] for axis in axes)
    less = float(unbiased) if correction is None else correction
    return (gap * gap).sum(axes, keepdim=keepdim) * (1 / (count - less))


@rule("std")
def std(x: Jet, *args: Any, **kwargs: Any) -> Jet:
    """The root of the variance."""
    return var(x, *args, **kwargs).sqrt()


@rule("var_mean")
def var_mean(x: Jet, dim: Any = None, *args: Any, **kwargs: Any) -> tuple[Jet, Jet]:
    """Both."""
    axes, keepdim = tuple(range(x.ndim)) if dim is None else dim, kwargs.get("keepdim", False)
    return var(x, dim, *args, **kwargs), x.mean(axes, keepdim=keepdim)


@rule("linalg_vector_norm")
def vector_norm(
    x: Jet, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Jet:
    """(sum x^p)^(1/p) for an even p."""
    power = 2 if ord is None else ord
    if isinstance(power, str) or power == 0 or power % 2 or math.isinf(power):
        return NotImplemented
    axes = tuple(range(x.ndim)) if dim is None else dim
    return (x**power).sum(axes, keepdim=keepdim) ** (1 / power)


@rule("linalg_norm")
def norm(x: Jet, ord: Any = None, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Jet:
    """Of vectors; without `ord` of all entries, or of those along `dim`."""
    if ord is not None and not isinstance(dim, int) and x.ndim > 1:
        return NotImplemented  # of matrices
    return vector_norm(x, ord, dim, keepdim, **kwargs)


@rule("normalize")
def normalize(x: Jet, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: None = None) -> Jet:
    """x / ||x||, where no length is so small that PyTorch divides by something else."""
    if p != 2 or bool((x.value.square().sum(dim) <= eps**2).any()):
        return NotImplemented
    return x * (x * x).sum(dim, keepdim=True).rsqrt()


@rule("cosine_similarity")
def cosine_similarity(x: Any, y: Any, dim: int = 1, eps: float = 1e-8) -> Jet:
    """<x, y> / (||x|| ||y||), likewise."""
    squares = [(a * a).sum(dim) for a in (x, y)]
    if any(bool((getattr(s, "value", s) <= eps**2).any()) for s in squares):
        return NotImplemented
    return (x * y).sum(dim) * squares[0].rsqrt() * squares[1].rsqrt()
