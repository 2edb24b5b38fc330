"""The shortest round is found without counting what cannot be it."""

import itertools

import pytest

from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.resources.counts.layout import Own, Piece, Table, axis
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways import least as shortest
from qdescent.resources.ways import priced as ways

MACHINE = SurfaceCode()
ROUNDS = [
    RoundSpec(
        n=n, parameters=10 * n, order=order, steps=100, padding=0, kappa=300.0, sparsity=sparsity,
        batch=64, forward_macs=n, learning_rate=0.01, lambda_min=-0.1, lambda_max=30.0,
    )
    for n, sparsity, order in [
        (50, 3, 2), (900, 5, 2), (900, 900, 2), (10**7, 40, 2), (10**7, 9, 1)
    ]
]  # fmt: skip


@pytest.mark.parametrize("spec", ROUNDS, ids=lambda spec: f"{spec.n}-{spec.sparsity}-{spec.order}")
def test_the_least_is_that_of_all_ways_and_loaders(spec):
    every = [
        ways.priced(spec, way, loader, MACHINE)
        for way, loader in itertools.product(ways.all_ways(spec), ways.SERIAL)
    ]
    least = min(each.seconds for each in every)
    assert shortest.least(spec, MACHINE, shortest.FEWEST).seconds == least
    assert shortest.least(spec, MACHINE, shortest.FEWEST[::-1]).seconds == least


@pytest.mark.parametrize("spec", ROUNDS, ids=lambda spec: f"{spec.n}-{spec.sparsity}-{spec.order}")
def test_no_price_lies_below_its_bound(spec):
    for way in ways.all_ways(spec):
        bounds = shortest.least_seconds(spec, way, ways.SERIAL, MACHINE)
        for loader, bound in bounds.items():
            assert bound <= ways.priced(spec, way, loader, MACHINE).copy_seconds


def test_what_is_read_coherently_is_cleared_at_the_same_price():
    """A query's count takes one for the other."""
    tables = [
        Table(axis(5, 3, Piece(1, first, axis(3, 0, Piece(0, own, Own())))))
        for first, own in itertools.product((2, 9, 32), (1, 5, 8))
    ]
    for name, loader in LOADERS.items():
        if loader.clearing == "coherent":
            for table, bits in itertools.product(tables, (1, 30)):
                read, clear = loader.read_cost(table, bits), loader.clear_cost(table, bits)
                assert read == clear, name
