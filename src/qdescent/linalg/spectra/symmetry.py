"""Whether a Lanczos run sees a symmetric operator, or has come to where there is nothing to see."""

from __future__ import annotations

import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent._random import named_generator
from qdescent.linalg.operator import LinearOperator

# relative: ten times what a product made again may differ by (`same_product`)
SYMMETRIC = {torch.float32: 1e-2, torch.float64: 1e-5}
# of ||A||: a beta that rounding reaches where every step before divided by small ones
EXHAUSTED = {torch.float32: 3e-6, torch.float64: 3e-9}


def nothing_but_rounding(
    found: Tensor,
    alpha: Tensor,
    beta: Tensor,
    live: Tensor,
    operator: LinearOperator,
    whole: float,
) -> Tensor:
    """<v_{k-1}, A v_k> = <A v_{k-1}, v_k> = beta_k: the recurrence takes it for granted, and here
    it can be seen for nothing.

    A share of beta is too much, since where the recurrence divides by a beta as small as what is
    not symmetric, Ritz values lie anywhere; rounding divides by it, too: <v_{k-1}, v_k> is eps
    ||A|| / beta. And a little of ||A|| is (`SYMMETRIC`), which moves Ritz values farther than their
    residuals say. Of an operator that declares more rounding than its type's only the first step is
    looked at, and only by the share: there another matrix shows, later half precision or a kink
    between two ends of a difference does as much. ||A|| is seen in the Krylov space alone; before
    an operator is refused it is seen elsewhere, too, for all of that space may be one in which
    there is nothing but rounding.

    Args:
        found: <v_{k-1}, A v_k> of each probe alive.
        alpha, beta: the tridiagonal matrices so far, (probes, k).
        live: (probes,), which are alive.
        operator: A.
        whole: norm of a larger operator that this one is a part of.

    Returns:
        Of each probe alive whether v_k is nothing but rounding: its beta is as small as
        `EXHAUSTED`, and <v_{k-1}, A v_k> another number. The Krylov space was exhausted before, and
        is invariant but for beta.

    Raises:
        ArgumentError: the operator is not symmetric.
    """
    size = torch.maximum(alpha.abs(), beta).amax().clamp(min=whole)
    found, last = found.cpu(), beta[live, -1]
    beyond, noise = _judged(found, last, size, operator)
    if bool((beyond > 0).any()):
        beyond, noise = _judged(found, last, size.clamp(min=_size_elsewhere(operator)), operator)
    if bool((beyond > 0).any()):
        worst = int(beyond.argmax())
        raise argument_error(
            "operator",
            "be symmetric",
            f"not: <v, A w> = {float(found[worst]):.3g}, but <A v, w> = {float(last[worst]):.3g}",
        )
    return noise


def _judged(
    found: Tensor, beta: Tensor, size: Tensor, operator: LinearOperator
) -> tuple[Tensor, Tensor]:
    """How far each probe is beyond what is allowed, and whether it is rounding alone."""
    dtype, kind = operator.dtype, torch.finfo(operator.dtype)
    rounding = 32 * kind.eps * size * (1 + size / beta)
    share = 0.5 if dtype == torch.float32 else 0.05
    allowed = share * beta + rounding
    if operator.rounding is None:
        allowed = torch.minimum(allowed, SYMMETRIC[dtype] * size + 4 * rounding)
    apart = (found - beta).abs()
    noise = (apart > share * beta) & (beta <= EXHAUSTED[dtype] * size)
    return (apart - (allowed + kind.tiny)).masked_fill(noise, 0.0), noise


def _size_elsewhere(operator: LinearOperator) -> float:
    """A lower estimate of ||A||: of a random vector's image the image, for few eigenvalues may be
    all that there is.
    """
    generator, shard = named_generator(0, "size elsewhere"), operator.shard
    drawn = torch.randn(operator.shape[0], generator=generator, dtype=torch.float32, device="cpu")
    held = drawn if shard is None else drawn[shard.start : shard.stop]
    v, size = held.to(operator.device, operator.dtype)[:, None], 0.0
    for _ in range(2):
        v = v / _length(v, operator)
        image = operator @ v
        size = _length(image, operator)
        if not 0 < size < float("inf"):
            return 0.0
        v = image
    return size


def _length(v: Tensor, operator: LinearOperator) -> float:
    square = v.double().square().sum()
    return float(square if operator.shard is None else operator.shard.total(square)) ** 0.5
