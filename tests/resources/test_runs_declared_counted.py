"""Whole runs as the ledger declares them, against the circuits that the simulator runs: QSVT,
kernel reflection and HHL on small histories.
"""

import pytest
import torch
from qualtran.resource_counting import QECGatesCost, get_cost_value
from resources.maps import sparse_map

import qdescent as qd
from qdescent.carleman.history import history_system
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.chebyshev import kernel_filter, minimax_inverse
from qdescent.quantum.gates.loading.loaders import LOADERS
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.priced import run_cost
from qdescent.resources.ways.way import HISTORY, Way
from qdescent.solvers.circuits.hhl import build_phase_estimation, hermitian_encoding
from qdescent.solvers.circuits.kernel_reflection import build_kernel_circuit
from qdescent.solvers.circuits.qsvt import build_circuit
from qdescent.solvers.encodings import ComposedHistory
from qdescent.solvers.hhl_inverse import evolution_queries

BITS = 12
SHORT = ("qrom", "qrom-measured", "qroam", "bucket-brigade")
# n, N, T, p, entries a row
HISTORIES = [(2, 1, 3, 0, 2), (3, 1, 4, 2, 2), (3, 2, 3, 0, 3), (7, 2, 3, 0, 3)]


def counted(bloq) -> tuple[int, int]:
    """Toffoli gates, and rotations."""
    gates = get_cost_value(bloq, QECGatesCost())
    return int(gates.and_bloq + gates.toffoli + gates.cswap), int(gates.rotation)


class Small:
    """A small history: the circuits' pieces, and the ledger's count of so many queries."""

    def __init__(self, n, order, steps, padding, entries):
        stored = sparse_map(n, (entries,) * order, seed=0).coefficients
        f = qd.PolynomialMap([part.to_dense().double() for part in stored])
        self.system = history_system(
            carleman_linearize(f, order), torch.zeros(n).double(), steps, padding
        )
        self.plan = ComposedHistory(f, order, steps, padding).plan(self.system)
        self.spec = RoundSpec(
            n=n, parameters=n, order=order, steps=steps, padding=padding, kappa=20.0,
            sparsity=entries, coupling_sparsity=entries, batch=1, forward_macs=1, angle_bits=BITS,
        )  # fmt: skip

    def declared(self, loader: str, queries: int, preparations: int) -> int:
        """Toffoli gates of a run; of loaded angles the circuits make rotations, so that additions
        into a phase gradient are taken out.
        """
        way = Way(
            name="run", title="", encoding=HISTORY, padding=self.spec.padding,
            queries=float(queries), preparations=float(preparations), success=1.0, counted=True,
            evidence=qd.Evidence.EXACT, source="here", success_source="here",
        )  # fmt: skip
        cost = run_cost(self.spec, way, loader)
        turns = queries * cost.query.turns + preparations * cost.preparation.turns
        return cost.counts.toffoli - turns * (cost.bits - 2)


@pytest.fixture(scope="module", params=HISTORIES, ids=str)
def small(request):
    return Small(*request.param)


def are_alike(declared: int, found: int) -> bool:
    return found / 1.3 < declared < 1.3 * found


@pytest.mark.parametrize("loader", SHORT)
def test_a_run_of_qsvt(small, loader):
    """All of it: degree queries, one preparation, phases between them."""
    polynomial = minimax_inverse(4.0, 5e-2)
    encoding = small.plan.encode(BITS, LOADERS[loader])
    toffoli, rotations = counted(build_circuit(small.system, polynomial, encoding).bloq)
    assert are_alike(small.declared(loader, polynomial.degree, 1), toffoli)
    of_queries = polynomial.degree * counted(encoding)[1]
    assert of_queries < rotations < 1.1 * of_queries
    # a planted factor of two in the queries, or a query left out of each
    assert not are_alike(small.declared(loader, 2 * polynomial.degree, 1), toffoli)
    assert not are_alike(small.declared(loader, polynomial.degree // 2, 1), toffoli)


@pytest.mark.parametrize("loader", SHORT)
def test_a_run_of_kernel_reflection_beside_its_preparations(small, loader):
    """The circuits load the right-hand side entry by entry; the price n values of F_0 (its own
    preparation is held by tests of the table look-ups).
    """
    kernel = kernel_filter(4.0, 5e-2)
    encoding = small.plan.encode(BITS, LOADERS[loader])
    circuit = build_kernel_circuit(small.system, encoding, 2.0, kernel, reflects=True)
    degree = len(kernel.coefficients) - 1
    prepare = counted(circuit.encoding.vector)[0]
    toffoli = counted(circuit.bloq)[0] - 2 * degree * prepare
    assert are_alike(small.declared(loader, degree, 0), toffoli)
    assert not are_alike(small.declared(loader, 2 * degree, 0), toffoli)


@pytest.mark.parametrize("small", HISTORIES[:3], indirect=True, ids=str)
@pytest.mark.parametrize("loader", ["qrom", "qrom-measured"])
def test_a_run_of_hhl_is_its_queries(small, loader):
    """Of phase estimation all but a twentieth is queries, forth and back; the circuits' own are to
    coloured entries, M and its adjoint at once: never fewer gates than the ledger's query.
    """
    encoding = hermitian_encoding(small.system, BITS, LOADERS[loader])
    bloq = build_phase_estimation(small.system, encoding, kappa=4.0, clock_bits=3).bloq
    queries, query = evolution_queries(3), counted(encoding)[0]
    assert queries * query < counted(bloq)[0] < 1.08 * queries * query
    assert small.declared(loader, 1, 0) < 1.3 * query
