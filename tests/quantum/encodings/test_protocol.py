"""What every block-encoding is: one of Qualtran's, which its combinators take; equal by value, also
in another process; augmented, controlled and named by itself.
"""

import os
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np
import pytest
import torch
from qualtran import Bloq, CtrlSpec
from qualtran.bloqs import block_encoding as qualtran
from qualtran.resource_counting import QECGatesCost, get_cost_value
from qualtran.testing import assert_valid_bloq_decomposition

import qdescent.quantum
from qdescent._checks import ArgumentError
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.encodings.balanced import BalancedEncoding
from qdescent.quantum.encodings.coloured import SparseBlockEncoding, hermitian_encoding
from qdescent.quantum.encodings.composition import Composition, Identity, block_diagonal
from qdescent.quantum.encodings.dilation import HermitianDilation
from qdescent.quantum.encodings.history import HistoryEncoding
from qdescent.quantum.encodings.kernel import KernelEncoding
from qdescent.quantum.encodings.lcu import weighted_sum
from qdescent.quantum.encodings.products import Product, Shift, TensorProduct
from qdescent.quantum.gates.loading.qroam import QROAMLoader
from qdescent.quantum.gates.multiplexed import TableRotation
from qdescent.quantum.gates.state_preparation import state_preparation
from qdescent.quantum.inspect.call_tree import call_tree
from qdescent.quantum.inspect.drawing import draw
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.angles import AngleTable
from qdescent.quantum.tables.balanced import balanced_matrix
from qdescent.quantum.tables.coloured import matrix_tables
from qdescent.quantum.tables.history import history_tables
from qdescent.solvers.encodings import EncodingPlan
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.qsvt import QSVT
from qdescent.solvers.solve import Status

A = np.array([[1.0, -0.5], [0.0, -0.7]])
B = np.array([[0.3, 0.5j], [0.7, 0.0]])
MAP = PolynomialMap([torch.tensor([0.3]), torch.tensor([[0.8]]), torch.tensor([[0.2]])])


def entries(matrix):
    rows, columns = np.nonzero(matrix)
    return rows, columns, matrix[rows, columns]


def coloured(matrix, bits=8):
    return SparseBlockEncoding(matrix_tables(*entries(matrix), 2, bits))


def balanced(matrix, bits=8):
    rows, columns = np.nonzero(matrix)
    return BalancedEncoding(balanced_matrix(rows, columns, matrix[rows, columns], 2, bits))


def encodings():
    """One of each kind, built anew at every call."""
    a, b = coloured(A), balanced(B)
    return {
        "coloured": a,
        "coloured, complex": coloured(B),
        "balanced": balanced(A),
        "balanced, complex": b,
        "history": HistoryEncoding(history_tables(MAP, order=2, steps=1, bits=8)),
        "kernel": KernelEncoding(a.augmented(1.3), state_preparation(np.arange(1.0, 5), 8)),
        "tensor product": TensorProduct((a, Shift(1))),
        "product": Product((a, b.adjoint())),
        "weighted sum": weighted_sum([0.5, -1.0], [a, Identity(1)], bits=8),
        "block diagonal": block_diagonal([b, Shift(1)], bits=8),
        "dilation": HermitianDilation(a),
        "Hermitian": hermitian_encoding(*entries(A), size=2, bits=8, loader=a.loader),
        "shift": Shift(2),
        "identity": Identity(1, 0.3),
    }


def block(bloq):
    """<0|U|0> on ancillas and resources, column by column."""
    away = {
        register.name: 0 for register in bloq.signature if register.name in ("ancilla", "resource")
    }
    rest = 2 ** (bloq.ancilla_bitsize + bloq.resource_bitsize)
    basis = torch.eye(rest * 2**bloq.system_bitsize, dtype=torch.complex128)[::rest]
    simulator = Simulator()
    return torch.stack([simulator.run(bloq, e).project(**away) for e in basis], dim=1).numpy()


@pytest.mark.parametrize("name", encodings())
def test_it_is_one_of_qualtrans(name):
    bloq = encodings()[name]
    assert isinstance(bloq, qualtran.BlockEncoding)
    assert bloq.resource_bitsize == 0
    assert bloq.alpha > 0
    assert bloq.epsilon >= 0
    assert bloq.signal_state.selection_bitsize == bloq.ancilla_bitsize
    assert [register.name for register in bloq.signature] == ["system", "ancilla"]
    assert len(bloq.basis_states) <= 2**bloq.system_bitsize
    assert str(bloq) == f"B[{bloq.label}]"


