"""The names of rows that more than one file uses, so that a producer and a reader cannot part.

A row that one file makes and no other reads is named where it is made.
"""

# Sections of a record.
CIRCUIT = "circuit/"  # the small instance that is solved as a circuit, or what was counted of one
LEDGER = "ledger/"  # what one round costs at the network's own size
WAYS = "ways/"  # the ways to one answer of a small map, beside each other
REFUSED = "refused/"  # what has no meaning on an instance, and why
OTHER_SOLVERS = "model/"  # what they would take for the same circuit
PRICED = "priced/"  # of a run or a circuit: the round that `price` takes of it

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
ANGLE_BITS = "angle_bits"
T_GATES = "t_gates"
SUCCESS_PROBABILITY = "success_probability"
AMPLIFICATION_ROUNDS = "amplification_rounds"
ENCODING_ERROR = "encoding_error"
NORM_ESTIMATE = "norm_estimate"
REFLECTIONS = "reflections"
CLOCK_BITS = "clock_bits"

# What a round costs (`Ledger.rows`); in a record they stand under LEDGER.
LEDGER_KAPPA = "logical/kappa"
LEDGER_PLAIN_KAPPA = "logical/kappa_in_units_of_1"
LEDGER_QUERIES = "logical/queries"
LEDGER_SPARSITY = "logical/sparsity"
NEEDED_ENTRIES = "logical/needed_entries"
SOLVES = "logical/solves"
CLASSICAL_TIME = "classical/time"
VERDICT_WAY = "verdict/way"
VERDICT_LOADER = "verdict/loader"
CLASSICAL_WAY = "verdict/classical_way"
FREE_SPARSITY = "verdict/free_quantum_sparsity"
FREE_RATIO = "verdict/free_quantum_ratio"
ORACLE_RATIO = "verdict/oracle_ratio"
QUANTUM_TIME = "verdict/quantum_time"
TIME_RATIO = "verdict/ratio"
FREE_READOUT_TIME = "verdict/free_readout_time"
DOMINANT_FACTOR = "verdict/dominant_factor"
VERDICT_TEXT = "verdict/text"
SPACE_TIME_QUBITS = "physical/space_time/qubits"
SPACE_TIME_SECONDS = "physical/space_time/seconds"
LEDGER_N = "logical/n"
LOGICAL = "logical/"  # the section of inputs and gates
BREAK_EVEN = "region/break_even/"
TORNADO = "region/tornado/"
MAPS = "region/map/"
QUESTIONS = "questions/"
LEFT_OUT = "left_out/"
CONSTANTS = "constants/"  # what the price has built in
OTHERS = "others/"


# The norms of the map at a learning rate of 1, which every other follows from.
NORMS_AT_1 = "norms/eta-1/F_"  # at a learning rate of 1
NORM_OF_GRADIENT, NORM_OF_SECOND = f"{NORMS_AT_1}0", f"{NORMS_AT_1}2"
NORM_EXTREMES = "norms/extremes"


def ledger_input(name: str) -> str:
    """What a round was said to be, as a row of a record: "ledger/logical/order"."""
    return f"{LEDGER}logical/{name}"


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


# What a record says of the network and its data.
NETWORK_NAME = "network/name"
NETWORK_PARAMETERS = "network/parameters"
NETWORK_KEPT = "network/kept"
NETWORK_DENSITY = "network/density"
NETWORK_ZEROS = "network/zeros"
DATA_SAMPLES = "data/samples"
DATA_PROCESSES = "data/processes"
PROCESSES_AT_START = "data/processes_at_start"
DATA_LOSS = "data/loss"
GUESSING_LOSS = "data/guessing_loss"
TEST_IMAGES = "data/test_images"
TRAIN_IMAGES = "data/train_images"

# Both trainings, and the rounds of the emulated one.
DENSE_LOSS = "dense/loss"
DENSE_ACCURACY = "dense/test_accuracy"
CLASSICAL_LOSS = "classical/loss"
CLASSICAL_ACCURACY = "classical/test_accuracy"
EMULATED_LOSS = "emulated/loss"
EMULATED_ACCURACY = "emulated/test_accuracy"
EMULATED_STEP = "emulated/step"
ACCURACY_GAP = "comparison/accuracy_gap"
TRUNCATION_BY_STEP = "truncation/by_step"
TRUNCATION_BY_ROUND = "truncation/by_round"
TRUNCATION_TAIL_BY_ROUND = "truncation/tail_by_round"
RATE_BY_ROUND = "schedule/learning_rate_by_round"
SEGMENT_BY_ROUND = "schedule/segment_by_round"
STOPPED = "schedule/stopped"
READOUT_SHOTS = "readout/shots"
PRICE_BY_ROUND = "price/by_round"
READOUT_ERROR_BY_ROUND = "readout/error_by_round"
READOUT_EXPECTED_BY_ROUND = "readout/expected_error_by_round"
READ_ENTRIES = "readout/entries"
READ_SHARE = "readout/entry_share"
MISSING_SHARE = "readout/missing_share"

