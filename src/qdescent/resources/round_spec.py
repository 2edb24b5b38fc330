"""One round as it is priced: the sizes of its problem, and the counts that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cached_property

from qdescent._checks import ArgumentError, argument_error, check_choice, check_field
from qdescent._evidence import Evidence
from qdescent.linalg.map_norms import MapNorms
from qdescent.resources.history_choice import (
    MOST_STEPS,
    ORDER_LIMIT,
    History,
    check_sizes,
    chosen_history,
)
from qdescent.resources.row_entries import check_entries, row_entries
from qdescent.resources.spec_fields import Known, checked_field, word_of

READOUTS = ("sampling", "coherent")
_LEAST_FORCE = 1e-100  # its square is still a number
_MOST_ORBIT = 100 * math.log(10)  # of words of N letters: beyond it no unit leaves kappa finite
_MOST_GROWTH = 1e6  # of a mode that a step overshoots: circuits refuse it, too
READS = 2  # shots for the magnitudes, and as many again for the signs


@dataclass(frozen=True, kw_only=True)
class RoundSpec:
    """One round (upload, T gradient steps, readout) as it is priced.

    Args:
        n: kept weights.
        parameters: P, all weights, at least n.
        order: N, the Carleman order.
        steps: T, gradient steps a round.
        padding: p, copies of the last step in a history; None: the best for `norms`, else none.
        kappa: ||M|| ||M^-1|| of the history matrix; None: bounded by `norms`.
        kappa_evidence, kappa_source: word and source of kappa.
        norms: ||F_0||, ||F_1||, ||F_2||, ... of the map (`map_norms`): they bound kappa, in units
            of 1 and in the best ones, and give the success probability there.
        norms_evidence, norms_source: word and source of the norms.
        plain_kappa: kappa in units of 1, where `kappa` is in others.
        grams: <u_k, u_l> of the order-N terms of the displacement at t = 1 ... T (`Round.gram`),
            (T, N, N): with `norms`, the success is that of these displacements, whatever the unit.
            Left out, it is that of the largest that the norms allow.
        learning_rate: eta, of a segment that is fast-forwarded; with the spectrum, or not at all.
        lambda_min, lambda_max: ends of an interval that holds the Hessian's spectrum.
        spectrum_evidence, spectrum_source: word and source of the interval.
        sparsity: s, non-zeros a row of the Hessian in kept coordinates.
        sparsity_evidence, sparsity_source: word and source of s.
        needed_sparsity: entries a row that the segment needs, where they are known; shown beside s.
            Left out, the law of `needed_entries` says them where the learning rate is known.
        needed_evidence, needed_source: word and source of them.
        coupling_sparsity: s_2, non-zeros a row of F_2, from order 2 on; None: the pairs of a row's
            s neighbours, s^2, but no more than n^2; 0: F_2 and higher are loaded for nothing. F_k
            has at most s_2^(k/2) (`colours`).
        fresh_batches: a batch a step (SGD): tables with an axis of T steps, each made and uploaded.
        batch: samples a gradient.
        forward_macs: multiply-adds of one sample's forward pass through the dense network.
        masked_macs: the same, kept weights only; None scales `forward_macs` by n/P.
        alpha_over_norm: alpha/||M|| of the block-encoding (1.25, the largest that was measured with
            balanced or composed encodings: 1.00 to 1.22 of generic maps, 1.00 to 1.25 of a
            network's 3 to 30 largest weights, `benchmarks/block_encodings.py`; at full size it is
            assumed, in favour of the quantum side: it grows where the signs of many entries
            cancel).
        epsilon: l2 error of one solve (1e-3: below the readout error, so that it does not limit the
            round).
        shots: measurements for the magnitudes, and as many again for the signs; None takes m/(4
            readout_error^2), m = `largest` or n.
        readout_error: l2 error of the read displacement (1e-2: the round's own 1 % truncation
            target).
        readout: "sampling" (2 x shots solves) or "coherent" (m/readout_error calls of the solve or
            its inverse, arXiv:2207.08800, in one run).
        largest: m, the largest entries of u that are read; the others stay at the pivot. None: all.
        success_probability: probability of finding the answer block; None: by `norms`, else 1, in
            favour of the quantum side.
        success_evidence, success_source: word and source of that probability.
        angle_bits: b of the loaded values; None: enough that the rotation errors of all queries
            stay below epsilon. Ways that more bits would ask for are then out of reach.
        fast_forward_gradients: gradients of a classical segment that takes no steps; None: as
            measured on 7 million weights to the accuracy that the quantum round has
            (`classical_ways`).
        known: word and source of other inputs (n, batch, learning_rate, ...) by name: of a run, or
            of a circuit. Left out, they are assumed.

    Raises:
        ArgumentError: a number outside its range, or against another one: s > n, n > P, kappa <
            `least_kappa(padding)`, neither of `kappa` and `norms`; an orbit of these norms that no
            float holds (a history that diverges is refused where `history` is asked for).

    Example:
        >>> one = RoundSpec(
        ...     n=10**4, parameters=10**5, order=2, steps=20, padding=0, kappa=40.0,
        ...     sparsity=100, batch=512, forward_macs=10**6, shots=10**6
        ... )
        >>> one.colours, one.entries, one.copies
        ((100, 10000), 101000000, 2000000)
    """

    n: int
    parameters: int
    order: int
    steps: int
    padding: int | None = None
    kappa: float | None = None
    sparsity: int
    batch: int
    forward_macs: int
    masked_macs: int | None = None
    kappa_evidence: Evidence = Evidence.ASSUMED
    kappa_source: str = "argument `kappa`"
    norms: MapNorms | None = None
    norms_evidence: Evidence = Evidence.ASSUMED
    norms_source: str = "argument `norms`"
    plain_kappa: float | None = None
    grams: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    learning_rate: float | None = None
    lambda_min: float | None = None
    lambda_max: float | None = None
    spectrum_evidence: Evidence = Evidence.ASSUMED
    spectrum_source: str = "arguments `lambda_min` and `lambda_max`"
    sparsity_evidence: Evidence = Evidence.ASSUMED
    sparsity_source: str = "argument `sparsity`"
    needed_sparsity: float | None = None
    needed_evidence: Evidence = Evidence.ASSUMED
    needed_source: str = "argument `needed_sparsity`"
    coupling_sparsity: int | None = None
    fresh_batches: bool = False
    alpha_over_norm: float = 1.25
    epsilon: float = 1e-3
    shots: int | None = None
    readout_error: float = 1e-2
    readout: str = "sampling"
    largest: int | None = None
    success_probability: float | None = None
    success_evidence: Evidence = Evidence.ASSUMED
    success_source: str = "argument `success_probability`"
    angle_bits: int | None = None
    fast_forward_gradients: float | None = None
    known: Known = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in fields(self):
            name, value = each.name, getattr(self, each.name)
            if value is None and each.default is None:
                continue
            object.__setattr__(self, name, checked_field(name, value))
        check_field(self, "readout", check_choice, READOUTS)
        if self.n > self.parameters:
            raise argument_error("n", f"be at most `parameters` ({self.parameters})", self.n)
        for name in ("sparsity", "largest", "needed_sparsity"):
            if (getattr(self, name) or 0) > self.n:
                raise argument_error(name, f"be at most `n` ({self.n})", getattr(self, name))
        if (self.coupling_sparsity or 0) > self.n**2:
            must = f"be at most `n` squared ({self.n**2})"
            raise argument_error("coupling_sparsity", must, self.coupling_sparsity)
        if self.shots is not None and self.readout == "coherent":
            raise argument_error("shots", "be left out of a coherent readout", self.shots)
        check_entries(self.n, self.colours, self.entries, self.coupling_sparsity)
        if self.masked_macs is not None and self.masked_macs > self.forward_macs:
            must = f"be at most `forward_macs` ({self.forward_macs})"
            raise argument_error("masked_macs", must, self.masked_macs)
        self._check_spectrum()
        if self.grams is not None:
            check_sizes("grams", self.grams, self.steps, self.order)
        if self.norms is None or self.kappa is not None:
            self._check_kappa()
        else:
            self._check_norms(self.norms)

    def _check_spectrum(self) -> None:
        given = {name: getattr(self, name) for name in _SPECTRUM}
        missing = [name for name, value in given.items() if value is None]
        if 0 < len(missing) < len(given):
            others = " and ".join(f"`{name}`" for name in given if name not in missing)
            raise argument_error(missing[0], f"be given beside {others}", "missing")
        if not missing and self.lambda_min > self.lambda_max:  # type: ignore[operator]
            must = f"be at least `lambda_min` ({self.lambda_min:g})"
            raise argument_error("lambda_max", must, self.lambda_max)
        if not missing and self.overshoot > _MOST_GROWTH:
            must = (
                f"keep what {self.steps} steps make of a mode of `lambda_max` ="
                f" {self.lambda_max:g} below {_MOST_GROWTH:.0e}-fold"
            )
            raise argument_error("learning_rate", must, self.learning_rate)

    @property
    def overshoot(self) -> float:
        """(eta lambda_max - 1)^T where that is above 1: how T steps magnify the steepest mode, of a
        learning rate beyond 2/lambda_max.
        """
        if self.learning_rate is None or self.lambda_max is None:
            return 1.0
        grown = math.log(max(1.0, self.learning_rate * self.lambda_max - 1))
        return math.exp(min(700.0, self.steps * grown))

    def _check_kappa(self) -> None:
        if self.kappa is None:
            raise argument_error("kappa", "be given where `norms` are not", "missing")
        least = least_kappa(self.padding or 0)
        if self.kappa < least * (1 - 1e-9):
            must = (
                f"be at least {least:.6g} with a padding of {self.padding}, whose copies alone"
                " force it"
            )
            raise argument_error("kappa", must, self.kappa)
        if self.plain_kappa is not None and self.plain_kappa < least * (1 - 1e-9):
            must = f"be at least {least:.6g} with a padding of {self.padding}"
            raise argument_error("plain_kappa", must, self.plain_kappa)

    def _check_norms(self, norms: MapNorms) -> None:
        if self.order > ORDER_LIMIT:
            must = f"be at most {ORDER_LIMIT} where norms of the map bound kappa"
            raise argument_error("order", must, self.order)
        if self.steps > MOST_STEPS:
            must = f"be at most {MOST_STEPS} where norms of the map bound kappa"
            raise argument_error("steps", must, self.steps)
        if (self.padding or 0) > MOST_STEPS:
            must = f"be at most {MOST_STEPS} where norms of the map bound kappa"
            raise argument_error("padding", must, self.padding)
        if norms.constant < _LEAST_FORCE:
            must = f"have an ||F_0|| of at least {_LEAST_FORCE:g} (below it nothing moves)"
            raise argument_error("norms", must, norms.constant)
        if self.steps * self.order * math.log(max(1.0, norms.linear)) > _MOST_ORBIT:
            raise self._diverging()

    def _diverging(self) -> ArgumentError:
        must = "leave the orbit of these norms within what floats hold (fewer steps help)"
        return argument_error("steps", must, self.steps)

    @cached_property
    def history(self) -> History:
        """kappa, padding and success of the linear system, in its best units; searched for where
        `norms` bound kappa.

        Raises:
            ArgumentError: a history of these norms that no float holds in any unit.
        """
        return self._history(None)

    @cached_property
    def plain_history(self) -> History:
        """The same in units of 1, as in the paper."""
        return self._history(1.0)

    def _history(self, scale: float | None) -> History:
        success = (self.success_probability, self.success_evidence, self.success_source)
        if self.norms is not None and self.kappa is None:
            known = self.norms, self.norms_evidence, self.norms_source
            try:
                return chosen_history(
                    known, self.order, self.steps, self.padding, scale, success, self.grams,
                    word_of(self.known, "grams"),
                )  # fmt: skip
            except ArgumentError as error:
                if "`norms`" not in str(error):
                    raise
                raise self._diverging() from None
        assert self.kappa is not None
        kappa = self.kappa if scale is None or self.plain_kappa is None else self.plain_kappa
        unsaid = "argument `padding`" if self.padding else "none"
        return History(
            kappa=kappa,
            kappa_evidence=self.kappa_evidence,
            kappa_source=self.kappa_source,
            padding=self.padding or 0,
            padding_source=self.known.get("padding", (None, unsaid))[1],
            success=success,
        )

    @property
    def colours(self) -> tuple[int, ...]:
        """Entries a row of F_1, ..., F_N (`row_entries`)."""
        return row_entries(self.n, self.order, self.sparsity, self.coupling_sparsity)

    @property
    def entries(self) -> int:
        """Entries of all tables, n (s + s_2 + ...); a batch a step has T times as many."""
        return self.n * sum(self.colours) * (self.steps if self.fresh_batches else 1)

    @property
    def useful_steps(self) -> int:
        """Steps after which kappa leaves nothing to do: ln(1/epsilon) / ln((kappa+1)/(kappa-1)).

        A contraction a has kappa = (1 + a)/(1 - a) on a long history, and a^t < epsilon after so
        many steps. A mode that stands still would force kappa >= about 4 T/pi.
        """
        kappa = self.history.kappa
        rate = math.log1p(2 / (kappa - 1)) if kappa > 1 else math.inf
        return max(1, math.ceil(-math.log(self.epsilon) / rate))

    @property
    def read_entries(self) -> int:
        """m, entries of u that are read."""
        return self.n if self.largest is None else self.largest

    @property
    def shot_count(self) -> int:
        """Shots for the magnitudes; as many again find the signs."""
        if self.shots is not None:
            return self.shots
        return math.ceil(self.read_entries / (4 * self.readout_error**2))

    @property
    def reached_error(self) -> float:
        """l2 error of what is read: as asked for, or what the shots that were given come to."""
        if self.shots is None:
            return self.readout_error
        return math.sqrt(self.read_entries / self.shots) / 2

    @property
    def round_error(self) -> float:
        """Of the displacement that a round gives back, against the order-N Carleman solution: a
        solve's and the readout's.
        """
        return self.epsilon + self.reached_error

    @property
    def copies(self) -> int:
        """States of u_T that the readout takes; of a coherent one, calls of what prepares it."""
        if self.readout == "coherent":
            return math.ceil(self.read_entries / self.readout_error)
        return READS * self.shot_count

    @property
    def lifted_dimension(self) -> int:
        """sum_{j=1..N} ((n+1)^j - 1), the homogenised Carleman words without the constant ones."""
        return sum((self.n + 1) ** j - 1 for j in range(1, self.order + 1))

    @property
    def history_dimension(self) -> int:
        """(T + p + 1) times the lifted dimension."""
        return (self.steps + self.history.padding + 1) * self.lifted_dimension


_SPECTRUM = ("learning_rate", "lambda_min", "lambda_max")


def least_kappa(padding: int) -> float:
    """kappa of I - shift on m = p + 1 copies, which every padded history holds: cos(pi/(2m+1)) /
    sin(pi/(4m+2)), about 4 m/pi.

    Example:
        >>> least_kappa(0), round(least_kappa(100), 1)
        (1.0, 129.2)
    """
    copies = padding + 1
    return round(math.cos(math.pi / (2 * copies + 1)) / math.sin(math.pi / (4 * copies + 2)), 12)
