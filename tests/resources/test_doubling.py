"""How declared uploads, queries and ways change where one size is doubled."""

import pytest

from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.resources.counts.history_tables import HistorySize
from qdescent.resources.counts.right_side import right_side
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.history import history_ways
from qdescent.resources.ways.priced import run_cost

PLAIN = {"size": 2**20 - 1, "order": 2, "steps": 100, "padding": 0, "colours": (10, 100)}


def upload(**changed):
    return right_side(HistorySize(**PLAIN | changed), LOADERS["qrom"], 40, marked=True).toffoli


def test_an_upload_has_f_0_once_a_letter():
    assert upload(size=2**21 - 1) / upload() == pytest.approx(2, rel=1e-3)
    # steps that are alike cost a few lines; a map a step has its own F_0
    assert upload(steps=200) / upload() == pytest.approx(1, rel=1e-3)
    # but for the zeros behind T of 2^k steps, a few runs a line
    changing = upload(changing=True, steps=1000), upload(changing=True, steps=2000)
    assert changing[1] / changing[0] == pytest.approx(2, rel=1e-2)
    assert changing[0] / upload() == pytest.approx(1000, rel=0.05)
    # a letter more of a word, F_0 once more
    assert upload(order=3, colours=(10, 100, 1000)) / upload() == pytest.approx(1.5, rel=1e-3)


def spec(**changed):
    plain = {"n": 10**6, "parameters": 10**7, "order": 2, "steps": 50, "padding": 0,
             "kappa": 1000.0, "sparsity": 10, "batch": 10, "forward_macs": 10**6}  # fmt: skip
    return RoundSpec(**plain | changed)


QUERIES = {  # of twice kappa, and of a hundredth of epsilon
    "paper": (4, 100), "phase_estimation": (2, 8), "kernel_reflection": (2, 1.08),
    "kernel_reflection_norm_known": (2, 1.51), "adiabatic": (2, 1.49), "low_su": (2, 1.67),
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_queries_of_every_way_by_a_history(name):
    def queries(**changed):
        return next(way.queries for way in history_ways(spec(**changed)) if way.name == name)

    of_kappa, of_epsilon = QUERIES[name]
    assert queries(kappa=2000.0) / queries() == pytest.approx(of_kappa, rel=0.02)
    assert queries(epsilon=1e-5) / queries() == pytest.approx(of_epsilon, rel=0.02)
    for same in ({"n": 2 * 10**6}, {"sparsity": 20}, {"steps": 100}, {"largest": 10}):
        assert queries(**same) == queries()


@pytest.mark.parametrize("loader", ["qrom", "qroam-measured", "oracle"])
@pytest.mark.parametrize("name", QUERIES)
def test_gates_of_a_run_grow_with_every_size(name, loader):
    def gates(**changed):
        one = spec(angle_bits=40, **changed)
        way = next(way for way in history_ways(one) if way.name == name)
        return run_cost(one, way, loader).counts.toffoli

    plain = gates()
    for more in ({"n": 2 * 10**6}, {"sparsity": 20}, {"steps": 100}, {"kappa": 2000.0},
                 {"order": 3}):  # fmt: skip
        assert gates(**more) >= plain
    if loader == "qrom":  # line by line: n of them, and s + s^2 a row
        assert gates(n=2 * 10**6) / plain == pytest.approx(2, rel=0.02)
        assert gates(sparsity=20) / plain == pytest.approx(4, rel=0.2)
    # planted: queries doubled are seen
    assert gates(kappa=2000.0) > 1.9 * plain
