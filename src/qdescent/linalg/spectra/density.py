"""Spectral density by stochastic Lanczos quadrature: random vectors, a few products each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import (
    argument_error,
    check_boolean,
    check_callable,
    check_instance,
    check_integer,
    shown,
)
from qdescent._random import named_generator
from qdescent.linalg.inner_product import ROUNDING, power_of_two
from qdescent.linalg.operator import LinearOperator, symmetric_operator
from qdescent.linalg.spectra.deflation import Eigenpairs, extreme_eigenpairs
from qdescent.linalg.spectra.lanczos import (
    MOST_STEPS,
    LanczosState,
    as_operators,
    began_with,
    check_fit,
    lanczos,
)
from qdescent.linalg.spectra.same_product import check_state, steady_lanczos
from qdescent.linalg.spectra.spectrum import Spectrum

FEW = 64  # entries: of more no two vectors of random signs are alike, of fewer they may be
MOST_PROBES = 4096  # their error falls with the root: more would only take memory


def spectral_density(
    operator: LinearOperator | Tensor,
    steps: int = 64,
    probes: int = 8,
    seed: int = 0,
    vectors: Tensor | None = None,
    state: LanczosState | None = None,
    on_step: Callable[[LanczosState], None] | None = None,
    deflate: int | Eigenpairs = 0,
    check: bool = True,
) -> Spectrum:
    """The spectrum of a symmetric operator by `probes` random vectors and `steps` products each.

    Each probe's k nodes and weights integrate polynomials up to degree 2k - 1 against its own
    spectral measure exactly.

    Args:
        operator: symmetric, (n, n): a `LinearOperator` or a tensor.
        steps: k, products per probe. 64 resolves the outliers of a network's Hessian and integrates
            E(t) up to t = 127 exactly.
        probes: random vectors; 8 give the error of the mean a bar that can be trusted to about 25
            %.
        seed: seed of the probes.
        vectors: own start vectors, (n, probes) (this process's rows of a sharded operator), instead
            of Rademacher probes (they have the least variance among vectors with independent
            entries; Hutchinson 1990), drawn independently of each other: the errors rest on it, and
            only equal columns can be told.
        state: a Lanczos state to go on from, as `on_step` saw it, of the same seed or start
            vectors; the result is the same to the last bit.
        on_step: function called after each step with the Lanczos state.
        deflate: number of eigenpairs at the two ends to find first; the probes then see the
            complement only, and these eigenvalues enter without sampling error. Or the pairs
            themselves (`extreme_eigenpairs`), to be used again; one product sees that they are this
            operator's.
        check: repetition of the first product, at once and after the last step, to see that it is
            the same (not of an operator that says so itself, `steady`: a Hessian of one batch is);
            and a product that holds a state to the operator. False: for those who have measured the
            same operator before.

    Returns:
        Spectrum.

    Raises:
        ArgumentError: an operator that is not real, square and symmetric, whose product is not
            finite, or is another when it is made again (noise, drift: by more than 1e-3 of its
            length in float32, 1e-6 in float64); a state of another operator, seed, start
            vectors or deflated pairs.

    Cost: steps x probes products, and two that are made again; five vectors of length n a probe.
        Deflation: see `extreme_eigenpairs`; d vectors more.

    References:
        Golub and Welsch (1969); Ubaru, Chen, Saad (2017); Chen, Trogdon, Ubaru (arXiv:2105.06595)
        for the error bound.

    Example:
        >>> import torch
        >>> spectrum = spectral_density(
        ...     torch.diag(torch.linspace(1, 5, 50, dtype=torch.float64)), steps=20, probes=4
        ... )
        >>> round(spectrum.trace[0], 6)
        150.0
    """
    operator = symmetric_operator(operator)
    steps = check_integer("steps", steps, 1, MOST_STEPS)
    probes = check_integer("probes", probes, 1, MOST_PROBES)
    check_instance("state", state, LanczosState, optional=True)
    check_callable("on_step", on_step, "a function of the state", optional=True)
    again = check_boolean("check", check) and not operator.steady
    run = steady_lanczos if again else lanczos
    n = operator.shape[0]
    held = n if operator.shard is None else len(operator.shard)
    given = vectors is not None
    vectors = (
        as_operators(check_tensor("vectors", vectors, (held, None)), operator)
        if given
        else _rademacher(operator, probes, seed)
    )
    if given:
        _check_apart(vectors, operator)
    if state is not None and (len(state.alpha) != vectors.shape[1] or state.steps > steps):
        actual = f"of {len(state.alpha)} and {state.steps}"
        must = f"be of {vectors.shape[1]} probes and at most {steps} steps, as are asked for"
        raise argument_error("state", must, actual)

    def measured(of: LinearOperator, start: Tensor, size: float = 0.0) -> LanczosState:
        if state is not None:
            check_fit(of, state)
            if check:
                check_state(of, state)
            if not began_with(state, start, of.shard):
                name, own = ("vectors", vectors) if given else ("seed", seed)
                actual = f"{shown(own)}: its run began with other vectors"
                raise argument_error(name, "be as for `state`, and so must `deflate`", actual)
        return run(of, start, steps, state, on_step, size)

    if not isinstance(deflate, Eigenpairs):
        deflate = check_integer("deflate", deflate, 0, max(n - 1, 0))
        if deflate == 0:
            end = measured(operator, vectors)
            return _told(operator, quadrature(end, n, None, not given, operator.rounding))
    if operator.shard is not None:
        raise argument_error("deflate", "be 0 where vectors are sharded", "given")
    if not isinstance(deflate, Eigenpairs):
        deflate = extreme_eigenpairs(operator, deflate, seed=seed)
    elif check:
        deflate.check(operator, seed)
    inner = deflate.complement(operator)
    taken_out = float(deflate.values.abs().max()) if len(deflate.values) else 0.0
    end = measured(inner, deflate.project(vectors), taken_out)
    return _told(operator, quadrature(end, n, deflate, not given, operator.rounding))


def _check_apart(vectors: Tensor, operator: LinearOperator) -> None:
    """Check that no two start vectors are one, which the error of the mean would count as two. Of
    few entries random signs are often equal.

    Raises:
        ArgumentError: two are, up to their length.
    """
    if operator.shape[0] <= FEW:
        return
    cosines = vectors.T @ vectors
    if operator.shard is not None:
        cosines = operator.shard.total(cosines)
    length = cosines.diagonal().sqrt()
    alike = cosines.abs() >= (1 - 1e-6) * length[:, None] * length
    # a column of zeros is refused as such, and beyond their type's numbers they cannot be told
    same = (alike & (cosines != 0) & cosines.isfinite()).triu(1).nonzero()
    if len(same):
        one, other = same[0].tolist()
        must = "have columns that were drawn independently of each other"
        raise argument_error("vectors", must, f"with columns {one} and {other} alike")


def _told(operator: LinearOperator, found: Spectrum) -> Spectrum:
    """With what the operator says of its products."""
    return replace(found, remark=operator.remark) if operator.remark else found


def _rademacher(operator: LinearOperator, probes: int, seed: int) -> Tensor:
    """Random signs, (n, probes), or this process's rows of them; one vector of length n at a time
    besides the result.
    """
    generator, n = named_generator(seed, "probes"), operator.shape[0]
    held = (
        slice(0, n) if operator.shard is None else slice(operator.shard.start, operator.shard.stop)
    )
    rows = torch.empty(probes, held.stop - held.start, dtype=operator.dtype, device=operator.device)
    for row in rows:
        row.copy_(
            torch.randint(0, 2, (n,), generator=generator, dtype=torch.int8, device="cpu")[held]
        )
    return rows.mul_(2).sub_(1).T


def quadrature(
    state: LanczosState,
    size: int,
    deflated: Eigenpairs | None = None,
    random: bool = True,
    rounding: float | None = None,
) -> Spectrum:
    """Nodes and weights from the tridiagonal matrices: Ritz values, and squared first components of
    their vectors.

    Args:
        state: of a finished (or any) Lanczos run.
        size: n.
        deflated: the eigenpairs whose complement the run saw; they enter each probe with weight
            1/n.
        random: whether the start vectors were random signs.
        rounding: of the operator, where it declares one.
    """
    probes, k = state.alpha.shape
    nodes, weights = (
        torch.zeros(probes, k, dtype=torch.float64, device="cpu"),
        torch.zeros(probes, k, dtype=torch.float64, device="cpu"),
    )
    residuals = torch.full((probes, k), torch.inf, dtype=torch.float64, device="cpu")
    for probe in range(probes):
        m = int(state.length[probe])
        alpha, beta = state.alpha[probe, :m], state.beta[probe, :m]
        # LAPACK does not take every scale; a power of two changes no digit
        unit = power_of_two(torch.maximum(alpha.abs(), beta).max())
        alpha, beta = alpha / unit, beta / unit
        tridiagonal = torch.diag(alpha) + torch.diag(beta[:-1], 1) + torch.diag(beta[:-1], -1)
        values, vectors = torch.linalg.eigh(tridiagonal)
        first = vectors[0] ** 2
        nodes[probe, :m], weights[probe, :m] = unit * values, first / first.sum()
        residuals[probe, :m] = unit * (beta[-1] * vectors[-1].abs())
    rounding = max(rounding or 0.0, ROUNDING[state.current.dtype])
    if deflated is None:
        return Spectrum(nodes, weights, residuals, size, random=random, rounding=rounding)
    d = len(deflated.values)
    every = (probes, d)
    return Spectrum(
        torch.cat([deflated.values.expand(every), nodes], dim=1),
        torch.cat(
            [
                torch.full(every, 1 / size, dtype=torch.float64, device="cpu"),
                (1 - d / size) * weights,
            ],
            dim=1,
        ),
        torch.cat([deflated.residuals.expand(every), residuals], dim=1),
        size,
        d,
        random,
        rounding,
    )
