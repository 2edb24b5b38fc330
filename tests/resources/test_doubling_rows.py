"""Every row of a ledger where one input doubles: by how much its formula says, and not at all where
it says nothing; and by hand what it is.
"""

import dataclasses
import math
import re
from functools import cache

import pytest

from qdescent.experiment.estimate.price import price
from qdescent.resources.classical import descent, machines
from qdescent.resources.classical.machines import A100
from qdescent.resources.physical import energy
from qdescent.resources.physical.energy import Upkeep, upkeep_rows
from qdescent.resources.round_spec import RoundSpec

BASE = RoundSpec(
    n=2**20 - 1, parameters=10**7, order=2, steps=64, padding=0, kappa=1000.0, sparsity=8,
    batch=512, forward_macs=10**8, learning_rate=0.02, lambda_min=-0.4, lambda_max=12.0,
    success_probability=0.04, largest=1000, angle_bits=40, epsilon=1e-3,
)  # fmt: skip
# a power of two of letters stays one: n + 1
DOUBLED = {
    "n": 2**21 - 1, "steps": 128, "sparsity": 16, "kappa": 2000.0, "epsilon": 2e-3,
    "largest": 2000, "batch": 1024,
}  # fmt: skip


def log_law(inside: float, beside: float = 0.0) -> float:
    """(beside + ln(inside/2 eps)) / (beside + ln(inside/eps))."""
    return (beside + math.log(inside / 2e-3)) / (beside + math.log(inside / 1e-3))


ROOT = (1.38, 1.45)  # sqrt 2: QROAM's gates of a table twice as long
ENTRIES = (1.5, 2.1)  # between the roots of 2 and of 4: of F_1's tables and F_2's
BY_RUNS = {"n": ROOT, "sparsity": (1.5, 2.0)}
# but for the tables' share, which is little
TWICE, HALF = (1.9999, 2.0001), (0.4999, 0.5001)
STEPPED = (9.8, 10.6)  # of fast-forward: queries by 1.59, runs by 6.1, the distance once
# how long a run takes: the distance may go up by one step of two, 29 to 31
DISTANCE = 31 / 29 * 1.07
Range = tuple[float, float]


def up(*exact: float) -> Range:
    """Of a time: the gates, and perhaps a larger distance."""
    return min(exact) * (1 - 1e-6), max(exact) * DISTANCE


HISTORY = {
    "paper": {"kappa": 4, "epsilon": 0.5},
    "phase_estimation": {"kappa": (1.98, 2.02), "epsilon": (0.49, 0.51)},
    "kernel_reflection": {"kappa": 2, "epsilon": (56 + 1.05 * math.log(500)) /
                          (56 + 1.05 * math.log(1000))},
    "kernel_reflection_norm_known": {"kappa": (1.999, 2.001), "epsilon": (0.921, 0.925)},
    "adiabatic": {"kappa": 2, "epsilon": log_law(2, 1.84)},
    "low_su": {"kappa": 2, "epsilon": log_law(1)},
}  # fmt: skip


def scaled(rule: dict, **more) -> dict:
    return {name: up(*(value if isinstance(value, tuple) else (value,)))
            for name, value in rule.items()} | more  # fmt: skip


RULES: list[tuple[str, dict]] = []
for _name, _queries in HISTORY.items():
    _at = f"ways/{_name}"
    _two = _queries if _name not in ("phase_estimation", "low_su") else {}
    _gates = {key: (value if isinstance(value, tuple) else (value * 0.999, value * 1.001))
              for key, value in _queries.items()}  # fmt: skip
    _sized = {"n": (1.4, 1.5), "sparsity": (1.7, 2.0), "steps": (1.0, 1.01)}
    RULES += [
        (f"{_at}/queries", _queries),
        (f"{_at}/preparations", _two),
        (f"{_at}/qubits", {"n": (1.9, 2.1), "sparsity": (1.9, 2.1), "steps": (1.0, 1.01)}),
        (f"{_at}/toffoli", _gates | _sized),
        (f"{_at}/copy_time", {key: (low * 0.94, high * DISTANCE) for key, (low, high)
                              in (_gates | _sized).items()}),
        (f"{_at}/time", {key: (low * 0.94, high * DISTANCE) for key, (low, high)
                         in (_gates | _sized).items()} | {"largest": 2}),
    ]  # fmt: skip
