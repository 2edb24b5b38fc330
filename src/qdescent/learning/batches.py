"""One batch in every form in which people hold it: tensors, arrays, lists and dicts, and how a
network is called with it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from copy import copy
from dataclasses import is_dataclass
from functools import reduce
from operator import attrgetter, itemgetter
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from qdescent._array_checks import check_finite
from qdescent._checks import argument_error, shown
from qdescent.linalg.tensors import from_array

Path = tuple[tuple[Any, Any], ...]  # of (itemgetter or attrgetter, key)
NARROW = (
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.uint16,
    torch.uint32,
    torch.uint64,
)
MUST = "be one batch, (inputs, targets) or a dict that goes to the network and the loss"


def as_batch(data: Any) -> tuple[Any, Any]:
    """(inputs, targets) with tensors for arrays and for lists of numbers; of a dict both parts are
    the dict.

    Labels of a narrow integer type become int64, the only one that every loss of PyTorch takes.
    Ragged lists and what is neither tensor, array nor number stay as they are: only the network and
    the loss of whoever gave them know what they are.

    Args:
        data: a pair, or a dict (any Mapping), of tensors, arrays, numbers, or tuples, lists, dicts
            and dataclasses of them.

    Raises:
        ArgumentError: something else, several batches, no sample, NaN or infinity, or tensors of
            different lengths.

    Example:
        >>> inputs, targets = as_batch((np.ones((2, 3)), [0, 1]))
        >>> inputs.shape, targets.dtype
        (torch.Size([2, 3]), torch.int64)
    """
    if isinstance(data, DataLoader):
        cure = "[Task(network, loss, batch) for batch in loader] makes one task of each"
        raise argument_error("data", f"{MUST} ({cure}, for hessian)", f"a {type(data).__name__}")
    if isinstance(data, Dataset):
        cure = "next(iter(torch.utils.data.DataLoader(dataset, batch_size=64))) is one"
        raise argument_error("data", f"{MUST} ({cure})", f"a {type(data).__name__}")
    if isinstance(data, Mapping):
        data = (data, data)
    if not isinstance(data, (tuple, list)):
        raise argument_error("data", MUST, shown(data))
    if len(data) != 2:
        must = (
            "be (inputs, targets) of one length, at least 1 (several inputs: ((x1, x2), targets))"
        )
        raise argument_error("data", must, f"of {len(data)} parts")
    inputs = mapped(data[0], _recorded)
    targets = mapped(data[1], lambda x: x.long() if x.dtype in NARROW else _recorded(x))
    for part, tree in (("inputs", inputs), ("targets", targets)):
        for path, tensor in tensors_of(tree):
            check_finite(f"data {part}{written(path)}", tensor)
    shapes = [tuple(part.shape) for part in (inputs, targets) if isinstance(part, Tensor)]
    lengths = [shape[0] if shape else 0 for shape in shapes]
    if 0 in lengths or len(set(lengths)) > 1 or samples_of((inputs, targets)) == 0:
        must = "be (inputs, targets) of one length, at least 1"
        kinds = " and ".join(type(part).__name__ for part in (inputs, targets))
        none = f"{kinds} without a tensor or an array (a table has `to_numpy()`)"
        none = "empty" if isinstance(inputs, (tuple, list, Mapping)) else none
        actual = f"of shapes {' and '.join(map(str, shapes))}" if shapes else none
        raise argument_error("data", must, actual)
    return inputs, targets


def samples_of(batch: tuple[Any, Any]) -> int:
    """The number of samples: the length of the first tensor or list, targets first."""
    for part in reversed(batch):
        if isinstance(part, Tensor) and part.ndim:
            return len(part)
    for part in reversed(batch):
        for _, tensor in tensors_of(part):
            if tensor.ndim and not isinstance(part, list):
                return len(tensor)
        if isinstance(part, list):
            return len(part)
    return 0


def tensors_of(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    """Each tensor in nested containers with the way to it, see `written` and `part_at`."""
    if isinstance(tree, Tensor):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from tensors_of(value, (*path, (itemgetter, key)))
    elif isinstance(tree, (tuple, list)):
        for key, value in enumerate(tree):
            yield from tensors_of(value, (*path, (itemgetter, key)))
    elif _has_fields(tree):
        for key, value in vars(tree).items():
            yield from tensors_of(value, (*path, (attrgetter, key)))


def part_at(tree: Any, path: Path) -> Any:
    """What stands at the end of a path through nested containers."""
    return reduce(lambda part, step: step[0](step[1])(part), path, tree)


def written(path: Path) -> str:
    """A path as Python writes it.

    Example:
        >>> written(next(tensors_of({"a": [torch.ones(1)]}))[0])
        "['a'][0]"
    """
    return "".join(f"[{key!r}]" if get is itemgetter else f".{key}" for get, key in path)


def mapped(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same containers with each tensor changed; arrays and rectangular lists of numbers count
    as tensors.
    """
    tensor = _as_tensor(tree)
    if tensor is not None:
        return change(tensor)
    if isinstance(tree, Mapping):
        parts = {key: mapped(value, change) for key, value in tree.items()}
        if type(tree) is dict or not isinstance(tree, MutableMapping):
            return parts
        # of its own class: such as the outputs of Hugging Face, which are read by attributes
        moved = copy(tree)
        for key, value in parts.items():
            moved[key] = value
        return moved
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(mapped(value, change) for value in tree))
    if isinstance(tree, tuple) or (isinstance(tree, list) and _holds_tensors(tree)):
        return type(tree)(mapped(value, change) for value in tree)
    if _has_fields(tree):
        moved = copy(tree)
        for key, value in vars(tree).items():
            object.__setattr__(moved, key, mapped(value, change))
        return moved
    return tree


