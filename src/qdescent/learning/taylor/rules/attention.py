"""Attention by its own mathematics: softmax(Q K^T / sqrt(d) + mask) V.

Of Jets and of tensors: PyTorch's fused kernels have no second derivative, or no nested ones.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.learning.taylor.jet import rule


@rule("scaled_dot_product_attention")
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """As `torch.nn.functional.scaled_dot_product_attention`; a place that may see nothing gets
    zeros, as there.
    """
    if dropout_p > 0:
        raise argument_error(
            "network", "hold dropout in evaluation mode (call eval())", "training, in its attention"
        )
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[-3] // x.shape[-3], -3) for x in (key, value))
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = scale * (query @ key.transpose(-2, -1))
    mask, nothing = _masks(attn_mask, is_causal, scores.shape[-2:], query.device)
    if mask is not None:
        is_choice = isinstance(mask, Tensor) and mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, -math.inf) if is_choice else scores + mask
    shares = scores.softmax(-1)
    if nothing is not None:
        shares = shares.masked_fill(nothing, 0.0)
    return shares @ value


def _masks(mask: Any, is_causal: bool, shape: Any, device: Any) -> tuple[Any, Tensor | None]:
    """What is seen (True) or added, seeing everything where nothing would be; and those places."""
    if is_causal:
        seen = torch.ones(shape, dtype=torch.bool, device=device).tril()
        # PyTorch takes one of both only
        return seen, None
    if not isinstance(mask, Tensor):
        return mask, None
    hidden = ~mask if mask.dtype == torch.bool else mask == -math.inf
    nothing = hidden.all(-1, keepdim=True)
    if not bool(nothing.any()):
        return mask, None
    if mask.dtype == torch.bool:
        return mask | nothing, nothing
    return mask.masked_fill(nothing, 0.0), nothing
