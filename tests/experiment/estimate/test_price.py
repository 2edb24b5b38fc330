"""`price` of what says what a round is: a run, a spectrum, a circuit."""

import math
from dataclasses import replace

import pytest
import torch
from qualtran.resource_counting import QECGatesCost, QubitCount, get_cost_value

import qdescent as qd
from qdescent.experiment.estimate.counted import circuit_of
from qdescent.experiment.estimate.pipeline import estimated
from qdescent.experiment.estimate.recorded import read_circuit, recorded
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.report.record import Record
from qdescent.resources.round_spec import RoundSpec
from qdescent.rows import names
from qdescent.rows.collection import Rows

F = qd.PolynomialMap(
    [[0.3, 0.1], [[0.5, 0.1], [0.1, 0.4]], [[0.02, 0, 0.01, 0], [0, 0.01, 0, 0.03]]]
)
CIRCUIT = "circuit/"


def history(order=1):
    return qd.history_system(qd.carleman_linearize(F, order), torch.zeros(2).double(), 1, 0)


def ran(name: str, loader: str, *, amplify=False):
    built = qd.Circuit(loader=LOADERS[loader], amplify=amplify)
    if name in ("segment 1", "segment 2"):
        return qd.fast_forward_map(F, 4, int(name[-1]), epsilon=5e-2, circuit=built)
    solvers = {
        "qsvt": qd.QSVT(epsilon=0.4, circuit=built),
        "kernel reflection": qd.KernelReflection(epsilon=0.4, circuit=built),
        "composed": qd.QSVT(epsilon=0.4, circuit=built, encoding=qd.ComposedHistory(F, 1, 1)),
        "phase estimation": qd.HHL(epsilon=0.9, circuit=built),
    }
    return qd.solve(history(), solvers[name])


def by_hand(found) -> tuple[int, int, int]:
    """Toffoli gates, rotations and qubits of the circuit that was simulated."""
    gates = get_cost_value(found.circuit, QECGatesCost())
    toffoli = int(gates.and_bloq + gates.toffoli + gates.cswap)
    return toffoli, int(gates.rotation), int(get_cost_value(found.circuit, QubitCount()))


@pytest.mark.parametrize(
    ("name", "loader"),
    [("qsvt", "qroam"), ("composed", "bucket-brigade"), ("segment 1", "qrom")],
)  # fmt: skip
def test_a_circuit_is_priced_with_the_gates_that_it_has(name, loader):
    check(name, loader)


@pytest.mark.slow
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "name",
    ["qsvt", "kernel reflection", "composed", "phase estimation", "segment 1", "segment 2"],
)
@pytest.mark.parametrize("amplify", [False, True])
def test_any_engine_with_any_loader_is_priced_with_the_gates_that_it_has(name, loader, amplify):
    check(name, loader, amplify=amplify)


def check(name, loader, *, amplify=False):
    found = ran(name, loader, amplify=amplify)
    rows = qd.price(found).rows
    at = rows.number
    toffoli, rotations, qubits = by_hand(found)
    assert at(CIRCUIT + "toffoli") == toffoli
    assert at(CIRCUIT + "loaded_rotations") + at(CIRCUIT + "rotations") == rotations
    assert at(CIRCUIT + "qubits") == qubits
    for part in ("toffoli", "queries", "qubits", "success_probability"):
        assert rows[CIRCUIT + part].evidence is qd.Evidence.EXACT
    # what `qdescent circuit` records of it says the same, to the last digit
    made = circuit_of(found)
    assert read_circuit(Record("one", {}, 0, {}, Rows(recorded(lambda: made))), "what") == made
    # as a way: loaded rotations are additions, one Toffoli each, by a phase gradient of b qubits
    assert at("ways/circuit/toffoli") == toffoli + at(CIRCUIT + "loaded_rotations")
    bits = at(CIRCUIT + "value_bits")
    assert at("ways/circuit/qubits") == qubits + bits
    assert at(CIRCUIT + "loaded_rotations") % (bits - 2) == 0
    assert rows["ways/circuit/loader"].value == loader
    queries = found.cost.number("forward_queries") + found.cost.number("adjoint_queries")
    assert at("ways/circuit/queries") == queries
    success = found.cost.number("success_probability")
    if "answer_probability" in found.cost:
        success *= found.cost.number("answer_probability")
    assert at("ways/circuit/success_probability") == pytest.approx(success)
    assert at("logical/n") == 2
    assert rows["logical/n"].evidence is qd.Evidence.EXACT
    # queries and preparations are most of it, and never more
    parts = queries * at(CIRCUIT + "query_toffoli")
    assert 0 <= parts <= 1.0001 * toffoli
    times = {row.name: row.value for row in rows if row.name.endswith("/time")}
    ways = [v for k, v in times.items() if k.startswith("ways/") and not isinstance(v, str)]
    assert at("verdict/quantum_time") >= min(ways)
    assert at(CIRCUIT + "over_best") * min(ways) == pytest.approx(at("ways/circuit/time"))