# A training by rounds beside classical ones: "hybrid", "sparse" and "dense".
TRAIN = "train/"
TRAIN_STEPS = "train/steps"
BUDGET_TRUNCATION = "budget/truncation_by_round"
BUDGET_SOLVER = "budget/solver_by_round"
BUDGET_SHOT_NOISE = "budget/shot_noise_by_round"
BUDGET_UNREAD = "budget/unread_by_round"
WINDOW_FIRST = "quantum_window/first"
WINDOW_LAST = "quantum_window/last"
WINDOW_LONGEST = "quantum_window/longest"
WINDOW_OPENS = "quantum_window/opens"
WINDOW_CLOSES = "quantum_window/closes"
READ_SHARE_BY_ROUND = "readout/entry_share_by_round"
MISSING_SHARE_BY_ROUND = "readout/missing_share_by_round"

# Settings that a page speaks of.
SETTING_ORDER = "setting/order"
SETTING_SEGMENT = "setting/segment"
SETTING_ROUNDS = "setting/rounds"
SETTING_LEARNING_RATE = "setting/learning_rate"
SETTING_TOLERANCE = "setting/tolerance"
SETTING_BATCH = "setting/batch"
SETTING_MOMENTUM = "setting/momentum"
SETTING_HORIZON = "setting/horizon"

# A spectrum, and what it says of dissipation; of one of several, `during` says which.
SPECTRUM = "spectrum/"
SPECTRUM_NODES = "spectrum/nodes"
SPECTRUM_WEIGHTS = "spectrum/weights"
LAMBDA_MIN = "spectrum/lambda_min"
LAMBDA_MAX = "spectrum/lambda_max"
DEFLATED = "spectrum/deflated"
DISSIPATION = "dissipation/"
DISSIPATIVE = "dissipation/dissipative"
NEUTRAL = "dissipation/neutral"
DIVERGENT = "dissipation/divergent"
DIVERGENT_AT_LEAST = "dissipation/divergent_at_least"
DIVERGENT_AT_MOST = "dissipation/divergent_at_most"
GROWTH = "dissipation/growth"
GROWING_AT_MOST = "dissipation/growing_at_most"
GROWTH_A_STEP = "dissipation/growth_a_step"
STEPS_TO_LIMIT = "dissipation/steps_to_limit"
DISSIPATION_VERDICT = "dissipation/verdict"
DISSIPATION_REASONS = "dissipation/reasons"
PROXY_TOTAL = "proxy/total"
PROXY_ALL = "proxy/all"  # over all weights, pruned ones as modes that stand still
PROXY_DISSIPATIVE = "proxy/dissipative"
PROXY_NEUTRAL = "proxy/neutral"
PROXY_DIVERGENT = "proxy/divergent"
SPARSITY = "sparsity/"
SPARSITY_ROWS = "sparsity/rows"
# entries a row that a segment needs for one per cent, of so many weights
NEEDED_FOR_1_PERCENT, NEEDED_WEIGHTS = "needed/for_1_percent", "needed/weights"
ABOVE_ONE_THOUSANDTH, CARRYING_99_PERCENT = "above_one_thousandth", "carrying_99_percent"

# The small instance as a circuit, beside what its solve takes.
CIRCUIT_N = "circuit/n"
CIRCUIT_ORDER = "circuit/order"
CIRCUIT_STEPS = "circuit/steps"
CIRCUIT_PADDING = "circuit/padding"
CIRCUIT_LEARNING_RATE = "circuit/learning_rate"
UNKNOWNS = "circuit/unknowns"
CIRCUIT_ANSWER = "circuit/answer"
CIRCUIT_DIRECT = "circuit/direct"
CIRCUIT_DESCENT = "circuit/descent"
ERROR_TO_DIRECT = "circuit/error_to_direct"
ERROR_TO_DESCENT = "circuit/error_to_descent"
ORDER_1_ERROR = "circuit/order_1_error"
CIRCUIT_STATUS = "circuit/status"
NOISE_RATES = "noise/rates"
NOISE_ERRORS = "noise/errors"


def trained(run: str, what: str) -> str:
    """What was seen of one of the runs: `what` is "loss" (by step), "test_loss" or "test_accuracy"
    (at the steps of download).
    """
    return f"{TRAIN}{run}_{what}"


def gradients_of(run: str) -> str:
    """What one of the runs had spent after each round."""
    return f"gradients/{run}"


def during(when: str, name: str) -> str:
    """A row of one of several measurements: "spectrum/nodes" becomes "spectrum/before/nodes"."""
    section, _, word = name.partition("/")
    return f"{section}/{when}/{word}"


def row_entries(kind: str, what: str) -> str:
    """Entries that count in the sampled rows, by one of the two thresholds: "mean", "counts"."""
    return f"{SPARSITY}{kind}/{what}"
