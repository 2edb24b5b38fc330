"""The exchange format, evaluated by bartiq, against this package's own counts."""

import pytest

from qdescent._checks import ArgumentError
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.symbolic import to_qref
from qdescent.resources.ways.history import UNKNOWN, history_ways
from qdescent.resources.ways.priced import run_cost

CASES = [(10**4, 8, 20, 50.0, 1e-3), (10**6, 16, 100, 1e3, 1e-2), (255, 4, 15, 20.0, 1e-3)]


def own(order, n, s, steps, kappa, epsilon):
    spec = RoundSpec(
        n=n, parameters=10 * n, order=order, steps=steps, padding=0, kappa=kappa, sparsity=s,
        batch=1, forward_macs=1, epsilon=epsilon,
    )  # fmt: skip
    way = next(way for way in history_ways(spec) if way.name == UNKNOWN)
    return way, run_cost(spec, way, "qrom")


@pytest.mark.parametrize("order", [1, 2])
def test_bartiq_finds_our_counts(order):
    schema = pytest.importorskip("qref.schema_v1")
    bartiq = pytest.importorskip("bartiq")
    routine = bartiq.compile_routine(schema.SchemaV1(**to_qref(order))).routine
    for n, s, steps, kappa, epsilon in CASES:
        symbols = {"n": n, "s": s, "T": steps, "kappa": kappa, "epsilon": epsilon, "alpha": 1.25}
        found = bartiq.evaluate(routine, symbols).routine
        way, cost = own(order, n, s, steps, kappa, epsilon)
        at = {name: float(resource.value) for name, resource in found.resources.items()}
        assert at["queries"] == pytest.approx(way.queries)
        assert at["preparations"] == pytest.approx(way.preparations)
        query = float(found.children["query"].resources["toffoli"].value)
        declared = cost.query.toffoli + cost.query.turns * (cost.bits - 2)
        assert query == pytest.approx(declared, rel=0.05)
        assert query != pytest.approx(2 * declared, rel=0.05)
        assert at["toffoli"] == pytest.approx(cost.counts.toffoli, rel=0.06)


def test_an_order_without_symbols_is_refused():
    with pytest.raises(ArgumentError, match="Argument `order` must be an integer of at most 2"):
        to_qref(3)
