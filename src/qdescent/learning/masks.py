"""Which weights are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qdescent._checks import argument_error, check_instance


@dataclass(frozen=True, eq=False)
class Mask:
    """The support of a pruned network: for each parameter a boolean tensor, True where the weight
    is kept.

    Args:
        keep: parameter name -> boolean tensor of the parameter's shape, for every parameter of the
            network.

    Raises:
        ArgumentError: nothing is kept.
    """

    keep: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        check_instance("keep", self.keep, Mapping, called="tensors by name")
        for name, keep in self.keep.items():
            check_instance(
                f"keep[{name!r}]", keep, Tensor, called="a tensor (torch.as_tensor makes one)"
            )
            if keep.is_meta:
                raise argument_error(f"keep[{name!r}]", "hold values", "on the meta device")
            if keep.dtype != torch.bool:
                must = "be boolean (.bool() makes 0 and 1 so)"
                raise argument_error(f"keep[{name!r}]", must, f"of type {keep.dtype}")
        if self.kept == 0:
            raise argument_error("mask", "keep at least one weight", "empty")

    @property
    def kept(self) -> int:
        """n, the number of kept weights."""
        return sum(int(keep.sum()) for keep in self.keep.values())

    @property
    def total(self) -> int:
        """P, the number of all weights."""
        return sum(keep.numel() for keep in self.keep.values())

    @property
    def density(self) -> float:
        """n / P, the kept share of all weights, biases among them."""
        return self.kept / self.total


def full_mask(network: nn.Module) -> Mask:
    """The mask that keeps every weight."""
    check_instance("network", network, nn.Module, called="a torch.nn.Module")
    return Mask(
        {
            name: torch.ones_like(weight, dtype=torch.bool)
            for name, weight in network.named_parameters()
        }
    )


def padding_rows(network: nn.Module) -> dict[str, Tensor]:
    """The rows of embeddings that PyTorch never trains, those of `padding_idx`: name of the weight
    -> where they are. A table that serves something else, too, is trained there: it has none.

    Example:
        >>> rows = padding_rows(torch.nn.Embedding(3, 2, padding_idx=1))["weight"]
        >>> rows.tolist()
        [[False, False], [True, True], [False, False]]
    """
    users: dict[int, list[int | None]] = {}
    for module in network.modules():
        for weight in module._parameters.values():
            table = module if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) else None
            row = None if table is None else table.padding_idx
            users.setdefault(id(weight), []).append(row)
    found = {}
    for name, weight in network.named_parameters():
        rows = set(users[id(weight)])
        if rows != {None} and None not in rows and len(rows) == 1:
            found[name] = torch.zeros(weight.shape, dtype=torch.bool, device=weight.device)
            found[name][rows.pop()] = True
    return found
