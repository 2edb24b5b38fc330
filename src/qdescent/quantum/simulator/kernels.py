"""What a simulated bloq does to a block of amplitudes (2^n, rest): a gather, a diagonal, a matrix,
or rotations.

A kernel gets the block and a spare one of the same shape. It may write into either, and returns the
one that holds the result: a new block for each gate would cost more than the gate, because the
system zeroes its pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Kernel = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Diagonal:
    """Multiplies each row by its number; a simulator may do the same to qubits that lie anywhere.

    Args:
        values: (2^n,), of the amplitudes' type.

    Example:
        >>> block = torch.tensor([[1.0], [2.0]])
        >>> Diagonal(torch.tensor([1.0, -1.0]))(block, torch.empty_like(block)).flatten().tolist()
        [1.0, -2.0]
    """

    values: Tensor = field(repr=False)

    def __call__(self, state: Tensor, spare: Tensor) -> Tensor:
        """In place."""
        return state.mul_(self.values[:, None])


def phases(angles: Tensor, dtype: torch.dtype, device: torch.device) -> Diagonal:
    """e^{i angle} of each row; the angles of any shape, flattened.

    Example:
        >>> phases(
        ...     torch.tensor([0.0, torch.pi]), torch.complex128, torch.device("cpu")
        ... ).values.real.round().tolist()
        [1.0, -1.0]
    """
    flat = angles.to(torch.float64).reshape(-1)
    return Diagonal(torch.polar(torch.ones_like(flat), flat).to(device=device, dtype=dtype))


def gather(source: Tensor) -> Kernel:
    """Row i becomes what row source_i was, (2^n,).

    Example:
        >>> block = torch.tensor([[1.0], [2.0]])
        >>> gather(torch.tensor([1, 0]))(block, torch.empty_like(block)).flatten().tolist()
        [2.0, 1.0]
    """
    return lambda state, spare: torch.index_select(state, 0, source, out=spare)


def look_up(entries: NDArray[np.int64], bits: int, device: torch.device) -> Kernel:
    """|i>|t> -> |i>|t xor entries_i>, a gather of 2^(n + b) rows.

    Args:
        entries: shape (2^n,).
        bits: b.
        device: of the amplitudes.

    Example:
        >>> block = torch.tensor([[1], [2], [3], [4]])
        >>> swap_if_one = look_up(np.array([0, 1]), 1, torch.device("cpu"))
        >>> swap_if_one(block, torch.empty_like(block)).flatten().tolist()
        [1, 2, 4, 3]
    """
    selected = torch.as_tensor(entries.reshape(-1, 1), device=device)
    source = torch.arange(len(selected), device=device)[:, None] * 2**bits + (
        torch.arange(2**bits, device=device) ^ selected
    )
    return gather(source.reshape(-1))


def real_matrices(matrices: Tensor, dtype: torch.dtype, device: torch.device) -> Kernel:
    """One real matrix for each selected value.

    Args:
        matrices: (S, 2^k, 2^k), S 2^k = 2^n.
        dtype, device: of the amplitudes.

    Example:
        >>> block = torch.tensor([[1.0 + 1j], [2.0]])
        >>> swap = real_matrices(
        ...     torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]), block.dtype, block.device
        ... )
        >>> swap(block, torch.empty_like(block)).flatten().tolist()
        [(2+0j), (1+1j)]
    """
    count, size, _ = matrices.shape
    factors = matrices.to(device=device, dtype=dtype.to_real()).contiguous()
    multiply, shape = torch.bmm, [count, size, -1]
    if count == 1:  # a product of two matrices is quicker than a batch of one
        factors, multiply, shape = factors[0], torch.mm, [size, -1]

    def apply(state: Tensor, spare: Tensor) -> Tensor:
        # A real number times a complex one is half the work of two complex ones.
        given, made = torch.view_as_real(state).view(shape), torch.view_as_real(spare).view(shape)
        multiply(factors, given, out=made)
        return spare

    return apply


def rotation_matrices(levels: Sequence[NDArray[np.float64]], count: int) -> Tensor:
    """The product of a tree's selected rotations, for each of S trees.

    Args:
        levels: half angles, S 2^l of them in level l.
        count: S.

    Returns:
        Tensor: float64, (S, 2^k, 2^k) for k levels.

    Example:
        >>> rotation_matrices([np.array([np.pi / 2])], 1).round().tolist()
        [[[0.0, -1.0], [1.0, 0.0]]]
    """
    size = 2 ** len(levels)
    matrices = np.tile(np.eye(size), (count, 1))
    for level in levels:
        half = level.reshape(-1, 1)
        x, y = np.moveaxis(matrices.reshape(len(half), 2, -1), 1, 0)
        matrices = np.stack(
            [np.cos(half) * x - np.sin(half) * y, np.sin(half) * x + np.cos(half) * y], axis=1
        )
    return torch.from_numpy(matrices.reshape(count, size, size))


def rotations(half_angles: NDArray[np.float64], dtype: torch.dtype, device: torch.device) -> Kernel:
    """Ry of the last qubit by an angle for each value of the others: pairs (x, y) become (c x - s
    y, s x + c y).

    Args:
        half_angles: 2^(n-1) of them, in any shape.
        dtype, device: of the amplitudes.

    Example:
        >>> block = torch.tensor([[1.0 + 0j], [0.0]])
        >>> turn = rotations(np.array([np.pi / 2]), block.dtype, block.device)
        >>> turn(block, torch.empty_like(block)).real.round().flatten().tolist()
        [0.0, 1.0]
    """
    half = half_angles.reshape(-1, 1)
    shape = (len(half), 2, -1)
    cosine, sine = (
        torch.from_numpy(part).to(device=device, dtype=dtype.to_real())
        for part in (np.cos(half), np.sin(half))
    )

    def apply(state: Tensor, spare: Tensor) -> Tensor:
        given, made = torch.view_as_real(state).view(shape), torch.view_as_real(spare).view(shape)
        torch.mul(cosine[:, None], given, out=made)
        made[:, 0].addcmul_(sine, given[:, 1], value=-1)
        made[:, 1].addcmul_(sine, given[:, 0])
        return spare

    return apply
