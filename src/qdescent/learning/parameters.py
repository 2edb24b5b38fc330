"""Kept weights <-> flat R^n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from qdescent._checks import argument_error, check_finite, check_shape
from qdescent.learning.masks import Mask, full_mask


class ParameterSpace:
    """The coordinates theta in R^n: the kept weights of a network, flattened in the order of `named_parameters`.

    Pruned weights do not exist in R^n: `unpack` sets them to zero, `pack` leaves them out. A space made by `restrict` has
    frozen weights besides: `unpack` leaves them at their value.

    Args:
        network: any module; its weights are read, never changed.
        mask: which weights are kept (None: all).

    Attributes:
        n: number of kept weights.
        total: P, number of all weights.
        theta: the network's kept weights at construction, (n,).

    Raises:
        ArgumentError: the mask does not fit the network; a weight is NaN or infinite.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(3, 2)
        >>> space = ParameterSpace(network, None)
        >>> space.n, bool((space.pack(space.unpack(space.theta)) == space.theta).all())
        (8, True)
    """

    def __init__(self, network: nn.Module, mask: Mask | None = None) -> None:
        mask = full_mask(network) if mask is None else mask
        weights = dict(network.named_parameters())
        if set(weights) != set(mask.keep):
            odd = sorted(set(weights) ^ set(mask.keep))
            raise argument_error("mask", "have one entry for each parameter of the network", f"different in {odd}")
        for name, weight in weights.items():
            check_shape(f"mask.keep[{name!r}]", mask.keep[name], tuple(weight.shape))
            check_finite(f"weights[{name!r}]", weight.detach())
        self.mask = mask
        self.names = tuple(weights)
        self.shapes = {name: weight.shape for name, weight in weights.items()}
        self.dtype = next(iter(weights.values())).dtype
        self.device = next(iter(weights.values())).device
        self.total = sum(weight.numel() for weight in weights.values())
        self._frozen: dict[str, Tensor] | None = None
        self._set_places({name: mask.keep[name].flatten().to(self.device) for name in self.names})
        self.theta = self.pack({name: weight.detach() for name, weight in weights.items()})

    def _set_places(self, keep: Mapping[str, Tensor]) -> None:
        """For each parameter the kept places, or None where all are kept (nothing to gather then)."""
        self._counts = [int(keep[name].sum()) for name in self.names]
        self._places: dict[str, Tensor | None] = {
            name: None if count == keep[name].numel() else keep[name].nonzero()[:, 0]
            for name, count in zip(self.names, self._counts, strict=True)
        }
        self.n = sum(self._counts)

    def pack(self, tensors: Mapping[str, Tensor] | Sequence[Tensor]) -> Tensor:
        """(n,) from full-shaped tensors, given by name or in the order of `names`; differentiable."""
        ordered = [tensors[name] for name in self.names] if isinstance(tensors, Mapping) else list(tensors)
        parts = []
        for name, tensor in zip(self.names, ordered, strict=True):
            places = self._places[name]
            parts.append(tensor.reshape(-1) if places is None else tensor.reshape(-1)[places])
        return torch.cat(parts)

    def unpack(self, theta: Tensor) -> dict[str, Tensor]:
        """The weights at the point theta (n,): full-shaped tensors, pruned weights zero, frozen ones as they are."""
        return self._scatter(theta, self._frozen)

    def embed(self, direction: Tensor) -> dict[str, Tensor]:
        """A direction in R^n as full-shaped tensors: zero at every place that is not a coordinate."""
        return self._scatter(direction, None)

    def places(self, prefix: str) -> Tensor:
        """The coordinates that belong to the parameters whose names begin with `prefix`, e.g. one layer: for `restrict`.

        Raises:
            ArgumentError: no kept weight has such a name.
        """
        of_parameter = torch.arange(len(self.names)).repeat_interleave(torch.tensor(self._counts))
        wanted = torch.tensor([name.startswith(prefix) for name in self.names])
        places = wanted[of_parameter].nonzero()[:, 0]
        if len(places) == 0:
            raise argument_error("prefix", "begin the name of a parameter with kept weights", prefix)
        return places

    def restrict(self, theta: Tensor, places: Tensor) -> ParameterSpace:
        """The coordinates `places` of R^n alone, every other kept weight frozen at its value in theta.

        Args:
            theta: the point, (n,).
            places: different integers in [0, n); the new space has its coordinates in increasing order of place.
        """
        check_shape("theta", theta, (self.n,))
        if len(places) == 0 or int(places.min()) < 0 or int(places.max()) >= self.n or len(torch.unique(places)) < len(places):
            raise argument_error("places", f"be different integers in [0, {self.n})", repr(places.tolist()))
        places = places.sort().values.to(self.device)
        smaller = object.__new__(ParameterSpace)
        smaller.__dict__.update(self.__dict__)
        smaller._frozen = self.unpack(theta)
        chosen = torch.zeros(self.n, dtype=torch.bool, device=self.device)
        chosen[places] = True
        smaller.mask = Mask(self._scatter(chosen, None))
        smaller._set_places({name: keep.flatten() for name, keep in smaller.mask.keep.items()})
        smaller.theta = theta[places]
        return smaller

    def _scatter(self, vector: Tensor, onto: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        check_shape("vector", vector, (self.n,))
        full = {}
        for name, part in zip(self.names, vector.split(self._counts), strict=True):
            places, shape = self._places[name], self.shapes[name]
            if places is None:
                full[name] = part.view(shape)
                continue
            flat = torch.zeros(shape.numel(), dtype=vector.dtype, device=vector.device)
            if onto is not None:
                flat.copy_(onto[name].reshape(-1))
            flat[places] = part
            full[name] = flat.view(shape)
        return full
