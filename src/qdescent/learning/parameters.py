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
        self._sizes = [weight.numel() for weight in weights.values()]
        flat_mask = torch.cat([mask.keep[name].flatten() for name in self.names])
        self._places = flat_mask.nonzero()[:, 0].to(self.device)
        self._frozen: Tensor | None = None
        self.n, self.total = len(self._places), sum(self._sizes)
        self.theta = self.pack({name: weight.detach() for name, weight in weights.items()})

    def pack(self, tensors: Mapping[str, Tensor] | Sequence[Tensor]) -> Tensor:
        """(n,) from full-shaped tensors, given by name or in the order of `names`; differentiable."""
        ordered = [tensors[name] for name in self.names] if isinstance(tensors, Mapping) else list(tensors)
        return torch.cat([tensor.reshape(-1) for tensor in ordered])[self._places]

    def unpack(self, theta: Tensor) -> dict[str, Tensor]:
        """The network's weights at the point theta (n,): full-shaped tensors, pruned weights zero, frozen ones as they are."""
        return self._split(self._scatter(theta, self._frozen))

    def embed(self, direction: Tensor) -> dict[str, Tensor]:
        """A direction in R^n as full-shaped tensors: zero at every place that is not a coordinate."""
        return self._split(self._scatter(direction, None))

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
        smaller._frozen = self._scatter(theta, self._frozen)
        smaller._places = self._places[places]
        smaller.n = len(places)
        smaller.theta = theta[places]
        chosen = torch.zeros(self.total, dtype=torch.bool, device=self.device)
        chosen[smaller._places] = True
        smaller.mask = Mask(self._split(chosen))
        return smaller

    def _scatter(self, vector: Tensor, onto: Tensor | None) -> Tensor:
        check_shape("vector", vector, (self.n,))
        if onto is None:
            flat = torch.zeros(self.total, dtype=vector.dtype, device=vector.device)
        else:
            flat = onto.to(vector.dtype, copy=True)
        flat[self._places] = vector
        return flat

    def _split(self, flat: Tensor) -> dict[str, Tensor]:
        parts = flat.split(self._sizes)
        return {name: part.view(self.shapes[name]) for name, part in zip(self.names, parts, strict=True)}
