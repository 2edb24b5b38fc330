"""Whether an operator gives the same product again, alone or in a block: one that adds noise,
drifts from call to call, or treats the columns of a block unlike each other has no spectrum, and
the numbers of a Lanczos run show nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.linalg.operator import LinearOperator, Shard
from qdescent.linalg.spectra.lanczos import LanczosState, dots, lanczos, norms_by_column

# Relative: far above sums in another order, those of half precision inside a float32 operator and
# of single precision inside a float64 one; what is allowed moves no eigenvalue by more.
SAME = {torch.float32: 1e-3, torch.float64: 1e-6}


@dataclass(frozen=True, eq=False)
class Product:
    """A vector and its product, each (n, 1), to be compared with the same product made again: of
    one column of a block, the product alone.
    """

    vector: Tensor
    product: Tensor

    def compare(self, again: Tensor, shard: Shard | None = None, whole: float = 0.0) -> None:
        """Check that the same vector's product, made again, is this one, but for the rounding of an
        operator of norm `whole` that this one is a part of.

        Raises:
            ArgumentError: it is another.
        """
        apart, size = (norms_by_column(x, shard) for x in (again - self.product, self.product))
        rounding = 32 * torch.finfo(self.product.dtype).eps * whole
        length = float(norms_by_column(self.vector, shard))
        if not float(apart) <= SAME[self.product.dtype] * float(size) + rounding * length:
            share = float(apart / size) if float(size) else float("inf")
            raise argument_error(
                "operator",
                "give the same product for the same vector each time, alone or in a block (noise,"
                " data drawn anew or a count of calls inside it would be taken for eigenvalues)",
                f"not: two products of one vector are {100 * share:.2g} % of their length apart",
            )


def steady_lanczos(
    operator: LinearOperator,
    vectors: Tensor,
    steps: int,
    state: LanczosState | None = None,
    on_step: Callable[[LanczosState], None] | None = None,
    size: float = 0.0,
) -> LanczosState:
    """As `lanczos`, of an operator of which nothing is known: a product of the first step is made
    again after it, against noise, and after the last step, against what drifts.

    Neither changes a bit of the state; one that fails is not handed to `on_step`.

    Cost: two products more, of one vector; two vectors of length n.

    Raises:
        ArgumentError: a product that was another the second time.
    """
    first: list[Product] = []
    before = state

    def watched(now: LanczosState) -> None:
        if not first:
            # the last column alone: one that stands first in its block may be treated as if alone
            last = first_product(before, now, last=True)
            last.compare(operator @ last.vector, operator.shard, size)
            first.append(first_product(before, now))
        elif now.steps == steps or not bool(now.alive.any()):
            first[0].compare(operator @ first[0].vector, operator.shard, size)
        if on_step is not None:
            on_step(now)

    return lanczos(operator, vectors, steps, state, watched, size)


def check_state(operator: LinearOperator, state: LanczosState) -> None:
    """Check that a state to go on with is of this operator, by one product: <v_k, A v_k> = alpha_k
    and <v_{k+1}, A v_k> = beta_{k+1} of the first living probe, or of the first one.

    Raises:
        ArgumentError: it is of another.
    """
    if not state.steps:
        return
    probe = int(state.alive.double().argmax())
    v, after = (part[:, probe : probe + 1] for part in (state.previous, state.current))
    if not bool(v.any()):  # a probe that ended earlier has left its vector
        return
    product = operator @ v.clone()
    seen = torch.stack([dots(x, product, operator.shard)[0].cpu() for x in (v, after)])
    kept = torch.stack([state.alpha[probe, -1], state.beta[probe, -1] * bool(after.any())])
    size = torch.maximum(state.alpha.abs(), state.beta).max()
    if bool(((seen - kept).abs() > SAME[product.dtype] * size).any()):
        actual = f"of another: <v, A v> is {float(kept[0]):.4g} in it, {float(seen[0]):.4g} here"
        raise argument_error("state", "be of this operator", actual)


def first_product(before: LanczosState | None, after: LanczosState, last: bool = False) -> Product:
    """The product of a living probe, the middle or the last one, that led from one state to the
    next, without making it: A v_k = beta_{k+1} v_{k+1} + alpha_k v_k + beta_k v_{k-1}, to rounding.
    """
    living = torch.ones_like(after.alive) if before is None else before.alive
    places = living.nonzero()[:, 0].tolist() or [0]
    probe = places[-1 if last else (len(places) - 1) // 2]
    column = slice(probe, probe + 1)
    vector = after.previous[:, column].clone()
    product = float(after.alpha[probe, -1]) * vector
    product.add_(after.current[:, column], alpha=float(after.beta[probe, -1]))
    if before is not None and before.steps:
        product.add_(before.previous[:, column], alpha=float(before.beta[probe, -1]))
    return Product(vector, product)
