"""Kept weights <-> flat R^n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from qdescent._array_checks import check_finite, check_shape, check_tensor
from qdescent._checks import argument_error, check_instance, check_sequence, shown
from qdescent.learning.masks import Mask, padding_rows
from qdescent.learning.torch_prune import mask_from_prune
from qdescent.learning.untouched import alone, check_apart, check_shaped, weights_of


class ParameterSpace:
    """The coordinates theta in R^n: a network's modes, in the order of `named_parameters`.

    Which weights are modes is decided here and nowhere else; every operator, the callback and the
    command line ask this class. A mode is an entry of a parameter that is

    - *trained*: a parameter without `requires_grad` is frozen and stays as it is, and so is the row
      of an embedding's `padding_idx`, which PyTorch trains as little; buffers are no parameters;
    - *kept* by `mask`, and by `torch.nn.utils.prune` where it has pruned the network: pruned
      entries are 0 and no coordinates;
    - *itself*: a tied weight counts once, under its first name, and of a parametrization
      (`torch.nn.utils.parametrize`) what is trained counts, such as `original0`, not the weight
      that is computed from it.

    Nothing is a mode or none by its value: a matrix that starts at 0 has as many modes as any other
    (`nonzero_mask` is for zeros that stand for pruned weights).

    A space made by `restrict` has frozen entries besides, each at its value.

    Args:
        network: any module; its weights are read, never changed.
        mask: the weights that are kept (None: all that `torch.nn.utils.prune` has left). A tied
            weight may have an entry under each of its names.

    Attributes:
        n: number of modes.
        total: P, number of all weights.
        frozen: number of weights that are not trained: those without `requires_grad`, and the rows
            of padding tokens.
        names: the parameters that `unpack` gives: all but those that are frozen as the network has
            them.
        counts: how many modes each of these has.
        kept: where they lie in each, flattened, by name; None: everywhere.
        theta: the network's weights at construction, (n,); of an embedding with `max_norm` those of
            its next call.

    Raises:
        ArgumentError: the mask does not fit the network; a weight is NaN, infinite or complex; no
            kept weight is trained.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(3, 2)
        >>> space = ParameterSpace(network, None)
        >>> space.n, bool((space.pack(space.unpack(space.theta)) == space.theta).all())
        (8, True)
        >>> _ = network.weight.requires_grad_(False)
        >>> ParameterSpace(network).n, ParameterSpace(network).names
        (2, ('bias',))
    """

    @alone
    def __init__(self, network: nn.Module, mask: Mask | None = None) -> None:
        check_instance("network", network, nn.Module, called="a torch.nn.Module")
        check_instance("mask", mask, Mask, optional=True)
        check_shaped(network)
        weights = dict(network.named_parameters())
        for name, weight in weights.items():
            if weight.is_meta:
                must = "have weights that hold numbers"
                raise argument_error("network", must, f"on the device meta at {name!r}")
            if weight.is_complex():
                must = "have real weights (hold real and imaginary parts apart)"
                raise argument_error("network", must, f"complex at {name!r}")
            check_finite(f"weights[{name!r}]", weight.detach())
        check_apart(network)
        kept = mask_from_prune(network).keep
        if mask is not None:
            given = _by_first_name(network, mask.keep)
            kept = {name: keep & given[name].to(keep.device) for name, keep in kept.items()}
        still = padding_rows(network)
        trained = {
            name: keep & weights[name].requires_grad & (~still[name] if name in still else True)
            for name, keep in kept.items()
        }
        if not any(bool(keep.any()) for keep in trained.values()):
            raise argument_error("network", "have a kept weight with requires_grad", "without one")
        values = weights_of(network)
        self.names = tuple(
            name
            for name, w in weights.items()
            if w.requires_grad
            or not bool(kept[name].all())
            or values[name].data_ptr() != w.data_ptr()
        )
        self._aliases, self._restricted = _aliases(network), False
        self.mask = Mask(trained)
        self.shapes = {name: weights[name].shape for name in self.names}
        self.device = weights[self.names[0]].device
        elsewhere = sorted({str(weights[name].device) for name in self.names} - {str(self.device)})
        if elsewhere:
            must = f"have its weights on one device ({self.device})"
            raise argument_error("network", must, f"on {', '.join(elsewhere)} as well")
        self.total = sum(weight.numel() for weight in weights.values())
        self.frozen = sum(
            int(still[name].sum()) if name in still and w.requires_grad else w.numel()
            for name, w in weights.items()
            if name in still or not w.requires_grad
        )
        self._frozen: dict[str, Tensor] = {
            name: values[name] * kept[name]
            for name in self.names
            if name in still or not weights[name].requires_grad
        }
        self._set_indices({name: trained[name].flatten().to(self.device) for name in self.names})
        self.theta = self.pack({name: values[name] for name in self.names})
        self.dtype = self.theta.dtype

    def _set_indices(self, keep: Mapping[str, Tensor]) -> None:
        """For each parameter the kept indices, or None where all are kept."""
        self.counts = [int(keep[name].sum()) for name in self.names]
        self.kept: dict[str, Tensor | None] = {
            name: None if count == keep[name].numel() else keep[name].nonzero()[:, 0]
            for name, count in zip(self.names, self.counts, strict=True)
        }
        self.n = sum(self.counts)

    def pack(self, tensors: Mapping[str, Tensor] | Sequence[Tensor]) -> Tensor:
        """(n,) from full-shaped tensors, by name or in the order of `names`; differentiable."""
        return torch.cat(self.entries(tensors))

    def entries(self, tensors: Mapping[str, Tensor] | Sequence[Tensor]) -> list[Tensor]:
        """What `pack` joins: the kept entries of each tensor."""
        if isinstance(tensors, Mapping):
            missing = [name for name in self.names if name not in tensors]
            if missing:
                must = "hold a tensor for each weight"
                raise argument_error("tensors", must, f"without {missing[0]!r}")
            ordered = [tensors[name] for name in self.names]
        else:
            ordered = list(
                check_sequence("tensors", tensors, Tensor, called="tensors by name or in order")
            )
            if len(ordered) != len(self.names):
                must = f"be {len(self.names)}, one for each weight"
                raise argument_error("tensors", must, f"{len(ordered)} of them")
        parts = []
        for name, tensor in zip(self.names, ordered, strict=True):
            check_shape("tensors", tensor, tuple(self.shapes[name]))
            indices = self.kept[name]
            parts.append(tensor.reshape(-1) if indices is None else tensor.reshape(-1)[indices])
        return parts

    def unpack(self, theta: Tensor) -> dict[str, Tensor]:
        """The weights `names` at the point theta (n,): full-shaped tensors, pruned weights zero,
        frozen ones as they are.
        """
        return self._scatter("theta", theta, self._frozen)

    def point(self, theta: Tensor, name: str = "theta") -> Tensor:
        """A point of R^n as it comes from outside: finite, in this space's type, without a graph.

        Raises:
            ArgumentError: no tensor of n finite real numbers.
        """
        return check_tensor(name, theta, (self.n,), sparse=True).to_dense().to(self.theta)

    @alone
    def pivot(self, theta: Tensor | None, network: nn.Module | None) -> Tensor:
        """A point, or where it is None the weights that network and space both have.

        Args:
            theta: (n,), or None.
            network: that the space was made of; None: it is not at hand.

        Raises:
            ArgumentError: no point, and the network's kept weights are others than when the space
                was made; no tensor of n finite real numbers.
        """
        check_instance("network", network, nn.Module, optional=True)
        if theta is not None:
            return self.point(theta)
        values = {} if network is None or self._restricted else weights_of(network)
        now = {name: values[name] for name in self.names if name in values}
        # a space of another network is told by `check_space`
        if (
            all(
                (w.dtype, w.shape) == (self.theta.dtype, self.shapes[name])
                for name, w in now.items()
            )
            and len(now) == len(self.names)
            and not torch.equal(self.pack(now), self.theta)
        ):
            must = "be given where the network's weights have changed since the space was made"
            cure = " (space.theta has the former, ParameterSpace(network, mask) the present ones)"
            raise argument_error("theta", must + cure, "left out")
        return self.theta

    def embed(self, direction: Tensor) -> dict[str, Tensor]:
        """A direction in R^n as full-shaped tensors: zero wherever there is no coordinate."""
        return self._scatter("direction", direction, {})

    def indices(self, prefix: str) -> Tensor:
        """The coordinates of one module or parameter, for `restrict`.

        Of all names that are `prefix` or begin with `prefix` and a dot: "layer1" does not take
        "layer10". A tied weight belongs to every module that uses it; a pruned or parametrized one
        also goes by the name of the weight that is computed from it.

        Args:
            prefix: such as "layers.3" or "layers.3.weight"; a dot at its end changes nothing; "":
                everything.

        Raises:
            ArgumentError: no mode has such a name.
        """
        if not isinstance(prefix, str):
            raise argument_error("prefix", "be the name of a module or a parameter", prefix)
        stem = prefix.removesuffix(".")

        def belongs(name: str) -> bool:
            return any(
                alias == stem or alias.startswith(f"{stem}.") for alias in self._aliases[name]
            )

        counts = torch.tensor(self.counts, device="cpu")
        wanted = torch.tensor([not stem or belongs(name) for name in self.names], device="cpu")
        indices = wanted.repeat_interleave(counts).nonzero()[:, 0]
        if len(indices) == 0:
            must = "be the name of a module or a parameter with kept weights that are trained"
            raise argument_error("prefix", must, repr(prefix))
        return indices

    def restrict(self, theta: Tensor, indices: Tensor) -> ParameterSpace:
        """The coordinates `indices` of R^n alone, every other one frozen at its value in theta.

        Args:
            theta: the point, (n,).
            indices: different integers in [0, n); the new space has its coordinates in increasing
                order of index.
        """
        theta = self.point(theta)
        indices = check_tensor("indices", indices, (None,), "integer").long()
        inside = int(indices.min()) >= 0 and int(indices.max()) < self.n
        if not inside or len(torch.unique(indices)) < len(indices):
            must = f"be different integers in [0, {self.n})"
            raise argument_error("indices", must, shown(indices.tolist()))
        indices = indices.sort().values.to(self.device)
        smaller = object.__new__(ParameterSpace)
        smaller.__dict__.update(self.__dict__)
        smaller._frozen = self.unpack(theta.clone())
        chosen = torch.zeros(self.n, dtype=torch.bool, device=self.device)
        chosen[indices] = True
        smaller.mask = Mask(self._scatter("indices", chosen, {}))
        smaller._set_indices({name: keep.flatten() for name, keep in smaller.mask.keep.items()})
        smaller.theta, smaller._restricted = theta[indices], True
        return smaller

    def _scatter(
        self, argument: str, vector: Tensor, onto: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        check_instance(argument, vector, Tensor, called="a tensor (torch.as_tensor makes one)")
        check_shape(argument, vector, (self.n,))
        if vector.is_complex() or vector.layout != torch.strided:
            raise argument_error(argument, "be a dense vector of real numbers", shown(vector))
        full = {}
        for name, part in zip(self.names, vector.split(self.counts), strict=True):
            indices, shape = self.kept[name], self.shapes[name]
            if indices is None:
                # seen as complex numbers, pairs must begin at an even place
                odd = part.storage_offset() % 2 or not part.is_contiguous()
                full[name] = (part.clone() if odd and shape[-1:] == (2,) else part).view(shape)
                continue
            flat = torch.zeros(shape.numel(), dtype=vector.dtype, device=vector.device)
            if name in onto:
                flat.copy_(onto[name].reshape(-1))
            flat[indices] = part
            full[name] = flat.view(shape)
        return full


@alone
def check_space(space: ParameterSpace, network: nn.Module) -> ParameterSpace:
    """The space, if its coordinates are weights of this network, or of one that is made alike.

    Raises:
        ArgumentError: no `ParameterSpace`; a weight that the network has not, or has otherwise.
    """
    check_instance("space", space, ParameterSpace)
    must = "be of the task's network (ParameterSpace(task.network, mask))"
    weights = dict(network.named_parameters(remove_duplicate=False))
    for name, shape in space.shapes.items():
        if name not in weights or weights[name].shape != shape:
            there = f"of shape {tuple(weights[name].shape)}" if name in weights else "not"
            here = f"of one whose {name!r} is of shape {tuple(shape)}"
            raise argument_error("space", must, f"{here}, and there it is {there}")
    types = {weights[name].dtype for name in space.shapes}
    if space.theta.dtype not in types:
        both = f"in {space.theta.dtype}, and the network in {types.pop()}"
        raise argument_error("space", must, both)
    return space


def _aliases(network: nn.Module) -> dict[str, tuple[str, ...]]:
    """First name of a parameter -> all that it goes by: of its uses, and of the weights that are
    computed from it.
    """
    parameters = list(network.named_parameters(remove_duplicate=False))
    first = {id(weight): name for name, weight in reversed(parameters)}
    found: dict[str, tuple[str, ...]] = dict.fromkeys(first.values(), ())
    for name, weight in parameters:
        computed, parametrized, _ = name.replace("parametrizations.", "", 1).rpartition(".original")
        names = {name, computed if parametrized else name, name.removesuffix("_orig")}
        # as it was before torch.compile
        names |= {each.replace("_orig_mod.", "") for each in names}
        found[first[id(weight)]] += tuple(names)
    return found


def _by_first_name(network: nn.Module, keep: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The entries of a mask by the first name of each parameter.

    Raises:
        ArgumentError: an entry without a parameter, a parameter without one, a wrong shape, or two
            names of a tied weight that do not agree.
    """
    parameters = dict(network.named_parameters(remove_duplicate=False))
    first = {id(weight): name for name, weight in reversed(parameters.items())}
    odd = set(keep) - set(parameters)
    odd |= set(first.values()) - {first[id(parameters[name])] for name in set(keep) - odd}
    if odd:
        must = "have one entry for each parameter of the network"
        raise argument_error("mask", must, f"different in {sorted(odd)}")
    found: dict[str, Tensor] = {}
    for name, part in keep.items():
        check_shape(f"mask.keep[{name!r}]", part, tuple(parameters[name].shape))
        known = found.setdefault(first[id(parameters[name])], part)
        if not torch.equal(known, part):
            must = (
                "be the same for a tied weight as under its first name,"
                f" {first[id(parameters[name])]!r}"
            )
            raise argument_error(f"mask.keep[{name!r}]", must, "different")
    return found
