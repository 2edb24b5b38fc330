"""A solve that would take too long is refused with its number, before it starts."""

import time

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.linear_system import LinearSystem
from qdescent.solvers.circuit import Circuit
from qdescent.solvers.hhl import HHL
from qdescent.solvers.kernel_reflection import KernelReflection
from qdescent.solvers.promise.limits import check_forecast
from qdescent.solvers.qsvt import QSVT

F64 = torch.float64
TWO = LinearSystem(torch.tensor([[1.0, -1 / 3], [-1 / 3, 1.0]], dtype=F64), [1.0, 0.0])
PAIR = LinearSystem(torch.diag(torch.tensor([1.0, 1 / 123], dtype=F64)), [1.0, 1.0])


@pytest.mark.parametrize(
    ("solver", "system"),
    [
        (HHL(circuit=True), PAIR),
        (QSVT(kappa=1e4, circuit=True), TWO),
        (KernelReflection(kappa=1e4, circuit=True), TWO),
        (QSVT(kappa=1e7), TWO),
        (KernelReflection(kappa=1e7), TWO),
    ],
)
def test_refused_at_once(solver, system):
    began = time.monotonic()
    with pytest.raises(
        ArgumentError, match="Argument `most_queries` must be at least [0-9]+ for a"
    ) as refusal:
        solver.solve(system)
    assert time.monotonic() - began < 10
    kappa = solver.kappa or 123.0
    assert f"at least {solver.forecast(kappa)} for" in str(refusal.value)


@pytest.mark.parametrize("solver", [QSVT, KernelReflection, HHL])
def test_the_forecast_is_kept_and_the_limit_can_be_raised(solver):
    found = solver(1e-2).solve(TWO)
    kappa, queries = found.cost.number("kappa"), int(found.cost.number("queries"))
    forecast = solver(1e-2).forecast(kappa)
    assert queries <= forecast
    assert solver is KernelReflection or queries == forecast
    must = (
        f"must be at least {forecast} for a matrix polynomial at kappa = .*, but is {forecast - 1}"
    )
    with pytest.raises(ArgumentError, match=must):
        solver(1e-2, most_queries=forecast - 1).solve(TWO)
    again = solver(1e-2, most_queries=forecast).solve(TWO)
    assert again.value.tolist() == found.value.tolist()


def test_a_circuit_s_qubits_count_from_seventeen_on():
    check_forecast(None, 20_000, 5.0, circuit=True, qubits=16)
    check_forecast(None, 20_000, 5.0, circuit=False, qubits=30)
    with pytest.raises(ArgumentError, match=r"at least 160000 .* \(20000 queries on 19 qubits"):
        check_forecast(None, 20_000, 5.0, circuit=True, qubits=19)
    with pytest.raises(
        ArgumentError, match="Argument `most_queries` must be an integer of at least 1, but is 0"
    ):
        QSVT(most_queries=0)


@pytest.mark.parametrize("solver", [QSVT, KernelReflection])
def test_a_circuit_and_its_amplification(solver):
    found = solver(0.1, circuit=True).solve(TWO)
    assert found.cost.number("queries") <= solver(0.1, circuit=True).forecast(
        found.cost.number("kappa")
    )
    bare = solver(0.1, circuit=True).forecast(found.cost.number("kappa"))
    with pytest.raises(ArgumentError, match="Argument `most_queries` must be at least"):
        QSVT(
            0.1,
            circuit=Circuit(amplify=True),
            most_queries=QSVT(0.1).forecast(found.cost.number("kappa")),
        ).solve(TWO)
    assert bare > 0