RULES += [
    # what was put in, and what follows by one factor
    ("logical/(n|steps|sparsity|kappa|epsilon|batch)", {}),
    ("logical/(parameters|forward_macs|order|padding|learning_rate|lambda_.*|alpha_over_norm"
     "|success_probability)", {}),
    ("logical/readout_error", {}),
    ("logical/round_error", {"epsilon": 0.012 / 0.011}),
    ("logical/useful_steps", {"kappa": (1.99, 2.01), "epsilon": (0.899, 0.901)}),
    ("logical/needed_entries", {"n": 2, "steps": (1.40, 1.44)}),  # n (eta T)^.506
    ("logical/table_entries", {"n": 2, "sparsity": (16 + 256) / (8 + 64)}),
    ("logical/log2_lifted_dimension", {"n": 42 / 40}),
    ("logical/log2_history_dimension", {"n": (1.04, 1.05), "steps": (1.02, 1.03)}),
    ("logical/queries_norm_known", {"kappa": 2, "epsilon": log_law(2 * math.sqrt(2))}),
    ("logical/queries_norm_known_counted", HISTORY["kernel_reflection_norm_known"]),
    ("logical/queries_costa_proven", {"kappa": 2, "epsilon": log_law(2, 2305)}),
    ("logical/queries_costa_measured", {"kappa": 2, "epsilon": log_law(2, 1.84)}),
    ("logical/queries_jennings", {"kappa": (2.05, 2.2), "epsilon": (0.99, 1.0)}),
    ("logical/(shots|solves)", {"largest": 2}),
    # fast-forward: queries by T, not by n; growth by modes below 0
    ("(logical|ways/fast_forward|logical/oracle)/queries", {"steps": (1.4, 1.8)}),
    ("logical/.*/rotations", {"steps": (1.4, 1.8)}),
    ("ways/fast_forward/success_probability", {"steps": (0.02, 0.03)}),
    ("ways/fast_forward/runs", {"steps": (5.5, 7)}),
    ("ways/fast_forward/toffoli|logical/qroam(-.*)?/toffoli", BY_RUNS | {"steps": (1.4, 1.6)}),
    ("ways/fast_forward/copy_time|verdict/free_readout_time", BY_RUNS | {"steps": STEPPED}),
    ("ways/fast_forward/time", BY_RUNS | {"steps": STEPPED, "largest": 2}),
    ("verdict/quantum_time", BY_RUNS | {"steps": STEPPED, "largest": TWICE, "batch": (1, 1.0001)}),
    ("ways/.*/(success_probability|runs|preparations)", {}),
    # a query, an upload, with each loader
    ("logical/(.*)/value_bits", {}),
    ("logical/(.*)/system_qubits", {"n": 21 / 20}),
    ("logical/(.*)/query_rotations", {"sparsity": 4 / 3}),
    ("logical/qrom/upload_toffoli", {"n": (1.99, 2.01)}),
    ("logical/bucket-brigade/upload_toffoli", {"n": (1.99, 2.01)}),
    ("logical/qrom(-measured)?/query_toffoli(_least|_most)?",
     {"n": (1.99, 2.01), "sparsity": (2.1, 2.2)}),
    ("logical/qrom-measured/upload_toffoli", {"n": (1.99, 2.01)}),
    ("logical/qrom(-measured)?/toffoli(_depth)?",
     {"n": (1.99, 2.01), "sparsity": (2.4, 2.6), "steps": (1.4, 1.6)}),
    ("logical/qroam.*/query_toffoli(_least|_most)?", BY_RUNS),
    ("logical/qroam.*/upload_toffoli", {"n": ROOT}),
    ("logical/qroam.*/toffoli_depth",
     {"n": (1.15, 1.7), "sparsity": (1.3, 1.95), "steps": (1.4, 1.6)}),
    ("logical/qroam-dirty/(ancilla_)?qubits", {"n": (2.0, 2.15), "sparsity": (1.9, 2.1)}),
    ("logical/qroam.*/(ancilla_)?qubits|ways/fast_forward/qubits",
     {"n": (1.0, 1.1), "sparsity": (1.9, 2.1)}),
    ("logical/qrom/(ancilla_)?qubits", {"n": (1.0, 1.05), "sparsity": (1.02, 2.0)}),
    # a clearing by measurement takes the root of a table, by whole bits
    ("logical/qrom-measured/(ancilla_)?qubits", {"n": (1.0, 2.0), "sparsity": (1.02, 2.0)}),
    ("logical/bucket-brigade/query_toffoli(_least|_most)?",
     {"n": (1.99, 2.01), "sparsity": (2.0, 2.2)}),
    ("logical/bucket-brigade/(ancilla_)?qubits",
     {"n": (1.99, 2.01), "sparsity": (3.99, 4.01)}),
    ("logical/bucket-brigade/toffoli",
     {"n": (1.99, 2.01), "sparsity": (2.3, 2.7), "steps": (1.4, 1.6)}),
    ("logical/bucket-brigade/toffoli_depth",
     {"n": (1.0, 1.1), "sparsity": (1.1, 1.4), "steps": (1.4, 1.6)}),
    ("logical/oracle/toffoli", {"n": (1.0, 1.02), "sparsity": (1.2, 1.4), "steps": (1.4, 1.6)}),
    ("logical/oracle/qubits", {"n": (1.0, 1.03), "sparsity": (1.0, 1.04)}),
    # the machines
    ("physical/.*/factories", {}),
    ("physical/.*/(cross_check_)?code_distance",
     {"n": up(1), "sparsity": up(1), "steps": up(1)}),
    ("physical/qroam-measured/qubits",
     {"n": up(1.0, 1.05), "sparsity": up(1.9, 2.1), "steps": up(1, 1.07)}),
    ("physical/qroam-measured/cross_check_qubits",
     {"n": up(1.0, 1.05), "sparsity": up(1.9, 2.1), "steps": up(1, 1.07)}),
    ("physical/qroam-measured/(cross_check_)?solve_time",
     BY_RUNS | {"steps": (1.4, 1.6 * DISTANCE)}),
    ("physical/bucket-brigade/qubits_at_least",
     {"n": up(1.99, 2.01 * 31 / 29), "sparsity": up(3.99, 4.01 * 31 / 29), "steps": up(1, 1.07)}),
    ("physical/bucket-brigade/copy_time_at_best",
     {"n": up(1.0, 1.1), "sparsity": up(1.1, 1.4), "steps": (9.0, 10.6)}),
    ("physical/oracle/copy_time", {"n": up(1), "sparsity": up(1.2, 1.4), "steps": (9.0, 10.6)}),
    # the classical side
    ("classical/plain/gradients", {"steps": 2}),
    ("classical/momentum/gradients", {"steps": (0.1 * 128 + 10) / (0.1 * 64 + 10)}),
    ("classical/fast_forward/gradients|classical/rate", {}),
    ("classical/(dense_flops|gradient_time|time|time_on/.*)|verdict/classical_time",
     {"batch": 2}),
    ("classical/kept_flops", {"batch": 2, "n": (1.99, 2.01)}),
    ("classical/weight_bytes", {}),
    ("classical/table_time", {"batch": 2, "sparsity": 2}),
    ("classical/upload_(bytes|time)", {"n": 2 * (72 * 53 + 32) / (72 * 52 + 32),
                                       "sparsity": (272 * 52 + 32) / (72 * 52 + 32)}),
    ("classical/readout_bits", {"n": 21 / 20, "largest": 2}),
    # the verdict: quotients of these
    ("verdict/(ratio|speed_up_needed)",
     BY_RUNS | {"steps": STEPPED, "largest": TWICE, "batch": HALF}),
    ("verdict/free_readout_ratio", BY_RUNS | {"steps": STEPPED, "batch": 0.5}),
    ("verdict/free_quantum_ratio", {"n": (1, 1.001), "sparsity": (2, 2.01), "batch": (0.99, 1)}),
    ("verdict/bucket_brigade_ratio_at_best",
     {"n": up(1.0, 1.1), "sparsity": up(1.1, 1.4), "steps": (9.0, 10.6), "largest": TWICE,
      "batch": HALF}),
    ("verdict/oracle_ratio",
     {"n": up(1), "sparsity": up(1.2, 1.4), "steps": (9.0, 10.6), "largest": TWICE,
      "batch": HALF}),
    ("verdict/free_quantum_sparsity", {}),
    ("(energy|money)/quantum",
     BY_RUNS | {"steps": STEPPED, "largest": TWICE, "batch": (1, 1.0001)}),
    ("(energy|money)/classical", {"batch": 2}),
]  # fmt: skip
ITSELF = {"n": (2**21 - 1) / (2**20 - 1)} | dict.fromkeys(
    ("steps", "sparsity", "kappa", "epsilon", "batch"), 2.0
)
QUBITS = 10**6  # of energy and money: a run's own change by the factories


