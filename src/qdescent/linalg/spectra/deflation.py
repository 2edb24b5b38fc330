"""Extreme eigenpairs found first, so that random probes need only sample what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import argument_error, check_callable, check_integer, check_interval
from qdescent._random import named_generator
from qdescent.linalg.inner_product import power_of_two
from qdescent.linalg.operator import LinearOperator, symmetric_operator
from qdescent.linalg.spectra.lanczos import MOST_STEPS, LanczosState, lanczos, norms_by_column
from qdescent.linalg.spectra.repeatable import repeatable_float32
from qdescent.linalg.spectra.same_product import SAME, Product, first_product


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Some eigenpairs of a symmetric operator.

    Args:
        values: lambda, (d,), float64.
        vectors: orthonormal columns, (n, d); each is kept contiguous in memory, for another layout
            may round otherwise.
        residuals: ||A q - lambda q||, (d,), float64.
        middle: a number among the eigenvalues that are left, () float64.
    """

    values: Tensor
    vectors: Tensor = field(repr=False)
    residuals: Tensor
    middle: Tensor

    def __post_init__(self) -> None:
        check_tensor("vectors", self.vectors, (None, None)) if self.vectors.numel() else None
        object.__setattr__(self, "vectors", self.vectors.T.contiguous().T)

    def check(self, operator: LinearOperator, seed: int = 0) -> None:
        """Check that these are pairs of an operator, by the product of their sum.

        Args:
            operator: symmetric, (n, n).
            seed: of the random signs in that sum.

        Raises:
            ArgumentError: vectors of another length or not orthonormal; pairs of another operator.
        """
        d = len(self.values)
        if not d:
            return
        self.check_fit(operator)
        allowed = max(SAME[operator.dtype], operator.rounding or 0.0)
        skew = self.vectors.T @ self.vectors - torch.eye(d, device="cpu").to(self.vectors)
        if float(skew.abs().max()) > allowed:
            off = f"off by {float(skew.abs().max()):.2g}"
            raise argument_error("deflate", "hold orthonormal vectors", off)
        drawn = torch.randint(0, 2, (d, 1), generator=named_generator(seed, "pairs"), device="cpu")
        signs = (2 * drawn - 1).to(self.vectors)
        image = operator @ (self.vectors @ signs)
        gap = norms_by_column(image - self.vectors @ (self.values[:, None].to(signs) * signs), None)
        size = float(self.values.abs().max()) * d**0.5
        if float(gap) > float(self.residuals.sum()) + allowed * size:
            off = f"off by {float(gap):.2g}, with residuals of {float(self.residuals.sum()):.2g}"
            raise argument_error("deflate", "hold eigenpairs of this operator", off)

    def check_fit(self, operator: LinearOperator) -> None:
        """Check that the vectors, if there are any, are of the operator's length and type."""
        n, dtype = operator.shape[0], operator.dtype
        own = self.vectors
        if len(self.values) and (len(own), own.dtype) != (n, dtype):
            must = f"hold {dtype} vectors of length {n}, as the operator's"
            actual = f"with {own.dtype} vectors of length {len(own)}"
            raise argument_error("deflate", must, actual)

    def project(self, block: Tensor) -> Tensor:
        """(I - Q Q^T) block, (n, k)."""
        return block - self.vectors @ (self.vectors.T @ block)

    def complement(self, operator: LinearOperator) -> LinearOperator:
        """(I - Q Q^T) A (I - Q Q^T) + middle Q Q^T. Cost: one product, and 6 n d flops a column.

        The projections on both sides keep rounding from bringing the outliers back. What rounding
        leaves of Q in a vector is given an eigenvalue amid the others; 0, which the projected
        operator alone has there, may lie outside them and show as an extreme.
        """
        self.check_fit(operator)

        def apply(block: Tensor) -> Tensor:
            inside = self.vectors.T @ block
            rest = self.project(operator @ (block - self.vectors @ inside))
            return rest.addmm_(self.vectors, inside, alpha=float(self.middle))

        return replace(operator, apply=apply, apply_adjoint=apply)


