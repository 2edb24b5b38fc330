"""Loaders: what they declare is what their circuits take, QROM's own circuit included; wrong
circuits are caught.
"""

from dataclasses import dataclass

import attrs
import numpy as np
import pytest
import torch
from qualtran import Adjoint, QUInt
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.resource_counting import GateCounts, QECGatesCost, QubitCount, get_cost_value

from qdescent._checks import ArgumentError
from qdescent.quantum.gates.loading.bucket_brigade import BucketBrigade
from qdescent.quantum.gates.loading.load_cost import LoadCost
from qdescent.quantum.gates.loading.loader import check_loader
from qdescent.quantum.gates.loading.qroam import QROAMLoader
from qdescent.quantum.gates.loading.qrom import QROMLoader
from qdescent.quantum.gates.loading.router_tree import RouterTree
from qdescent.quantum.gates.loading.select_swap import BorrowedLoad, SwapNetwork
from qdescent.quantum.gates.table_lookup import TableLoad, TableRead
from qdescent.quantum.inspect.toffoli_depth import toffoli_depth
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.lookup import LookUpTable

LOADERS = [
    QROMLoader(),
    QROAMLoader(),
    QROAMLoader(2),
    QROAMLoader(4),
    QROAMLoader(dirty=True),
    QROAMLoader(4, dirty=True),
    BucketBrigade(),
]


def table(lines, bits, seed=0):
    """Lines without equal neighbours and without zeros: nothing that a QROM could skip."""
    draw = np.random.default_rng(seed)
    steps = draw.integers(1, 2**bits - 1, size=lines)
    return LookUpTable(1 + np.cumsum(steps) % (2**bits - 1), bits)


def toffoli(counts):
    return counts.and_bloq + counts.toffoli + counts.cswap


def counted(bloq):
    work = get_cost_value(bloq, QubitCount()) - sum(
        reg.total_bits() for reg in bloq.signature.lefts()
    )
    return toffoli(get_cost_value(bloq, QECGatesCost())), work


@pytest.mark.parametrize("loader", LOADERS, ids=str)
@pytest.mark.parametrize(
    ("lines", "bits"), [(2, 3), (5, 4), (8, 2), (13, 3), (16, 5), (33, 2), (100, 7)]
)
def test_declared_is_counted(loader, lines, bits):
    data = table(lines, bits)
    load, read = TableLoad(data, loader), TableRead(data, loader)
    assert counted(load) == (
        loader.load_cost(lines, bits).toffoli,
        loader.load_cost(lines, bits).work_qubits,
    )
    cost = loader.read_cost(lines, bits)
    # the target is not there before
    assert counted(read) == (cost.toffoli, cost.work_qubits + bits)