def picked(tree: Any, places: Tensor, length: int) -> Any:
    """The samples at these places, of every tensor and list with an entry for each of `length`.

    Raises:
        ArgumentError: a tensor of another length.
    """
    whole = isinstance(tree, list) and any(
        _length(x) == length for x in tree if isinstance(x, Tensor)
    )
    if isinstance(tree, list) and len(tree) == length and not whole:
        return [tree[place] for place in places.tolist()]
    if isinstance(tree, (Mapping, tuple, list)) and not any(True for _ in tensors_of(tree)):
        return tree

    def part(x: Tensor) -> Tensor:
        if _length(x) != length:
            must = f"hold inputs and targets of one length, at least 1, here {length}"
            raise argument_error("data", must, f"with a tensor of shape {tuple(x.shape)}")
        return x[places]

    return mapped(tree, part)


def ways_to_call(network: nn.Module, inputs: Any, targets: Any = None) -> list[str]:
    """How the inputs may be given to the network, the likeliest first: "whole", "spread" (*inputs)
    or "named" (**inputs).

    By the signature of `forward`: a dict is spread over arguments of its names where it has them, a
    tuple over as many arguments. A dict may hold more than these where the targets hold it, too: a
    lone dict is both. Else a name would get lost unsaid.

    Example:
        >>> ways_to_call(nn.Bilinear(1, 1, 1), (torch.ones(2, 1), torch.ones(2, 1)))
        ['spread', 'whole']
    """
    if not isinstance(inputs, (Mapping, tuple, list)):
        return ["whole"]
    try:
        signature = _signature(network)
        given = taken(network, inputs) if isinstance(inputs, Mapping) else {}
        signature.bind(**given) if isinstance(inputs, Mapping) else signature.bind(*inputs)
    except (TypeError, ValueError):
        return ["whole"]
    if isinstance(inputs, Mapping):
        left = inputs.keys() - given.keys()
        spare = targets.keys() if isinstance(targets, Mapping) else set()
        return ["named", "whole"] if given and left <= spare else ["whole"]
    required = [
        p
        for p in signature.parameters.values()
        if p.default is p.empty and p.kind == p.POSITIONAL_OR_KEYWORD
    ]
    if isinstance(inputs, list) and len(required) != len(inputs):
        # such as images of different sizes, with an optional second argument
        return ["whole", "spread"]
    return ["spread", "whole"]


def called(network: Callable[..., Any], inputs: Any, way: str) -> Any:
    """The outputs; `way` as in `ways_to_call`."""
    if way == "named":
        return network(**taken(network, inputs))
    return network(*inputs) if way == "spread" else network(inputs)


