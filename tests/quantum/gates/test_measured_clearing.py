"""Tables cleared by measurement: any outcome leaves the state; what is declared is counted."""

import itertools

import numpy as np
import pytest
import torch
from qualtran import BloqBuilder, QAny
from qualtran.resource_counting import QECGatesCost, get_cost_value

from qdescent._checks import ArgumentError
from qdescent.quantum.gates.loading.iteration import xor_into
from qdescent.quantum.gates.loading.load_cost import fix_up_block, fix_up_cost
from qdescent.quantum.gates.loading.qroam import QROAMLoader
from qdescent.quantum.gates.loading.qrom import QROMLoader
from qdescent.quantum.gates.measured_clearing import MeasuredClearing, OneHot, SignLookUp
from qdescent.quantum.gates.multiplexed import ColourPermutation, SelectedSwap, TableRotation
from qdescent.quantum.gates.table_lookup import TableLoad, TableRead
from qdescent.quantum.inspect.toffoli_depth import toffoli_depth
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import AngleTable
from qdescent.quantum.tables.lookup import LookUpTable
from qdescent.quantum.tables.permutations import PermutationTable

LOADERS = [
    QROMLoader("measured"),
    QROAMLoader(2, clearing="measured"),
    QROAMLoader(4, clearing="measured"),
    QROAMLoader(clearing="measured"),
    QROAMLoader(2, dirty=True, clearing="measured"),
]


def drawn(lines, bits, seed=0):
    return LookUpTable(np.random.default_rng(seed).integers(2**bits, size=lines), bits)


def some_state(size, seed=0):
    draw = np.random.default_rng(seed)
    state = torch.from_numpy(draw.normal(size=size) + 1j * draw.normal(size=size))
    return state / state.norm()


def ands(bloq):
    counts = get_cost_value(bloq, QECGatesCost())
    return counts.and_bloq + counts.toffoli + counts.cswap


def written_and_cleared(clearing, written=None):
    """|i> -> |i>|d_i>|w_i> by coherent look-ups, then the clearing."""
    table, works = written or clearing.table, clearing.work
    bb = BloqBuilder()
    soqs = {reg.name: bb.add_register(reg) for reg in TableRead(table).signature.lefts()}
    held = []
    for each in (table, *works):
        soqs = bb.add_d(TableLoad(each), target=bb.allocate(each.bits), **soqs)
        held.append(soqs.pop("target"))
    if works:
        joined = np.concatenate([bb.split(work) for work in held[1:]])
        soqs["work"] = bb.join(joined, QAny(len(joined)))
    return bb.finalize(**bb.add_d(clearing, target=held[0], **soqs))


def lost(circuit):
    """How far the circuit takes a state that it should leave."""
    state = some_state(2 ** circuit.signature.n_qubits())
    return float((Simulator(fast=False).run(circuit, state).amplitudes - state).norm())


@pytest.mark.parametrize("shape", [(2,), (5,), (8,), (16,), (3, 4)], ids=str)
def test_both_outcomes_of_every_bit_leave_the_state(shape):
    table = drawn(shape, 2)
    for outcome in itertools.product((0, 1), repeat=2):
        assert lost(written_and_cleared(MeasuredClearing(table, outcome=outcome))) < 1e-12


def test_work_registers_are_measured_too():
    table, works = drawn((8,), 2, 1), (drawn((8,), 1, 2), drawn((8,), 2, 3))
    for outcome in ((1, 0, 1, 1, 0), (0, 1, 1, 0, 1), (0, 0, 0, 0, 0)):
        assert lost(written_and_cleared(MeasuredClearing(table, works, outcome))) < 1e-12


def test_a_sign_that_is_not_made_good_is_seen():
    table, other = LookUpTable(np.arange(4), 2), LookUpTable(np.array([0, 1, 3, 2]), 2)
    planted = MeasuredClearing(other, outcome=(0, 1))  # made good for another table
    assert lost(written_and_cleared(planted, table)) > 0.1
    # an outcome that looks at what both tables share
    assert lost(written_and_cleared(MeasuredClearing(other, outcome=(1, 0)), table)) < 1e-12
    # no bit in |->: no sign
    assert lost(written_and_cleared(MeasuredClearing(other, outcome=(0, 0)), table)) < 1e-12


@pytest.mark.parametrize("loader", LOADERS, ids=str)
@pytest.mark.parametrize("lines", [2, 5, 8, 13])
def test_read_and_cleared_is_nothing_done(loader, lines):
    read, bb = TableRead(drawn(lines, 2), loader), BloqBuilder()
    held = bb.add_d(read, selection0=bb.add_register(read.signature.get_left("selection0")))
    assert lost(bb.finalize(**bb.add_d(read.adjoint(), **held))) < 1e-12


