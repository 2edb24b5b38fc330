"""Three-term Lanczos for several start vectors at once, without a stored basis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_callable,
    check_instance,
    check_integer,
    check_interval,
)
from qdescent.linalg.inner_product import dot, power_of_two
from qdescent.linalg.operator import LinearOperator, Shard
from qdescent.linalg.spectra.symmetry import nothing_but_rounding


@dataclass(frozen=True, eq=False)
class LanczosState:
    """Where a Lanczos run stands: enough to go on, bit for bit.

    Args:
        current, previous: the last two Lanczos vectors of each probe, (n, probes).
        alpha: diagonal of the tridiagonal matrices so far, (probes, k).
        beta: off-diagonal, (probes, k); beta[:, k-1] couples to the next vector.
        alive: (probes,), False once a probe's invariant subspace is exhausted.
        length: (probes,), number of valid rows of each tridiagonal matrix.
        start: (probes,), float64, a mark of the vectors it began with, by which others are told
            apart.
    """

    current: Tensor
    previous: Tensor
    alpha: Tensor
    beta: Tensor
    alive: Tensor
    length: Tensor
    start: Tensor

    @property
    def steps(self) -> int:
        """Products done so far, per probe."""
        return self.alpha.shape[1]


def lanczos_start(vectors: Tensor, shard: Shard | None = None) -> LanczosState:
    """The state before the first product.

    Args:
        vectors: start vectors, (n, probes), finite and not zero; they are normalised here. With a
            shard, this process's rows.
        shard: of the operator.
    """
    vectors = check_tensor("vectors", vectors, (None, None))
    # half precision: every beta looks like rounding
    if vectors.dtype not in (torch.float32, torch.float64):
        raise argument_error(
            "vectors", "be float32 or float64 numbers of shape (n, probes)", f"{vectors.dtype}"
        )
    vectors = _by_probe(vectors)
    norms = norms_by_column(vectors, shard)
    if bool((norms == 0).any()):
        raise argument_error("vectors", "have no zero column", "zero in a column")
    probes = vectors.shape[1]
    empty = torch.zeros(probes, 0, dtype=torch.float64, device="cpu")
    current = _normalised(vectors, norms)
    return LanczosState(
        current=current,
        previous=torch.zeros_like(vectors),
        alpha=empty,
        beta=empty.clone(),
        alive=torch.ones(probes, dtype=torch.bool, device="cpu"),
        length=torch.zeros(probes, dtype=torch.int64, device="cpu"),
        start=_mark(current, shard),
    )


def as_operators(vectors: Tensor, operator: LinearOperator) -> Tensor:
    """Start vectors in the operator's type, as its product takes others."""
    vectors = check_tensor("vectors", vectors, (None, None))
    if vectors.device.type != operator.device.type:
        must = f"be on the operator's device, {operator.device}"
        raise argument_error("vectors", must, f"on {vectors.device}")
    return vectors.to(operator.dtype)


def _mark(vectors: Tensor, shard: Shard | None) -> Tensor:
    """The inner product of each column with numbers without a pattern, cos(i mod 65,521)."""
    first = 0 if shard is None else shard.start
    numbers = torch.arange(_PERIOD, device=vectors.device).to(vectors.dtype).cos_()
    numbers = numbers.roll(-(first % _PERIOD))
    # by periods: one pass over the vectors, and no copy of them
    own = torch.stack([numbers[: len(x)] @ x for x in vectors.split(_PERIOD)]).double().sum(0)
    return (own if shard is None else shard.total(own)).cpu()


_PERIOD = 65_521
# of marks, absolute: far above the rounding of a sum whose terms lie in another order
SAME_MARK = {torch.float32: 1e-5, torch.float64: 1e-9}
# lengths whose squares, and the sums of these, lie well within float64
LEAST_NORM, MOST_NORM = 1e-120, 1e120
MOST_STEPS = 20_000  # the tridiagonal matrix is taken apart as a dense one: 3 GB at this size


def dots(x: Tensor, y: Tensor, shard: Shard | None) -> Tensor:
    """The inner product of each pair of columns in float64, (probes,)."""
    columns = list(x.T)
    others = columns if y is x else y.T
    own = torch.stack([dot(a, b) for a, b in zip(columns, others, strict=True)])
    return own if shard is None else shard.total(own)


