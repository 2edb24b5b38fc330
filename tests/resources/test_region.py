"""Where a verdict flips: break-evens that are even, "never" that is never, and what each input's
doubling does.
"""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from qdescent._evidence import Evidence
from qdescent.experiment.estimate.price import price
from qdescent.linalg.map_norms import MapNorms
from qdescent.resources.classical.machines import A100
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.verdict.inputs import INPUTS, NAMED, Case, held
from qdescent.resources.verdict.region import break_even, map_over, tornado_rows
from qdescent.resources.ways.history import history_ways
from qdescent.resources.ways.priced import all_ways

SPEC = RoundSpec(
    n=1000,
    parameters=10_000,
    order=2,
    steps=20,
    padding=0,
    kappa=50.0,
    sparsity=1,
    batch=512,
    forward_macs=10**9,
    shots=100,
    learning_rate=0.02,
    lambda_min=-0.4,
    lambda_max=12.0,
)
CASE = Case(SPEC, SurfaceCode(), A100)
HARD = replace(CASE, spec=replace(SPEC, n=700_000, parameters=7_000_000, sparsity=100, shots=None))


def test_a_case_is_what_the_ledger_says():
    ledger = price(SPEC)
    assert CASE.ratio == pytest.approx(ledger.rows.number("verdict/ratio"))
    norms = MapNorms(constant=0.014, linear=1.045, higher=(5.25,))
    searched = replace(SPEC, kappa=None, padding=None, norms=norms)
    kept = held(searched)
    assert kept.kappa == searched.history.kappa
    assert kept.history.probability == searched.history.probability
    assert kept.history.kappa_evidence is searched.history.kappa_evidence


@pytest.mark.parametrize("name", ["batch", "cycle_time_ns", "sparsity", "kappa"])
def test_a_break_even_is_even(name):
    """Just below and just above it another side wins; found by halves, checked by itself."""
    found = break_even(CASE, NAMED[name])
    if found.value is None:  # then it wins, or loses, at every value
        what = NAMED[name]
        ends = [what.at(CASE, end(CASE)) < 1 for end in (what.low, what.high)]
        assert ends[0] == ends[1] == (CASE.ratio < 1)
        return
    # an integer input jumps over 1
    below, above = (NAMED[name].at(CASE, found.value * factor) for factor in (0.5, 2.0))
    assert (below < 1) != (above < 1)


def test_never_is_said():
    """At a hundred non-zeros a row tables alone take 200 gradients against 20: no machine helps."""
    for name in ("cycle_time_ns", "error_rate", "epsilon", "readout_error", "largest"):
        found = break_even(HARD, NAMED[name])
        assert found.value is None
        assert found.best > 10 - 1e-6
    assert break_even(replace(CASE, spec=replace(SPEC, learning_rate=None, lambda_min=None,
                                                 lambda_max=None)),
                      NAMED["learning_rate"]) is None  # fmt: skip


def test_the_tornado_brackets_the_quotient():
    rows = {row.name.rsplit("/", 1)[1]: row.curve for row in tornado_rows(CASE)}
    assert set(rows) <= {each.name for each in INPUTS}
    low, high = rows["cycle_time_ns"]
    assert low < CASE.ratio < high
    # the quantum part goes with the cycle, the tables' part does not
    tables = NAMED["cycle_time_ns"].at(CASE, 1e-3)
    assert high - tables == pytest.approx(10 * (CASE.ratio - tables), rel=1e-4)


def test_a_map_holds_the_quotients_of_its_places():
    found = map_over(CASE, "error_rate", "cycle_time_ns", cells=3)
    for above, line in zip(found.ys, found.ratios, strict=True):
        for right, ratio in zip(found.xs, line, strict=True):
            machine = SurfaceCode(error_rate=right, cycle_time_ns=above)
            assert ratio == replace(CASE, architecture=machine).ratio
    blind = replace(SPEC, learning_rate=None, lambda_min=None, lambda_max=None)
    assert map_over(replace(CASE, spec=blind), "learning_rate", "n") is None
    # 1e16 weights with a thousand entries a row cannot be addressed: blank, and nothing else
    dense = replace(CASE, spec=replace(CASE.spec, n=10**6, parameters=10**7, sparsity=1000))
    found = map_over(dense, "n", "error_rate", cells=3)
    blank = [all(math.isnan(row[k]) for row in found.ratios) for k in range(3)]
    assert blank == [False, False, True]


