"""The surface code against published rows, against a second implementation, and past the
estimator's 64 bits.
"""

import dataclasses
import os
import random
import subprocess
import sys

import pytest
from qualtran.resource_counting import GateCounts
from qualtran.surface_code import (
    AlgorithmSummary,
    FastDataBlock,
    FifteenToOne,
    LogicalErrorModel,
    QECScheme,
    beverland_et_al_model,
    get_ccz2t_costs_from_error_budget,
)
from qualtran.surface_code.rotation_cost_model import BeverlandEtAlRotationCost

from qdescent._checks import ArgumentError
from qdescent.resources.classical.machines import Accelerator
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.physical.closed_form import code_distance, run_seconds, t_per_rotation
from qdescent.resources.physical.surface_code import SurfaceCode, runtime_ns
from qdescent.rows.numbers import YEAR

GIDNEY_FOWLER = LogicalCounts(100, toffoli=10**8, t_gates=10**8)


def test_gidney_fowler_row():
    cost = SurfaceCode(error_rate=1e-3, cycle_time_ns=1000).cross_check(
        GIDNEY_FOWLER, factory=(15, 31)
    )
    assert (cost.code_distance, cost.qubits) == (29, 400204)
    assert cost.seconds / 3600 == pytest.approx(7.5347, abs=5e-5)
    failure = get_ccz2t_costs_from_error_budget(
        n_logical_gates=GateCounts(t=10**8, toffoli=10**8), n_algo_qubits=100
    )
    assert failure.failure_prob == pytest.approx(0.008407, abs=5e-7)
    slow = SurfaceCode(error_rate=1e-3, cycle_time_ns=400).cross_check(
        GIDNEY_FOWLER, factory=(15, 31)
    )
    assert slow.seconds / 3600 != pytest.approx(7.5347, abs=5e-5)  # the row is for a 1 us cycle


def test_a_searched_factory_is_no_worse_than_the_fixed_one():
    machine = SurfaceCode(cycle_time_ns=1000)
    fixed, searched = (
        machine.cross_check(GIDNEY_FOWLER, (15, 31)),
        machine.cross_check(GIDNEY_FOWLER),
    )
    assert searched.qubits * searched.seconds <= fixed.qubits * fixed.seconds
    with pytest.raises(ArgumentError, match="Argument `budget` must be within reach"):
        # the error floor of two levels at 1e-3
        machine.cross_check(LogicalCounts(100, toffoli=10**13))


def test_beverland_row():
    """30100 rotations and 1.4e6 measurements on 100 qubits at p = 1e-4.

    The published d = 9 belongs to its 1.5e5 time steps; counts that add up to 1.44e6 steps need d =
    11.
    """
    assert t_per_rotation(30100, 1e-3) == 20
    assert 30100 * t_per_rotation(30100, 1e-3) == 602000
    machine = SurfaceCode(error_rate=1e-4, budget=1e-3)
    full = machine.estimate(
        LogicalCounts(100, rotations=30100, rotation_depth=501, measurements=1_400_000)
    )
    assert full.tiles == 230 == FastDataBlock.get_n_tiles(100)
    assert full.code_distance == 11
    steps = 150_000 - 30_100 - 501 * 20
    published = machine.estimate(
        LogicalCounts(100, rotations=30100, rotation_depth=501, measurements=steps)
    )
    assert published.code_distance == 9


def test_litinski_row():
    factory = FifteenToOne(17, 7, 7)
    errors = LogicalErrorModel(qec_scheme=QECScheme.make_gidney_fowler(), physical_error=1e-3)
    assert factory.n_physical_qubits() == pytest.approx(4620, abs=5)
    assert factory.p_out(errors) == pytest.approx(4.5e-8, abs=5e-10)
    assert 6 * 7 / (1 - factory.p_fail(errors)) == pytest.approx(42.6, abs=0.05)