def extreme_eigenpairs(
    operator: LinearOperator | Tensor,
    count: int,
    steps: int | None = None,
    seed: int = 0,
    tolerance: float = 1e-3,
    on_product: Callable[[], None] | None = None,
) -> Eigenpairs:
    """The outermost eigenpairs at the two ends of the spectrum, as far as a Lanczos run from one
    random vector has them.

    Half of them from below the spectrum's median, half from above; more from one side where too few
    have converged on the other. Two passes: the first gives the Ritz values, the second runs the
    same recurrence again and sums up the Ritz vectors that were chosen, so no basis is stored. A
    Rayleigh-Ritz step on these gives values and residuals that hold by themselves: what rounding
    did to the run cannot reach them.

    Args:
        operator: symmetric, (n, n).
        count: d, pairs wanted, at least 1 and below n.
        steps: products per pass; None: 2 d + 40 (a separated end converges in a few tens of steps).
        seed: of the start vector.
        tolerance: pairs are kept with a residual up to tolerance x max |theta|. 1e-3: the variance
            left is 1e-6 of what the pair had.
        on_product: called after each product of the two passes, at most 2 steps - 1 of them: to
            move a progress bar.

    Returns:
        Eigenpairs, by increasing value; fewer than d where fewer have converged (of equal
        eigenvalues one vector shows one).

    Raises:
        ArgumentError: the second pass begins with another product than the first (see
            `spectral_density`); or pairs were lost, since it gave other bits (on a GPU convolutions
            are made to repeat here, what a user's own operator does is not).

    Cost: 2 steps + d products; d + 7 vectors of length n.

    References:
        Cullum and Willoughby (1985) for Lanczos with ghosts; Meyer, Musco, Musco, Woodruff
        (arXiv:2010.09649) for the trace split into a known part and a sampled rest.

    Example:
        >>> import torch
        >>> values = torch.cat(
        ...     [torch.linspace(0, 1, 100, dtype=torch.float64), torch.tensor([-3.0, 7.0])]
        ... )
        >>> [round(x, 6) for x in extreme_eigenpairs(torch.diag(values), 2).values.tolist()]
        [-3.0, 7.0]
    """
    operator = symmetric_operator(operator)
    from scipy.linalg import eigh_tridiagonal

    n = operator.shape[0]
    tolerance = check_interval("tolerance", tolerance, "(0, 1)")
    count = check_integer("count", count, 1)
    if count >= n:
        raise argument_error("count", f"be below n = {n}", count)
    steps = 2 * count + 40 if steps is None else check_integer("steps", steps, 1, MOST_STEPS)
    check_callable("on_product", on_product, optional=True)
    start = torch.randn(
        n, 1, generator=named_generator(seed, "deflation"), dtype=torch.float64, device="cpu"
    )
    start = start.to(dtype=operator.dtype, device=operator.device)

    first: list[Product] = []

    def done(state: LanczosState) -> None:
        if state.steps == 1:  # of both passes
            first.append(first_product(None, state))
            first[0].compare(first[-1].product)
        if on_product is not None:
            on_product()

    with repeatable_float32():
        end = lanczos(operator, start, steps, on_step=done)
    m = int(end.length[0])
    # LAPACK does not take every scale; a power of two changes no digit
    unit = power_of_two(torch.maximum(end.alpha.abs(), end.beta).max())
    alpha, beta = end.alpha[0, :m], end.beta[0, :m]
    tridiagonal = (alpha / unit).numpy(), (beta[:-1] / unit).numpy()
    theta, s = (torch.from_numpy(part) for part in eigh_tridiagonal(*tridiagonal))
    theta = unit * theta
    scale = float(theta.abs().max())
    below = (s[0] ** 2).cumsum(0) < 0.5  # the weights of the Ritz values
    middle = float(theta[min(int(below.sum()), m - 1)])
    chosen = _choose(theta, float(beta[-1]) * s[-1].abs(), count, tolerance * scale, middle)
    coefficients = s[:, chosen].to(start)
    ritz = (start / torch.linalg.vector_norm(start)) @ coefficients[:1]

    def add(state: LanczosState) -> None:
        done(state)
        if state.steps < m:  # current is then v_{steps + 1}
            ritz.addmm_(state.current, coefficients[state.steps : state.steps + 1])

    with repeatable_float32():
        again = lanczos(operator, start, m - 1, on_step=add) if m > 1 else end
    values, vectors, residuals = _rayleigh_ritz(operator, ritz, tolerance * scale)
    if len(values) < len(chosen) and not torch.equal(again.alpha[0], end.alpha[0, : again.steps]):
        must = "give the same bits for the same vector each time, which two passes rely on"
        raise argument_error("operator", must, f"not: {len(chosen) - len(values)} pairs were lost")
    inside = ((vectors.T @ start)[:, 0] / torch.linalg.vector_norm(start)).double().cpu() ** 2
    outside = 1 - float(inside.sum())
    # else the start vector has nothing to say about the rest, and the median must do
    if outside > 1e-6:
        middle = (float(alpha[0]) - float(inside @ values)) / outside  # its Rayleigh quotient there
    return Eigenpairs(
        values, vectors, residuals, torch.tensor(middle, dtype=torch.float64, device="cpu")
    )


def _choose(theta: Tensor, residuals: Tensor, count: int, reach: float, middle: float) -> list[int]:
    """Places of converged Ritz values, the best of each cluster (the others are ghosts), from both
    ends up to the middle.
    """
    best: list[int] = []
    previous = -torch.inf
    for j in (residuals <= reach).nonzero()[:, 0].tolist():
        if float(theta[j]) - previous > 2 * reach:
            best.append(j)
        elif residuals[j] < residuals[best[-1]]:
            best[-1] = j
        previous = float(theta[j])
    low, high = [j for j in best if theta[j] < middle], [j for j in best if theta[j] >= middle]
    lower = min(len(low), max((count + 1) // 2, count - len(high)))
    return low[:lower] + high[max(len(high) - (count - lower), 0) :]


def _rayleigh_ritz(
    operator: LinearOperator, vectors: Tensor, reach: float
) -> tuple[Tensor, Tensor, Tensor]:
    q = torch.linalg.qr(vectors).Q
    image = operator @ q if q.shape[1] else q
    small = (q.T @ image).double()
    unit = power_of_two(small.abs().max()) if small.numel() else small.new_ones(())
    values, rotation = torch.linalg.eigh((small / unit + small.T / unit) / 2)
    values = unit * values
    q, image = q @ rotation.to(q), image @ rotation.to(q)
    residuals = norms_by_column(image - q * values.to(q), None)
    good = residuals <= reach
    return values[good].cpu(), q[:, good], residuals[good].cpu()
