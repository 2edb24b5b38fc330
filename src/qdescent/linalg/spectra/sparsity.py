"""How many entries of a row matter: the sparsity s of an operator, measured on sampled rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from qdescent._array_checks import check_shape
from qdescent._checks import (
    argument_error,
    check_callable,
    check_field,
    check_instance,
    check_integer,
    check_interval,
    check_numbers,
)
from qdescent._random import named_generator
from qdescent.linalg.operator import LinearOperator, symmetric_operator
from qdescent.linalg.spectra.lanczos import check_product
from qdescent.linalg.spectra.same_product import Product
from qdescent.rows.numbers import with_error

# rows asked for at once: several batches then share a graph among 4 products; memory as of a run
# with 4 probes
BLOCK = 4


@dataclass(frozen=True, eq=False)
class RowSparsity:
    """Entries that count in each sampled row.

    Args:
        rows: the sampled rows, (m,), without repetition.
        above: entries of at least `tolerance` times the row's largest, in absolute value, (m,).
        carrying: the least number of entries that carry `share` of the row's squared norm, (m,).
        size: n.
        tolerance, share: bounds that were asked for.
    """

    rows: Tensor = field(repr=False)
    above: Tensor = field(repr=False)
    carrying: Tensor = field(repr=False)
    size: int
    tolerance: float
    share: float

    def __post_init__(self) -> None:
        check_field(self, "size", check_integer, 1)
        check_shape("rows", self.rows, (None,))
        for name in ("rows", "above", "carrying"):
            counts = check_shape(name, getattr(self, name), (len(self.rows),))
            if (
                counts.dtype != torch.int64
                or counts.layout != torch.strided
                or (len(counts) and not 0 <= int(counts.min()) <= int(counts.max()) <= self.size)
            ):
                raise argument_error(
                    name,
                    f"hold int64 numbers from 0 to {self.size}",
                    f"others, of type {counts.dtype}",
                )
        check_field(self, "tolerance", check_interval, "(0, 1]")
        check_field(self, "share", check_interval, "(0, 1]")

    @property
    def mean_above(self) -> tuple[float, float]:
        """Mean of `above` over all n rows, and its standard error (0 where every row was looked at,
        NaN for one of many).
        """
        return _mean_of_sample(self.above, self.size)

    @property
    def mean_carrying(self) -> tuple[float, float]:
        """The same of `carrying`."""
        return _mean_of_sample(self.carrying, self.size)

    def quantiles(
        self, levels: Sequence[float] = (0.5, 0.9, 1.0)
    ) -> tuple[list[float], list[float]]:
        """Quantiles of `above` and of `carrying` over the sampled rows; level 1 is the longest row
        *seen*, not of all n.
        """
        found = check_numbers("levels", levels, "[0, 1]", "a sequence of numbers in [0, 1]")
        q = torch.tensor(found, dtype=torch.float64, device="cpu")
        return self.above.double().quantile(q).tolist(), self.carrying.double().quantile(q).tolist()

    def __str__(self) -> str:
        lines = [f"{len(self.rows)} of {self.size} rows"]
        for name, mean, quantiles in zip(
            (f"above {self.tolerance:g} x largest", f"carrying {100 * self.share:g} %"),
            (self.mean_above, self.mean_carrying),
            self.quantiles(),
            strict=True,
        ):
            median, tenth, most = quantiles
            lines.append(
                f"  {name:<24}{with_error(*mean, 4)}   median {median:.4g}, 90 %"
                f" {tenth:.4g}, most {most:.4g}"
            )
        return "\n".join(lines)


def row_sparsity(
    operator: LinearOperator | Tensor,
    rows: int = 32,
    seed: int = 0,
    tolerance: float = 1e-3,
    share: float = 0.99,
    state: RowSparsity | None = None,
    on_rows: Callable[[RowSparsity], None] | None = None,
) -> RowSparsity:
    """The row sparsity of a symmetric operator, on rows drawn without repetition: row i is A e_i.

    Args:
        operator: symmetric, (n, n).
        rows: m, rows to draw (all n where n is smaller). 32 give the mean an error of 18 % of the
            rows' spread.
        seed: seed of the draw.
        tolerance: relative to the largest entry of the row. 1e-3: below it an entry needs ten bits
            more than the largest.
        share: share of the squared norm, in (0, 1]. 0.99: what is left out turns the row by 6
            degrees.
        state: the rows done so far, as `on_rows` saw them, to go on from; the result is the same to
            the last bit.
        on_rows: function called after each block of 4 rows with all that are done so far: to save
            them, or to move a progress bar.

    Returns:
        RowSparsity. A row of zeros counts 0.

    Raises:
        ArgumentError: an operator that is not square, gives NaN, or another row when it is asked
            again (see `spectral_density`); a state of other rows or thresholds.

    Cost: m + 1 products; 2 x 4 vectors of length n, and 5 in float64 while a row is sorted.

    References:
        s of Liu et al. (2024): the number of non-zero entries a row; a Hessian has no exact zeros
        between coupled weights, hence the two thresholds.

    Example:
        >>> import torch
        >>> half = torch.diag(0.5 * torch.ones(50)) + torch.diag(0.5 * torch.ones(49), 1)
        >>> row_sparsity(half + half.T).quantiles([0.5])
        ([3.0], [3.0])
    """
    operator = symmetric_operator(operator)
    n = operator.shape[0]
    if operator.shard is not None:
        raise argument_error("operator", "take whole vectors", "sharded")
    wanted = min(check_integer("rows", rows, 1), n)
    tolerance = check_interval("tolerance", tolerance, "(0, 1]")
    share = check_interval("share", share, "(0, 1]")
    check_instance("state", state, RowSparsity, optional=True)
    check_callable("on_rows", on_rows, "a function of the rows done", optional=True)
    places = torch.randperm(n, generator=named_generator(seed, "rows"), device="cpu")[:wanted]
    none = torch.zeros(0, dtype=torch.int64, device="cpu")
    done = RowSparsity(none, none, none, n, tolerance, share) if state is None else state
    if (done.size, done.tolerance, done.share) != (n, tolerance, share) or not torch.equal(
        done.rows, places[: len(done.rows)]
    ):
        raise argument_error(
            "state", "be of the same operator, rows, seed and thresholds", f"of others ({done})"
        )
    if len(done.rows):
        _check_state(operator, done)
    first: Product | None = None
    while len(done.rows) < len(places):
        chunk = places[len(done.rows) :][:BLOCK]
        units = torch.zeros(len(chunk), n, dtype=operator.dtype, device=operator.device)
        units[torch.arange(len(chunk), device=units.device), chunk.to(units.device)] = 1
        product = check_product(operator @ units.T)
        first = first or Product(units.T[:, -1:], product[:, -1:].clone())
        if len(done.rows) + len(chunk) == len(places):
            first.compare(operator @ first.vector)
        above, carrying = torch.tensor(
            [_counts(row, tolerance, share) for row in product.T], dtype=torch.int64, device="cpu"
        ).T
        done = replace(
            done,
            rows=torch.cat([done.rows, chunk]),
            above=torch.cat([done.above, above]),
            carrying=torch.cat([done.carrying, carrying]),
        )
        if on_rows is not None:
            on_rows(done)
    return done


def _check_state(operator: LinearOperator, done: RowSparsity) -> None:
    """The first row once more: it has about as many entries that count; rounding may move one over
    a threshold.
    """
    unit = torch.zeros(done.size, 1, dtype=operator.dtype, device=operator.device)
    unit[int(done.rows[0])] = 1
    seen = _counts(check_product(operator @ unit)[:, 0], done.tolerance, done.share)
    kept = int(done.above[0]), int(done.carrying[0])
    if any(abs(x - y) > 2 + 0.02 * y for x, y in zip(seen, kept, strict=True)):
        actual = f"of another: {kept[0]} entries of a row count in it, and {seen[0]} here"
        raise argument_error("state", "be of this operator", actual)


def _counts(row: Tensor, tolerance: float, share: float) -> tuple[int, int]:
    """(entries of at least tolerance x the largest, entries that carry the norm's share)."""
    size = row.abs().double()
    largest = size.max()
    if largest == 0:
        return 0, 0
    above = int((size >= tolerance * largest).sum())
    carried = ((size / largest) ** 2).sort(descending=True).values.cumsum(0)
    # 1e-12: a sum in another order must not ask for one entry more
    short = carried < share * (1 - 1e-12) * carried[-1]
    return above, int(short.sum()) + 1


def _mean_of_sample(counts: Tensor, size: int) -> tuple[float, float]:
    """Mean and standard error of a draw without repetition from `size` rows."""
    m, values = len(counts), counts.double()
    if m == size:
        return float(values.mean()), 0.0
    error = float(values.std()) / m**0.5 * math.sqrt(1 - m / size) if m > 1 else math.nan
    return float(values.mean()), error