def norms_by_column(block: Tensor, shard: Shard | None) -> Tensor:
    """The length of each column in float64, (probes,), whatever the scale: where float64 does not
    hold the squares they are those of the column over a power of two.
    """
    if not block.shape[1]:
        return torch.zeros(0, dtype=torch.float64, device="cpu")
    norms = dots(block, block, shard).sqrt()
    if bool(((norms > LEAST_NORM) & (norms < MOST_NORM)).all()):
        return norms
    largest = block.abs().amax(0).double()
    unit = power_of_two(largest if shard is None else shard.total(largest))
    scaled = block.double() / unit
    return unit * dots(scaled, scaled, shard).sqrt()


def _normalised(vectors: Tensor, norms: Tensor) -> Tensor:
    """The columns over their lengths, also where their type does not hold the lengths."""
    kind = torch.finfo(vectors.dtype)
    if bool(((norms > kind.tiny) & (norms < kind.max)).all()):
        return vectors / norms.to(vectors)
    unit = power_of_two(norms)
    return _by_probe((vectors.double() / unit / (norms / unit)).to(vectors.dtype))


def _by_probe(block: Tensor) -> Tensor:
    """The same block with each probe's vector contiguous: another layout may round otherwise."""
    return block.T.contiguous().T


def lanczos_advance(
    operator: LinearOperator, state: LanczosState, size: float = 0.0
) -> LanczosState:
    """One product with every probe still alive, and one row more of each tridiagonal matrix.

    beta_{k+1} v_{k+1} = A v_k - alpha_k v_k - beta_k v_{k-1} (Lanczos 1950; Golub and Meurant 2010,
    chapter 4). Paige's order of the subtractions (1972) keeps the quadrature accurate without
    re-orthogonalisation. A probe ends where beta falls below rounding times the largest coefficient
    seen: its Krylov space is then invariant and the quadrature exact. The state given is left as it
    was.
    """
    live = state.alive
    everyone = bool(live.all())
    v, before = state.current, state.previous
    if not everyone:
        v, before = _by_probe(v[:, live]), _by_probe(before[:, live])
    k = state.steps
    beta_before = (
        state.beta[live, k - 1]
        if k
        else torch.zeros(int(live.sum()), dtype=torch.float64, device="cpu")
    )
    w = _by_probe(operator @ v)
    if k == 1 or (k and operator.rounding is None):
        found = dots(before, w, operator.shard)
        noise = nothing_but_rounding(found, state.alpha, state.beta, live, operator, size)
        if bool(noise.any()):
            alive = live.masked_scatter(live, ~noise)
            ended = replace(state, alive=alive)
            return lanczos_advance(operator, ended, size) if bool(alive.any()) else ended
    # an operator may hand back what it was given
    if w.untyped_storage().data_ptr() == v.untyped_storage().data_ptr():
        w = w.clone()
    for j, beta_j in enumerate(beta_before.tolist()):
        w[:, j].add_(before[:, j], alpha=-beta_j)
    alpha = dots(v, w, operator.shard)
    for j, alpha_j in enumerate(alpha.tolist()):
        w[:, j].add_(v[:, j], alpha=-alpha_j)
    beta = norms_by_column(w, operator.shard)
    check_product(torch.stack([alpha, beta]))

    alpha_new = torch.zeros(len(live), 1, dtype=torch.float64, device="cpu")
    beta_new = torch.zeros(len(live), 1, dtype=torch.float64, device="cpu")
    alpha_new[live, 0] = alpha.cpu()
    beta_new[live, 0] = beta.cpu()
    alphas = torch.cat([state.alpha, alpha_new], dim=1)
    betas = torch.cat([state.beta, beta_new], dim=1)

    scale = torch.maximum(alphas.abs().amax(1), betas.abs().amax(1))
    kind = torch.finfo(w.dtype)
    rounding = 32 * torch.maximum(kind.eps * scale, scale.new_tensor(kind.tiny * kind.eps))
    going = live & (betas[:, -1] > rounding)
    for j, beta_j in enumerate(beta.tolist()):
        if beta_j and not kind.tiny <= 1 / beta_j <= kind.max:
            w[:, j] = _normalised(w[:, j : j + 1], beta[j : j + 1])[:, 0]
        else:
            w[:, j].mul_(1 / beta_j if beta_j else 0.0)
    length = state.length + live.long()
    if bool(going.all()):
        return LanczosState(w, state.current, alphas, betas, going, length, state.start)
    current = torch.zeros_like(state.current)
    current[:, going] = w[:, going[live].to(w.device)]
    return LanczosState(current, state.current, alphas, betas, going, length, state.start)