def test_estimator_against_the_second_implementation_of_its_model():
    counts = LogicalCounts(125, toffoli=10**9, measurements=10**9)
    gates = GateCounts(toffoli=10**9, measurement=10**9)
    summary = AlgorithmSummary(n_algo_qubits=125, n_logical_gates=gates)
    steps = beverland_et_al_model.minimum_time_steps(
        error_budget=1e-2, alg=summary, rotation_model=BeverlandEtAlRotationCost
    )
    distance = beverland_et_al_model.code_distance(
        error_budget=1e-2,
        time_steps=steps,
        alg=summary,
        qec_scheme=QECScheme.make_beverland_et_al(),
        physical_error=1e-3,
    )
    cost = SurfaceCode().estimate(counts)
    # a half of the budget here, a third there: one odd step at most
    assert abs(cost.code_distance - distance) <= 2
    assert cost.seconds == pytest.approx(steps * cost.code_distance * 400e-9)


def test_project_row():
    """facts.md section 6: 125 logical qubits and 4.5e13 CCZ take 1.9e6 physical qubits and 80
    years.
    """
    cost = SurfaceCode().estimate(
        LogicalCounts(125, toffoli=45 * 10**12, rotations=45627, measurements=45 * 10**12)
    )
    assert f"{cost.qubits:.1e}" == "1.9e+06"
    assert cost.seconds / YEAR == pytest.approx(80, abs=0.5)
    without = SurfaceCode().estimate(LogicalCounts(125, toffoli=45 * 10**12, rotations=45627))
    # the row counts a measurement a Toffoli
    assert without.seconds / YEAR == pytest.approx(60, abs=0.5)


def test_project_row_with_the_wide_loader():
    """Same row, 7e4 logical qubits and 5.2e10 CCZ: 3.4e8 physical qubits; its .13 years are 1.4
    times our depth.
    """
    counts = LogicalCounts(70_000, toffoli=52 * 10**9, rotations=45627, measurements=52 * 10**9)
    cost = SurfaceCode().estimate(counts)
    assert cost.qubits == pytest.approx(3.4e8, rel=0.02)
    assert cost.seconds / YEAR == pytest.approx(4 * 5.2e10 * 35 * 400e-9 / YEAR, rel=1e-4)


def test_run_time_survives_64_bits():
    toffoli = 33 * 10**13
    counts = LogicalCounts(125, toffoli=toffoli, measurements=toffoli)
    machine = SurfaceCode()
    raw = machine._ask(counts, 1, machine.budget)
    wrapped = raw["physicalCounts"]["runtime"]
    assert wrapped / 1e9 / YEAR < 100  # the planted wrong variant: the estimator's own field
    assert runtime_ns(raw) / 1e9 / YEAR == pytest.approx(619.1, abs=0.1)
    cost = machine.estimate(counts)
    assert cost.segments > 1
    assert cost.seconds == pytest.approx(runtime_ns(raw) / 1e9)
    assert cost.seconds == pytest.approx(4 * toffoli * cost.code_distance * 400e-9)
    assert cost.code_distance == raw["logicalQubit"]["codeDistance"]


def test_a_job_past_64_bits_of_gates():
    cost = SurfaceCode().estimate(LogicalCounts(1000, toffoli=10**22, measurements=10**22))
    assert cost.seconds == pytest.approx(4e22 * cost.code_distance * 400e-9)
    assert cost.code_distance > 45


def test_segments_change_nothing_but_the_pieces():
    counts = LogicalCounts(125, toffoli=10**12, measurements=10**12)
    machine = SurfaceCode()
    whole, piece = (machine._ask(counts, k, machine.budget / k) for k in (1, 50))
    assert 50 * runtime_ns(piece) == pytest.approx(runtime_ns(whole))
    assert piece["physicalCounts"]["physicalQubits"] == whole["physicalCounts"]["physicalQubits"]
    unshared = machine._ask(counts, 50, machine.budget)  # forgetting to divide the budget
    assert unshared["logicalQubit"]["codeDistance"] < whole["logicalQubit"]["codeDistance"]


