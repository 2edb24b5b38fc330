"""Logical counts: Qualtran's call graph against the formula, and a solve re-added by hand."""

import dataclasses

import numpy as np
import pytest
from qualtran.resource_counting import QECGatesCost, get_cost_value

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent.quantum.gates.bucket_brigade import RouterTree
from qdescent.quantum.gates.loaders import BucketBrigade, QROAMLoader, QROMLoader
from qdescent.resources.logical import (
    LogicalCounts,
    best_block,
    counted_loader_toffoli,
    loader_toffoli,
    solve_cost,
)
from qdescent.resources.round_spec import RoundSpec, least_kappa


def instance(**changes) -> RoundSpec:
    plain = RoundSpec(
        n=10**7,
        parameters=10**8,
        order=2,
        steps=100,
        padding=0,
        kappa=300.0,
        sparsity=10,
        batch=512,
        forward_macs=10**9,
        epsilon=1e-2,
        alpha_over_norm=2.5,
    )
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize("entries", [1000, 12345, 10**8, 10**13])
@pytest.mark.parametrize("block", [1, 2, 16, 256])
def test_declared_loader_is_the_counted_loader(entries, block):
    assert counted_loader_toffoli(entries, 54, block) == loader_toffoli(entries, 54, block)


@pytest.mark.parametrize("entries", [2, 1000, 4096, 10**6])
def test_the_ledgers_loaders_are_those_of_the_circuits(entries):
    """For QROM and QROAM one AND more: the ledger's reads are controlled. Of a router tree the
    count of its circuit.
    """
    width = 54
    declared = BucketBrigade().read_cost(entries, width)
    assert (
        declared.toffoli
        == get_cost_value(RouterTree((entries - 1).bit_length()), QECGatesCost()).cswap
    )
    lines = 2 ** (entries - 1).bit_length()
    for block in (1, 16):
        if block <= lines // 2:
            loader = QROAMLoader(block) if block > 1 else QROMLoader()
            assert loader_toffoli(lines, width, block) == loader.read_cost(lines, width).toffoli + 1


def test_a_router_tree_has_many_gates_and_few_layers():
    qrom, qroam, qram = (solve_cost(instance(), loader) for loader in ("qrom", "qroam", "qram"))
    assert qroam.counts.toffoli < qrom.counts.toffoli < qram.counts.toffoli
    assert qram.depth < qroam.depth < qrom.depth == qrom.counts.toffoli
    assert qrom.counts.qubits < qroam.counts.qubits < qram.counts.qubits
    assert qram.block == 2**27  # leaves for 10^8 entries


def test_a_solve_with_a_router_tree_added_by_hand():
    """n = 3, s = 2, N = 2, T = 4, b = 8 as below: trees of 8 leaves for the table and of 4 for the
    values.
    """
    small = instance(
        n=3, parameters=5, sparsity=2, order=2, steps=4, padding=0, kappa=4.0, angle_bits=8
    )
    cost = solve_cost(small, "qram")
    assert cost.query_toffoli == 2 * 2 * (16 - 3 - 2) + 2 * (8 - 2 + 2) + 3 + 2 * (7 - 1)
    assert cost.upload_toffoli == 2 * (8 - 2 - 2) + 2 * (8 - 2)
    assert cost.ancilla_qubits == (2 * (1 + 1) + 1 + 2) + (2 + 1 + 8) + (20 - 3) + 8
    layers = 2 * 2 * 4 + 2 * (8 - 2 + 2) + 3 + 2 * (7 - 1) + 2 * (2 * 2 + 2 * (8 - 2))
    assert cost.depth == small.queries * layers


