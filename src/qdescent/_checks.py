"""The one wording of every argument error, and the words in which arguments are checked.

"Argument `density` must be in (0, 1], but is 1.5." Tests match this sentence, the command line
prints it and ends with exit code 2. A mistake of the caller is an `ArgumentError`; an outcome (a
solver that did not converge) is a value. Each check returns what it was given in the package's own
type (a float, an int, a bool, a tuple, a tensor without its graph): compute with what it returns.
"""

from __future__ import annotations

import errno
import math
import operator
import os
import reprlib
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

LONGEST = 1000  # characters of what an argument is said to be: one sentence, not a page
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

T = TypeVar("T")


class ArgumentError(ValueError):
    """An argument that cannot be used; the text says which, what it must be, and what it is."""


def argument_error(name: str, must: str, actual: object) -> ArgumentError:
    """The error for argument `name`.

    Args:
        name: of the argument.
        must: completes "must ...".
        actual: completes "but is ..."; a text as it stands, anything else as `shown`.
    """
    text = actual if isinstance(actual, str) else shown(actual)
    text = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return ArgumentError(harmless(f"Argument `{name}` must {must}, but is {text}."))


def shown(value: object) -> str:
    """A value in a few words: as Python writes it, but a tensor by shape and type, the rest cut
    short.

    Example:
        >>> shown(1.5), shown(dict), shown(10**50)
        ('1.5', 'the class dict, not an instance', 'an integer of 51 digits')
        >>> shown(torch.zeros(2, 3))
        'a tensor of shape (2, 3) and type torch.float32'
    """
    try:
        if isinstance(value, type):
            return f"the class {value.__name__}, not an instance"
        if isinstance(value, (Tensor, np.ndarray)) and not (value.ndim == 0 and _has_values(value)):
            noun = "a tensor" if isinstance(value, Tensor) else "an array"
            place = "" if _has_values(value) else " on the meta device, without values"
            return f"{noun} of shape {tuple(value.shape)} and type {value.dtype}{place}"
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**25:
            return f"an integer of {math.floor(math.log10(abs(value))) + 1} digits"
        text = _SHORT.repr(value)
    except Exception:  # a stranger's __repr__ may do anything
        text = "at 0x"
    return f"an object of type {type(value).__name__}" if " at 0x" in f" {text}" else text


_SHORT = reprlib.Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlevel = 100, 100, 3


def check_interval(name: str, value: float, interval: str) -> float:
    """Check that `value` lies in `interval`, written as in mathematics: "(0, 1]", "[0, inf)".

    Raises:
        ArgumentError: outside the interval, not a number, NaN, or an integer that no float can
            hold.
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    number = _real(value)
    above = number >= low if interval[0] == "[" else number > low  # NaN is neither
    below = number <= high if interval[-1] == "]" else number < high
    if not (above and below):
        raise argument_error(name, f"be in {interval}", shown(value))
    return number


def _real(value: object) -> float:
    """The value as a float; NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except (OverflowError, ValueError, TypeError):
        return math.nan


def check_integer(name: str, value: int, at_least: int, at_most: int | None = None) -> int:
    """Check that `value` is an integer in a range (numpy and torch integers count, booleans do
    not).

    Args:
        name, value: the argument.
        at_least, at_most: the ends of its range; None: no end above. An end is given where more
            would take work or memory out of all proportion.
    """
    try:
        is_boolean = isinstance(value, bool) or getattr(value, "dtype", None) in (
            torch.bool,
            np.dtype(bool),
        )
        number = None if is_boolean or getattr(value, "ndim", 0) != 0 else operator.index(value)
    except Exception:  # what has no index says so in many ways: TypeError, RuntimeError on meta
        number = None
    if number is None or number < at_least:
        raise argument_error(name, f"be an integer of at least {at_least}", shown(value))
    if at_most is not None and number > at_most:
        raise argument_error(name, f"be an integer of at most {at_most}", shown(value))
    return number


def check_boolean(name: str, value: bool) -> bool:
    """Check that `value` is True or False (numpy's count; 0, 1 and texts do not)."""
    if not isinstance(value, (bool, np.bool_)):
        raise argument_error(name, "be True or False", shown(value))
    return bool(value)


def check_text(name: str, value: str, *, empty: bool = False) -> str:
    """Check that `value` is a text; `empty`: "" is one, too."""
    if not isinstance(value, str) or not (value or empty):
        raise argument_error(
            name, "be a text" if empty else "be a text of at least one character", shown(value)
        )
    return value


