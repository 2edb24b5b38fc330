"""A matrix of one's own as a block-encoding, by one call."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from qdescent._checks import argument_error, check_integer, check_interval
from qdescent.linalg.linear_system import LinearSystem
from qdescent.linalg.tensors import number_tensor
from qdescent.quantum.encodings.protocol import BlockEncoding
from qdescent.quantum.gates.loading.loader import Loader, check_loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.tables.angles import MOST_ANGLE_BITS
from qdescent.rows.numbers import at_least
from qdescent.solvers.encodings import DEFAULT_ENCODING, MatrixEncoding, check_encoding

EPSILON = 1e-6  # of alpha: below what float32 holds of a matrix
LARGEST_TABLE = 2**22  # 32 MB a table; a dense matrix of 2048 columns
SMALLEST, LARGEST = 1e-300, 1e300  # of the largest entry: sums and bounds of it are then float64s


def block_encode(
    matrix: Any,
    epsilon: float | None = None,
    *,
    angle_bits: int | None = None,
    encoding: MatrixEncoding = DEFAULT_ENCODING,
    loader: Loader = DEFAULT_LOADER,
) -> BlockEncoding:
    """A circuit U with a matrix in its corner, ready for Qualtran.

        ||A - alpha <0|U|0>||_2 <= U.epsilon <= epsilon alpha,   alpha = U.alpha,
        <0|U|0> is the block of U on ancilla = 0, 2^s x 2^s, A in its first m rows and n columns and
        0 elsewhere, s = U.system_bitsize = max(1, ceil(log2 max(m, n))).

    Args:
        matrix: A, (m, n), real or complex, not zero: a NumPy array, a tensor, a SciPy or PyTorch
            sparse matrix of any layout, or nested lists. Its largest entry lies in [1e-300, 1e300].
        epsilon: error in units of alpha, in (0, 1); None: 1e-6, or whatever the angle bits allow
            where they are given.
        angle_bits: b of every loaded angle, 3 to 45; None takes enough for epsilon.
        encoding: `BalancedEntries()`: alpha = || |A| ||_2, the norm of |A|;
            `ColouredEntries()`: alpha = sum_c max |D_c| over its colours.
        loader: QROM, QROAM or bucket brigade for every table; it changes gates and qubits, not the
            block.

    Returns:
        BlockEncoding: a Qualtran bloq, `qualtran.bloqs.block_encoding.BlockEncoding`, with
            `adjoint()`, `controlled()` and `augmented(t)`. Its registers are `system` (s bits) and
            `ancilla` (k bits and, of coloured entries, a flag; k = ceil(log2 of the colours), as
            many as the longest row or column has entries, balanced sometimes one bit more).

    Raises:
        ArgumentError: no matrix of numbers, zero, not finite, an entry out of range, tables of more
            than 4 million entries, angle bits that do not keep epsilon, an epsilon that 45 bits do
            not keep.

    Cost: one colouring of the entries, alpha (`BalancedEntries`), and tables of 2^(s + k) entries.

    References:
        Gilyen, Su, Low, Wiebe, arXiv:1806.01838, definition 43 and lemma 48.

    Example:
        >>> import numpy as np
        >>> U = block_encode([[1, -0.5, 0], [0, 0, 2j]], epsilon=1e-4)
        >>> round(U.alpha, 4), U.system_bitsize, U.ancilla_bitsize, U.epsilon <= 1e-4 * U.alpha
        (2.0, 2, 1, True)
        >>> from qdescent.quantum.simulator.state_vector import Simulator
        >>> start = torch.zeros(2**3)
        >>> start[2 * 2] = 1  # system |2>, ancilla |0>
        >>> column = U.alpha * Simulator().run(U, start).project(ancilla=0)
        >>> bool((column - torch.tensor([0, 2j, 0, 0])).abs().max() <= U.epsilon)
        True
    """
    system = _square(number_tensor("matrix", matrix))
    check_encoding(encoding)
    check_loader(loader)
    if epsilon is not None:
        epsilon = check_interval("epsilon", epsilon, "(0, 1)")
    if angle_bits is not None:
        angle_bits = check_integer("angle_bits", angle_bits, 3, MOST_ANGLE_BITS)
    plan = encoding.plan(system)
    wanted = epsilon or (EPSILON if angle_bits is None else math.inf)
    needed = math.ceil(math.log2(math.pi) - math.log2(wanted)) if wanted < math.inf else 3
    bits = angle_bits or min(MOST_ANGLE_BITS, max(3, needed))
    while True:
        bloq = plan.encode(bits, loader)
        off = bloq.epsilon / bloq.alpha
        if off <= wanted:
            return bloq
        if angle_bits is not None:
            must = f"be large enough for epsilon = {wanted:g}"
            raise argument_error("angle_bits", must, f"{bits}, which allows {at_least(off)}")
        if bits == MOST_ANGLE_BITS:
            least = f"be at least {at_least(off)}, which angles of {MOST_ANGLE_BITS} bits allow"
            raise argument_error("epsilon", least, wanted)
        bits = min(MOST_ANGLE_BITS, bits + max(1, math.floor(math.log2(off / wanted))))


def _square(matrix: Tensor) -> LinearSystem:
    """The matrix with zero rows or columns added to a square one, as what a plan takes."""
    if matrix.ndim != 2 or not matrix.numel():
        must = "have two axes, with at least one row and one column"
        raise argument_error("matrix", must, f"of shape {tuple(matrix.shape)}")
    entries = matrix.cpu().to_sparse_coo().coalesce()
    size = max(entries.shape)
    (rows, columns), values = entries.indices(), entries.values()
    kept = values != 0
    if not bool(kept.any()):
        raise argument_error("matrix", "have a non-zero entry", "zero")
    rows, columns, values = rows[kept], columns[kept], values[kept]
    largest = float(values.abs().max())
    if not SMALLEST <= largest <= LARGEST:
        must = f"have its largest entry in [{SMALLEST:g}, {LARGEST:g}]"
        raise argument_error("matrix", must, f"one whose largest is {largest:.3g}")
    longest = max(int(torch.bincount(line).max()) for line in (rows, columns))
    table = 2 ** ((size - 1).bit_length() + (longest - 1).bit_length())
    if table > LARGEST_TABLE:
        must = f"leave tables of at most {LARGEST_TABLE:,} entries, 2^s times 2^k"
        what = (
            f"of shape {tuple(matrix.shape)} with up to {longest:,} entries in a row or column:"
            f" {table:,}"
        )
        raise argument_error("matrix", must, what)
    square = torch.sparse_coo_tensor(
        torch.stack([rows, columns]),
        values,
        (size, size),
        check_invariants=True,
        device=values.device,
    )
    return LinearSystem(square, torch.ones(size, dtype=values.dtype, device="cpu"))
