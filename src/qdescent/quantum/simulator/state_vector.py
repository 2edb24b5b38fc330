"""Runs Qualtran bloqs on a torch state vector.

A bloq is compiled once into a program on local wires (`compiler.py`); a kernel is a function on
amplitudes here. Bloqs of this package bring a fast kernel (`fast_kernel`: a gather, a batch of 2 x
2 products, a diagonal); with `fast=False` they run through their decomposition, down to CNOT,
Toffoli, AND, controlled swap, Ry, Hadamard and table look-ups.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import count, groupby
from typing import Any

import numpy as np
import torch
from qualtran import Bloq, Side
from qualtran.bloqs.basic_gates import (
    CNOT,
    GlobalPhase,
    Hadamard,
    Ry,
    Rz,
    SGate,
    Toffoli,
    TwoBitCSwap,
    TwoBitSwap,
    XGate,
    ZGate,
    ZPowGate,
)
from qualtran.bloqs.bookkeeping import Allocate, Free
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.bloqs.mcmt import And
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import argument_error, check_boolean, check_choice, check_instance, shown
from qdescent.quantum.simulator.compiler import Compiler, Program
from qdescent.quantum.simulator.forecast import Forecast, forecast
from qdescent.quantum.simulator.kernels import Diagonal, Kernel, look_up

MOST_QUBITS = 30  # 16 GiB of complex128: beyond it one more qubit is not a matter of patience


@dataclass(frozen=True, eq=False)
class StateVector:
    """Amplitudes of the registers of a bloq.

    Args:
        amplitudes: shape (2^n,), the first register of the signature most significant.
        registers: bits of each register, in the order of the signature.
        calls: how often each bloq was executed; what a fast kernel stands for is not counted again
            below it.
        peak_qubits: the largest number of qubits held at one time.
    """

    amplitudes: Tensor = field(repr=False)
    registers: Mapping[str, int]
    calls: Mapping[Bloq, int] = field(repr=False)
    peak_qubits: int

    def project(self, **values: int) -> Tensor:
        """The amplitudes, not renormalised, where the named registers hold these values.

        Returns:
            Tensor: over the remaining registers, flattened.
        """
        for name in values:
            check_choice("register", name, list(self.registers))
        block = self.amplitudes.reshape([2**bits for bits in self.registers.values()])
        return block[tuple(values.get(name, slice(None)) for name in self.registers)].reshape(-1)


class Simulator:
    """An interpreter of bloqs; it keeps the programs it compiled.

    Args:
        dtype: complex128, or complex64 at half the memory (errors near 1e-6 a thousand gates).
        device: where the amplitudes live.
        fast: use fast kernels; False runs every decomposition.

    Example:
        >>> from qualtran.bloqs.basic_gates import CNOT
        >>> state = Simulator().run(CNOT(), torch.tensor([0.6, 0.0, 0.8, 0.0], dtype=torch.float64))
        >>> state.amplitudes.real.tolist()
        [0.6, 0.0, 0.0, 0.8]
    """

    def __init__(
        self,
        dtype: torch.dtype = torch.complex128,
        device: torch.device | str = "cpu",
        *,
        fast: bool = True,
    ) -> None:
        self.dtype = check_choice("dtype", dtype, [torch.complex128, torch.complex64])
        try:
            self.device = torch.device(device)
        except (RuntimeError, TypeError, ValueError, OverflowError):
            raise argument_error(
                "device", "be a device of PyTorch, such as 'cpu' or 'cuda'", shown(device)
            ) from None
        self.fast = check_boolean("fast", fast)
        self._compiler = Compiler(partial(_kernel, dtype=dtype, device=self.device, fast=fast))

    def run(self, bloq: Bloq, initial: Tensor | None = None) -> StateVector:
        """Run a bloq whose registers all pass through.

        Args:
            bloq: what to run.
            initial: amplitudes (2^n,) in the order of the signature; None starts in |0...0>.

        Returns:
            StateVector: of the same registers.

        Raises:
            ArgumentError: a register that does not pass through, more qubits than the machine may
                hold, a wrong initial vector, or an ancilla that is not returned to |0> (its norm
                would be lost).

        Cost: 2^n amplitudes per kernel.
        """
        check_instance("bloq", bloq, Bloq, called="a Qualtran bloq")
        if any(reg.side != Side.THRU for reg in bloq.signature):
            raise argument_error(
                "bloq", "have only registers that pass through", str(bloq.signature)
            )
        qubits = bloq.signature.n_qubits()
        if qubits > MOST_QUBITS:
            raise _too_many(qubits)
        if initial is None:
            initial = torch.zeros(2**qubits, dtype=self.dtype, device="cpu")
            initial[0] = 1
        initial = check_tensor("initial", initial, (2**qubits,), "complex", sparse=True).to_dense()
        machine = _Machine(
            initial.detach().to(device=self.device, dtype=self.dtype, copy=True),
            tuple(range(qubits)),
        )
        norm = float(torch.linalg.vector_norm(machine.tensor))
        outputs = machine.execute(self.compile(bloq), tuple(range(qubits)))
        machine.bring_forward(outputs)
        lost = abs(float(torch.linalg.vector_norm(machine.tensor)) - norm)
        if lost > norm * (1e-9 if self.dtype == torch.complex128 else 1e-3):
            raise argument_error(
                "bloq", "return its ancillas to |0>", f"losing {lost:.3g} of the norm"
            )
        registers = {reg.name: reg.total_bits() for reg in bloq.signature}
        return StateVector(machine.tensor.reshape(-1), registers, machine.calls, machine.peak)

    def forecast(self, bloq: Bloq) -> Forecast:
        """What a run of a bloq would take: it is compiled for that."""
        return forecast(self.compile(bloq), self.dtype.itemsize)

    def compile(self, bloq: Bloq) -> Program[Kernel]:
        """The program of a bloq, from the memory of this simulator where it was compiled before."""
        return self._compiler.compile(bloq)


class _Machine:
    """The amplitudes, the order of the qubits in them, and a spare vector for steps to write."""

    def __init__(self, tensor: Tensor, order: tuple[int, ...]) -> None:
        self.tensor, self.order = tensor, order
        self.spare = torch.empty_like(tensor)
        self.calls: Counter[Bloq] = Counter()
        self.peak = len(order)
        self.names = count(len(order))

    def execute(self, program: Program[Kernel], qubits: tuple[int, ...]) -> tuple[int, ...]:
        self.calls[program.bloq] += 1
        if program.kernel is None:
            held = dict(zip(program.inputs, qubits, strict=True))
            for step, taken, given in program.steps:
                results = self.execute(step, tuple([held[wire] for wire in taken]))
                held.update(zip(given, results, strict=True))
            return tuple([held[wire] for wire in program.outputs])
        if isinstance(program.kernel, Diagonal):
            self.multiply(program.kernel.values, qubits)
            return qubits
        self.bring_forward(qubits)
        outputs = qubits
        if program.outputs != program.inputs:
            held = dict(zip(program.inputs, qubits, strict=True))
            outputs = tuple(
                [held[wire] if wire in held else next(self.names) for wire in program.outputs]
            )
            self.order = (*outputs, *self.order[len(qubits) :])
            if len(self.order) > MOST_QUBITS:
                raise _too_many(len(self.order))
            self.peak = max(self.peak, len(self.order))
        block = (2 ** len(qubits), -1)
        self.keep(program.kernel(self.tensor.view(block), self.spare.view(block)))
        return outputs

    def multiply(self, diagonal: Tensor, qubits: tuple[int, ...]) -> None:
        """A diagonal is laid out as its qubits lie, and none is moved."""
        lying, laid, lengths = _layout(self.order, qubits)
        self.tensor.view(lengths).mul_(
            diagonal.view((2,) * len(qubits)).permute(lying).reshape(laid)
        )

    def bring_forward(self, qubits: tuple[int, ...]) -> None:
        if self.order[: len(qubits)] == qubits:
            return
        order, lengths, axes = _move(self.order, qubits)
        moved = self.tensor.view(lengths).permute(axes)
        self.spare.view(moved.shape).copy_(moved)
        self.keep(self.spare)
        self.order = order

    def keep(self, result: Tensor) -> None:
        """The vector that a step returned; the other one is the next spare, if it is as long."""
        if result.data_ptr() != self.tensor.data_ptr():
            self.spare = (
                self.tensor if self.tensor.numel() == result.numel() else torch.empty_like(result)
            )
        self.tensor = result


@lru_cache(maxsize=1024)
def _layout(
    order: tuple[int, ...], qubits: tuple[int, ...]
) -> tuple[list[int], list[int], list[int]]:
    """The axes of a diagonal in the order that its qubits have, and the lengths of both, neighbours
    as one axis.
    """
    axis_of = {qubit: axis for axis, qubit in enumerate(order)}
    lying = sorted(range(len(qubits)), key=lambda axis: axis_of[qubits[axis]])
    runs = [
        (mine, 2 ** len(list(run))) for mine, run in groupby(order, key=set(qubits).__contains__)
    ]
    return lying, [length if mine else 1 for mine, length in runs], [length for _, length in runs]


@lru_cache(maxsize=1024)
def _move(
    order: tuple[int, ...], qubits: tuple[int, ...]
) -> tuple[tuple[int, ...], list[int], list[int]]:
    """The order with these qubits in front; lengths and permutation of the axes, qubits that stay
    neighbours being one.

    The rest in the order of the registers: the next call of the same circuit finds its qubits side
    by side more often.
    """
    front = set(qubits)
    after = (*qubits, *sorted(qubit for qubit in order if qubit not in front))
    axis_of = {qubit: axis for axis, qubit in enumerate(order)}
    runs: list[list[int]] = []
    for axis in (axis_of[qubit] for qubit in after):
        if runs and axis == runs[-1][-1] + 1:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    before = sorted(runs)
    return after, [2 ** len(run) for run in before], [before.index(run) for run in runs]


def _too_many(qubits: int) -> Exception:
    return argument_error("bloq", f"need at most {MOST_QUBITS} qubits", f"in need of {qubits}")


def _kernel(
    bloq: Bloq, qubits: int, dtype: torch.dtype, device: torch.device, fast: bool
) -> Kernel | None:
    kernel = bloq.fast_kernel(dtype, device) if fast and hasattr(bloq, "fast_kernel") else None
    if kernel is None and isinstance(bloq, QROM):
        if qubits > MOST_QUBITS:  # before its table of that many bits is built
            raise _too_many(qubits)
        return _look_up(bloq, device)
    return _gate_kernel(bloq, dtype, device) if kernel is None else kernel


def _look_up(bloq: QROM, device: torch.device) -> Kernel:
    """A QROM of tables, the first most significant; its entries may be blocks of values."""
    entries, width = np.zeros(bloq.data_shape, dtype=np.int64), 0
    for data, bits, block in zip(bloq.data, bloq.target_bitsizes, bloq.target_shapes, strict=True):
        values = data.reshape(*bloq.data_shape, -1)
        block_bits = bits * math.prod(block)
        entries = (entries << block_bits) + values @ (1 << bits * np.arange(values.shape[-1])[::-1])
        width += block_bits
    padded = np.zeros([2**size for size in bloq.selection_bitsizes], dtype=np.int64)
    padded[tuple(slice(length) for length in entries.shape)] = entries
    return look_up(padded.reshape(-1), width, device)


def _gate_kernel(bloq: Bloq, dtype: torch.dtype, device: torch.device) -> Kernel | None:
    """An elementary gate as its matrix, (2^leaving, 2^entering); None for any other bloq."""
    matrix = _gate_matrix(bloq)
    if matrix is None:
        return None
    gate = torch.as_tensor(matrix, device=device).to(dtype)
    if len(matrix) != matrix.shape[1]:  # an AND makes or clears a qubit, a measurement ends one
        return lambda state, spare: gate @ state
    return lambda state, spare: torch.mm(gate, state, out=spare)


def _gate_matrix(bloq: Bloq) -> np.ndarray | None:
    matrix = MATRICES.get(type(bloq))
    return getattr(bloq, "gate_matrix", None) if matrix is None else matrix(bloq)  # one of our own


def _zeros(bloq: Allocate | Free) -> np.ndarray:
    return np.eye(2 ** bloq.signature.n_qubits())[:, :1]


def _turn(bloq: Ry) -> np.ndarray:
    cosine, sine = math.cos(bloq.angle / 2), math.sin(bloq.angle / 2)
    return np.array([[cosine, -sine], [sine, cosine]])


def _conjunction(bloq: And) -> np.ndarray:
    compute = np.zeros((8, 4))
    for controls in range(4):
        compute[2 * controls + (controls == 2 * bloq.cv1 + bloq.cv2), controls] = 1
    return compute.T if bloq.uncompute else compute


# Written out: Qualtran's own tensors come through quimb, whose first contraction takes half a
# minute to compile.
MATRICES: dict[type, Callable[[Any], np.ndarray]] = {
    Allocate: _zeros,
    Free: lambda bloq: _zeros(bloq).T,
    Ry: _turn,
    Rz: lambda bloq: np.diag(np.exp([-0.5j * bloq.angle, 0.5j * bloq.angle])),
    ZPowGate: lambda bloq: np.diag([1, np.exp(1j * np.pi * bloq.exponent)]),
    SGate: lambda bloq: np.diag([1, -1j if bloq.is_adjoint else 1j]),
    GlobalPhase: lambda bloq: np.array([[bloq.coefficient]]),  # on no qubits
    And: _conjunction,
    XGate: lambda _: np.eye(2)[::-1].copy(),
    ZGate: lambda _: np.diag([1.0, -1.0]),
    Hadamard: lambda _: np.array([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2),
    CNOT: lambda _: np.eye(4)[[0, 1, 3, 2]],
    Toffoli: lambda _: np.eye(8)[[0, 1, 2, 3, 4, 5, 7, 6]],
    TwoBitSwap: lambda _: np.eye(4)[[0, 2, 1, 3]],
    TwoBitCSwap: lambda _: np.eye(8)[[0, 1, 2, 3, 4, 6, 5, 7]],
}
