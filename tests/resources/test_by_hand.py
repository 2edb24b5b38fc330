"""Rows of rounds that were drawn at random, each by its formula written a second time; and the few
that only other rounds have.
"""

import math
import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qdescent.linalg.map_norms import MapNorms
from qdescent.resources.classical.machines import A100, Accelerator
from qdescent.resources.ledger import ledger_of
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.verdict.inputs import NAMED, Case
from qdescent.resources.verdict.others import other_rows, question_rows
from qdescent.resources.verdict.region import tornado_rows


def drawn(seed: int) -> tuple[dict, SurfaceCode, Accelerator]:
    """A round and its machines."""
    rng = random.Random(seed)

    def log(low: float, high: float) -> float:
        return math.exp(rng.uniform(math.log(low), math.log(high)))

    n, order = int(log(10, 1e10)), rng.choice([1, 1, 2, 2, 3])
    s = max(1, int(min(n, log(1, 20 if order == 3 else 300), (1e17 / n) ** (1 / order))))
    padding, weights = rng.choice([0, 0, int(log(1, 50))]), int(n * log(1, 30))
    round_ = {
        "n": n, "parameters": weights, "order": order, "steps": int(log(1, 3000)),
        "padding": padding, "sparsity": s, "batch": int(log(1, 1e5)),
        "kappa": log(1.4 * (padding + 1), 1e6), "forward_macs": int(weights * log(1, 100)),
        "alpha_over_norm": log(1, 5), "epsilon": log(1e-6, 0.2), "readout_error": log(1e-4, 0.5),
        "success_probability": log(1e-6, 1), "fresh_batches": seed % 3 == 0,
        "readout": "coherent" if seed % 3 == 1 else "sampling",
    }  # fmt: skip
    if seed % 2:
        round_ |= {"largest": max(1, n // 7), "masked_macs": max(1, round_["forward_macs"] // 5)}
    if seed % 5 == 4:
        round_ |= {"coupling_sparsity": s} | ({"shots": 12345} if seed % 3 != 1 else {})
    machine = SurfaceCode(log(1e-6, 4e-3), log(0.1, 1e5), log(1e-6, 0.5))
    return round_, machine, Accelerator("x", log(1e9, 1e18), log(1e9, 1e16), rng.uniform(0.05, 1))


def twin(given: dict, machine: Accelerator) -> dict[str, float]:
    """What the rows must be."""
    n, N, T, s, eps = (given[name] for name in ("n", "order", "steps", "sparsity", "epsilon"))
    kappa, alpha, p = (given[name] for name in ("kappa", "alpha_over_norm", "success_probability"))
    m, asked, K = given.get("largest", n), given["readout_error"], alpha * kappa
    pairs = given.get("coupling_sparsity", min(s, n) ** 2)
    higher = [min(math.isqrt(pairs**k - 1) + 1, n**k) for k in range(2, N + 1)] if N > 1 else []
    batches = T if given["fresh_batches"] else 1
    entries = n * (s + sum(higher)) * batches
    shots = given.get("shots") or math.ceil(m / (4 * asked**2))
    coherent = given["readout"] == "coherent"
    copies = math.ceil(m / asked) if coherent else 2 * shots
    error = math.sqrt(m / shots) / 2 if "shots" in given else asked
    useful = math.ceil(math.log(1 / eps) / math.log((kappa + 1) / (kappa - 1)))
    unknowns = sum((n + 1) ** j - 1 for j in range(1, N + 1))
    dalzell, costa = 56 * K + 1.05 * K * math.log(1 / eps), 1.84 * K + K * math.log(2 / eps)
    log = math.log(2 * K + 3)
    walk = 1741 * math.e / 500 * math.sqrt(K * K + 1)
    walk *= (133 / 125 + 4 / (25 * K ** (1 / 3))) * math.pi * log + 1
    jennings = walk + 351 / 50 * log**2 * (math.log(451 * log**2 / eps) + 1)
    jennings = (jennings + K * math.log(32 / eps)) / (0.39 - 0.204 * eps)
    rounds = max(0, math.ceil(math.pi / 4 / math.asin(math.sqrt(p)) - 0.5 - 1e-12))
    flops = 6 * given["batch"] * given["forward_macs"]
    gradient = max(flops / (machine.flops * machine.efficiency),
                   24 * given["parameters"] / machine.bandwidth)  # fmt: skip
    gradients = min(T, max(1, useful))
    known = [(1e-3, 8.2)] if N == 1 else [(8e-3, 15.8), (1e-3, 21.6)]
    kept = [each for each in known if each[0] <= error + eps]
    if kept and N <= 2 and not given["fresh_batches"]:
        gradients = min(gradients, max(kept)[1])
    tables, index = 2 * s * gradient * batches, n.bit_length()
    sent = entries * (index + 32) / 8 + 4 * n
    masked = given.get("masked_macs", given["forward_macs"] * n / given["parameters"])
    return {
        "logical/table_entries": entries, "logical/solves": copies,
        # angles by 2 pi/2^b: N times a query
        "logical/qrom/value_bits": max(3, math.ceil(math.log2(2 * math.pi * N * dalzell / eps))),
        "logical/readout_error": error, "logical/round_error": error + eps,
        "logical/useful_steps": max(1, useful),
        "logical/log2_lifted_dimension": math.log2(unknowns),
        "logical/log2_history_dimension": math.log2(unknowns * (T + given["padding"] + 1)),
        "ways/paper/queries": K * K / eps, "ways/paper/preparations": 2 * K * K / eps,
        "ways/kernel_reflection/queries": dalzell,
        "ways/kernel_reflection/preparations": 2 * dalzell,
        "ways/adiabatic/queries": costa, "ways/adiabatic/preparations": 2 * costa,
        "ways/low_su/queries": K * math.log(1 / eps), "ways/low_su/preparations": 1,
        "ways/adiabatic/runs": min(1 / p, 2 * rounds + 1),
        "logical/queries_norm_known": K * math.log(2 * math.sqrt(2) / eps),
        "logical/queries_costa_proven": 2305 * K + K * math.log(2 / eps),
        **({"logical/queries_jennings": jennings} if math.sqrt(12) <= K else {}),
        "classical/gradient_time": gradient, "classical/time": gradients * gradient,
        "classical/dense_flops": gradients * flops,
        "classical/kept_flops": gradients * 6 * given["batch"] * masked,
        "classical/weight_bytes": gradients * 24 * given["parameters"],
        "classical/table_time": tables, "classical/upload_bytes": sent,
        "classical/upload_time": sent / machine.bandwidth,
        "classical/readout_bits": copies * index,
        "verdict/free_quantum_ratio": (tables + sent / machine.bandwidth) / gradients / gradient,
        "verdict/free_quantum_sparsity": gradients / 2 / batches,
    }  # fmt: skip


def check_round(seed: int) -> None:
    given, machine, accelerator = drawn(seed)
    rows = ledger_of(RoundSpec(**given), machine, accelerator).rows
    expected = twin(given, accelerator)
    off = [name for name, value in expected.items()
           if rows.number(name) != pytest.approx(value, rel=1e-9)]  # fmt: skip
    assert off == []
    way = rows["verdict/way"].value
    copies = rows.number(f"ways/{way}/copy_time") * rows.number("logical/solves")
    share = rows.number("classical/table_time") + rows.number("classical/upload_time")
    assert rows.number("verdict/quantum_time") == pytest.approx(copies + share)
    classical, solves = rows.number("classical/time"), rows.number("logical/solves")
    copy = rows.number(f"ways/{way}/copy_time")
    assert rows.number("verdict/free_readout_ratio") == pytest.approx(copy / classical)
    assert rows.number("verdict/speed_up_needed") == max(1.0, rows.number("verdict/ratio"))
    for ratio, time in (("verdict/oracle_ratio", "physical/oracle/copy_time"),
                        ("verdict/bucket_brigade_ratio_at_best",
                         "physical/bucket-brigade/copy_time_at_best")):  # fmt: skip
        if time in rows and math.isfinite(rows.number(time)):
            expected_ratio = (solves * rows.number(time) + share) / classical
            assert rows.number(ratio) == pytest.approx(expected_ratio), ratio
    factors = {
        "readout": solves, "the queries": rows.number(f"ways/{way}/queries"),
        "the runs": rows.number(f"ways/{way}/runs"),
        "loading": rows.number(f"ways/{way}/toffoli") / rows.number(f"ways/{way}/queries"),
    }  # fmt: skip
    largest = max(factors, key=factors.__getitem__)
    assert str(rows["verdict/dominant_factor"].value).startswith(largest)
    times = [row.value for row in rows if row.name.startswith("ways/") and
             row.name.endswith("/time")]  # fmt: skip
    reached = [value for value in times if not isinstance(value, str)]
    assert reached == sorted(reached)
    assert reached[0] == rows.number(f"ways/{way}/time")
    # all was assumed: nothing is better known than by a model
    assert {str(row.evidence) for row in rows} == {"modelled", "assumed"}


@pytest.mark.parametrize("seed", [4, 9])
def test_a_round_drawn_at_random_is_what_its_formulas_say(seed):
    check_round(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5, 45))
def test_many_rounds_drawn_at_random_are_what_their_formulas_say(seed):
    check_round(seed)


def test_a_router_tree_takes_a_logical_cycle_a_layer():
    given = {"n": 1000, "parameters": 10**4, "order": 1, "steps": 9, "padding": 0, "kappa": 20.0,
             "sparsity": 4, "batch": 5, "forward_macs": 10**5,
             "success_probability": 0.2}  # fmt: skip
    rows = ledger_of(RoundSpec(**given)).rows
    way = rows["verdict/way"].value
    at = "logical/bucket-brigade/"
    qubits, depth = rows.number(f"{at}qubits"), rows.number(f"{at}toffoli_depth")
    steps = 4 * rows.number(f"{at}toffoli") + rows.number(f"{at}rotations")
    steps += rows.number(f"{at}rotations") * 25  # T gates of each, or so
    tiles = 2 * qubits + math.sqrt(8 * qubits) + 1
    runs = rows.number(f"ways/{way}/runs")
    wanted = 0.01 / 3 / (tiles * steps * (runs if runs > 1 else 1))
    distance = next(d for d in range(3, 99, 2) if 0.03 * 0.1 ** ((d + 1) / 2) < wanted)
    found = [rows.number(f"physical/bucket-brigade/{name}")
             for name in ("qubits_at_least", "copy_time_at_best")]  # fmt: skip
    expected = [2 * d * d * qubits for d in (distance - 2, distance)]
    assert found[0] in expected
    d = (distance - 2, distance)[expected.index(found[0])]
    assert found[1] == pytest.approx(runs * depth * d * 400e-9)


SMALL = RoundSpec(
    n=1000, parameters=10**4, order=1, steps=9, padding=0, kappa=20.0, sparsity=4, batch=10**5,
    forward_macs=10**12, shots=1,
)  # fmt: skip


def test_an_upload_turns_by_angles_of_so_many_bits():
    """A bit more of each angle is a Toffoli more for each: one for each qubit of the weights, and
    of the steps.
    """

    def angles(**changed):
        specs = (replace(SMALL, angle_bits=bits, **changed) for bits in (40, 41))
        less, more = (ledger_of(each).rows.number("logical/qrom/upload_toffoli") for each in specs)
        return more - less

    assert angles() == 10 + 2
    assert angles(n=500) == angles() - 1
    assert angles(n=4000) == angles() + 2
    assert angles(steps=36) == angles() + 2


def test_tables_are_made_and_sent_for_an_oracle_too():
    rows = ledger_of(SMALL).rows
    tables = rows.number("classical/table_time") / rows.number("classical/time")
    assert rows.number("verdict/oracle_ratio") == pytest.approx(tables, rel=1e-3)
    assert tables > 0.3


def test_a_tornado_is_a_tenth_and_ten_times():
    case = Case(SMALL, SurfaceCode(), A100)
    rows = {row.name: row.value for row in tornado_rows(case)}
    for name in ("batch", "cycle_time_ns"):
        what = NAMED[name]
        now = what.value(case)
        expected = [what.at(case, now / 10), what.at(case, 10 * now)]
        assert rows[f"region/tornado/{name}"] == pytest.approx(expected, rel=1e-12)


def test_time_marching_loses_the_growth_of_every_step():
    norms = MapNorms(constant=1e-6, linear=1.05, higher=())
    one = RoundSpec(n=100, parameters=1000, order=1, steps=30, norms=norms, sparsity=4, batch=5,
                    forward_macs=1000, alpha_over_norm=1.5)  # fmt: skip
    rows = ledger_of(one).rows
    lost = rows.number("ways/time_marching/preparations")
    assert lost == pytest.approx(1.05**30, rel=1e-3)
    assert rows.number("ways/time_marching/queries") == pytest.approx(
        lost * 1.5 * 900 * math.log(1.5 * 30 / 1e-3)
    )


def test_a_round_in_the_units_of_others():
    counts = SimpleNamespace(toffoli=1000, qubits=30)
    way = SimpleNamespace(runs=(7.0, True))
    verdict = SimpleNamespace(
        built=SimpleNamespace(cost=SimpleNamespace(counts=counts), way=way),
        classical=SimpleNamespace(upload_bytes=5e9, readout_bits=2e9), quantum_seconds=3.0,
        machine=SimpleNamespace(qubits=123),
    )  # fmt: skip
    rows = {row.name.removeprefix("others/"): row.value for row in other_rows(verdict)}
    assert rows["our_t_gates"] == 4 * 1000 * 7
    assert rows["our_logical_qubits_times_t"] == 28_000 * 30
    assert rows["our_io_at_1_gbit"] == (8 * 5e9 + 2e9) / 1e9
    assert (rows["our_qubits"], rows["our_quantum_time"]) == (123, 3.0)


def test_copies_of_the_end_force_what_the_page_says_they_do():
    one = RoundSpec(n=100, parameters=1000, order=1, steps=9, padding=2, kappa=20.0, sparsity=5,
                    batch=5, forward_macs=1000)  # fmt: skip
    way = SimpleNamespace(title="a way", queries=3.0, runs=(7.0, True))
    cost = SimpleNamespace(query_toffoli=10)
    classical = SimpleNamespace(upload_bytes=1.0)
    built = SimpleNamespace(way=way, cost=cost)
    said = question_rows(SimpleNamespace(spec=one, built=built, classical=classical))
    text = next(row.value for row in said if row.name.endswith("condition_number"))
    inverse = np.linalg.inv(np.eye(3) - np.eye(3, k=-1))  # the end and two copies of it
    forced = np.linalg.norm(np.eye(3) - np.eye(3, k=-1), 2) * np.linalg.norm(inverse, 2)
    assert f"alone force {forced:.3g}." in text


def test_a_larger_network_has_all_its_weights_and_multiply_adds():
    given, machine, accelerator = drawn(7)
    case = Case(RoundSpec(**given), machine, accelerator)
    before, after = case.spec, NAMED["n"].moved(case, 3.0 * given["n"]).spec
    for name in ("n", "parameters", "forward_macs", "masked_macs"):
        assert getattr(after, name) == pytest.approx(3 * getattr(before, name), rel=1e-6), name
    assert (after.sparsity, after.largest) == (before.sparsity, before.largest)
