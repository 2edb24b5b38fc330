"""What the ledger's rows add up to: best against best, their quotient, and the sentence of both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdescent._evidence import Evidence, Row, derived
from qdescent.resources.classical.descent import GRADIENTS_A_PRODUCT, ClassicalCost
from qdescent.resources.input_rows import modelled, needed_rows
from qdescent.resources.physical.surface_code import PhysicalCost
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.priced import PricedWay
from qdescent.rows import names
from qdescent.rows.numbers import duration, number


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The best quantum way to a round held against the best classical one.

    Args:
        spec: the round.
        built: the way and loader of the shortest round.
        machine: one run of it on the machine.
        tree: the shortest round with a bucket-brigade memory at its best.
        tree_qubits: physical qubits of that at least.
        classical: the classical round.
        run: the round by a circuit that was given, if one was.
    """

    spec: RoundSpec
    built: PricedWay
    machine: PhysicalCost
    tree: PricedWay
    tree_qubits: int
    classical: ClassicalCost
    run: PricedWay | None = None

    @property
    def classical_share(self) -> float:
        """What the quantum round takes classically: tables made and sent."""
        return self.classical.table_seconds + self.classical.upload_seconds

    @property
    def quantum_seconds(self) -> float:
        """Copies x seconds of one, and the tables."""
        return self.built.seconds + self.classical_share

    @property
    def tree_round_seconds(self) -> float:
        """The same with the router tree at its best."""
        return self.tree.seconds + self.classical_share

    @property
    def ratio(self) -> float:
        """Quantum over classical time; below 1 the quantum round wins."""
        return self.quantum_seconds / self.classical.seconds

    @property
    def free_readout_ratio(self) -> float:
        """One copy of u_T over the classical round."""
        return self.built.copy_seconds / self.classical.seconds

    @property
    def free_ratio(self) -> float:
        """The free quantum computer: the tables alone over the classical round."""
        return self.classical_share / self.classical.seconds

    @property
    def free_sparsity(self) -> float:
        """s below which a quantum computer that takes no time leaves the question open: its tables
        are then made in fewer gradients than the classical round takes.
        """
        batches = self.spec.steps if self.spec.fresh_batches else 1
        return self.classical.best.gradients / GRADIENTS_A_PRODUCT / batches

    @property
    def dominant_factor(self) -> tuple[str, float]:
        """The largest of the factors that make the Toffoli gates of a round."""
        way = self.built.way
        assert self.built.cost is not None
        factors = {
            "readout (copies a round)": float(self.spec.copies),
            "the queries of a run": way.queries,
            "the runs until one succeeds": way.runs[0],
            "loading the tables (Toffoli gates a query and its uploads)": (
                self.built.cost.counts.toffoli / max(1.0, way.queries)
            ),
        }
        return max(factors.items(), key=lambda item: item[1])

    @property
    def sentence(self) -> str:
        """The verdict in words: who wins, what the readout, the tables and the memory do to it, and
        what weighs most.
        """
        factor, size = self.dominant_factor
        wins = self.ratio < 1
        parts = [
            self._who_wins(),
            *(
                []
                if self.run is None or self.run is self.built
                else [self._as_it_was_run(self.run)]
            ),
            *([] if wins else [self._were_readout_free()]),
            self._were_all_free(),
            *([self._idle_steps()] if self.spec.steps > self.spec.useful_steps else []),
            self._with_router_tree(),
            f"The largest factor is {factor}, {number(size)}.",
        ]
        return " ".join(parts)

    def _who_wins(self) -> str:
        times = (
            f"the best quantum round ({self.built.way.title}, {self.built.loader}) takes"
            f" {duration(self.quantum_seconds, 3)} on {number(float(self.machine.qubits))} physical"
            f" qubits, the best classical one ({self._classically()})"
            f" {duration(self.classical.seconds, 3)}"
        )
        reads = f"readout multiplies every copy by {number(float(self.spec.copies))}"
        if self.ratio < 1:
            less = f"{number(1 / self.ratio)} times as long"
            return f"Advantage under the stated assumptions: {times}, {less}; {reads}."
        return f"No advantage at this size: {times}; {reads}."

    def _as_it_was_run(self, run: PricedWay) -> str:
        if not run.is_within_reach:
            return "The circuit that was run is out of the machine's reach."
        longer = number(run.seconds / self.built.seconds)
        copies = duration(run.seconds, 3)
        return f"The circuit that was run would take {copies}, {longer} times the best way."

    def _classically(self) -> str:
        best = self.classical.best
        words = {"plain": "plain steps", "fast_forward": "fast-forwarded"}
        noun = "gradient" if best.gradients == 1 else "gradients"
        return f"{words[best.name]}, {number(best.gradients)} {noun}"

    def _were_readout_free(self) -> str:
        single = duration(self.built.copy_seconds, 3)
        if self.free_readout_ratio < 1:
            wins = "would win: the readout decides"
            return f"With a free readout one copy takes {single} and {wins}."
        longer = f"{number(self.free_readout_ratio)} times as long"
        return f"Were readout free, one copy would still take {single}, {longer}."

    def _were_all_free(self) -> str:
        share = number(self.free_ratio, 2)
        s, limit = number(self.spec.sparsity), number(self.free_sparsity)
        tables = (
            f"Were the quantum computer free, its tables at s = {s} non-zeros a row would alone"
            f" cost {share} of the classical round"
        )
        asks = "".join(
            f"; one per cent takes about s = {number(max(1.0, row.number))} ({row.evidence})"
            for row in needed_rows(self.spec)
        )
        if self.free_ratio >= 1:
            return f"{tables}: only below s = {limit} does the question stay open{asks}."
        return f"{tables}: below s = {limit} the question stays open{asks}."

    def _idle_steps(self) -> str:
        spec = self.spec
        return (
            f"At kappa {number(spec.history.kappa, 6)} a history of {number(spec.steps)} steps is a"
            f" contraction, of which {number(100 * spec.epsilon)} % is left after"
            f" {number(spec.useful_steps)}: the steps beyond have nothing left to do, and the"
            " classical round does without them."
        )

    def _with_router_tree(self) -> str:
        if not math.isfinite(self.tree.seconds):
            return "A bucket-brigade memory is out of the machine's reach."
        wins = self.tree_round_seconds < self.classical.seconds
        decides = ": the memory decides" if wins and self.ratio >= 1 else ""
        return (
            f"A bucket-brigade memory, {number(float(self.tree_qubits))} physical qubits at least,"
            f" could at best do the round in {duration(self.tree_round_seconds, 3)}{decides}."
        )


