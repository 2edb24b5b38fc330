"""One round as it is priced: the sizes of its problem, and the counts that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from qdescent._checks import argument_error, check_choice, check_integer, check_interval, check_text
from qdescent._evidence import Evidence
from qdescent.resources.queries import dalzell_queries

LOADERS = ("qrom", "qroam", "qram")
_LEAST = {
    "n": 1, "parameters": 1, "order": 1, "steps": 1, "padding": 0, "sparsity": 1, "batch": 1,
    "forward_macs": 1,
    "masked_macs": 1, "shots": 1, "angle_bits": 3, "table_entries": 1,
}  # fmt: skip
_LINES = 2**62  # of a table: what a loader's address can hold
# far beyond use, and soon computed; of others 10^30
_MOST = {"order": 64, "angle_bits": 1000, "n": _LINES}
_INTERVALS = {
    "kappa": "[1, inf)", "alpha_over_norm": "[1, 1e6]", "success_probability": "(0, 1]",
    "epsilon": "(0, 1)", "readout_error": "(0, 1)",
}  # fmt: skip
# of other numbers: beyond, products and inverses would leave what floats can hold
_TINY, _HUGE = 1e-30, 1e300


@dataclass(frozen=True)
class RoundSpec:
    """One round (upload, T gradient steps as linear solves, readout) as it is priced.

    Args:
        n: kept weights.
        parameters: P, all weights, at least n.
        order: N, the Carleman order.
        steps: T, gradient steps a round.
        padding: p, copies of the last step.
        kappa: ||M|| ||M^-1|| of the history matrix.
        kappa_evidence, kappa_source: word and source of kappa.
        sparsity: s, non-zeros a row of the Hessian in kept coordinates.
        sparsity_evidence, sparsity_source: word and source of s.
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
        shots: measurements for the magnitudes, and as many again for the signs; None takes n/(4
            readout_error^2).
        readout_error: l2 error of the read displacement (1e-2: the round's own 1 % truncation
            target).
        readout: "sampling" (2 x shots solves) or "unitary" (n/readout_error calls of the solve or
            its inverse, arXiv:2207.08800, in one coherent run).
        success_probability: probability of finding the answer block; None counts it as 1, in favour
            of the quantum side.
        success_evidence, success_source: word and source of that probability.
        angle_bits: b of the loaded values; None: enough that the rotation errors of all queries
            stay below epsilon.
        table_entries: entries of one table read; None takes n s.

    Raises:
        ArgumentError: a number outside its range, or against another one: s > n, n > P, kappa <
            `least_kappa(padding)`.

    Example:
        >>> one = RoundSpec(
        ...     n=10**4, parameters=10**5, order=2, steps=20, padding=0, kappa=40.0,
        ...     sparsity=100, batch=512, forward_macs=10**6, shots=10**6
        ... )
        >>> one.entries, one.solves
        (1000000, 2000000)
    """

    n: int
    parameters: int
    order: int
    steps: int
    padding: int
    kappa: float
    sparsity: int
    batch: int
    forward_macs: int
    masked_macs: int | None = None
    kappa_evidence: Evidence = Evidence.ASSUMED
    kappa_source: str = "argument `kappa`"
    sparsity_evidence: Evidence = Evidence.ASSUMED
    sparsity_source: str = "argument `sparsity`"
    alpha_over_norm: float = 1.25
    epsilon: float = 1e-3
    shots: int | None = None
    readout_error: float = 1e-2
    readout: str = "sampling"
    success_probability: float | None = None
    success_evidence: Evidence = Evidence.ASSUMED
    success_source: str = "argument `success_probability`"
    angle_bits: int | None = None
    table_entries: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if value is None and field.default is None:
                continue
            if name in _LEAST:
                value = check_integer(name, value, _LEAST[name], _MOST.get(name, 10**30))
            elif name in _INTERVALS:
                value = check_interval(name, value, _INTERVALS[name])
                if not _TINY <= value <= _HUGE:
                    raise argument_error(name, f"lie between {_TINY:g} and {_HUGE:g}", repr(value))
            elif name.endswith("_evidence"):
                if not isinstance(value, Evidence):
                    raise argument_error(
                        name,
                        "be one of "
                        + ", ".join(Evidence)
                        + " (a member of `qdescent.Evidence`, not its text)",
                        repr(value),
                    )
            else:
                check_text(name, value)
            object.__setattr__(self, name, value)
        check_choice("readout", self.readout, ("sampling", "unitary"))
        if self.n > self.parameters:
            raise argument_error("n", f"be at most `parameters` ({self.parameters})", self.n)
        if self.sparsity > self.n:
            raise argument_error("sparsity", f"be at most `n` ({self.n})", self.sparsity)
        if self.entries > _LINES:
            fault = "sparsity" if self.table_entries is None else "table_entries"
            raise argument_error(
                fault, f"make tables of at most {_LINES:.2g} entries", f"of {self.entries:.2g}"
            )
        if self.masked_macs is not None and self.masked_macs > self.forward_macs:
            must = f"be at most `forward_macs` ({self.forward_macs})"
            raise argument_error("masked_macs", must, self.masked_macs)
        least = least_kappa(self.padding)
        if self.kappa < least * (1 - 1e-9):
            must = (
                f"be at least {least:.6g} with a padding of {self.padding}, whose copies alone"
                " force it"
            )
            raise argument_error("kappa", must, self.kappa)

    @property
    def useful_steps(self) -> int:
        """Steps after which kappa leaves nothing to do: ln(1/epsilon) / ln((kappa+1)/(kappa-1)).

        A contraction a has kappa = (1 + a)/(1 - a) on a long history, and a^t < epsilon after so
        many steps. A mode that stands still would force kappa >= about 4 T/pi.
        """
        rate = math.log1p(2 / (self.kappa - 1)) if self.kappa > 1 else math.inf
        return max(1, math.ceil(-math.log(self.epsilon) / rate))

    @property
    def solver_kappa(self) -> float:
        """alpha ||M^-1||, what the query formulas call kappa."""
        return self.alpha_over_norm * self.kappa

    @property
    def queries(self) -> int:
        """Q, queries of one solve (Dalzell's bound: the best proven constant that needs no norm of
        the solution).
        """
        return math.ceil(dalzell_queries(self.solver_kappa, self.epsilon))

    @property
    def entries(self) -> int:
        """Entries of one table read, n s by default."""
        return self.table_entries if self.table_entries is not None else self.n * self.sparsity

    @property
    def shot_count(self) -> int:
        """Shots for the magnitudes; as many again find the signs."""
        return (
            self.shots
            if self.shots is not None
            else math.ceil(self.n / (4 * self.readout_error**2))
        )

    @property
    def solves(self) -> int:
        """Solves of one round: every shot, or coherent call, over the success probability."""
        success = self.success_probability or 1.0
        if self.readout == "unitary":
            # Amplitudes are amplified, not probabilities; for small ones the circuit
            # (quantum/algorithms/amplification) takes pi/2 of this.
            return math.ceil(self.n / self.readout_error / math.sqrt(success))
        return math.ceil(2 * self.shot_count / success)

    @property
    def value_bits(self) -> int:
        """b, bits of a loaded value: N Q rotations of error 2 pi 2^-b stay below epsilon."""
        if self.angle_bits is not None:
            return self.angle_bits
        rotations = math.log2(2 * math.pi * self.order) + math.log2(self.queries)
        return max(3, math.ceil(rotations - math.log2(self.epsilon)))

    @property
    def lifted_dimension(self) -> int:
        """sum_{j=1..N} ((n+1)^j - 1), the homogenised Carleman words without the constant ones."""
        return sum((self.n + 1) ** j - 1 for j in range(1, self.order + 1))

    @property
    def history_dimension(self) -> int:
        """(T + p + 1) times the lifted dimension."""
        return (self.steps + self.padding + 1) * self.lifted_dimension


def least_kappa(padding: int) -> float:
    """kappa of I - shift on m = p + 1 copies, which every padded history holds: cos(pi/(2m+1)) /
    sin(pi/(4m+2)), about 4 m/pi.

    Example:
        >>> least_kappa(0), round(least_kappa(100), 1)
        (1.0, 129.2)
    """
    copies = padding + 1
    return round(math.cos(math.pi / (2 * copies + 1)) / math.sin(math.pi / (4 * copies + 2)), 12)
