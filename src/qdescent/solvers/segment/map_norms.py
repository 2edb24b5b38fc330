"""The norms of a network's gradient map: what bounds kappa of its history system at any size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from qdescent._checks import (
    argument_error,
    check_boolean,
    check_callable,
    check_field,
    check_instance,
    check_integer,
    check_interval,
    check_sequence,
)
from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.learning.descent.sgd import SGD
from qdescent.learning.mean_series import MeanSeries
from qdescent.learning.parameters import ParameterSpace, check_space
from qdescent.learning.task import Task
from qdescent.linalg.map_norms import MOST_MOMENTUM_STEPS, MapNorms, momentum_powers
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.spectra.lanczos import MOST_STEPS, lanczos
from qdescent.linalg.spectra.random_bounds import chain_factor, lanczos_extremes
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.solvers.segment.drift import drift_bounds

MOST_DEGREE = 6  # 2^(k-1) series calls for each contraction
MOST_SAMPLES = 4096  # a bound within a tenth of what is seen takes some hundred
MOST_VECTORS = 1_000  # kept, each of length n
BELIEVED = 0.05  # a statement that fails more often than this is not called a bound


@dataclass(frozen=True, kw_only=True)
class NetworkNorms(MapNorms):
    """The norms of a network's map, and how they are known.

    Args:
        failure: probability that one of them is too small, over the random vectors; 1 where the
            extremes come from Ritz values of unknown start vectors, whose ends nothing bounds.
        seen: norms ||F_2||, ||F_3||, ... as the sampled chains say, without the factor that makes
            each a bound.
        extremes: the interval that the Hessian's spectrum (with weight decay) was taken to fill.
    """

    failure: float
    seen: tuple[float, ...]
    extremes: tuple[float, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_field(self, "failure", check_interval, "[0, 1]")

    @property
    def evidence(self) -> Evidence:
        """Bounded where the failure is rare, else measured."""
        return Evidence.BOUNDED if self.failure <= BELIEVED else Evidence.MEASURED

    def rows(self) -> list[Row]:
        """The norms with their evidence."""
        chance = f"with probability {1 - self.failure:.3g} over its random vectors, to rounding"
        statement = "a value from inside" if self.evidence is Evidence.MEASURED else chance
        rows = [
            Row("norms/F_0", self.constant, "1", Evidence.EXACT, "eta ||grad L||"),
            Row("norms/F_1", self.linear, "1", self.evidence, f"Lanczos extremes; {statement}"),
        ]
        if self.drift is not None:
            how = f"||sum_s F_1^s F_0|| after {len(self.drift) - 1} steps; {statement}"
            rows.append(Row("norms/drift", self.drift[-1], "1", self.evidence, how))
        for k, (norm, seen) in enumerate(zip(self.higher, self.seen, strict=True), 2):
            source = f"(tr G^2)^(1/4), G = F_{k} F_{k}^T, from chains of Taylor coefficients"
            rows += [
                Row(f"norms/F_{k}", norm, "1", Evidence.BOUNDED, f"{source}; {chance}"),
                Row(f"norms/F_{k}_seen", seen, "1", Evidence.MEASURED, source),
            ]
        return rows


def map_norms(
    task: Task | Sequence[Task],
    space: ParameterSpace,
    learning_rate: float,
    degree: int = 2,
    spectrum: Spectrum | None = None,
    *,
    theta: Tensor | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    steps: int = 1000,
    samples: int = 12,
    products: int = 40,
    failure: float = 0.01,
    seed: int = 0,
    vectors: int = 16,
    check: bool = True,
    on_call: Callable[[], None] | None = None,
) -> NetworkNorms:
    """||F_0||, ||F_1||, ..., ||F_K|| of u -> u - eta grad L(theta + u) at any number of weights.

    ||F_0|| = eta ||grad L||, exactly. ||F_1|| = max |1 - eta lambda| over an interval that holds
    the spectrum. For k >= 2 the unfolding F_k, n x n^k, is never formed. With normal random vectors
    M = F_k(., a_1, ..., a_{k-1}) is symmetric and E M^2 = G = F_k F_k^T, so that two of them and a
    third vector x give

        E ||M M' x||^2 = tr G^2 >= ||F_k||^4,

    and the mean of `samples` of them is below c tr G^2 with a known, small probability
    (`chain_factor`): ||F_k|| <= (mean / c)^{1/4}. It is tight where few directions carry G, as a
    network's do. F_k(x, a_1, ...) comes from Taylor coefficients of the gradient along straight
    lines, by polarisation.

    Args:
        task: network, loss and batch, or several batches (their mean).
        space: the kept weights.
        learning_rate: eta.
        degree: K, at least 1.
        spectrum: spectrum of the Hessian without decay, for its extremes. Ritz values of one to
            forty random signs bound nothing from above: they count as measured, widened by their
            residuals. None: `products` Lanczos steps of its own from a normal vector, with a bound.
        theta: the pivot, (n,); None: the network's own weights,
            which must be those that the space was made with.
        momentum: beta of heavy-ball descent: the norms are those of the map on (u, velocity), with
            ||F_1^d|| for every d up to `steps`, which products of them bound beyond.
        weight_decay: omega.
        steps: T, of the drift and of momentum: without it ||F_1^d|| is known for every d.
        samples: chains for each k.
        products: Lanczos steps without a spectrum.
        failure: probability that one of the statements is wrong, shared among them.
        seed: seed of the random vectors.
        vectors: most vectors of the space in which is seen how far the gradient drifts over T
            steps (`MapNorms.drift`), each a product; 0: ||F_0|| stands for it, as it must where the
            norms are brought to another rate.
        check: comparison of the series with the loss moved in float64 first.
        on_call: function called after each evaluation of a series: to move a progress bar.

    Returns:
        NetworkNorms, a `MapNorms` with its evidence.

    Raises:
        ArgumentError: an operation without a Taylor rule; too few products to bound the spectrum;
            a spectrum of another size.

    Cost: 2^k samples series calls of order k for each k; 2 products gradients, and 2 for each of
        `vectors`. Memory: the series', and five vectors of length n, or `vectors` and two.

    References:
        docs/mathematics.md, "The norms of a network's map".

    Example:
        >>> network = torch.nn.Linear(1, 1, bias=False).double()
        >>> data = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        >>> task = Task(network, torch.nn.functional.mse_loss, data)  # L = theta^2: H = 2, no F_2
        >>> found = map_norms(task, ParameterSpace(network), learning_rate=0.1)
        >>> round(found.linear, 6), found.higher
        (0.8, (0.0,))
    """
    called = "a task or several of them"
    tasks = [task] if isinstance(task, Task) else check_sequence("task", task, Task, called=called)
    n = check_space(space, tasks[0].network).n
    eta = check_interval("learning_rate", learning_rate, "[1e-100, inf)")
    degree = check_integer("degree", degree, 1, MOST_DEGREE)
    beta = check_interval("momentum", momentum, "[0, 1)")
    decay = check_interval("weight_decay", weight_decay, "[0, inf)")
    steps = check_integer("steps", steps, 1, MOST_MOMENTUM_STEPS)
    samples = check_integer("samples", samples, 1, MOST_SAMPLES)
    products = check_integer("products", products, 1, MOST_STEPS)
    vectors = check_integer("vectors", vectors, 0, MOST_VECTORS)
    failure = check_interval("failure", failure, "[1e-12, 1)")  # rarer draws tell nothing
    check_instance("spectrum", spectrum, Spectrum, optional=True)
    if spectrum is not None and spectrum.size != n:
        raise argument_error("spectrum", f"be of {n} weights, as the space has", spectrum.size)
    point = space.pivot(theta, tasks[0].network)
    share = failure / degree  # of F_1, and of each F_k
    told = check_callable("on_call", on_call, optional=True) or (lambda: None)
    series = MeanSeries(tasks, space, point, degree, check=check_boolean("check", check))
    if spectrum is None:
        low, high = _extremes(series, point, min(products, n), share, seed, told)
        if not math.isfinite(high):
            must = "be enough Lanczos steps to bound the spectrum"
            raise argument_error("products", must, products)
    else:
        (low, below), (high, above) = spectrum.lambda_min, spectrum.lambda_max
        low, high, failure = low - below, high + above, 1.0
    low, high = low + decay, high + decay
    seen = [
        eta * _chains(series, point, k, samples, seed, told) ** 0.25 for k in range(2, degree + 1)
    ]
    higher = [
        norm / chain_factor(2 * k - 1, samples, share) ** 0.25 for k, norm in enumerate(seen, 2)
    ]
    twice = math.sqrt(2) if beta else 1.0  # u and the velocity are moved by the same
    powers = None
    if beta:
        powers = momentum_powers(low, high, eta, beta, steps)
    gradient = series.gradient.double() + decay * point.double()
    found = NetworkNorms(
        constant=twice * eta * float(torch.linalg.vector_norm(gradient)),
        linear=max(abs(1 - eta * low), abs(1 - eta * high)) if powers is None else powers[1],
        higher=tuple(twice * norm for norm in higher),
        powers=powers,
        failure=failure,
        seen=tuple(twice * norm for norm in seen),
        extremes=(low, high),
    )
    if not vectors:
        return found
    rule = SGD(eta, beta, decay)
    with np.errstate(over="ignore"):
        powers_of_step = found.power_bounds(steps)
    drift, taken = drift_bounds(series, point, rule, steps, powers_of_step, vectors)
    for _ in range(taken):
        told()
    return replace(found, drift=drift)


def _extremes(
    series: MeanSeries,
    point: Tensor,
    products: int,
    failure: float,
    seed: int,
    told: Callable[[], None],
) -> tuple[float, float]:
    """An interval that holds the Hessian's spectrum, but for this probability."""
    n = len(point)

    def apply(block: Tensor) -> Tensor:
        columns = []
        for column in block.T:
            columns.append(series([column])[0])
            told()
        return torch.stack(columns, dim=1)

    operator = LinearOperator((n, n), apply, apply, point.dtype, point.device)
    start = _normal(n, 1, named_generator(seed, "extremes"), point)
    state = lanczos(operator, start, products)
    length = int(state.length[0])
    T = torch.diag(state.alpha[0, :length])
    beside = torch.diag(state.beta[0, : length - 1], 1)
    ends = torch.linalg.eigvalsh(T + beside + beside.T)
    low, high = float(ends[0]), float(ends[-1])
    if length < products:  # an invariant space: its vector has a part of every eigenvector
        return low, high
    return lanczos_extremes(low, high, length, n, failure)