@pytest.mark.parametrize("t", [1.0, 1.7])
@pytest.mark.parametrize("name", encodings())
def test_augmented_is_the_block_diagonal_matrix(name, t):
    bloq = encodings()[name]
    augmented, size = bloq.augmented(t), 2**bloq.system_bitsize
    assert (augmented.alpha, augmented.system_bitsize) == (bloq.alpha, bloq.system_bitsize + 1)
    found = bloq.alpha * block(augmented)
    np.testing.assert_allclose(found[:size, :size], bloq.alpha * block(bloq), atol=1e-12)
    added = found[size:, size:] - bloq.alpha / t * np.eye(size)
    assert np.linalg.norm(added, 2) <= augmented.epsilon + 1e-12
    assert not np.abs(found[size:, :size]).max() > 1e-12
    # planted: another t
    assert np.linalg.norm(added + 0.1 * bloq.alpha * np.eye(size), 2) > augmented.epsilon
    with pytest.raises(ArgumentError, match=r"Argument `norm_estimate` must be in \[1, inf\)"):
        bloq.augmented(0.9)


def test_qualtrans_combinators_take_them():
    """Against dense products of what the parts themselves encode, to rounding."""
    a, b = coloured(A), balanced(B)
    dense_a, dense_b = a.alpha * block(a), b.alpha * block(b)
    assert np.linalg.norm(dense_a - A, 2) <= a.epsilon < 0.1
    cases = {
        "product": (qualtran.Product((a, b)), dense_a @ dense_b),
        "tensor product": (qualtran.TensorProduct((b, a)), np.kron(dense_b, dense_a)),
        "phase": (qualtran.Phase(b, phi=0.25, eps=0), np.exp(0.25j * np.pi) * dense_b),
        "of ours and theirs": (
            qualtran.Product((weighted_sum([1.0, 2.0], [a, b], 20), qualtran.Phase(a, 1, 0))),
            -(dense_a + 2 * dense_b) @ dense_a,
        ),
    }
    for name, (bloq, target) in cases.items():
        error = np.linalg.norm(bloq.alpha * block(bloq) - target, 2)
        assert error < (1e-4 if "ours" in name else 1e-13), name
        assert bloq.t_complexity().rotations > 0
        assert {a, b} & set(bloq.call_graph()[0].nodes)
    wrong = qualtran.Product((b, a))
    assert np.linalg.norm(wrong.alpha * block(wrong) - dense_a @ dense_b, 2) > 0.1


def test_qualtrans_linear_combination_takes_them():
    """Its alias sampling rounds the weights to multiples of 1/16 of alpha."""
    a, b = coloured(A, 4), balanced(B, 4)
    bloq = qualtran.LinearCombination((a, b), (0.5, -0.25), lambd_bits=3)
    target = 0.5 * a.alpha * block(a) - 0.25 * b.alpha * block(b)
    assert np.linalg.norm(bloq.alpha * block(bloq) - target, 2) <= bloq.alpha / 8
    assert bloq.t_complexity().rotations > 0
    assert len(bloq.call_graph()[1]) > 20


@pytest.mark.parametrize("name", encodings())
def test_equal_ones_are_equal(name):
    one, other = encodings()[name], encodings()[name]
    assert one == other
    assert hash(one) == hash(other)
    assert one.adjoint().adjoint() == one
    assert one.call_graph()[1] == other.call_graph()[1]
    for different in (*encodings().values(), one.adjoint(), one.controlled(), one.augmented(2.0)):
        assert (different == one) == (different is not one and repr(different) == repr(one))


def test_what_differs_is_different():
    one = coloured(A)
    for other in (
        coloured(A, bits=9),
        coloured(A + 0.1),
        attrs.evolve(one, loader=QROAMLoader()),
        one.adjoint(),
        balanced(A),
    ):
        assert one != other
    assert coloured(A) != "a text"


@pytest.mark.slow
def test_they_are_equal_in_another_process():
    """Whose texts hash otherwise."""
    kept = {name: (bloq, hash(bloq), bloq.call_graph()[1]) for name, bloq in encodings().items()}
    for name, (bloq, _, _) in pickle.loads(pickle.dumps(kept)).items():
        assert bloq == kept[name][0]
    program = (
        "import pickle, sys\n"
        "kept = pickle.load(sys.stdin.buffer)\n"
        "pickle.dump({n: (b, b.call_graph()[1] == c) for n, (b, _, c) in kept.items()},"
        " sys.stdout.buffer)"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps(kept),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12"},
    )
    for name, (bloq, same_graph) in pickle.loads(other.stdout).items():
        assert bloq == kept[name][0]
        assert hash(bloq) == hash(kept[name][0])
        assert same_graph