def test_a_loader_that_forgets_the_swap_network_is_rejected():
    entries, width, block = 10**6, 30, 64
    assert -(-entries // block) - 1 != counted_loader_toffoli(entries, width, block)


@pytest.mark.parametrize(("entries", "width"), [(1000, 8), (10**8, 54), (7, 100), (2, 1)])
def test_best_block_beats_its_neighbours(entries, width):
    block = best_block(entries, width)
    assert block & (block - 1) == 0
    assert block <= entries
    for other in (block // 2, 2 * block):
        if 1 <= other <= entries // 2:
            assert loader_toffoli(entries, width, block) <= loader_toffoli(entries, width, other)


def test_dimensions():
    small = instance(n=2, parameters=5, sparsity=1, order=3, steps=4, padding=2)
    assert small.lifted_dimension == 2 + 8 + 26
    assert small.history_dimension == 7 * 36


def test_a_solve_added_by_hand():
    """n = 3, s = 2, N = 2, T = 4, b = 8: every register and gate written out."""
    small = instance(
        n=3, parameters=5, sparsity=2, order=2, steps=4, padding=0, kappa=4.0, angle_bits=8
    )
    cost = solve_cost(small, "qrom")
    Q = small.queries
    assert Q == 609  # ceil(56 * 10 + 1.05 * 10 ln 100) = ceil(608.35)
    # two words over {w, u1, u2, u3}, their number, five times
    assert cost.system_qubits == 2 * 2 + 2 + 3
    assert cost.ancilla_qubits == (2 * (1 + 1) + 1 + 2) + (2 + 1 + 8) + 3 + 8
    assert cost.query_toffoli == 2 * 2 * (6 - 1) + 2 * (8 - 2 + 2) + 3 + 2 * (7 - 1)
    assert cost.upload_toffoli == 2 * (3 - 1) + 2 * (8 - 2)
    assert cost.counts.toffoli == Q * cost.query_toffoli + 2 * Q * cost.upload_toffoli
    # one upload a query is not enough
    assert cost.counts.toffoli != Q * (cost.query_toffoli + cost.upload_toffoli)
    assert cost.counts.rotations == Q


def test_order_multiplies_the_table_reads():
    first, second = (
        solve_cost(instance(order=order, angle_bits=26), "qrom").query_toffoli for order in (1, 4)
    )
    assert second / first == pytest.approx(4, rel=1e-5)


def test_queries_of_the_project_row():
    """facts.md section 6: n = 1e7, s = 10, N = 2, T = 100, kappa 300, alpha/||M|| = 2.5: 4.6e4
    queries (at eps = 1e-2).
    """
    row = instance()
    assert row.entries == 10**8
    assert row.queries == 45627
    assert f"{row.queries:.1e}" == "4.6e+04"
    assert f"{instance(alpha_over_norm=1.0).queries:.1e}" != "4.6e+04"


def test_readout_of_the_project_row():
    """facts.md section 4: k = 7.45e5 at 1e-2: 1.9e9 shots or 7.5e7 calls."""
    pruned = instance(n=745_000)
    assert f"{pruned.shot_count:.1e}" == "1.9e+09"
    assert pruned.solves == 2 * pruned.shot_count
    # 7.45e7
    assert f"{instance(n=745_000, readout='unitary').solves:.1e}" in {"7.4e+07", "7.5e+07"}


def test_success_probability_divides():
    assert instance(shots=100, success_probability=0.25).solves == 800


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "Argument `n` must be an integer of at least 1, but is 0."),
        ({"parameters": 10}, r"Argument `n` must be at most `parameters` \(10\), but is 10000000."),
        ({"sparsity": 10**8}, r"Argument `sparsity` must be at most `n` \(10000000\)"),
        ({"order": 1.5}, "Argument `order` must be an integer of at least 1, but is 1.5."),
        ({"kappa": 0.9}, r"Argument `kappa` must be in \[1, inf\), but is 0.9."),
        ({"kappa": float("nan")}, "Argument `kappa` must be in"),
        ({"shots": 0}, "Argument `shots` must be an integer of at least 1, but is 0."),
        (
            {"success_probability": 0.0},
            r"Argument `success_probability` must be in \(0, 1\], but is 0.0.",
        ),
        (
            {"readout": "free"},
            "Argument `readout` must be one of 'sampling', 'unitary', but is 'free'.",
        ),
        ({"kappa_evidence": "sure"}, "Argument `kappa_evidence` must be one of exact"),
        ({"batch": None}, "Argument `batch` must be an integer of at least 1, but is None."),
        ({"batch": True}, "Argument `batch` must be an integer of at least 1, but is True."),
        ({"n": np.float64(1e7)}, "Argument `n` must be an integer of at least 1"),
        (
            {"n": 10**400, "parameters": 10**400},
            "Argument `n` must be an integer of at most 4611686018427387904",
        ),
        (
            {"steps": 10**400},
            "Argument `steps` must be an integer of at most 1000000000000000000000000000000",
        ),
        ({"order": 10**9}, "Argument `order` must be an integer of at most 64"),
        ({"kappa": "300"}, r"Argument `kappa` must be in \[1, inf\), but is '300'."),
        ({"kappa": float("inf")}, r"Argument `kappa` must be in \[1, inf\), but is inf."),
        (
            {"kappa": 1e305},
            "Argument `kappa` must lie between 1e-30 and 1e[+]300, but is 1e[+]305.",
        ),
        ({"epsilon": 1e-300}, "Argument `epsilon` must lie between 1e-30 and"),
        ({"kappa_source": None}, "Argument `kappa_source` must be a text"),
        (
            {"masked_macs": 10**10},
            r"Argument `masked_macs` must be at most `forward_macs` \(1000000000\)",
        ),
        (
            {"table_entries": 2**63},
            "Argument `table_entries` must make tables of at most 4.6e[+]18 entries",
        ),
        (
            {"padding": 1000},
            (
                "Argument `kappa` must be at least 1275.* with a padding of 1000, whose copies"
                " alone force it"
            ),
        ),
    ],
)
def test_bad_instance(changes, message):
    with pytest.raises(ArgumentError, match=message):
        instance(**changes)


