"""The page's fixed sentences: what each part shows, and what the words mean. No number of a run
stands here.
"""

from __future__ import annotations

from qdescent._evidence import Evidence
from qdescent.rows import names

NAVIGATION = {
    "training": "Training",
    "spectrum": "Spectrum",
    "errors": "Errors",
    "circuit": "Circuit",
    "ledger": "Ledger",
    "numbers": "All numbers",
    "words": "Words",
}

QUESTION = (
    "Would a fault-tolerant quantum computer train a neural network as well as a classical one, and"
    " at what price? This run prunes a network{size} and trains it twice from there on the same"
    " data: by plain gradient descent, and by a classical emulation of the quantum algorithm of Liu"
    " et al. (Nature Communications 15, 434, 2024). It also solves an instance of a few weights as"
    " a quantum circuit on a simulator, and prices a whole round on quantum hardware against the"
    " classical one."
)

LOOP = (
    "The algorithm of the paper: what gradient descent needs at the kept weights is uploaded as"
    " tables, many steps are solved as one linear system, the result is read out, and the next"
    " upload starts from there. What is priced below is the cheapest way to the same displacement"
    " that is known, which may need no linear system."
)

SECTIONS = {
    "training": (
        "Does it train as well?",
        (
            "Classical gradient descent and its quantum emulation from the same pruned network."
            " Emulated means: the numbers that an ideal quantum solver would hold are computed"
            " classically, and readout noise is drawn as on a real machine."
        ),
    ),
    "spectrum": (
        "Does the network qualify?",
        (
            "The algorithm's promise holds for dissipative models. Whether this one is, is read"
            " from the Hessian of the loss over the kept weights: its eigenvalues are the"
            " curvatures along its modes."
        ),
    ),
    "errors": (
        "How large are the approximations?",
        (
            "Three things can go wrong in a round: the network's modes can grow, the linearised"
            " steps can leave the true ones, and the readout can be too coarse."
        ),
    ),
    "circuit": (
        "Does the quantum algorithm itself work?",
        (
            "One small instance, run as a circuit: the trained network restricted to its largest"
            " kept weights, several steps of gradient descent as one linear system, solved by a"
            " reflection about a kernel (Dalzell 2024): a polynomial of its block-encoding."
        ),
    ),
    "ledger": (
        "Would it pay?",
        (
            "One round at the network's full number of kept weights, priced from queries to gates"
            " to physical qubits to time, by the cheapest way that is known, beside the best"
            " classical one. Modelled and assumed lines are marked; change an assumption and the"
            " price changes."
        ),
    ),
}

LABELS = {
    names.CIRCUIT_N: "kept weights n",
    names.CIRCUIT_ORDER: "Carleman order N",
    names.CIRCUIT_STEPS: "steps T",
    names.CIRCUIT_PADDING: "padding copies p",
    names.CIRCUIT + names.DEGREE: "degree of the polynomial",
    names.CIRCUIT + names.QUERIES: "queries to the matrix",
    names.CIRCUIT + names.KAPPA: "condition number κ",
    names.CIRCUIT + names.ALPHA: "block-encoding factor α",
    names.CIRCUIT + names.EPSILON: "promised accuracy ε",
    names.CIRCUIT + names.T_GATES: "T gates",
    names.CIRCUIT_ANSWER: "u of the circuit",
    names.CIRCUIT_DIRECT: "u of the direct solution",
    names.CIRCUIT_DESCENT: "u of gradient descent",
    names.ERROR_TO_DIRECT: "relative error to the direct solution",
    names.ERROR_TO_DESCENT: "relative error to gradient descent",
}  # rows of the circuit's table; other rows are labelled by their names

WAYS = {
    "fast_forward": "fast-forward",
    "gradient_flow": "gradient flow",
    "chebyshev_history": "Chebyshev history",
    "low_su": "Low and Su",
    "kernel_reflection_norm_known": "kernel reflection, norm known",
    "phase_estimation": "phase estimation, counted",
    "paper": "as in the paper (HHL)",
    "circuit": "the circuit that was run",
}  # quantum ways as figures call them; others by their names

PROPER = {
    "toffoli": "Toffoli",
    "qrom": "QROM",
    "qroam": "QROAM",
    "qram": "QRAM",
    "flops": "FLOPs",
    "kappa": "κ",
    "epsilon": "ε",
}

