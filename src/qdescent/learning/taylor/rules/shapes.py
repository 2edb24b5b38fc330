"""What moves, picks, sums and joins entries: functions that are linear in what depends on the
weights, and act on each coefficient.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qdescent.learning.taylor.jet import RULES, Jet, Rule, rule
from qdescent.learning.taylor.reshape import Reshape
from qdescent.learning.taylor.rules.arithmetic import jet_among, plain
from qdescent.learning.taylor.tape import Join, Map


def mapped(function: Callable[[Tensor], Tensor], x: Jet) -> Jet:
    """A linear function of one Jet."""
    return x.record(Map(function, x.node))


def joined(function: Callable[[Sequence[Tensor]], Tensor], parts: Sequence[Any]) -> Jet:
    """A function that is linear in all its parts together: Jets, tensors or numbers."""
    jet = jet_among(*parts)
    assert jet is not None

    def constant(part: Any) -> Any:
        number = not isinstance(part, (Jet, Tensor))
        part = torch.as_tensor(part, dtype=jet.dtype, device=jet.device) if number else part
        return plain(part) if isinstance(part, Jet) else part.to(jet.dtype)

    return jet.record(Join(lambda tensors: function(tensors), [constant(part) for part in parts]))


@rule("cat", "concat")
def cat(tensors: Sequence[Any], dim: int = 0) -> Jet:
    """Parts one after the other."""
    parts = [part for part in tensors if part.ndim > 1 or part.shape[0] > 0]  # as PyTorch
    return joined(lambda tensors: torch.cat(list(tensors), dim), parts)


@rule("stack")
def stack(tensors: Sequence[Any], dim: int = 0) -> Jet:
    """Parts along a new axis."""
    return joined(lambda tensors: torch.stack(list(tensors), dim), tensors)


@rule("where")
def where(condition: Any, input: Any = None, other: Any = None) -> Jet:
    """One or the other by a choice that does not depend on the weights."""
    if isinstance(condition, Jet) or other is None:
        return NotImplemented
    return joined(lambda tensors: torch.where(condition, tensors[0], tensors[1]), [input, other])


@rule("masked_fill")
def masked_fill(x: Any, mask: Tensor, value: Any) -> Jet:
    """A constant, or another quantity, where the mask is."""
    return where(mask, value, x)


@rule("setitem")
def setitem(x: Jet, index: Any, value: Any) -> Jet:
    """x with other entries in some places."""

    def changed(tensors: Sequence[Tensor]) -> Tensor:
        found = tensors[0].clone()
        found[index] = tensors[1]
        return found

    return joined(changed, [x, value])


def replacing(name: str) -> Rule:
    """The rule of a function that puts a source, or a number, into places of x."""
    function = getattr(torch, name)

    def put(x: Any, *args: Any, **kwargs: Any) -> Jet:
        named = next((key for key in ("src", "source", "value") if key in kwargs), None)
        if named is not None:
            source = kwargs.pop(named)
            return joined(lambda t: function(t[0], *args, t[1], **kwargs), [x, source])
        # dim, index, source; of slice_scatter and select_scatter the source comes first
        place = 0 if name in ("slice_scatter", "select_scatter") else 2
        before, source, after = args[:place], args[place], args[place + 1 :]
        if not isinstance(source, (Jet, Tensor)):
            source = torch.as_tensor(source, dtype=x.dtype, device="cpu").expand(before[1].shape)
        return joined(lambda t: function(t[0], *before, t[1], *after, **kwargs), [x, source])

    return put


@rule("embedding")
def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Jet:
    """Rows of a table; that of `padding_idx` has no gradient, as in PyTorch."""
    indices, table = (weight, input) if isinstance(input, Jet) else (input, weight)
    padding = None if padding_idx is None or padding_idx < 0 else padding_idx
    return table.record(Map(lambda w: F.embedding(indices, w, padding), table.node, batched=False))


@rule("embedding_bag")
def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    *more: Any,
    **named: Any,
) -> Jet:
    """Sums or means of a table's rows, constant weights included; of "max", which has kinks,
    nothing is known.
    """
    if not isinstance(weight, Jet) or isinstance(per_sample_weights, Jet) or mode == "max":
        return NotImplemented

    def bags(w: Tensor) -> Tensor:
        seen = None if per_sample_weights is None else per_sample_weights.to(w)
        given = (input, w, offsets, None, 2.0, False, mode, False, seen, *more)
        return F.embedding_bag(*given, **named)

    return weight.record(Map(bags, weight.node, batched=False))


@rule("grid_sampler")
def grid_sampler(x: Any, grid: Any, *how: Any) -> Jet:
    """Images seen at constant places: linear in the images; in the places it has kinks."""
    if not isinstance(x, Jet) or isinstance(grid, Jet):
        return NotImplemented
    return x.record(Map(lambda c: torch.grid_sampler(c, grid, *how), x.node, batched=False))


@rule("pad")
def pad(x: Jet, pad: Any, mode: str = "constant", value: float | None = None) -> Jet:
    """Padding by a value adds it to the constant coefficient alone."""
    constant = F.pad(torch.zeros_like(x.value), pad, mode, value) if value else None
    return x.record(Map(lambda c: F.pad(c, pad, mode), x.node, constant))


@rule("_pack_padded_sequence")
def pack(x: Jet, lengths: Tensor, batch_first: bool) -> tuple[Jet, Tensor]:
    """The rows of sequences of different lengths, one time after the other."""
    x = x.transpose(0, 1) if batch_first else x
    places = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(x.shape[:2])
    with torch._C.DisableTorchFunction():
        order, sizes = torch._VF._pack_padded_sequence(places[..., None].double(), lengths, False)
    return x.reshape(-1, *x.shape[2:])[order.long()[:, 0]], sizes


@rule("_pad_packed_sequence")
def unpack(
    x: Jet, sizes: Tensor, batch_first: bool, padding_value: float, total_length: int
) -> tuple[Jet, Tensor]:
    """The way back; a constant where a sequence is over."""
    rows = torch.arange(1.0, len(x) + 1, dtype=torch.float64, device="cpu")[:, None]
    with torch._C.DisableTorchFunction():
        places, lengths = torch._VF._pad_packed_sequence(
            rows, sizes, batch_first, 0.0, total_length
        )
    places = places[..., 0].long().to(x.device)
    missing = (places == 0)[(..., *[None] * (x.ndim - 1))]
    return x[torch.where(places > 0, places - 1, 0)].masked_fill(missing, padding_value), lengths


@rule("chunk")
def chunk(x: Jet, chunks: int, dim: int = 0) -> tuple[Jet, ...]:
    """Parts of nearly equal length."""
    return split(x, -(-x.shape[dim] // chunks), dim)


@rule("tensor_split")
def tensor_split(x: Jet, indices_or_sections: Any, dim: int = 0) -> tuple[Jet, ...]:
    """Parts between given ends, or so many."""
    length = x.shape[dim]
    pieces = torch.arange(length, device="cpu").tensor_split(indices_or_sections)
    return split(x, [len(piece) for piece in pieces], dim)


@rule("split")
def split(
    x: Jet, split_size: Any = None, dim: int = 0, *, split_size_or_sections: Any = None
) -> tuple[Jet, ...]:
    """Parts of given lengths."""
    split_size = split_size_or_sections if split_size is None else split_size
    parts: list[Jet] = []
    length, start = x.shape[dim], 0
    while start < length:
        step = split_size if isinstance(split_size, int) else split_size[len(parts)]
        parts.append(RULES["narrow"](x, dim, start, min(step, length - start)))
        start += step
    return tuple(parts)


@rule("unbind")
def unbind(x: Jet, dim: int = 0) -> tuple[Jet, ...]:
    """Slices along an axis."""
    return tuple(RULES["select"](x, dim, i) for i in range(x.shape[dim]))


@rule("broadcast_tensors")
def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """All of one shape."""
    shape = torch.broadcast_shapes(*(x.shape for x in tensors))
    return tuple(x.expand(shape) for x in tensors)


def as_another(name: str) -> Rule:
    """The rule of `expand_as` and its like, where either may be no Jet."""
    function = getattr(Tensor, name)

    def act(x: Any, other: Any) -> Any:
        like = other.value if isinstance(other, Jet) else other
        return mapped(lambda c: function(c, like), x) if isinstance(x, Jet) else function(x, like)

    return act


def constant_like(name: str) -> Rule:
    """The rule of `zeros_like` and its like: constants."""
    function = getattr(torch, name, None) or getattr(Tensor, name)
    return lambda x, *args, **kwargs: function(x.value, *args, **kwargs)


def linear_function(name: str) -> Rule:
    """The rule of a function that is linear in its first argument."""
    homes = (Tensor, F, torch, torch._C._nn)
    function = next(getattr(home, name) for home in homes if hasattr(home, name))

    def act(x: Jet, *args: Any, **kwargs: Any) -> Jet:
        if not isinstance(x, Jet):
            return NotImplemented
        if name in RESHAPING:
            return x.record(Reshape(x.node, function(x.value, *args, **kwargs)))
        return x.record(
            Map(lambda c: function(c, *args, **kwargs), x.node, batched="pool" not in name)
        )

    return act


LINEAR = (
    "reshape", "contiguous", "expand", "to", "transpose", "permute", "flatten", "unflatten",
    "unsqueeze", "squeeze", "mean", "sum",
    "repeat", "clone", "neg", "roll", "cumsum", "narrow", "select", "movedim", "avg_pool1d",
    "avg_pool2d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "avg_pool3d", "adaptive_avg_pool3d",
    "broadcast_to", "tile", "flip", "diagonal", "tril", "triu", "repeat_interleave", "gather",
    "index_select", "take_along_dim", "float", "double", "type", "im2col", "col2im",
    "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d", "upsample_bilinear2d",
    "upsample_bicubic2d", "upsample_trilinear3d",
)  # fmt: skip
RESHAPING = {"reshape", "flatten", "unflatten", "unsqueeze", "squeeze"}  # entries in their order
LIKE = (
    "zeros_like", "ones_like", "empty_like", "full_like", "new_zeros", "new_ones", "new_full",
    "new_empty", "new_tensor", "detach",
)  # fmt: skip
RULES.update({name: linear_function(name) for name in LINEAR})
RULES.update({name: constant_like(name) for name in LIKE})
RULES.update({name: as_another(name) for name in ("expand_as", "view_as", "reshape_as", "type_as")})
RULES.update(
    {
        name: replacing(name)
        for name in (
            "scatter", "scatter_add", "index_add", "index_copy", "slice_scatter", "select_scatter"
        )
    }
)  # fmt: skip
RULES.update(
    {
        # the memory format may be another one than in the network's own forward pass
        "view": RULES["reshape"],
        "swapaxes": RULES["transpose"],
        "t": lambda x: RULES["transpose"](x, 0, 1) if x.ndim == 2 else x,
        "getitem": lambda x, index: mapped(operator.itemgetter(index), x),
    }
)