def test_bad_loader_and_counts():
    with pytest.raises(
        ArgumentError,
        match=r"Argument `loader` must be one of 'qrom', 'qroam', 'qram', but is 'ram'\.",
    ):
        solve_cost(instance(), "ram")
    with pytest.raises(
        ArgumentError, match=r"Argument `toffoli` must be an integer of at least 0, but is -1\."
    ):
        LogicalCounts(1, toffoli=-1)
    assert instance(kappa_evidence=Evidence.MEASURED).kappa_evidence == "measured"


def test_numpy_scalars_are_numbers():
    ours = instance(
        n=np.int64(10**7), kappa=np.float32(300), epsilon=np.float64(1e-2), sparsity=np.int32(10)
    )
    assert ours == instance()
    assert {type(ours.n), type(ours.sparsity)} == {int}
    assert {type(ours.kappa), type(ours.epsilon)} == {float}
    assert type(LogicalCounts(np.int64(5), toffoli=np.int64(9)).toffoli) is int


@pytest.mark.parametrize("padding", [0, 1, 2, 30, 100])
def test_the_least_kappa_is_that_of_the_copies_and_bounds_any_history(padding):
    """NumPy's condition number of I - shift on p + 1 blocks; a history whose step is small has the
    least kappa nearly.
    """
    copies = padding + 1
    least = least_kappa(padding)
    assert least == pytest.approx(np.linalg.cond(np.eye(copies) - np.eye(copies, k=-1)), rel=1e-9)
    for a in (1e-3, 0.5, 0.9, 1.0):
        whole = np.eye(copies + 6)
        for t in range(copies + 5):
            whole[t + 1, t] = -a if t < 6 else -1.0
        assert np.linalg.cond(whole) >= least * (1 - 1e-12)
    assert instance(kappa=least, padding=padding).kappa == least
    with pytest.raises(ArgumentError, match="whose copies alone force it"):
        instance(kappa=max(0.999 * least, 1.0) if padding else 1.0, padding=max(padding, 1))


@pytest.mark.parametrize("a", [0.5, 0.9, 0.95])
def test_useful_steps_of_a_contraction(a):
    """kappa of a long history of one contracting mode: beyond the useful steps no more than epsilon
    is left.
    """
    length = 400
    kappa = np.linalg.cond(np.eye(length) - a * np.eye(length, k=-1))
    steps = instance(kappa=kappa, steps=length, epsilon=1e-3).useful_steps
    assert a**steps <= 1.05e-3
    assert a ** (steps - 2) > 1e-3
    assert instance(kappa=1.0).useful_steps == 1
