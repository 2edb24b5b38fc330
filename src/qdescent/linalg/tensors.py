"""From what users have at hand (NumPy, SciPy, lists, integers, half precision) to the tensors that this package computes with."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from qdescent._checks import argument_error, check_finite

MOST_EXACT = 2**53  # integers beyond it are not all held by float64
TAKEN = "be a tensor, a NumPy array, a SciPy sparse array or nested lists of numbers"
WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}
HELD = (torch.float32, torch.float64, torch.complex64, torch.complex128)


def number_tensor(name: str, given: Any) -> Tensor:
    """The same numbers as a tensor of float32, float64, complex64 or complex128, dense or sparse COO, that needs no gradient.

    Nothing is lost on the way: half precision becomes single, integers become float64, compressed rows or columns coordinates.

    Args:
        name: of the argument, for the message.
        given: a tensor of any layout, a NumPy array or number, a SciPy sparse array, or nested lists.

    Raises:
        ArgumentError: no numbers, booleans, numbers that are not finite, or integers beyond 2^53.

    Example:
        >>> number_tensor("matrix", sparse.csr_array([[0, 2], [1, 0]])).to_dense().tolist()
        [[0.0, 2.0], [1.0, 0.0]]
        >>> number_tensor("rhs", np.array([1, 2])).dtype
        torch.float64
    """
    value = given.detach() if isinstance(given, Tensor) else _from_outside(name, given)
    if value.layout not in (torch.strided, torch.sparse_coo):
        value = value.to_sparse_coo()
    if value.is_quantized or value.device.type == "meta":
        raise argument_error(name, "hold numbers", "quantised" if value.is_quantized else "without any, on the device meta")
    if value.dtype is torch.bool:
        raise argument_error(name, "hold numbers", "of booleans")
    if not value.is_floating_point() and not value.is_complex():
        value = _from_integers(name, value)
    if value.dtype not in HELD:
        value = value.to(WIDER.get(value.dtype, torch.float32))  # the rest are floats of 8 bits
    check_finite(name, value.coalesce().values() if value.is_sparse else value)
    return value


def real_tensor(name: str, given: Any) -> Tensor:
    """The same as `number_tensor` where every number is real; an imaginary part is refused, never dropped.

    Example:
        >>> real_tensor("u", [1, 2]).tolist()
        [1.0, 2.0]
    """
    value = number_tensor(name, given)
    if value.is_complex():
        raise argument_error(name, "hold real numbers", f"of {value.dtype}")
    return value


def _from_outside(name: str, given: Any) -> Tensor:
    if sparse.issparse(given):
        coordinates = given.tocoo()
        if coordinates.ndim != 2:
            raise argument_error(name, "have two axes where it is sparse", f"of shape {coordinates.shape}")
        values = _from_array(name, coordinates.data)
        places = torch.from_numpy(np.stack([coordinates.row, coordinates.col]).astype(np.int64))
        return torch.sparse_coo_tensor(places, values, coordinates.shape, check_invariants=True).coalesce()
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, OverflowError) as error:  # ragged lists
        raise argument_error(name, TAKEN, type(given).__name__) from error
    return _from_array(name, array)


def _from_array(name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "fciub":
        raise argument_error(name, TAKEN, f"a {array.dtype} array" if array.dtype.kind in "OSU" else f"of {array.dtype}")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype.itemsize > 8 and native.dtype.kind == "f":
        native = native.astype(np.float64)  # an extended float; one beyond float64 becomes infinite, and is refused as such
    if native.dtype.itemsize > 16 and native.dtype.kind == "c":
        native = native.astype(np.complex128)
    if native.dtype.kind == "u":
        if native.size and int(native.max()) > MOST_EXACT:
            raise argument_error(name, "hold integers of at most 2^53, which float64 can hold", f"with one of {native.max()}")
        native = native.astype(np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nothing is written to it
        return torch.from_numpy(np.ascontiguousarray(native).reshape(native.shape))


def _from_integers(name: str, value: Tensor) -> Tensor:
    entries = value.coalesce().values() if value.is_sparse else value
    wide = value.to(torch.float64)
    if entries.numel() and max(abs(int(entries.min())), abs(int(entries.max()))) > MOST_EXACT:
        raise argument_error(name, "hold integers of at most 2^53, which float64 can hold", "with larger ones")
    return wide