def _chains(
    series: MeanSeries,
    point: Tensor,
    degree: int,
    samples: int,
    seed: int,
    told: Callable[[], None],
) -> float:
    """The mean of ||M M' x||^2, M = (1/k!) grad^{k+1} L[., a_1, ..., a_{k-1}]."""
    total = 0.0
    for sample in range(samples):
        draws = named_generator(seed, f"chain {degree} {sample}")
        x = _normal(len(point), 1, draws, point)[:, 0]
        for _ in range(2):
            others = list(_normal(len(point), degree - 1, draws, point).T)
            x = _contraction(series, degree, [x, *others], told)
        total += float(torch.linalg.vector_norm(x, dtype=torch.float64)) ** 2
    return total / samples


def _contraction(
    series: MeanSeries, degree: int, vectors: Sequence[Tensor], told: Callable[[], None]
) -> Tensor:
    """C(v_1, ..., v_k) from g(v) = C(v, ..., v), the k-th Taylor coefficient of the gradient:
    2^{k-1} k! C = sum over signs of s_2 ... s_k g(v_1 + s_2 v_2 + ... + s_k v_k).
    """
    lengths = [float(torch.linalg.vector_norm(v, dtype=torch.float64)) for v in vectors]
    if not all(lengths):
        return torch.zeros_like(vectors[0])
    # vectors of one length cancel least; a line through them all stays of length sqrt(k)
    units = [v / length for v, length in zip(vectors, lengths, strict=True)]
    total = torch.zeros_like(vectors[0])
    for choice in range(2 ** (degree - 1)):
        signs = [1, *(1 - 2 * (choice >> i & 1) for i in range(degree - 1))]
        line = sum((s * v for s, v in zip(signs, units, strict=True)), torch.zeros_like(total))
        still = torch.zeros_like(line)
        total.add_(series([line, *[still] * (degree - 1)])[degree - 1], alpha=math.prod(signs))
        told()
    return total * (math.prod(lengths) / (2 ** (degree - 1) * math.factorial(degree)))


def _normal(n: int, columns: int, draws: torch.Generator, like: Tensor) -> Tensor:
    vectors = torch.randn(columns, n, generator=draws, dtype=torch.float32, device="cpu")
    return vectors.T.to(like)