@pytest.mark.parametrize("loader", LOADERS, ids=str)
@pytest.mark.parametrize(("lines", "bits"), [(2, 3), (5, 4), (16, 5), (100, 7)])
def test_declared_is_counted(loader, lines, bits):
    steps = np.random.default_rng(0).integers(1, 2**bits - 1, size=lines)
    data = LookUpTable(1 + np.cumsum(steps) % (2**bits - 1), bits)
    assert ands(TableRead(data, loader)) == loader.read_cost(lines, bits).toffoli
    assert ands(TableRead(data, loader).adjoint()) == loader.clear_cost(lines, bits).toffoli
    assert ands(TableLoad(data, loader)) == loader.load_cost(lines, bits).toffoli


@pytest.mark.parametrize("lines", [2, 3, 4, 7, 8, 16, 64, 1000])
def test_the_sign_takes_what_it_declares_and_no_outcome_more(lines):
    table = drawn(lines, 3)
    declared = fix_up_cost(lines)
    assert ands(MeasuredClearing(table)) == declared.toffoli
    for outcome in itertools.product((0, 1), repeat=3):
        made = MeasuredClearing(table, outcome=outcome).decompose_bloq()
        assert ands(made) <= declared.toffoli
    padded = 2 ** (lines - 1).bit_length()
    block = fix_up_block(lines)
    offset = np.arange(padded)
    signs = (offset // block + offset) % 2 if block > 1 else offset % 2
    if padded > 2:
        worst = SignLookUp(LookUpTable(signs, 1), block)
        assert toffoli_depth(worst) == declared.depth


def test_published_count():
    """ceil(N/k) + k (arXiv:1902.02134, table of appendix C), less the four that end points save."""
    for lines in (256, 1024, 4096, 2**20):
        k = fix_up_block(lines)
        assert fix_up_cost(lines).toffoli == lines // k + k - 4
        assert k == 2 ** (lines.bit_length() // 2)
    every = [2**20 // 2**k + 2**k - 4 for k in range(1, 20)]
    assert fix_up_cost(2**20).toffoli == min(every)


def test_one_hot_is_one_hot():
    for k in (1, 2, 3):
        bb, one_hot = BloqBuilder(), OneHot(k)
        offset = bb.add_register_from_dtype("offset", QAny(k))
        out = bb.add_register_from_dtype("out", QAny(2**k))
        offset, ones = bb.add(one_hot, offset=offset)
        ones, out = xor_into(bb, ones, out)
        circuit = bb.finalize(offset=bb.add(one_hot.adjoint(), offset=offset, ones=ones), out=out)
        for p in range(2**k):
            start = torch.zeros(2**k, 2 ** (2**k), dtype=torch.complex128)
            start[p, 0] = 1
            found = Simulator(fast=False).run(circuit, start.reshape(-1)).project(offset=p)
            # bit 0 is the most significant
            assert float(found[1 << (2**k - 1 - p)].abs()) == pytest.approx(1)
        assert ands(OneHot(k)) == 2**k - 2
        assert ands(OneHot(k).adjoint()) == 0


def test_what_uses_tables_is_the_same_map_with_fewer_gates():
    measured, coherent = QROMLoader("measured"), QROMLoader()
    draw = np.random.default_rng(5)
    forward = np.stack([draw.permutation(16) for _ in range(4)])
    permutations = PermutationTable(forward, np.argsort(forward, axis=1))
    chosen = tuple(bool(x) for x in draw.integers(2, size=16))
    angles = AngleTable(draw.integers(1, 31, size=(32,)), 5)
    for make in (
        lambda loader: ColourPermutation(permutations, loader),
        lambda loader: SelectedSwap(chosen, 2, loader),
        lambda loader: TableRotation(angles, loader),
    ):
        with_outcomes, before = make(measured), make(coherent)
        assert ands(with_outcomes) < ands(before)
        state = some_state(2 ** before.signature.n_qubits())
        expected = Simulator(fast=False).run(before, state).amplitudes
        found = Simulator(fast=False).run(with_outcomes, state).amplitudes
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_bad_input_is_one_sentence():
    with pytest.raises(ArgumentError, match="clearing"):
        QROMLoader("sometimes")
    with pytest.raises(ArgumentError, match="clearing"):
        QROAMLoader(clearing=None)
    with pytest.raises(ArgumentError, match="outcome"):
        MeasuredClearing(drawn(4, 2), outcome=(1,))
    with pytest.raises(ArgumentError, match="block"):
        SignLookUp(drawn(8, 1), 3)
    with pytest.raises(ArgumentError, match="signs"):
        SignLookUp(drawn(8, 2), 2)