def taken(network: Callable[..., Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What of a dict has a name of the network's arguments; all of it where any name is taken.

    Example:
        >>> taken(nn.Linear(1, 1), {"input": 0, "labels": 1})
        {'input': 0}
    """
    parameters = _signature(network).parameters
    if any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(inputs)
    return {name: value for name, value in inputs.items() if name in parameters}


def check_text_mask(network: nn.Module, inputs: Any) -> None:
    """Check that padded token ids come with their mask, where the network takes one.

    Raises:
        ArgumentError: rows that begin or end with the padding token, and no mask: its places would
            count as words.

    Example:
        >>> class Text(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.table = nn.Embedding(9, 2, padding_idx=0)
        ...
        ...     def forward(self, input_ids, attention_mask=None): ...
        >>> check_text_mask(Text(), {"input_ids": torch.tensor([[3, 4, 0], [5, 6, 7]])})
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `data` must hold `attention_mask` beside token \
ids with padding (data["attention_mask"] = ids != 0), but is without it: 1 of 2 rows are padded.
    """
    given = dict(inputs) if isinstance(inputs, Mapping) else {"": inputs}
    ids = next((x for x in given.values() if isinstance(x, Tensor)), None)
    ids = given.get("input_ids", ids)
    try:
        names = _signature(network).parameters.keys() & {"attention_mask", "mask"}
    except (TypeError, ValueError):  # no signature
        return
    name = min(names, default=None)
    padding = _padding_of(network)
    if name is None or padding is None or name in given or not isinstance(ids, Tensor):
        return
    if ids.ndim != 2 or ids.is_floating_point() or ids.dtype == torch.bool:
        return
    rows = int((ids.long()[:, [0, -1]] == padding).any(1).sum())
    if rows:
        cure = f'data["{name}"] = ids != {padding}'
        must = f"hold `{name}` beside token ids with padding ({cure})"
        raise argument_error("data", must, f"without it: {rows} of {len(ids)} rows are padded")


def _padding_of(network: nn.Module) -> int | None:
    """The token that stands for nothing: of a Hugging Face network, or of the first embedding that
    has one.
    """
    named = getattr(getattr(network, "config", None), "pad_token_id", None)
    tables = (m.padding_idx for m in network.modules() if isinstance(m, nn.Embedding))
    return named if isinstance(named, int) else next((p for p in tables if p is not None), None)


def _signature(network: Callable[..., Any]) -> inspect.Signature:
    """Of the network's forward, behind wrappers."""
    compiled = getattr(network, "_orig_mod", None)
    network = compiled if isinstance(compiled, nn.Module) else network
    if isinstance(network, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        network = network.module
    return inspect.signature(getattr(network, "forward", network))


def prediction_in(outputs: Any) -> Path | None:
    """The way to the tensor in structured outputs that a loss of tensors means: `logits`, or the
    only one; None where unclear.
    """
    paths = [path for path, _ in tensors_of(outputs)]
    logits = [path for path in paths if path and path[-1][1] == "logits"]
    return (logits if len(logits) == 1 else paths)[0] if 1 in (len(logits), len(paths)) else None


def _recorded(tensor: Tensor) -> Tensor:
    """A tensor that autograd can keep: of one made in `torch.inference_mode` a copy."""
    return tensor.clone() if tensor.is_inference() else tensor


def _has_fields(tree: Any) -> bool:
    return isinstance(tree, SimpleNamespace) or (is_dataclass(tree) and not isinstance(tree, type))


def _holds_tensors(tree: Any) -> bool:
    """Whether a container holds a tensor or an array, where a ragged list of numbers holds none."""
    if isinstance(tree, (Tensor, np.ndarray)):
        return _as_tensor(tree) is not None
    if isinstance(tree, (Mapping, list, tuple)):
        parts = tree.values() if isinstance(tree, Mapping) else tree
        return any(_holds_tensors(part) for part in parts)
    return _has_fields(tree) and _holds_tensors(vars(tree))


def _length(tensor: Tensor) -> int:
    return len(tensor) if tensor.ndim else 0


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return from_array("data", value).clone()  # nobody counts the changes of an array
    if isinstance(value, list) and value and _is_number(value):
        try:
            return torch.as_tensor(value, device="cpu")
        except (ValueError, TypeError, RuntimeError):  # ragged
            return None
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_number(part) for part in value)
    return isinstance(value, (int, float, np.number))