@pytest.mark.parametrize("name", encodings())
def test_a_control_of_qualtrans_is_ours(name):
    bloq = encodings()[name]
    controlled = bloq.controlled()
    assert controlled.signature[0].name == "control"
    assert controlled == bloq.controlled(CtrlSpec(cvs=1))
    assert_valid_bloq_decomposition(controlled)
    twice = controlled.controlled()
    more = get_cost_value(twice, QECGatesCost()).and_bloq
    assert more == get_cost_value(controlled, QECGatesCost()).and_bloq + 1


@attrs.frozen
class Diagonal(Composition):
    """A new encoding, and the only place that knows how it is made: diag(d), alpha = max |d|."""

    label: ClassVar[str] = "D"
    diagonal: tuple[float, ...]
    bits: int

    @property
    def alpha(self):
        return max(map(abs, self.diagonal))

    @property
    def _turn(self):
        return AngleTable.nearest(np.arccos(np.array(self.diagonal) / self.alpha), self.bits)

    @property
    def epsilon(self):
        encoded = self.alpha * np.cos(self._turn.half_angles)
        return float(np.abs(encoded - np.array(self.diagonal)).max())

    @property
    def angle_bits(self):
        return self.bits

    def layout(self):
        return {
            "system": {"system": (len(self.diagonal) - 1).bit_length()},
            "ancilla": {"flag": 1},
        }

    def steps(self):
        turn, selection = self._turn, ("system",)
        if self.is_controlled:
            turn, selection = turn.controlled, ("control", "system")
        return [(TableRotation(turn), {"selection0": selection, "target": ("flag",)})]


class DiagonalEntries:
    """And the other place: its plan."""

    def plan(self, system):
        d = tuple(system.matrix.diagonal().tolist())
        return EncodingPlan(
            max(map(abs, d)), "the largest entry", lambda bits, loader: Diagonal(d, bits)
        )


@pytest.mark.parametrize("solver", [QSVT, KernelReflection])
def test_a_new_encoding_is_a_bloq_and_a_plan(solver):
    system = LinearSystem(np.diag([1.0, -0.5, 0.6, 0.9]), np.array([1.0, 2.0, -1.0, 0.5]))
    found = solver(1e-3, circuit=True, encoding=DiagonalEntries()).solve(system)
    exact = torch.linalg.solve(system.matrix, system.rhs)
    assert found.status is Status.SOLVED
    assert float((found.value - exact).norm() / exact.norm()) <= found.bound <= 1e-3
    labels = {gate.label for gate in draw(found.circuit.sequence).gates}
    assert {"D", "D†"} <= labels or {"G", "G†"} <= labels
    assert call_tree(found.circuit).ands > 0


def test_rules_take_only_what_they_can_control():
    theirs = qualtran.Product((coloured(A), coloured(A)))
    with pytest.raises(
        ArgumentError, match="Argument `terms` must be block-encodings of this package, but is"
    ):
        weighted_sum([1.0], [theirs], bits=8)


def own_bloqs():
    """Every class of bloq in the package."""
    found, waiting = [], [Bloq]
    while waiting:
        waiting += waiting.pop(0).__subclasses__()
        found = [each for each in waiting if each.__module__.startswith("qdescent.")] + found
    return sorted(set(found), key=lambda each: each.__name__)


def test_each_bloq_carries_its_label():
    for file in (Path(qdescent.quantum.__path__[0])).glob("*/*.py"):
        import_module(f"qdescent.quantum.{file.parent.name}.{file.stem}")
    abstract = {"BlockEncoding", "Composition"}
    bloqs = [each for each in own_bloqs() if each.__name__ not in abstract]
    assert len(bloqs) > 30
    assert [each.__name__ for each in bloqs if not hasattr(each, "label")] == []


@pytest.mark.parametrize("name", encodings())
def test_a_right_side_of_another_length_is_refused(name):
    """Of a register too small, or of none; more bits in front are right."""
    encoding = encodings()[name]
    size = 2**encoding.right_side_bits
    for length in {1, size - 1, size + 1, 3 * size} - {size}:
        with pytest.raises(ArgumentError, match=f"`vector` must have {size} entries, one for each"):
            encoding.right_side(np.ones(length))
    for times in (1, 2, 4):
        assert encoding.right_side(np.ones(times * size)).bitsize == encoding.right_side_bits + (
            times.bit_length() - 1
        )