def verdict_rows(verdict: Verdict) -> list[Row]:
    """The rows of the section "verdict/"."""
    seconds = verdict.classical.seconds
    built, best = verdict.built, verdict.classical.best
    known = derived(Evidence.MODELLED, verdict.spec.sparsity_evidence)
    return [
        modelled(
            names.VERDICT_WAY, built.way.name, "", "the shortest round of all ways and loaders"
        ),
        modelled(
            names.VERDICT_LOADER,
            built.loader,
            "",
            "of that round; a bucket-brigade memory apart",
        ),
        modelled(
            names.QUANTUM_TIME,
            verdict.quantum_seconds,
            "s",
            "copies x seconds of one + tables made + sent",
        ),
        modelled(
            names.CLASSICAL_WAY, best.name, "", "the fewest gradients to the same displacement"
        ),
        modelled("verdict/classical_time", seconds, "s", names.LEDGER + names.CLASSICAL_TIME),
        modelled(
            names.TIME_RATIO,
            verdict.ratio,
            "1",
            "quantum time / classical time; below 1 the quantum round wins",
        ),
        modelled(names.FREE_READOUT_TIME, built.copy_seconds, "s", "one copy of u_T, tables free"),
        modelled(
            "verdict/free_readout_ratio",
            verdict.free_readout_ratio,
            "1",
            "one copy / classical round",
        ),
        Row(
            names.FREE_RATIO,
            verdict.free_ratio,
            "1",
            known,
            "a quantum computer that takes no time: tables made and sent / classical round",
        ),
        modelled(
            names.FREE_SPARSITY,
            verdict.free_sparsity,
            "1",
            "s at which 2 s gradients of tables are those of the best classical way; beside it"
            f" {names.LEDGER_SPARSITY}",
        ),
        modelled(
            "verdict/bucket_brigade_ratio_at_best",
            verdict.tree_round_seconds / seconds,
            "1",
            "the same with physical/bucket-brigade/copy_time_at_best; below 1 it wins",
        ),
        modelled(
            names.DOMINANT_FACTOR,
            verdict.dominant_factor[0],
            "",
            "largest of copies, queries, runs, Toffoli gates a query",
        ),
        modelled(
            "verdict/speed_up_needed",
            max(1.0, verdict.ratio),
            "1",
            "by how much the quantum round must get cheaper",
        ),
        modelled(names.VERDICT_TEXT, verdict.sentence, "", "computed from the rows above"),
    ]
