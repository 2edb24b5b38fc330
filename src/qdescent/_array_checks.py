"""The words in which tensors and arrays are checked; their sentence is that of `_checks`.

Each check returns what it was given in the package's own type (a tensor without its graph, a
float64 array): compute with what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qdescent._checks import ArgumentError, argument_error, shown

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KINDS: Mapping[str, tuple[str, tuple[torch.dtype, ...]]] = {
    "real": ("hold floating-point numbers", FLOATING),
    "complex": (
        "hold floating-point or complex numbers",
        (*FLOATING, torch.complex64, torch.complex128),
    ),
    "integer": ("hold integers", (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)),
    "boolean": ("be boolean", (torch.bool,)),
}


def check_dtype(name: str, value: Any) -> torch.dtype:
    """Check that `value` is a floating-point type of PyTorch."""
    if not isinstance(value, torch.dtype) or value not in FLOATING:
        raise argument_error(name, "be a floating-point type such as torch.float64", shown(value))
    return value


def check_tensor(
    name: str,
    value: Any,
    shape: tuple[int | None, ...] | None = None,
    kind: str = "real",
    *,
    finite: bool = True,
    sparse: bool = False,
) -> Tensor:
    """Check that `value` is a tensor of usable numbers, and take it out of any graph.

    Args:
        name, value: the argument.
        shape: its shape, None in it for any length from 1 on; None: any shape with a number in it.
        kind: "real", "complex" (real ones, too), "integer" or "boolean".
        finite: whether NaN and infinity are refused.
        sparse: whether a sparse tensor will do.

    Raises:
        ArgumentError: no tensor, without values (meta), another type of number, another shape,
            nothing in it, NaN.

    Example:
        >>> check_tensor("u0", torch.ones(3), (3,)).tolist()
        [1.0, 1.0, 1.0]
        >>> check_tensor("u0", [1.0], (1,))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `u0` must be a tensor (torch...), but is [1.0].
    """
    _tensor(name, value)
    must, types = KINDS[kind]
    if value.dtype not in types or value.is_quantized:
        raise argument_error(name, must, f"of type {value.dtype}")
    if not sparse and value.layout != torch.strided:
        raise argument_error(name, "be dense (to_dense() makes it so)", f"of layout {value.layout}")
    if shape is not None:
        check_shape(name, value, shape)
    if value.numel() == 0 and 0 not in (shape or ()):
        raise argument_error(
            name, "hold at least one number", f"empty, of shape {tuple(value.shape)}"
        )
    value = plain(value)
    return check_finite(name, value) if finite else value


def plain(given: Tensor) -> Tensor:
    """The same numbers outside of any graph, as a tensor of no class but PyTorch's own: one of
    another class has ways of its own, which need not go on to sparse matrices. Of a tensor that was
    made in `torch.inference_mode`, which can have no graph, a copy.
    """
    value = given.detach()
    value = value.clone() if value.is_inference() else value
    own = type(value) is Tensor or value.layout != torch.strided
    return value if own else value.as_subclass(Tensor)


def check_array(
    name: str, value: Any, shape: tuple[int | None, ...] | None = None, *, finite: bool = True
) -> np.ndarray:
    """Check that `value` is a number, a sequence, an array or a tensor of finite real numbers.

    Args:
        name, value: the argument.
        shape: its shape, None in it for any length from 1 on; None: any shape with a number in it.
        finite: whether NaN and infinity are refused.

    Returns:
        numpy.ndarray: in float64.

    Raises:
        ArgumentError: anything else; complex numbers too, whose imaginary parts would be lost.
    """
    check_unmasked(name, value)
    try:
        if is_bytes(value):
            raise argument_error(name, "hold real numbers", shown(value))
        if isinstance(value, Tensor):
            value = check_tensor(name, value, finite=False, sparse=True).to_dense().cpu().double()
        array = np.asarray(value)
    except ArgumentError:
        raise
    except Exception:  # ragged lists, and objects that make NumPy raise what they like
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise argument_error(name, "hold real numbers", shown(value))
    wanted = array.shape if shape is None else shape
    fits = len(array.shape) == len(wanted) and all(
        w in (None, s) for w, s in zip(wanted, array.shape, strict=True)
    )
    if not fits or array.size == 0:
        sides = "any with a number in it" if shape is None else str(shape).replace("None", "any")
        raise argument_error(name, f"have shape {sides}", f"of shape {array.shape}")
    if finite and not np.isfinite(array).all():
        raise argument_error(name, "be finite", shown(value))
    return array.astype(np.float64)


def check_unmasked(name: str, value: Any) -> None:
    """Refuse a masked array of NumPy, behind whose mask there are numbers that nobody meant."""
    if np.ma.is_masked(value):
        must = "be without masked places (`filled(0)` says what they hold)"
        raise argument_error(name, must, "a masked array")


def is_bytes(value: Any) -> bool:
    """Whether it is raw memory, whose bytes NumPy would read as numbers."""
    return isinstance(value, bytearray) or (isinstance(value, memoryview) and value.format in "Bbc")


def check_finite(name: str, value: Tensor) -> Tensor:
    """Check that a tensor holds neither NaN nor infinity; the message counts them."""
    _tensor(name, value)
    if not value.is_floating_point() and not value.is_complex():
        return value
    numbers = (
        value
        if value.layout == torch.strided
        else value.detach().to_sparse_coo().coalesce().values()
    )
    bad = ~torch.isfinite(numbers)
    if bool(bad.any()):
        place = tuple(int(i) for i in bad.nonzero()[0])
        raise argument_error(
            name,
            "be finite",
            f"not, in {int(bad.sum())} of {numbers.numel()} entries, first at {place}",
        )
    return value


def check_shape(name: str, value: Tensor, shape: tuple[int | None, ...]) -> Tensor:
    """Check a tensor's shape; None stands for any length."""
    if not isinstance(value, np.ndarray):
        _tensor(name, value)
    actual = tuple(value.shape)
    if len(actual) != len(shape) or any(
        s is not None and s != a for s, a in zip(shape, actual, strict=True)
    ):
        wanted = (
            "("
            + ", ".join("any" if s is None else str(s) for s in shape)
            + ("," if len(shape) == 1 else "")
            + ")"
        )
        raise argument_error(name, f"have shape {wanted}", f"of shape {actual}")
    return value


def _tensor(name: str, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise argument_error(name, "be a tensor (torch.as_tensor makes one)", shown(value))
    if not _has_values(value):
        raise argument_error(name, "be a tensor with values", shown(value))
    if is_batched(value):
        raise argument_error(name, "be a plain tensor, outside of torch.vmap", "one of its batches")


def is_batched(value: Tensor) -> bool:
    """Whether a tensor stands for many, inside `torch.vmap`: its numbers cannot be looked at."""
    return bool(torch._C._functorch.is_batchedtensor(value))


def _has_values(value: Tensor | np.ndarray) -> bool:
    return not isinstance(value, Tensor) or (value.device.type != "meta" and not value.is_nested)