def test_published_counts():
    """ceil(N/l) + b (l - 1) Toffoli for a clean load, 2 ceil(N/l) + 4 b (l - 1) for a dirty one
    (arXiv:1902.02134), less a few.
    """
    for lines, bits, block in ((256, 3, 8), (128, 7, 4), (4096, 10, 16)):
        rows = -(-lines // block)
        assert (
            0 <= rows + bits * (block - 1) - QROAMLoader(block).read_cost(lines, bits).toffoli <= 2
        )
        assert (
            0
            <= 2 * rows
            + 4 * bits * (block - 1)
            - QROAMLoader(block, dirty=True).load_cost(lines, bits).toffoli
            <= 4
        )


@pytest.mark.parametrize(("lines", "bits"), [(1000, 8), (10**8, 54), (7, 100), (2, 1)])
@pytest.mark.parametrize("dirty", [False, True])
def test_the_chosen_block_is_the_best(lines, bits, dirty):
    for form in ("load_cost", "read_cost"):
        best = getattr(QROAMLoader(dirty=dirty), form)(lines, bits).toffoli
        every = [getattr(QROAMLoader(2**k, dirty), form)(lines, bits).toffoli for k in range(30)]
        assert best == min(every)
        assert (best < QROMLoader().load_cost(lines, bits).toffoli) == (lines > 100)


@pytest.mark.parametrize("block", [1, 2, 8])
def test_runs_of_one_value_are_skipped_and_counted(block):
    draw = np.random.default_rng(3)
    for lines in (
        draw.integers(2, size=64),
        np.repeat(draw.integers(4, size=16), 4),
        np.ones(16, dtype=int),
        np.arange(13),
    ):
        data = LookUpTable(lines, bits=4)
        loader = QROAMLoader(block) if block > 1 else QROMLoader()
        swaps = data.bits * (block - 1)
        assert counted(TableRead(data, loader))[0] == data.ands(block) + swaps
    assert (
        LookUpTable(np.repeat(np.arange(16), 4), 4).ands()
        == 14
        < QROMLoader().load_cost(64, 4).toffoli
    )


def test_the_block_chosen_for_a_table_knows_its_runs():
    data = LookUpTable(np.repeat(np.arange(1, 17), 16), bits=5)  # 256 lines, 16 runs
    assert QROAMLoader().read_block(data) == 1
    assert QROAMLoader().read_block(table(256, 5)) == 8


def down_to_gates(bloq):
    """The decomposition with every QROM replaced by its own unary iteration."""
    composed = (QROM, TableLoad, TableRead, BorrowedLoad, SwapNetwork, RouterTree, Adjoint)
    return bloq.decompose_bloq().flatten(lambda instance: isinstance(instance.bloq, composed))


@pytest.mark.parametrize(
    ("loader", "lines"),
    [(QROMLoader(), 7), (QROAMLoader(2), 7), (QROAMLoader(2, dirty=True), 7), (BucketBrigade(), 4)],
    ids=str,
)
def test_down_to_gates_it_is_the_same_map_and_takes_the_declared_qubits(loader, lines):
    load = TableLoad(table(lines, 2), loader)
    qubits = load.signature.n_qubits()
    state = torch.randn(2**qubits, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    run = Simulator(fast=False).run(down_to_gates(load), state)
    torch.testing.assert_close(
        run.amplitudes, Simulator().run(load, state).amplitudes, rtol=0, atol=1e-13
    )
    declared = loader.load_cost(lines, 2)
    assert run.peak_qubits == qubits + declared.work_qubits
    gates = [bloq for bloq in run.calls if type(bloq).__name__ in ("And", "Toffoli", "TwoBitCSwap")]
    executed = sum(
        (run.calls[gate] * get_cost_value(gate, QECGatesCost()) for gate in gates), GateCounts()
    )
    assert toffoli(executed) == declared.toffoli


@pytest.mark.parametrize("loader", LOADERS, ids=str)
@pytest.mark.parametrize(("lines", "bits"), [(2, 3), (5, 4), (16, 2)])
def test_declared_depth_is_that_of_the_circuit(loader, lines, bits):
    data = table(lines, bits)
    assert toffoli_depth(TableLoad(data, loader)) == loader.load_cost(lines, bits).depth
    assert toffoli_depth(TableRead(data, loader)) == loader.read_cost(lines, bits).depth


def test_depth_grows_as_lines_rows_and_levels():
    """N, N/l + log l, log N: on 2^20 lines; and bits that follow each other down the tree, not one
    after the other has arrived.
    """
    depths = [
        loader.read_cost(2**20, 10).depth
        for loader in (QROMLoader(), QROAMLoader(2**8), BucketBrigade())
    ]
    assert depths == [2**20 - 2, 2**12 - 2 + 8, 38]
    in_turn = sum(range(1, 4)) + 4  # n = 4
    assert toffoli_depth(RouterTree(4)) == 6 < in_turn


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_token_comes_to_the_selected_leaf_and_counts_are_those_of_the_decomposition(n):
    tree = RouterTree(n)
    circuit = tree.decompose_bloq()
    for selection in range(2**n):
        found = circuit.call_classically(selection=selection)
        assert found[0] == selection
        assert found[1] == 1 << (2**n - 1 - selection)
    gates = {
        bloq: count for bloq, count in circuit.bloq_counts().items() if bloq in tree.bloq_counts()
    }
    assert gates == dict(tree.bloq_counts())
    assert get_cost_value(tree, QubitCount()) == get_cost_value(circuit, QubitCount())
    assert get_cost_value(tree.adjoint(), QubitCount()) == get_cost_value(
        tree.adjoint().decompose_bloq(), QubitCount()
    )
    assert tree.adjoint().adjoint() == tree


def test_a_tree_that_takes_the_last_bit_first_is_rejected():
    @attrs.frozen
    class Backwards(RouterTree):
        def build_composite_bloq(self, bb, **soqs):
            done = RouterTree.build_composite_bloq(
                self, bb, selection=bb.join(bb.split(soqs["selection"])[::-1])
            )
            return {
                **done,
                "selection": bb.join(bb.split(done["selection"])[::-1], QUInt(self.selection_bits)),
            }

    found = [
        Backwards(2).decompose_bloq().call_classically(selection=selection)[1]
        for selection in range(4)
    ]
    assert found == [0b1000, 0b0010, 0b0100, 0b0001]  # right only where both bits are equal


@pytest.mark.parametrize("offset", range(8))
def test_swap_network_brings_the_chosen_register_to_the_front(offset):
    block = np.array([5, 2, 7, 1, 6, 0, 3, 4])
    found_offset, found = SwapNetwork(offset_bits=3, bits=3).call_classically(
        offset=offset, block=block.copy()
    )
    assert found_offset == offset
    assert found[0] == block[offset]
    assert sorted(found) == sorted(block)


def test_beyond_the_last_line_nothing_is_loaded():
    load = TableLoad(LookUpTable(np.array([[1, 2, 3], [3, 1, 2]]), bits=2), QROAMLoader(2))
    for i, j in ((0, 3), (1, 3)):
        assert load.decompose_bloq().call_classically(selection0=i, selection1=j, target=1)[2] == 1
    assert load.decompose_bloq().call_classically(selection0=1, selection1=2, target=1)[2] == 1 ^ 2


def test_a_swap_network_that_reads_its_bits_in_the_wrong_order_is_rejected():
    @attrs.frozen
    class Reversed(SwapNetwork):
        def build_composite_bloq(self, bb, **soqs):
            offset = bb.split(soqs["offset"])[::-1]
            done = SwapNetwork.build_composite_bloq(
                self, bb, offset=bb.join(offset), block=soqs["block"]
            )
            return {**done, "offset": bb.join(bb.split(done["offset"])[::-1])}

    block = np.array([5, 2, 7, 1])
    found = [
        int(
            Reversed(offset_bits=2, bits=3).call_classically(offset=offset, block=block.copy())[1][
                0
            ]
        )
        for offset in range(4)
    ]
    assert found == [5, 7, 2, 1]  # right only where both bits are equal


def test_a_borrowed_load_that_forgets_its_second_xor_is_rejected():
    @attrs.frozen
    class Once(BorrowedLoad):
        def build_composite_bloq(self, bb, **soqs):
            whole = BorrowedLoad(self.table, self.block)
            rows = next(
                part.bloq
                for part in whole.decompose_bloq().bloq_instances
                if isinstance(part.bloq, QROM)
            )
            done = bb.add_d(whole, **soqs)
            *row, offset = bb.split(done["selection0"])
            # cancels the last of the two
            row, block = bb.add(rows, selection=bb.join(row), target0_=done["borrowed"])
            return {
                **done,
                "selection0": bb.join([*bb.split(row), offset], QUInt(2)),
                "borrowed": block,
            }

    bloq = Once(table(4, 2), block=2)
    state = torch.randn(
        2 ** bloq.signature.n_qubits(),
        generator=torch.Generator().manual_seed(1),
        dtype=torch.float64,
    )
    fast, decomposed = (Simulator(fast=fast).run(bloq, state).amplitudes for fast in (True, False))
    assert (fast - decomposed).norm() > 0.1 * state.norm()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QROAMLoader(block=3), "Argument `block` must be a power of two, but is 3."),
        (
            lambda: QROAMLoader(block=0),
            "Argument `block` must be an integer of at least 1, but is 0.",
        ),
        (
            lambda: LookUpTable(np.array([1]), 2),
            (
                r"Argument `entries` must have at least two entries along every axis, but is"
                r" of shape \(1,\)."
            ),
        ),
        (
            lambda: LookUpTable(np.array([1, 4]), 2),
            r"Argument `entries` must be in \[0, 2\^2\), but is in \[1, 4\].",
        ),
        (
            lambda: LookUpTable(np.array([1, -1]), 2),
            r"Argument `entries` must be in \[0, 2\^2\), but is in \[-1, 1\].",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_block_is_at_most_half_the_table():
    assert QROAMLoader(1024).read_block(table(9, 2)) == 8
    assert QROAMLoader(1024).load_block(table(9, 2)) == 8


@dataclass(frozen=True)
class Twice:
    """A loader from outside: QROM where an entry is loaded, a register of its own for a read."""

    clearing = "coherent"
    by_address = False

    def load_cost(self, entries, bits):
        return QROMLoader().load_cost(entries, bits)

    read_cost = clear_cost = load_cost

    def in_place(self, table):
        return None  # read, copied, undone

    def reader(self, table):
        return QROAMLoader(2)

    def reading(self, table):
        return QROAMLoader(2).reading(table)


def test_a_loader_from_outside_needs_no_table_of_classes():
    """Its protocol is all that the gates ask for: the same load as by the loaders of the house."""
    data = table(13, 3)
    size = sum(data.selection_bits) + data.bits
    start = torch.randn(2**size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    by = [
        Simulator(fast=False).run(TableLoad(data, loader), start).amplitudes
        for loader in (QROMLoader(), Twice())
    ]
    assert torch.equal(*by)
    assert check_loader(Twice()) == Twice()
    for wrong in (Twice, QROMLoader, "qrom", LoadCost(1, 1, 1)):
        with pytest.raises(ArgumentError, match=r"`loader` must be a loader such as QROMLoader"):
            check_loader(wrong)