def ledger_of(spec: RoundSpec) -> dict[str, tuple[float, ...]]:
    """Every row with a number, as numbers; energy and money beside them."""
    rows = price(spec).rows
    seconds = rows.number("verdict/quantum_time"), rows.number("classical/time")
    more = upkeep_rows(Upkeep(), QUBITS, seconds[0], A100, seconds[1])
    found = {}
    for row in [*rows, *more]:
        if not isinstance(row.value, str):
            values = row.value if isinstance(row.value, tuple) else (row.value,)
            found[row.name] = tuple(float(value) for value in values)
    return found


@cache
def rule_of(name: str, what: str) -> Range:
    """Between which a row's change must lie where an input doubles."""
    given = next(rule for pattern, rule in RULES if re.fullmatch(pattern, name))
    expected = given.get(what, 1.0)
    if name == f"logical/{what}":
        expected = ITSELF[what]
    low, high = expected if isinstance(expected, tuple) else (expected, expected)
    slack = 3e-6 if what == "n" else 1e-9  # n + 1 doubles, not n
    return low * (1 - slack), high * (1 + slack)


def is_off(name: str, what: str, old: tuple, new: tuple) -> bool:
    """Whether a row changes otherwise than its formula says."""
    low, high = rule_of(name, what)
    changes = [now / then if then else 1.0 + now for then, now in zip(old, new, strict=True)]
    return not all(low <= change <= high for change in changes)