def test_what_has_no_circuit_or_is_no_history_is_one_sentence():
    with pytest.raises(qd.ArgumentError, match="`what` must hold a circuit"):
        qd.price(qd.solve(history(), qd.Direct()))
    system = qd.LinearSystem([[1.0, 0.2], [0.0, 1.0]], [1.0, 1.0])
    with pytest.raises(qd.ArgumentError, match="`what` must be of a history system"):
        qd.price(qd.solve(system, qd.QSVT(epsilon=0.5, circuit=True)))
    with pytest.raises(qd.ArgumentError, match="`steps` must be left out beside a Solution"):
        qd.price(qd.solve(history(), qd.Direct()), steps=3)
    refuted = qd.solve(history(), qd.QSVT(epsilon=0.01, kappa=1.2, circuit=True))
    assert not refuted.solved
    with pytest.raises(qd.ArgumentError, match="`what` must be of an answer within its bound"):
        qd.price(refuted)


@pytest.fixture(scope="module")
def recorded_rows():
    return recorded(lambda: circuit_of(ran("segment 1", "qrom")))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("priced/circuit/toffoli", None, "circuit/toffoli"),
        ("priced/n", None, "missing 1 required"),
        ("priced/circuit/encoding", "magic", "an encoding named 'magic'"),
        ("priced/circuit/qubits", -3, "`priced/circuit/qubits` must be an integer of at least 0"),
        ("priced/circuit/success", 2.0, r"must be in \(0, 1\], but is 2.0"),
        ("priced/sparsity", 10**9, "`sparsity` must be at most `n`"),
        ("priced/steps", "many", "must hold one number"),
        ("priced/norms/linear", -1.0, "`linear` must be in"),
    ],
)
def test_a_record_of_a_circuit_that_was_changed_is_one_sentence(recorded_rows, name, value, says):
    rows = [
        replace(row, value=value) if row.name == name else row
        for row in recorded_rows
        if value is not None or row.name != name
    ]
    with pytest.raises(qd.ArgumentError, match=f"^Argument `what` must be a whole record.*{says}"):
        qd.price(Record("one", {}, 0, {}, Rows(rows)))


def test_what_a_circuit_says_itself_is_not_given_beside_it(recorded_rows):
    record = Record("one", {}, 0, {}, Rows(recorded_rows))
    with pytest.raises(qd.ArgumentError, match="`kappa` must be left out beside a circuit that"):
        qd.price(record, kappa=30.0)
    rows = qd.price(record, readout="coherent", readout_error=0.1, region=True).rows
    assert rows["logical/solves"].value == 20  # 2 entries at an error of .1
    assert f"{names.BREAK_EVEN}sparsity" in rows

    def refused():
        raise qd.ArgumentError("Argument `f` must be symmetric, but is not.")

    with pytest.raises(qd.ArgumentError, match="hold a circuit that can be priced, but.*symmetric"):
        qd.price(Record("one", {}, 0, {}, Rows(recorded(refused))))


SPECTRUM = Spectrum(
    torch.tensor([[-0.1, 2.0]]), torch.tensor([[0.5, 0.5]]), torch.zeros(1, 2), size=5000
)