def queries(spec, name):
    return next(way.queries for way in all_ways(spec) if way.name == name)


@pytest.mark.parametrize("kappa", [50.0, 3e3, 1e6])
def test_doubling_kappa_and_halving_epsilon(kappa):
    one = replace(SPEC, kappa=kappa)
    two, finer = replace(one, kappa=2 * kappa), replace(one, epsilon=one.epsilon / 2)
    ways = {way.name: way.queries for way in history_ways(one)}
    for name, exponent in (("paper", 2), ("kernel_reflection", 1), ("adiabatic", 1), ("low_su", 1)):
        assert queries(two, name) == pytest.approx(2**exponent * ways[name], rel=1e-9)
    assert queries(two, "kernel_reflection_norm_known") == pytest.approx(
        2 * ways["kernel_reflection_norm_known"], rel=0.02
    )
    # of HHL twice, of all others ln 2 more a kappa
    scaled = one.alpha_over_norm * kappa
    assert queries(finer, "paper") == pytest.approx(2 * ways["paper"])
    assert queries(finer, "kernel_reflection") - ways["kernel_reflection"] == pytest.approx(
        1.05 * scaled * math.log(2)
    )
    assert queries(finer, "adiabatic") - ways["adiabatic"] == pytest.approx(scaled * math.log(2))
    assert queries(two, "fast_forward") == queries(one, "fast_forward")


def test_four_times_the_steps_are_twice_the_degree():
    one = replace(SPEC, order=1, lambda_min=0.0, lambda_max=40.0, steps=400, alpha_over_norm=1.0)
    four = replace(one, steps=1600)
    assert queries(four, "fast_forward") / queries(one, "fast_forward") == pytest.approx(2, rel=0.1)


def test_doubling_the_readout():
    assert replace(SPEC, shots=200).copies == 2 * SPEC.copies
    wide = replace(SPEC, shots=None, largest=100)
    assert replace(wide, largest=200).copies == pytest.approx(2 * wide.copies)
    assert replace(wide, readout_error=wide.readout_error / 2).copies == 4 * wide.copies
    coherent = replace(wide, readout="coherent")
    assert replace(coherent, readout_error=0.005).copies == 2 * coherent.copies


@pytest.mark.parametrize(
    ("name", "rises"),
    [("sparsity", True), ("kappa", True), ("steps", None), ("alpha_over_norm", True),
     ("error_rate", True), ("cycle_time_ns", True), ("readout_error", False), ("epsilon", False)],
)  # fmt: skip
def test_more_of_what_makes_it_hard_is_never_cheaper(name, rises):
    """Of the quantum time; with a spectrum a round of many steps does not know kappa at all."""
    what = NAMED[name]
    hard = replace(CASE, spec=replace(SPEC, shots=None, learning_rate=None, lambda_min=None,
                                      lambda_max=None))  # fmt: skip
    now = what.value(hard)
    low, high = what.low(hard), what.high(hard)
    values = [min(max(now * factor, low), high) for factor in (0.25, 0.5, 1.0, 2.0, 4.0)]
    times = [what.moved(hard, value).outcome[1] for value in values]
    if rises is not None:
        ordered = times if rises else times[::-1]
        assert all(a <= b * (1 + 1e-12) for a, b in pairwise(ordered))
    assert times[0] != times[-1] or name == "steps"


@pytest.mark.parametrize("evidence", [Evidence.ASSUMED, Evidence.MODELLED, Evidence.MEASURED])
def test_evidence_never_improves_on_the_way(evidence):
    """All inputs known so well: no row that is computed from them is known better."""
    known = replace(
        SPEC,
        kappa_evidence=evidence,
        sparsity_evidence=evidence,
        spectrum_evidence=evidence,
        success_probability=0.5,
        success_evidence=evidence,
    )
    order = list(Evidence)
    given = ("logical/kappa", "logical/sparsity", "logical/lambda_min", "logical/lambda_max",
             "logical/success_probability")  # fmt: skip
    for row in price(known).rows:
        if row.name in given:
            assert row.evidence is evidence, row.name
        else:
            assert order.index(row.evidence) >= order.index(Evidence.MODELLED), row.name
