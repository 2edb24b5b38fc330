"""The names of rows that more than one file uses, so that a producer and a reader cannot part.

A row that one file makes and no other reads is named where it is made.
"""

# Sections of a record.
CIRCUIT = "circuit/"  # the small instance that is solved as a circuit
LEDGER = "ledger/"  # what one round costs at the network's own size
OTHER_SOLVERS = "model/"  # what they would take for the same circuit

# What a solve takes (`Solution.cost`, `Conditioning.rows`); in a record they stand under CIRCUIT.
ALPHA = "alpha"
KAPPA = "kappa"
KAPPA_AT_LEAST = "kappa_at_least"
EPSILON = "epsilon"
BOUND = "bound"
DEGREE = "degree"
QUERIES = "queries"
DECLARED_QUERIES = "declared_queries"
EXPECTED_QUERIES = "expected_queries"
FORWARD_QUERIES = "forward_queries"
ADJOINT_QUERIES = "adjoint_queries"
QUBITS = "qubits"
LOGICAL_QUBITS = "logical_qubits"
T_GATES = "t_gates"
SUCCESS_PROBABILITY = "success_probability"
AMPLIFICATION_ROUNDS = "amplification_rounds"
ENCODING_ERROR = "encoding_error"
NORM_GUESS = "norm_guess"
REFLECTIONS = "reflections"

# What a round costs (`Ledger.rows`); in a record they stand under LEDGER.
LEDGER_KAPPA = "logical/kappa"
LEDGER_QUERIES = "logical/queries"
SOLVES = "logical/solves"
CLASSICAL_TIME = "classical/time"
VERDICT_LOADER = "verdict/loader"
QUANTUM_TIME = "verdict/quantum_time"
TIME_RATIO = "verdict/ratio"
FREE_READOUT_TIME = "verdict/free_readout_time"
DOMINANT_FACTOR = "verdict/dominant_factor"
VERDICT_TEXT = "verdict/text"


def toffoli_of(loader: str) -> str:
    """Toffoli gates of one solve with this loader."""
    return f"logical/{loader}/toffoli"


def logical_qubits_of(loader: str) -> str:
    """Logical qubits of one solve with this loader."""
    return f"logical/{loader}/qubits"


def physical_qubits_of(loader: str) -> str:
    """Physical qubits of one solve with this loader."""
    return f"physical/{loader}/qubits"


def solve_time_of(loader: str) -> str:
    """Seconds of one solve with this loader."""
    return f"physical/{loader}/solve_time"
