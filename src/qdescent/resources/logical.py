"""One round of quantum-trained sparse gradient descent in logical qubits and gates.

The model of one query to the block-encoding of M = I - shift (x) A, A the order-N Carleman matrix:
a word of N factors; each factor reads the table of the gradient map once forward (column, slot and
value of one non-zero) and once more to clear the registers; between the two it rotates a flag by
the value. An upload reads its values and clears them the same way. The table of F_1 has n s
entries; tables of F_2 and higher are counted as no larger unless `table_entries` says so, which
favours the quantum side.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import NamedTuple

from qdescent._checks import argument_error, check_choice, check_instance, check_integer
from qdescent.quantum.gates.loaders import BucketBrigade
from qdescent.resources.round_spec import LOADERS, RoundSpec


@dataclass(frozen=True)
class LogicalCounts:
    """What one uninterrupted quantum job consumes.

    Args:
        qubits: logical qubits of the algorithm.
        toffoli: Toffoli (CCZ) gates.
        rotations: arbitrary single-qubit rotations, left to synthesis.
        t_gates: T gates outside rotations.
        measurements: mid-circuit measurements.
        rotation_depth: layers that hold a rotation; None: one each.
    """

    qubits: int
    toffoli: int = 0
    rotations: int = 0
    t_gates: int = 0
    measurements: int = 0
    rotation_depth: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None or field.name != "rotation_depth":
                number = check_integer(field.name, value, 1 if field.name == "qubits" else 0)
                object.__setattr__(self, field.name, number)
        if self.rotation_depth is not None and self.rotation_depth > self.rotations:
            raise argument_error(
                "rotation_depth", f"be at most `rotations` ({self.rotations})", self.rotation_depth
            )


@dataclass(frozen=True)
class SolveCost:
    """One solve with one kind of loader; `counts` = queries x (query + 2 uploads).

    `block` is the number of lines fetched at once (of a router tree: of its leaves), `depth` counts
    layers of Toffoli gates.
    """

    block: int
    query_toffoli: int
    upload_toffoli: int
    depth: int
    system_qubits: int
    ancilla_qubits: int
    counts: LogicalCounts


def loader_toffoli(entries: int, width: int, block: int) -> int:
    """Toffoli gates of one controlled table read: ceil(entries/l) - 1 + b (l - 1), l = 1 being
    plain QROM.

    Args:
        entries: lines of the table.
        width: b, bits of a line.
        block: l, lines fetched at once, a power of two of at most `entries`.

    Cost: l b target qubits.

    References:
        Low, Kliuchnikov, Schaeffer, arXiv:1812.00954; Babbush et al., arXiv:1805.03662 (unary
        iteration).

    Example:
        >>> loader_toffoli(1000, 8, 1), loader_toffoli(1000, 8, 8)
        (999, 180)
    """
    entries, width = check_integer("entries", entries, 1), check_integer("width", width, 0)
    block = check_integer("block", block, 1)
    return -(-entries // block) - 1 + width * (block - 1)


def best_block(entries: int, width: int) -> int:
    """The power of two l that makes `loader_toffoli` least."""
    entries, width = check_integer("entries", entries, 1), check_integer("width", width, 0)
    blocks = [2**k for k in range(max(1, entries.bit_length() - 1))]
    return min(blocks, key=lambda block: loader_toffoli(entries, width, block))


@cache
def counted_loader_toffoli(entries: int, width: int, block: int) -> int:
    """The same number, counted in the call graph of Qualtran's bloqs (And, and four T a Toffoli in
    the swap network).
    """
    # heavy: four seconds, so only where a price is asked
    from qualtran.bloqs.data_loading.qroam_clean import QROAMClean
    from qualtran.bloqs.data_loading.qrom import QROM
    from qualtran.resource_counting import QECGatesCost, get_cost_value

    if block == 1:
        bloq = QROM.build_from_bitsize((entries,), (width,), num_controls=1)
    else:
        log_block = (block.bit_length() - 1,)
        bloq = QROAMClean.build_from_bitsize(
            (entries,), (width,), log_block_sizes=log_block, num_controls=1
        )
    gates = get_cost_value(bloq, QECGatesCost())
    return int(gates.and_bloq) + int(gates.toffoli) + int(gates.cswap) + -(-int(gates.t) // 4)


def solve_cost(spec: RoundSpec, loader: str) -> SolveCost:
    """Logical cost of one solve.

    Args:
        spec: the round.
        loader: "qrom" (fewest qubits), "qroam" (fewest Toffoli gates) or "qram" (fewest layers of
            them).

    Returns:
        SolveCost: Q x (block-encoding of M) + 2Q x (upload of n values); Q rotations for the
            filter's phases.

    Cost: none that depends on n.

    References: those of `loader_toffoli` and `quantum.loading.BucketBrigade`.
    """
    check_instance("spec", spec, RoundSpec)
    check_choice("loader", loader, LOADERS)
    N, bits = spec.order, spec.value_bits
    index, slot = _bits(spec.n + 1), _bits(spec.sparsity)
    clock, word = _bits(spec.steps + spec.padding + 1), _bits(N + 1)
    width = index + slot + bits
    read, values = _read(loader, spec.entries, width), _read(loader, max(2, spec.n), bits)

    system = N * index + word + clock
    # a slot and a flag a factor, I - shift, the filter's signal and its padding qubit
    encoding = N * (slot + 1) + 1 + 2
    ancillas = encoding + read.qubits + bits  # the last for the phase gradient

    rotation = bits - 2  # addition into a phase gradient of b bits, arXiv:1709.06648
    # word swaps: index; t -> t + 1; ancillas reflected about zero
    beside = N * (rotation + index) + clock + 2 * (encoding - 1)
    query, upload = 2 * N * read.toffoli + beside, 2 * values.toffoli + index * rotation
    Q = spec.queries
    toffoli = Q * query + 2 * Q * upload
    depth = Q * (2 * N * read.depth + beside) + 2 * Q * (2 * values.depth + index * rotation)
    # each And is cleared by one
    counts = LogicalCounts(system + ancillas, toffoli, rotations=Q, measurements=toffoli)
    return SolveCost(read.block, query, upload, depth, system, ancillas, counts)


class _Read(NamedTuple):
    """One read of a table; the qubits include its target."""

    block: int
    toffoli: int
    depth: int
    qubits: int


def _read(loader: str, entries: int, width: int) -> _Read:
    if loader == "qram":
        cost = BucketBrigade().read_cost(entries, width)
        return _Read(2 ** _bits(entries), cost.toffoli, cost.depth, width + cost.work_qubits)
    block = 1 if loader == "qrom" else best_block(entries, width)
    # swaps that share a control in one layer
    depth = loader_toffoli(entries, 0, block) + block.bit_length() - 1
    return _Read(
        block, counted_loader_toffoli(entries, width, block), depth, width * block + _bits(entries)
    )


def _bits(values: int) -> int:
    """Qubits that tell `values` things apart."""
    return max(1, (values - 1).bit_length())