def test_a_spectrum_says_all_of_order_1():
    rows = qd.price(SPECTRUM, learning_rate=0.1, steps=50).rows
    for name, value, word in (
        ("n", 5000, "exact"), ("order", 1, "assumed"), ("learning_rate", 0.1, "assumed"),
        ("lambda_min", -0.1, "measured"), ("lambda_max", 2.0, "measured"),
    ):  # fmt: skip
        row = rows[f"logical/{name}"]
        assert row.value == pytest.approx(value)
        assert row.evidence == word
    # F_1 = 1.01 at most: kappa of 50 steps of it, whatever F_0 is
    growth = sum(1.01**k for k in range(51))
    assert growth / 2 < rows.number("logical/kappa") <= 2.01 * growth
    assert rows["verdict/way"].value == "fast_forward"
    with pytest.raises(qd.ArgumentError, match="`speed` must be one of n, parameters, order"):
        qd.price(SPECTRUM, speed=3)


def test_a_refusal_names_what_was_given():
    """A default, or what follows from an input, is not what the user gave."""
    with pytest.raises(
        qd.ArgumentError, match="`parameters` must go with the other inputs, but is 9,"
    ):
        qd.price(SPECTRUM, parameters=9)
    with pytest.raises(qd.ArgumentError, match="`gradient_norm` must go with .* the map must have"):
        estimated(EstimateSettings(gradient_norm=1e-200))
    with pytest.raises(qd.ArgumentError, match="`error_rate` must go with the other inputs, but"):
        estimated(EstimateSettings(error_rate=0.0099, epsilon=0.01))
    with pytest.raises(qd.ArgumentError, match="`learning_rate` must keep what 20 steps make"):
        estimated(EstimateSettings(learning_rate=2.0))
    with pytest.raises(qd.ArgumentError, match="`from` must be a whole"):
        estimated(EstimateSettings(from_="/nowhere"))


def test_too_few_bits_of_an_angle_are_refused_and_enough_are_marked():
    plain = {"n": 10**5, "parameters": 10**6, "order": 2, "steps": 20, "padding": 20,
             "kappa": 100.0, "sparsity": 100, "batch": 512, "forward_macs": 10**7}  # fmt: skip
    with pytest.raises(
        qd.ArgumentError, match="`angle_bits` must be at least 27 for epsilon = 0.001"
    ):
        qd.price(RoundSpec(**plain, angle_bits=26))
    rows = qd.price(RoundSpec(**plain, angle_bits=27)).rows
    assert rows["logical/qrom/value_bits"].evidence == "assumed"
    assert rows == qd.price(RoundSpec(**plain, angle_bits=27)).rows
    forwarded = {"learning_rate": 0.02, "lambda_min": -0.1, "lambda_max": 6.0}
    rows = qd.price(RoundSpec(**plain, **forwarded, angle_bits=20)).rows
    # a history asks 50 times as often, so that it needs more bits
    assert "20 `angle_bits` do not keep epsilon" in rows["ways/low_su/time"].source
    assert rows["verdict/way"].value == "fast_forward"


def test_the_error_of_a_round_is_said_and_follows_the_shots():
    plain = {"n": 10**4, "parameters": 10**5, "order": 1, "steps": 20, "kappa": 100.0,
             "sparsity": 10, "batch": 5, "forward_macs": 10**5}  # fmt: skip
    rows = qd.price(RoundSpec(**plain, shots=10**6)).rows
    assert rows.number("logical/readout_error") == pytest.approx(math.sqrt(1e4 / 1e6) / 2)
    assert rows.number("logical/round_error") == pytest.approx(0.05 + 1e-3)
    with pytest.raises(qd.ArgumentError, match="`shots` must be left out of a coherent readout"):
        RoundSpec(**plain, shots=10, readout="coherent")


def test_a_record_that_says_too_little_is_one_sentence():
    rows = (qd.price(SPECTRUM).rows["logical/n"],)
    with pytest.raises(qd.ArgumentError, match="Argument `kappa` must be given"):
        qd.price(Record("one", {}, 0, {}, rows))
