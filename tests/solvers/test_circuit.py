"""What only a circuit has is one argument: what is written, what cannot be, and what is refused."""

import numpy as np
import pytest

from qdescent._checks import ArgumentError
from qdescent.quantum.gates.loading.bucket_brigade import BucketBrigade
from qdescent.quantum.gates.loading.qroam import QROAMLoader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.classical import GMRES, Direct
from qdescent.solvers.hhl import HHL
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.qsvt import QSVT

SOLVERS = [QSVT, KernelReflection, HHL]


@pytest.mark.parametrize("solver", SOLVERS)
def test_true_stands_for_the_default_circuit(solver):
    assert solver(circuit=True) == solver(circuit=np.True_) == solver(circuit=Circuit())
    assert solver(circuit=True).circuit == Circuit(loader=DEFAULT_LOADER)
    assert solver(circuit=False) == solver(circuit=None) == solver() != solver(circuit=True)
    assert solver().circuit is None
    assert solver(circuit=Circuit(amplify=True)) != solver(circuit=True)


@pytest.mark.parametrize("solver", [*SOLVERS, GMRES, Direct])
@pytest.mark.parametrize(
    "setting", [{"angle_bits": 20}, {"loader": QROAMLoader()}, {"amplify": True}]
)
def test_no_solver_has_a_setting_of_a_circuit_without_one(solver, setting):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{next(iter(setting))}'"):
        solver(**setting)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("wrong", [1, 0, "qrom", Circuit, QROAMLoader(), [Circuit()]])
def test_a_circuit_is_true_false_or_a_circuit(solver, wrong):
    with pytest.raises(ArgumentError, match=r"`circuit` must be True, False or a Circuit\(angle"):
        solver(circuit=wrong)


def test_refusals():
    few = "Argument `angle_bits` must be an integer of at least 3, but is 2"
    with pytest.raises(ArgumentError, match=few):
        Circuit(angle_bits=2)
    with pytest.raises(ArgumentError, match="`angle_bits` must be an integer of at most 45"):
        Circuit(angle_bits=46)
    three = r"`loader` must be a loader such as QROMLoader\(\), but is the class"
    with pytest.raises(ArgumentError, match=three):
        Circuit(loader=BucketBrigade)  # the parentheses forgotten
    with pytest.raises(ArgumentError, match="`amplify` must be True or False, but is 1"):
        Circuit(amplify=1)
