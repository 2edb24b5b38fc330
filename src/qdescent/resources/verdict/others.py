"""What others asked for or found, and this round in their units."""

from __future__ import annotations

from qdescent._evidence import Evidence, Row
from qdescent.resources.input_rows import assumed, modelled
from qdescent.resources.round_spec import RoundSpec, least_kappa
from qdescent.resources.verdict.verdict import Verdict
from qdescent.rows import names
from qdescent.rows.numbers import number

_HOEFLER = "Hoefler, Haener, Troyer, arXiv:2307.00523"
_TU = "Tu et al., arXiv:2502.11239, HHL against conjugate gradients, I/O excluded"
_PENUEL = "Penuel et al., arXiv:2406.06323, Carleman for fluids"


def other_rows(verdict: Verdict) -> list[Row]:
    """Each threshold or total of others with its source, ours behind it in the same unit."""
    at = names.OTHERS
    cost = verdict.built.cost
    assert cost is not None
    runs = verdict.built.way.runs[0]
    t_gates = 4.0 * cost.counts.toffoli * runs
    bits = 8 * verdict.classical.upload_bytes + verdict.classical.readout_bits
    return [
        assumed(f"{at}wanted_crossover", 1.21e6, "s", f"two weeks: {_HOEFLER}"),
        modelled(f"{at}our_quantum_time", verdict.quantum_seconds, "s", "one round, ours"),
        assumed(f"{at}quantum_io", 1e9, "bit/s", f"10,000 logical qubits at 10 us: {_HOEFLER}"),
        assumed(f"{at}accelerator_io", 1e13, "bit/s", f"one A100: {_HOEFLER}"),
        modelled(
            f"{at}our_io_at_1_gbit",
            bits / 1e9,
            "s",
            "our tables and read bits at the former's rate",
        ),
        assumed(f"{at}fluids_logical_qubits_times_t", [1e21, 1e39], "1", _PENUEL),
        modelled(
            f"{at}our_logical_qubits_times_t",
            t_gates * cost.counts.qubits,
            "1",
            "one copy of u_T: logical qubits x 4 T a Toffoli",
        ),
        assumed(
            f"{at}tridiagonal_t_gates", 3e13, "T gates", "PennyLane, 2^20 unknowns, no readout"
        ),
        modelled(f"{at}our_t_gates", t_gates, "T gates", "one copy of u_T, 4 a Toffoli"),
        assumed(f"{at}hhl_qubits", 1e5, "physical qubits", _TU),
        modelled(f"{at}our_qubits", verdict.machine.qubits, "physical qubits", "one run"),
        assumed(f"{at}hhl_joules", [1e12, 1e13], "J", _TU),
    ]


def question_rows(verdict: Verdict) -> list[Row]:
    """The four questions at which Carleman proposals for fluids failed (arXiv:2512.03758), answered
    for training by this round; and what the paper's polylog n counts and leaves out.
    """
    spec, at = verdict.spec, names.QUESTIONS
    history, plain, way = spec.history, spec.plain_history, verdict.built.way
    known = str(history.kappa_evidence)
    text = {
        "convergence": (
            f"Does the expansion converge? Order {spec.order} over T = {spec.steps} steps; its"
            " error is measured by `qdescent run` and `estimate_tail`, not here; re-upload"
            " begins it anew each round."
        ),
        "time_stepping": (
            f"What do the steps cost? A history has a block for each of the {spec.steps} steps, so"
            f" that kappa grows at least with them; the built way ({way.title}) takes"
            f" {number(way.queries)} queries a run and {number(way.runs[0])} runs a copy."
        ),
        "condition_number": (
            f"How large is kappa? {number(plain.kappa)} in units of 1, {number(history.kappa)} in"
            f" the units that are priced ({known}); copies of the end alone force"
            f" {least_kappa(history.padding):.3g}."
        ),
        "data_extraction": (
            f"What does reading out cost? {number(float(spec.copies))} copies of u_T a round, for"
            f" {number(spec.read_entries)} entries at an error of {spec.readout_error:g}; each"
            " is a whole preparation."
        ),
    }
    rows = [
        Row(f"{at}{name}", said, "", Evidence.MODELLED, "arXiv:2512.03758's four questions")
        for name, said in text.items()
    ]
    return [
        *rows,
        *(
            Row(f"{at}polylog_{place}", said, "", Evidence.MODELLED, "Liu et al. 2024, abstract")
            for place, said in enumerate(polylog(verdict), 1)
        ),
    ]