@pytest.fixture(scope="module")
def base():
    return ledger_of(BASE)


@pytest.mark.parametrize("what", DOUBLED)
def test_every_row_changes_as_its_formula_says(base, what):
    after = ledger_of(dataclasses.replace(BASE, **{what: DOUBLED[what]}))
    assert set(after) == set(base)
    assert [name for name in base if is_off(name, what, base[name], after[name])] == []
    # planted: a factor of two too many, and one that is left out, in any row
    for name, values in after.items():
        for factor in (2.0, 0.5):
            planted = tuple(factor * value for value in values)
            assert is_off(name, what, base[name], planted) or not any(values), name


def by_hand(rows: dict) -> dict[str, float]:
    """Rows from others and from BASE, each by its formula in numbers."""
    at = {name: values[0] for name, values in rows.items()}
    gradient = max(6 * 512 * 1e8 / (0.4 * 19.5e12), 24 * 1e7 / 2.039e12)
    sent = (2**20 - 1) * (72 * (20 + 32) / 8 + 4)
    copies = 2 * 1000 / (4 * 0.01**2)
    whole = at["verdict/quantum_time"]
    found = {
        "classical/gradient_time": gradient,
        "classical/time": 15.8 * gradient,
        "classical/dense_flops": 15.8 * 6 * 512 * 1e8,
        "classical/kept_flops": 15.8 * 6 * 512 * 1e8 * (2**20 - 1) / 1e7,
        "classical/weight_bytes": 15.8 * 24e7,
        "classical/table_time": 2 * 8 * gradient,
        "classical/upload_bytes": sent,
        "classical/upload_time": sent / 2.039e12,
        "classical/readout_bits": copies * 20,
        "classical/momentum/gradients": 64 * 0.1 + 10,
        "logical/solves": copies,
        "verdict/quantum_time": copies * at["ways/fast_forward/copy_time"]
        + 2 * 8 * gradient + sent / 2.039e12,
        "verdict/ratio": whole / (15.8 * gradient),
        "verdict/free_quantum_sparsity": 7.9,
        "energy/quantum": 10 * QUBITS * whole,
        "energy/classical": 400 * 15.8 * gradient,
        "money/classical": 15.8 * gradient / 3600,
        # a tenth of the price a year, 10 W for 8,760 hours at 5 cents, over .9 years
        "money/quantum": whole * QUBITS * (1e3 / 10 + 8.76 * 10 * 0.05) / (0.9 * 31_536_000),
    }  # fmt: skip
    for name in (*HISTORY, "fast_forward"):
        found[f"ways/{name}/time"] = copies * at[f"ways/{name}/copy_time"]
    return found


def test_rows_are_what_their_formulas_say_by_hand(base):
    for name, expected in by_hand(base).items():
        assert base[name][0] == pytest.approx(expected, rel=1e-9), name


@pytest.mark.parametrize(
    ("module", "constant"),
    [(descent, "FLOPS_A_MAC"), (descent, "BYTES_A_WEIGHT"), (descent, "GRADIENTS_A_PRODUCT"),
     (descent, "LINE_BITS"), (descent, "MOMENTUM"), (energy, "JOULES_A_KWH"),
     (energy, "SECONDS_A_YEAR")],
)  # fmt: skip
def test_a_planted_factor_of_two_in_a_constant_fails(module, constant, monkeypatch):
    monkeypatch.setattr(module, constant, 2 * getattr(module, constant) if constant != "MOMENTUM"
                        else 0.8)  # fmt: skip
    planted = ledger_of(BASE)
    off = [name for name, expected in by_hand(planted).items()
           if planted[name][0] != pytest.approx(expected, rel=1e-9)]  # fmt: skip
    assert off
    assert machines.A100 is A100