@pytest.mark.parametrize("cycle", [1, 3.3, 12, 400, 1000.0, 1e-3, 1e6])
def test_the_time_goes_with_the_cycle_and_nothing_is_rounded(cycle):
    """depth x distance x cycle; the estimator's own rounding to whole nanoseconds made 12 ns 16.7 %
    too long.
    """
    counts = LogicalCounts(100, toffoli=10**9, measurements=10**9)
    found = SurfaceCode(cycle_time_ns=cycle).estimate(counts)
    assert found.seconds == pytest.approx(4e9 * found.code_distance * cycle * 1e-9, rel=1e-12)
    usual = SurfaceCode().estimate(counts)
    assert (found.qubits, found.code_distance, found.factories) == (
        usual.qubits,
        usual.code_distance,
        usual.factories,
    )


@pytest.mark.parametrize(
    ("counts", "machine"),
    [
        (LogicalCounts(125, toffoli=10**12, rotations=45627, measurements=10**12), {}),
        (LogicalCounts(12581, toffoli=3731607428), {"budget": 0.333}),
        (LogicalCounts(12581, toffoli=3731607428), {"budget": 0.01}),
    ],
)
def test_the_public_interface_gives_the_private_calls_numbers(counts, machine):
    """The same job by the native function, which the package no longer calls."""
    import json

    from qdk._native import physical_estimates

    job = {
        "numQubits": counts.qubits,
        "cczCount": counts.toffoli,
        "rotationCount": counts.rotations,
    }
    job |= {"rotationDepth": counts.rotations, "measurementCount": counts.measurements, "tCount": 0}
    whole = SurfaceCode(**machine)
    found = whole._ask(counts, 5, whole.budget / 5)
    job = {name: value if name == "numQubits" else -(-value // 5) for name, value in job.items()}
    rates = ("oneQubitMeasurement", "oneQubitGate", "twoQubitGate", "tGate", "idle")
    times = {f"{name}Time": "50 ns" for name in ("oneQubitGate", "twoQubitGate", "tGate")}
    qubit = {
        "name": "x",
        "instructionSet": "GateBased",
        "oneQubitMeasurementTime": "100 ns",
        **times,
    }
    qubit |= {f"{rate}ErrorRate": 1e-3 for rate in rates}
    scheme = {"name": "surface_code", "maxCodeDistance": 999}
    asked = {"qubitParams": qubit, "qecScheme": scheme, "errorBudget": whole.budget / 5}
    (private,) = json.loads(physical_estimates(json.dumps(job), json.dumps([asked])))
    assert found["physicalCounts"] == private["physicalCounts"]
    assert found["logicalQubit"]["codeDistance"] == private["logicalQubit"]["codeDistance"]


@pytest.mark.parametrize("power", [20, 44, 56, 60, 100, 300, 1000])
def test_a_job_of_any_size_ends_in_a_number_or_a_sentence(power):
    """Beyond three rounds of distillation the estimator, which would never end, is not asked."""
    counts = LogicalCounts(10**6, toffoli=10**power, measurements=10**power)
    if power < 60:
        found = SurfaceCode().estimate(counts)
        assert found.seconds == pytest.approx(4 * 10.0**power * found.code_distance * 400e-9)
    else:
        with pytest.raises(
            ArgumentError,
            match="Argument `counts` must be within reach of 3 rounds of distillation",
        ):
            SurfaceCode().estimate(counts)
    with pytest.raises(
        ArgumentError, match="Argument `counts` must hold at most 1e[+]12 logical qubits"
    ):
        SurfaceCode().estimate(LogicalCounts(10**power, toffoli=1))


def test_the_closed_form_is_the_estimators_own_numbers():
    """Forty jobs of all sizes, with and without rotations, on machines good and bad."""
    draws = random.Random(3)
    for _ in range(40):
        toffoli = int(10 ** draws.uniform(3, 18))
        counts = LogicalCounts(
            int(10 ** draws.uniform(0.5, 6)),
            toffoli=toffoli,
            rotations=draws.choice([0, int(10 ** draws.uniform(1, 8))]),
            measurements=draws.choice([0, toffoli]),
        )
        machine = SurfaceCode(
            error_rate=draws.choice([1e-3, 1e-4, 3e-4, 5e-3]),
            budget=draws.choice([1e-2, 1e-3, 0.3]),
            cycle_time_ns=draws.choice([400, 33.0]),
        )
        runs = draws.choice([1, 1000])
        found = machine.estimate(counts, runs)
        assert found.code_distance == code_distance(machine, counts, runs)
        # pieces of a long job are rounded up
        assert run_seconds(machine, counts, runs) == pytest.approx(found.seconds, rel=1e-4)
        # the planted wrong variant: as many steps without the T gates of rotations
        if counts.rotations > toffoli:
            bare = dataclasses.replace(counts, rotation_depth=0)
            assert run_seconds(machine, bare, runs) < found.seconds / 2
    assert run_seconds(SurfaceCode(), LogicalCounts(10, toffoli=10**60)) == float("inf")


def test_worse_hardware_costs_more():
    counts = LogicalCounts(100, toffoli=10**8, measurements=10**8)
    good, bad = (SurfaceCode(error_rate=rate).estimate(counts) for rate in (1e-4, 3e-3))
    assert good.code_distance < bad.code_distance
    assert SurfaceCode(cycle_time_ns=4000).estimate(counts).seconds == pytest.approx(
        10 * SurfaceCode(cycle_time_ns=400).estimate(counts).seconds
    )
    assert (
        SurfaceCode().estimate(counts, runs=10**6).code_distance
        > SurfaceCode().estimate(counts).code_distance
    )


def test_no_network_and_no_trace_in_the_environment():
    """A fresh interpreter whose sockets raise: the estimate works, no reporting thread starts, the
    variable is put back.
    """
    script = """
import os, socket, threading, urllib.request
def refuse(*args, **kwargs): raise SystemExit("network touched")
socket.socket.connect = refuse
urllib.request.urlopen = refuse
from qdescent.rows.numbers import YEAR
from qdescent.resources.counts.logical_counts import LogicalCounts
from qdescent.resources.physical.surface_code import SurfaceCode
before = dict(os.environ)
SurfaceCode().estimate(LogicalCounts(10, toffoli=10**6))
import qdk.telemetry
print(qdk.telemetry.TELEMETRY_ENABLED, dict(os.environ) == before, threading.active_count())
"""
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in ("QDK_PYTHON_TELEMETRY", "QSHARP_PYTHON_TELEMETRY")
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["False", "True", "1"], done.stderr


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SurfaceCode(error_rate=0.01),
            r"Argument `error_rate` must be in \(0, 0.01\), but is 0.01.",
        ),
        (
            lambda: SurfaceCode(cycle_time_ns=0),
            r"Argument `cycle_time_ns` must be in \(0, inf\), but is 0.",
        ),
        (
            lambda: SurfaceCode(cycle_time_ns=1e300),
            r"Argument `cycle_time_ns` must be between 0.001 and 1e\+100 \(nanoseconds",
        ),
        (
            lambda: SurfaceCode(error_rate=True),
            r"Argument `error_rate` must be in \(0, 0.01\), but is True.",
        ),
        (
            lambda: SurfaceCode(cycle_time_ns=float("nan")),
            r"Argument `cycle_time_ns` must be in \(0, inf\), but is nan.",
        ),
        (lambda: SurfaceCode(budget="1"), r"Argument `budget` must be in \(0, 1\), but is '1'."),
        (lambda: Accelerator(name=3), "Argument `name` must be a text"),
        (
            lambda: SurfaceCode().estimate({"qubits": 5}),
            "Argument `counts` must be a LogicalCounts",
        ),
        (
            lambda: LogicalCounts(5, rotations=10, rotation_depth=20),
            r"Argument `rotation_depth` must be at most `rotations` \(10\)",
        ),
        (lambda: SurfaceCode(budget=1.0), r"Argument `budget` must be in \(0, 1\), but is 1.0."),
        (
            lambda: Accelerator(efficiency=2.0),
            r"Argument `efficiency` must be in \(0, 1\], but is 2.0.",
        ),
        (
            lambda: SurfaceCode().estimate(LogicalCounts(5)),
            "Argument `counts` must hold at least one non-Clifford gate",
        ),
        (
            lambda: SurfaceCode(error_rate=0.0099).estimate(LogicalCounts(5, toffoli=9)),
            "must be within reach of the machine",
        ),
    ],
)
def test_bad_machine(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