def left_out_rows(spec: RoundSpec) -> list[Row]:
    """What the price takes for granted or does not count, each in a sentence."""
    said = (
        "That the expansion converges over the segment, and that a batch stands for the loss: a run"
        " measures both.",
        f"alpha/||M|| = {spec.alpha_over_norm:g} is the largest that was seen on small instances;"
        " at full size nobody has measured it.",
        "The norm of the solution, which the readout needs, and the values of F_2 and higher are"
        " found for nothing; loading them is counted.",
        "Tables are sent once a round, and a query reads them as gates: what streams them into the"
        " machine for each query is not counted.",
        "Errors of the decoder, the width of the classical control, and idle qubits between runs"
        " are not counted.",
        "A classical segment without its steps was measured on one network, to the accuracy that"
        " its row says; machines sustain an assumed 40 % of their peak, whatever the batch is split"
        " into; activations in memory and latencies are not counted: in favour of the classical"
        " side.",
        "Where an input moves, all others are held: the norms and kappa where n, T or the learning"
        " rate does (of more steps kappa would be larger), s where n does.",
        "Watts and dollars a qubit are ranges: the watts of one paper, the dollars assumed beside"
        " one public price of another kind of machine.",
        "Tables are those of a generic map, every row of the maximum degree and alpha the norm of"
        " |M| itself: a circuit's own may load less, or up to twice as much"
        " (`query_toffoli_least`, `query_toffoli_most`).",
        "A fast-forward of order 2 reads F_2 by pairs of letters up to 128 weights and letter by"
        " letter beyond, as its circuits do; alpha/||F_2|| is taken as that of F_1, and grows up to"
        " sqrt n where F_2 is full.",
        "One quantum computer does its runs one after another, a run its gates: k of them take a"
        " k-th of the time, as k accelerators do; physical/on/reaction_limited has gates abreast.",
        "Signs are read by as many shots as magnitudes, in favour of the quantum side: simulated"
        " readouts had 1.3 to 1.8 times the error in them.",
        "A displacement within `round_error` is taken to train as well as an exact one; a run"
        " compares both.",
        "Finding the angles of a polynomial, the state of the phase gradient, and the reflections"
        " of an amplification are not counted: little beside the rest.",
        "A run that fails (`budget`) is noticed: unnoticed ones would move what is read by up to"
        " the square root of their share.",
    )
    return [
        Row(f"{names.LEFT_OUT}{place}", text, "", Evidence.ASSUMED, "docs: Reading the ledger")
        for place, text in enumerate(said, 1)
    ]


def polylog(verdict: Verdict) -> tuple[str, ...]:
    """What O(T^2 polylog n) counts, and what it leaves out, in five sentences."""
    spec, cost = verdict.spec, verdict.built.cost
    assert cost is not None
    queries, entries = number(verdict.built.way.queries), number(float(spec.entries))
    query, sent = number(float(cost.query_toffoli)), number(verdict.classical.upload_bytes)
    read, copies = number(spec.read_entries), number(float(spec.copies))
    return (
        "The paper's O(T^2 polylog n) counts queries to an oracle for a sparse, dissipative matrix:"
        f" here {queries} of them a run, a number that grows with the norms of the map, and not"
        " with n itself.",
        f"It takes a query as polylog n, which asks for a memory of {entries} entries that answers"
        f" in log n steps; made of gates, one query is {query} Toffoli.",
        f"It takes the rows as sparse; s = {number(spec.sparsity)} is an input here, and trained"
        " networks were measured to need a tenth to a quarter of a row for one per cent.",
        "It counts the state as prepared: making the tables takes 2 s gradients a round, sending"
        f" them {sent} bytes.",
        f"It ends with a quantum state: reading {read} weights from it takes {copies} copies, which"
        " is linear in n, and the paper proposes to download few.",
    )
