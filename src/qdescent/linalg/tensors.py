"""From what users have at hand (NumPy, SciPy, lists, integers, half precision) to the tensors that
this package computes with.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qdescent._array_checks import check_finite, check_unmasked, is_bytes, plain
from qdescent._checks import argument_error, shown

MOST_EXACT = 2**53  # integers beyond it are not all held by float64
EXACT = "hold integers below 2^53, which float64 can hold"
TAKEN = "be a tensor, a NumPy array, a SciPy sparse array or nested lists of numbers"
WIDER = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.complex32: torch.complex64,
}
HELD = (torch.float32, torch.float64, torch.complex64, torch.complex128)


def number_tensor(name: str, given: Any) -> Tensor:
    """The same numbers as a tensor of float32, float64, complex64 or complex128, dense or sparse
    COO, that needs no gradient.

    Nothing is lost on the way: half precision becomes single, integers become float64, compressed
    rows or columns coordinates.

    Args:
        name: of the argument, for the message.
        given: a tensor of any layout, a NumPy array or number, a SciPy sparse array, or nested
            lists.

    Raises:
        ArgumentError: no numbers, booleans, numbers that are not finite, or integers of 2^53 and
            more.

    Example:
        >>> from scipy import sparse
        >>> number_tensor("matrix", sparse.csr_array([[0, 2], [1, 0]])).to_dense().tolist()
        [[0.0, 2.0], [1.0, 0.0]]
        >>> number_tensor("rhs", np.array([1, 2])).dtype
        torch.float64
    """
    value = plain(given) if isinstance(given, Tensor) else _from_outside(name, given)
    if value.is_nested:
        raise argument_error(name, "be dense or sparse", "nested")
    if value.is_quantized or value.device.type == "meta" or value.dtype is torch.bool:
        raise argument_error(name, "hold numbers", shown(value))
    if value.layout not in (torch.strided, torch.sparse_coo):
        try:
            value = value.to_sparse_coo()
        except RuntimeError as error:  # mkldnn, jagged
            raise argument_error(name, "be dense or sparse", f"of layout {value.layout}") from error
    if not value.is_floating_point() and not value.is_complex():
        value = _from_integers(name, value)
    if value.dtype not in HELD:
        value = value.to(WIDER.get(value.dtype, torch.float32))  # the rest are floats of 8 bits
    check_finite(name, value.coalesce().values() if value.is_sparse else value)
    return value


def real_tensor(name: str, given: Any) -> Tensor:
    """The same as `number_tensor` where every number is real; imaginary parts are refused.

    Example:
        >>> real_tensor("u", [1, 2]).tolist()
        [1.0, 2.0]
    """
    value = number_tensor(name, given)
    if value.is_complex():
        raise argument_error(name, "hold real numbers", f"of {value.dtype}")
    return value


def _from_outside(name: str, given: Any) -> Tensor:
    sparse = sys.modules.get("scipy.sparse")  # nothing is sparse before it has been imported
    if sparse is not None and sparse.issparse(given):
        coordinates = given.tocoo()
        if coordinates.dtype.kind not in "fciub":
            raise argument_error(name, TAKEN, f"of {coordinates.dtype}")
        if coordinates.ndim != 2:
            raise argument_error(
                name, "have two axes where it is sparse", f"of shape {coordinates.shape}"
            )
        values = from_array(name, coordinates.data)
        places = torch.from_numpy(np.stack([coordinates.row, coordinates.col]).astype(np.int64))
        return torch.sparse_coo_tensor(
            places, values, coordinates.shape, check_invariants=True, device=values.device
        ).coalesce()
    check_unmasked(name, given)
    if is_bytes(given):
        raise argument_error(name, TAKEN, shown(given))
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, OverflowError) as error:  # ragged lists
        raise argument_error(name, TAKEN, shown(given)) from error
    if array.dtype.kind not in "fciub":
        raise argument_error(name, TAKEN, shown(given))
    of_list = array.dtype.kind == "f" and not isinstance(given, np.ndarray) and array.size
    if of_list and float(np.abs(array).max()) >= MOST_EXACT:  # NumPy may have rounded integers
        objects = np.asarray(given, dtype=object).flat
        if any(isinstance(each, int) and abs(each) >= MOST_EXACT for each in objects):
            raise argument_error(name, EXACT, "with larger ones")
    return from_array(name, array)


def from_array(name: str, array: np.ndarray) -> Tensor:
    """The numbers of an array, in its memory where that holds them as PyTorch would.

    Raises:
        ArgumentError: places that are masked, or numbers of extended precision beyond float64's.
    """
    check_unmasked(name, array)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype.kind in "iu":  # PyTorch does not know all names of one type
        native = native.view(f"{native.dtype.kind}{native.dtype.itemsize}")
    wide = {"f": np.float64, "c": np.complex128}.get(native.dtype.kind, native.dtype)
    if native.dtype.itemsize > np.dtype(wide).itemsize:  # extended precision
        # what is beyond float64 becomes infinite, and refused as such
        with np.errstate(over="ignore"):
            rounded = native.astype(wide)
        if bool((rounded != native).any() and np.isfinite(rounded).all()):
            must = f"hold numbers that float64 holds (astype({np.dtype(wide)}) rounds them)"
            raise argument_error(name, must, f"of type {native.dtype}, with others")
        native = rounded
    with warnings.catch_warnings():
        # nothing is written to it
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.ascontiguousarray(native).reshape(native.shape))


def _from_integers(name: str, value: Tensor) -> Tensor:
    wide = value.to(torch.float64)
    entries = wide.coalesce().values() if wide.is_sparse else wide
    if entries.numel() and float(entries.abs().max()) >= MOST_EXACT:
        raise argument_error(name, EXACT, "with larger ones")
    return wide