NUMBERS = (
    "Every number of this run with its unit, its evidence and its source; they are in run.json,"
    " too. Point at a value for all of its digits."
)

GLOSSARY = {
    "pivot": "The uploaded point θ*, around which the steps are expanded.",
    "kept weights": "The n weights that pruning leaves; the others are zero and are not trained.",
    "order (N)": "The highest power of the displacement that the Carleman linearisation keeps.",
    "segment": "The K steps between an upload and a download, taken at once.",
    "u_T": "The displacement of the weights from the pivot after the segment's T steps.",
    "fast-forward": (
        "A segment without its steps: a few polynomials of the Hessian on the gradient, of degree"
        " about the square root of T; by a quantum computer, or classically by some twenty"
        " gradients."
    ),
    "round": "Upload, segment, download.",
    "horizon": "The number of steps T over which growth or error is judged.",
    "dissipative, neutral, divergent": (
        "A mode along which a step shrinks, keeps or amplifies a displacement."
    ),
    "query": (
        "One use of the circuit that encodes the matrix (of the linear system, or the Hessian's of"
        " a segment that is fast-forwarded); the unit of quantum cost."
    ),
    "kappa (κ)": "The condition number of the linear system: the more, the more queries.",
    "run, copy, solve": (
        "A run is the circuit once. It fails with some chance, so that a copy of u_T, a solve,"
        " takes several runs, repeated or amplified."
    ),
    "loader": (
        "How a circuit looks up its tables. QROM goes entry by entry; QROAM swaps blocks of entries"
        " and takes more qubits (“dirty”: borrowed ones); “measured” clears a look-up by"
        " measurement; bucket-brigade is a tree of routers; oracle takes a look-up for nothing."
    ),
    "s, row sparsity": "Non-zeros a row of the Hessian in the kept weights: its tables hold n s.",
    "α": "The factor by which an encoded matrix is divided: at least its norm.",
    "shot": "One copy of u_T with a measurement at its end.",
    "readout": "Estimating the new weights, with signs, from many shots.",
    "T gate": "The gate that error correction makes dear; counted as the price of a circuit.",
    "ledger": "The account of a round from queries to seconds, quantum beside classical.",
}

EVIDENCE = {
    Evidence.EXACT: "Computed to rounding.",
    Evidence.MEASURED: "Sampled, or observed on this one instance.",
    Evidence.BOUNDED: (
        "A theorem says that it cannot be larger (or smaller); the source names the theorem."
    ),
    Evidence.MODELLED: "A cost formula; as good as the formula.",
    Evidence.ASSUMED: "An input that somebody chose.",
}

# The page of a circuit, of a segment that was fast-forwarded.
SEGMENT_LEAD = (
    "The steps of an iteration u ← F₀ + F₁u + F₂(u⊗u) + … from u = 0 are taken at once, without a"
    " linear system: u_T is a few bounded polynomials of F₁ on F₀, and one use of F₂. The circuit"
    " below is the one that was simulated and counted: three readings of one definition."
)
SEGMENT_DRAWINGS = {
    "circuit": (
        "The whole circuit: a segment fast-forwarded",
        (
            "F₀ is prepared on the system register (at order 2 twice), the weights of all terms on"
            " “choice”. Sequences of queries and phases apply the polynomials of every node in time"
            " at once, selected by “choice”; one query takes a pair of vectors through F₂. Undoing"
            " the weights adds the terms up: finding all but the system at 0 leaves u_T on it."
            " Numbers in brackets are qubits."
        ),
    ),
    "sequence": (
        "One sequence",
        (
            "Queries alternate with phases that “choice” selects. The first query leaves the terms"
            " of the other parity alone: its added bit is the last one of “choice”."
        ),
    ),
    "query": (
        "One query U: the block-encoding of F₁ − c",
        (
            "Tables spread the ancilla over the entries of a column, the rows are permuted, and the"
            " spreading is undone. Where the ancilla comes back to 0, the system has been"
            " multiplied by (F₁ − c)/α."
        ),
    ),
    "phase": (
        "One phase φ",
        (
            "A work qubit marks ancilla = 0, is turned once for each set of bits of “choice” with"
            " the sign of their parity, and is unmarked; “part” turns the sign of all."
        ),
    ),
}
