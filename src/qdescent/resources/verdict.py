"""What the ledger's rows add up to: the two times, their quotient, and the sentence of both."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent._evidence import Row
from qdescent.resources.classical import ClassicalCost
from qdescent.resources.input_rows import modelled
from qdescent.resources.logical import SolveCost
from qdescent.resources.physical import PhysicalCost
from qdescent.resources.round_spec import RoundSpec
from qdescent.rows import names
from qdescent.rows.numbers import duration, number


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The quantum round held against the classical one.

    Args:
        spec: the round.
        loader: of the tables, the one with the shorter solve.
        solve, machine: one solve with it, in logical gates and on the machine.
        tree_qubits, tree_seconds: a bucket-brigade memory at its best: physical qubits at least,
            and one solve.
        classical: the classical round.
    """

    spec: RoundSpec
    loader: str
    solve: SolveCost
    machine: PhysicalCost
    tree_qubits: int
    tree_seconds: float
    classical: ClassicalCost

    @property
    def quantum_seconds(self) -> float:
        """Solves x seconds of one, and building the tables classically."""
        return self.spec.solves * self.machine.seconds + self.classical.table_seconds

    @property
    def tree_round_seconds(self) -> float:
        """The same with the router tree at its best."""
        return self.spec.solves * self.tree_seconds + self.classical.table_seconds

    @property
    def ratio(self) -> float:
        """Quantum over classical time; below 1 the quantum round wins."""
        return self.quantum_seconds / self.classical.seconds

    @property
    def free_readout_ratio(self) -> float:
        """One solve over the classical round."""
        return self.machine.seconds / self.classical.seconds

    @property
    def dominant_factor(self) -> tuple[str, float]:
        """The largest of the three factors that make the Toffoli gates of a round."""
        toffoli_a_query = self.solve.counts.toffoli / self.spec.queries
        factors = {
            "readout (solves a round)": float(self.spec.solves),
            "the condition number (queries a solve)": float(self.spec.queries),
            "loading the tables (Toffoli gates a query and its uploads)": toffoli_a_query,
        }
        return max(factors.items(), key=lambda item: item[1])

    @property
    def sentence(self) -> str:
        """The verdict in words: who wins, what the readout, the tables and the memory do to it, and
        what weighs most.
        """
        factor, size = self.dominant_factor
        parts = [
            self._who_wins(),
            *([] if self.ratio < 1 else [self._were_readout_free(), self._building_tables()]),
            *([self._idle_steps()] if self.spec.steps > self.spec.useful_steps else []),
            self._with_router_tree(),
            f"The largest factor is {factor}, {number(size)}.",
        ]
        return " ".join(parts)

    def _who_wins(self) -> str:
        times = (
            f"the quantum round takes {duration(self.quantum_seconds, 3)} on"
            f" {number(float(self.machine.qubits))} physical qubits, the classical round"
            f" {duration(self.classical.seconds, 3)}"
        )
        reads = f"readout multiplies every solve by {number(float(self.spec.solves))}"
        if self.ratio < 1:
            less = f"{number(1 / self.ratio)} times as long"
            return f"Advantage under the stated assumptions: {times}, {less}; {reads}."
        return f"No advantage at this size: {times}; {reads}."

    def _were_readout_free(self) -> str:
        single = duration(self.machine.seconds, 3)
        if self.free_readout_ratio < 1:
            wins = "would win: the readout decides"
            return f"With a free readout one solve takes {single} and {wins}."
        longer = f"{number(self.free_readout_ratio)} times as long"
        return f"Were readout free, one solve would still take {single}, {longer}."

    def _building_tables(self) -> str:
        share = number(self.classical.table_seconds / self.classical.seconds, 2)
        return (
            f"Building the tables classically, at s = {number(self.spec.sparsity)} non-zeros a row,"
            f" alone costs {share} of the classical round."
        )

    def _idle_steps(self) -> str:
        spec = self.spec
        return (
            f"At kappa {number(spec.kappa, 6)} a history of {number(spec.steps)} steps is a"
            f" contraction, of which {number(100 * spec.epsilon)} % is left after"
            f" {number(spec.useful_steps)}: the steps beyond have nothing left to do, and the"
            " classical round does without them."
        )

    def _with_router_tree(self) -> str:
        wins = self.tree_round_seconds < self.classical.seconds
        decides = ": the memory decides" if wins and self.ratio >= 1 else ""
        return (
            f"A bucket-brigade memory, {number(float(self.tree_qubits))} physical qubits at least,"
            f" could at best do the round in {duration(self.tree_round_seconds, 3)}{decides}."
        )


def verdict_rows(verdict: Verdict) -> list[Row]:
    """The rows of the section "verdict/"."""
    single, seconds = verdict.machine.seconds, verdict.classical.seconds
    return [
        modelled(
            names.VERDICT_LOADER,
            verdict.loader,
            "",
            "QROM or QROAM, the one with the shorter solve",
        ),
        modelled(
            names.QUANTUM_TIME,
            verdict.quantum_seconds,
            "s",
            "solves x seconds of a solve + table building",
        ),
        modelled("verdict/classical_time", seconds, "s", names.LEDGER + names.CLASSICAL_TIME),
        modelled(
            names.TIME_RATIO,
            verdict.ratio,
            "1",
            "quantum time / classical time; below 1 the quantum round wins",
        ),
        modelled(names.FREE_READOUT_TIME, single, "s", "one solve, tables free"),
        modelled(
            "verdict/free_readout_ratio",
            verdict.free_readout_ratio,
            "1",
            "one solve / classical round",
        ),
        modelled(
            "verdict/qram_ratio_at_best",
            verdict.tree_round_seconds / seconds,
            "1",
            "the same with physical/qram/solve_time_at_best; below 1 it wins",
        ),
        modelled(
            "verdict/toffoli_time",
            single / verdict.solve.counts.toffoli,
            "s",
            "time of a solve / its Toffoli gates",
        ),
        modelled(
            names.DOMINANT_FACTOR,
            verdict.dominant_factor[0],
            "",
            "largest of solves, queries, Toffoli gates a query",
        ),
        modelled(
            "verdict/speed_up_needed",
            max(1.0, verdict.ratio),
            "1",
            "by how much the quantum round must get cheaper",
        ),
        modelled(names.VERDICT_TEXT, verdict.sentence, "", "computed from the rows above"),
    ]