def check_product(product: Tensor) -> Tensor:
    """A product, or its sums, without NaN and infinity; the operator is what the caller gave."""
    if bool((bad := ~torch.isfinite(product)).any()):
        raise argument_error(
            "operator",
            "give finite products whose sums are finite, too (divide it by its size)",
            f"not, in {int(bad.sum())} of {product.numel()} numbers",
        )
    return product


def began_with(state: LanczosState, vectors: Tensor, shard: Shard | None) -> bool:
    """Whether a run started with these vectors, of any lengths; a state keeps a mark of them."""
    begin = lanczos_start(vectors, shard)
    apart = SAME_MARK[begin.current.dtype]
    return begin.start.shape == state.start.shape and bool(
        ((state.start - begin.start).abs() <= apart).all()
    )


def check_fit(operator: LinearOperator, state: LanczosState) -> None:
    """Check that a state holds vectors that an operator takes: of its length and type."""
    held = operator.shape[0] if operator.shard is None else len(operator.shard)
    if (len(state.current), state.current.dtype) != (held, operator.dtype):
        actual = f"with {state.current.dtype} vectors of length {len(state.current)}"
        raise argument_error(
            "state", f"hold {operator.dtype} vectors of length {held}, as the operator's", actual
        )


def lanczos(
    operator: LinearOperator,
    vectors: Tensor,
    steps: int,
    state: LanczosState | None = None,
    on_step: Callable[[LanczosState], None] | None = None,
    size: float = 0.0,
) -> LanczosState:
    """`steps` Lanczos steps from `vectors` (or on from `state`), fewer once all are exhausted.

    Args:
        operator: symmetric, (n, n).
        vectors: start vectors, (n, probes); this process's rows where the operator is sharded, as
            in the state.
        steps: products per probe, at least 1.
        state: a state to go on from, e.g. one that `on_step` saved; it began with these vectors.
        on_step: called with the state after each step: to save it, or to move a progress bar.
        size: norm of a larger operator that this one is a part of, whose rounding its products
            have.

    Cost: one product a step and probe; three vectors of length n a probe, whatever the number of
        steps.

    Example:
        >>> import torch
        >>> from qdescent.linalg.operator import as_operator
        >>> A = as_operator(torch.diag(torch.arange(1.0, 6.0, dtype=torch.float64)))
        >>> T = lanczos(A, torch.ones(5, 1, dtype=torch.float64), steps=2)
        >>> [round(x, 6) for x in T.alpha[0].tolist()]
        [3.0, 3.0]
    """
    check_instance("operator", operator, LinearOperator)
    steps = check_integer("steps", steps, 1, MOST_STEPS)
    check_instance("state", state, LanczosState, optional=True)
    check_callable("on_step", on_step, "a function of the state", optional=True)
    size = check_interval("size", size, "[0, inf)")
    if operator.shape[0] != operator.shape[1] or operator.dtype.is_complex:
        raise argument_error(
            "operator", "be square and real", f"of shape {operator.shape} and type {operator.dtype}"
        )
    held = operator.shape[0] if operator.shard is None else len(operator.shard)
    vectors = as_operators(vectors, operator)
    if state is None:
        state = lanczos_start(vectors, operator.shard)
        if len(vectors) != held:
            raise argument_error(
                "vectors",
                f"have {held} rows, as the operator has",
                f"of shape {tuple(vectors.shape)}",
            )
    else:
        check_fit(operator, state)
        if not began_with(state, vectors, operator.shard):
            raise argument_error("vectors", "be those that `state` began with", "another block")
        # a state that was saved and loaded may lie otherwise in memory
        state = replace(state, current=_by_probe(state.current), previous=_by_probe(state.previous))
    while state.steps < steps and bool(state.alive.any()):
        state = lanczos_advance(operator, state, size)
        if on_step is not None:
            on_step(state)
    return state