def check_path(name: str, value: str | os.PathLike[str]) -> Path:
    """Check that `value` names a file or folder: a text or a path, not empty, without a NUL."""
    try:
        text = None if isinstance(value, type) else os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str) or not text or "\0" in text:
        raise argument_error(name, "be a path", shown(value))
    try:
        os.lstat(text)
    except OSError as error:  # what is not there, or not allowed, is for whoever opens it to say
        if error.errno == errno.ENAMETOOLONG:
            raise argument_error(
                name, "be a path that the file system takes", f"{len(text)} characters long"
            ) from None
    except ValueError:  # half of a surrogate pair
        raise argument_error(name, "be a path", shown(value)) from None
    return Path(text)


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Check that `value` is one of `choices`: a number equal to one, or a text."""
    choices = list(choices)
    for choice in choices:
        kind = Real if isinstance(choice, Real) and not isinstance(choice, bool) else type(choice)
        if (
            isinstance(value, kind)
            and isinstance(value, bool) == isinstance(choice, bool)
            and value == choice
        ):
            return choice
    raise argument_error(
        name, "be one of " + ", ".join(repr(choice) for choice in choices), shown(value)
    )


def check_instance(
    name: str, value: Any, *kinds: type, called: str = "", optional: bool = False
) -> Any:
    """Check that `value` is an instance of one of `kinds`; a class in place of its instance is not.

    Args:
        name, value: the argument.
        kinds: the classes.
        called: completes "must be ..."; "" takes the names of the classes.
        optional: None is right, too.
    """
    if not isinstance(value, kinds) and not (optional and value is None):
        names = [f"{'an' if kind.__name__[0] in 'AEIO' else 'a'} {kind.__name__}" for kind in kinds]
        raise argument_error(
            name,
            "be " + (called or " or ".join(names)) + (" or None" if optional else ""),
            shown(value),
        )
    return value


def check_methods(name: str, value: Any, methods: tuple[str, ...], called: str) -> Any:
    """Check that `value` is an instance with these methods: what a protocol asks for."""
    if isinstance(value, (type, Tensor, np.ndarray)) or not all(
        callable(getattr(value, method, None)) for method in methods
    ):
        raise argument_error(name, f"be {called}", shown(value))
    return value


def check_callable(
    name: str, value: Any, called: str = "callable", *, optional: bool = False
) -> Any:
    """Check that `value` can be called (`optional`: or is None); "must be `called`". Of classes
    only `float` and `int` count.
    """
    is_class = isinstance(value, type) and value not in (float, int)
    if (is_class or not callable(value)) and not (optional and value is None):
        raise argument_error(name, f"be {called}" + (" or None" if optional else ""), shown(value))
    return value


def check_sequence(
    name: str, value: Any, *kinds: type[T], called: str, empty: bool = False
) -> tuple[T, ...]:
    """Check that `value` is a list, a tuple or the like of instances of `kinds`; "must be
    `called`".
    """
    if isinstance(value, (str, bytes, type, Tensor, Mapping)) or not isinstance(value, Iterable):
        raise argument_error(name, f"be {called}", shown(value))
    try:
        items = tuple(value)
    except TypeError:  # a 0-d array says that it can be iterated
        raise argument_error(name, f"be {called}", shown(value)) from None
    if not items and not empty:
        raise argument_error(name, f"be {called}, at least one", "empty")
    for place, item in enumerate(items):
        if not isinstance(item, kinds):
            raise argument_error(name, f"be {called}", f"{shown(item)} at place {place}")
    return items


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
    """Check that `value` is a tensor of numbers that can be computed with, and take it out of any
    graph.

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
        >>> check_tensor("u0", torch.ones(3), (2,))
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `u0` must have shape (2,), but is of shape (3,).
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
    return check_finite(name, value.detach()) if finite else value.detach()


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
    if np.ma.is_masked(value):
        raise argument_error(
            name, "be without masked places (`filled(0)` says what they hold)", "a masked array"
        )
    try:
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
            f"not, in {int(bad.sum())} of {numbers.numel()} places, first at {place}",
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


def _has_values(value: Tensor | np.ndarray) -> bool:
    return not isinstance(value, Tensor) or value.device.type != "meta"


def harmless(text: str) -> str:
    """One line that a terminal shows as it stands: no control characters, no half of a surrogate
    pair.
    """
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
