"""The one wording of every argument error, and the words in which arguments are checked.

"Argument `density` must be in (0, 1], but is 1.5." Tests match this sentence, the command line
prints it and ends with exit code 2. A mistake of the caller is an `ArgumentError`; an outcome (a
solver that did not converge) is a value. Each check returns what it was given in the package's own
type (a float, an int, a bool, a tuple): compute with what it returns. Neither torch nor NumPy is
imported: the command line refuses a bad argument before the seconds that they take.
"""

from __future__ import annotations

import errno
import math
import operator
import os
import re
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

LONGEST_NAME = 200  # characters
LONGEST = 1000  # characters of what an argument is said to be: one sentence, not a page
T = TypeVar("T")


class ArgumentError(ValueError):
    """An argument that cannot be used; the text says which, what it must be, and what it is."""

    @property
    def argument(self) -> str:
        """Which one; empty where the text has another form."""
        text = str(self)
        return text.split("`")[1] if text.startswith("Argument `") else ""

    def called(self, **names: str) -> ArgumentError:
        """The same for a caller whose arguments have other names: each that the text names.

        Example:
            >>> str(argument_error("f", "fit `steps`", 1).called(f="source", steps="circuit_steps"))
            'Argument `source` must fit `circuit_steps`, but is 1.'
        """
        named = re.compile("`(" + "|".join(map(re.escape, names)) + ")`")
        return ArgumentError(named.sub(lambda found: f"`{names[found[1]]}`", str(self)))


def argument_error(name: str, must: str, actual: object) -> ArgumentError:
    """The error for argument `name`.

    Args:
        name: of the argument, or of a part of it: "weights['0.bias']".
        must: completes "must ...".
        actual: completes "but is ..."; a text as it stands, anything else as `shown`.
    """
    text = actual if isinstance(actual, str) else shown(actual)
    text = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    text = text if text.endswith("..") else text.removesuffix(".")  # of a sentence within it
    name = name.replace("`", "'")  # a part of what was given may be in it
    name = name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"
    return ArgumentError(harmless(f"Argument `{name}` must {must}, but is {text}."))


def shown(value: object) -> str:
    """A value in a few words: as Python writes it, cut short; a tensor by shape and type.

    Example:
        >>> shown(1.5), shown(dict), shown(10**50)
        ('1.5', 'the class dict, not an instance', 'an integer of 51 digits')
        >>> import torch
        >>> shown(torch.zeros(2, 3))
        'a tensor of shape (2, 3) and type torch.float32'
    """
    try:
        if isinstance(value, type):
            return f"the class {value.__name__}, not an instance"
        on_meta = is_tensor(value) and value.device.type == "meta"
        if (is_tensor(value) or is_array(value)) and (value.ndim > 0 or on_meta):
            noun = "a tensor" if is_tensor(value) else "an array"
            place = " on the meta device, without values" if on_meta else ""
            return f"{noun} of shape {tuple(value.shape)} and type {value.dtype}{place}"
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**25:
            return f"an integer of {math.floor(math.log10(abs(value))) + 1} digits"
        text = _SHORT.repr(value)
    except Exception:  # a stranger's __repr__ may do anything
        text = "at 0x"
    return f"an object of type {type(value).__name__}" if " at 0x" in f" {text}" else text


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether it is a tensor of PyTorch; nothing is before PyTorch has been imported."""
    return isinstance(value, _class_of("torch", "Tensor"))


def is_array(value: object) -> TypeGuard[np.ndarray]:
    """Whether it is an array of NumPy."""
    return isinstance(value, _class_of("numpy", "ndarray"))


def _class_of(library: str, name: str) -> Any:
    """A class of a library, for `isinstance`; no class where the library is not imported."""
    return getattr(sys.modules.get(library), name, ())


_PLAIN = frozenset({bool, int, float, str})
_SHORT = reprlib.Repr()
_SHORT.maxstring, _SHORT.maxother, _SHORT.maxlevel = 100, 100, 3


def check_interval(name: str, value: float, interval: str) -> float:
    """Check that `value` lies in `interval`, written as in mathematics: "(0, 1]", "[0, inf)".

    Raises:
        ArgumentError: outside the interval, not a number, NaN, or an integer that no float can
            hold.
    """
    low, high = _ends(interval)
    number = _real(value)
    above = number >= low if interval[0] == "[" else number > low  # NaN is neither
    below = number <= high if interval[-1] == "]" else number < high
    if not (above and below):
        raise argument_error(name, f"be in {interval}", shown(value))
    return number


@lru_cache(maxsize=256)
def _ends(interval: str) -> tuple[float, float]:
    low, high = interval[1:-1].split(",")
    return float(low), float(high)


def plain_number(value: Any) -> Any:
    """A number of NumPy or PyTorch, 0-d arrays and tensors among them, as Python's own; anything
    else as it is.

    Example:
        >>> import torch
        >>> plain_number(torch.tensor(0.5)), plain_number(torch.ones(1)), plain_number("text")
        (0.5, tensor([1.]), 'text')
    """
    if type(value) in _PLAIN:  # nearly always: counts of a ledger come here a thousand times
        return value
    single = is_tensor(value) or is_array(value) or isinstance(value, _class_of("numpy", "generic"))
    try:
        masked = hasattr(value, "mask")  # what stands behind the mask is no number
        return value.item() if single and value.ndim == 0 and not masked else value
    except Exception:  # without values: on meta, inside `vmap`
        return value


def _real(value: object) -> float:
    """The value as a float; NaN where it is none."""
    value = plain_number(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except (OverflowError, ValueError, TypeError):
        return math.nan


def check_integer(name: str, value: int, at_least: int, at_most: int | None = None) -> int:
    """Check that `value` is an integer in a range (of NumPy or PyTorch, too; no boolean).

    Args:
        name, value: the argument.
        at_least, at_most: the ends of its range; None: no end above. An end is given where more
            would take work or memory out of all proportion.
    """
    # nearly always: counts of a ledger come here a thousand times
    if type(value) is int and at_least <= value and (at_most is None or value <= at_most):
        return value
    try:
        given = plain_number(value)
        unfit = isinstance(given, bool) or getattr(given, "ndim", 0) != 0
        number = None if unfit else operator.index(given)
    except Exception:  # what has no index says so in many ways: TypeError, RuntimeError on meta
        number = None
    if number is None or number < at_least:
        raise argument_error(name, f"be an integer of at least {at_least}", shown(value))
    if at_most is not None and number > at_most:
        raise argument_error(name, f"be an integer of at most {at_most}", shown(value))
    return number


def check_boolean(name: str, value: bool) -> bool:
    """Check that `value` is True or False (NumPy's and PyTorch's count; 0, 1 and texts do not)."""
    given = plain_number(value)
    if not isinstance(given, bool):
        raise argument_error(name, "be True or False", shown(value))
    return given


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
    choices, given = list(choices), plain_number(value)
    for choice in choices:
        kind = Real if isinstance(choice, Real) and not isinstance(choice, bool) else type(choice)
        if (
            isinstance(given, kind)
            and isinstance(given, bool) == isinstance(choice, bool)
            and given == choice
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
    is_data = isinstance(value, type) or is_tensor(value) or is_array(value)
    if is_data or not all(callable(getattr(value, method, None)) for method in methods):
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


def check_iterable(name: str, value: Any, *, called: str) -> Iterable[Any]:
    """Check that items can be taken out of `value` one by one, of which a tensor, a text or a
    mapping are not meant to be; "must be `called`".
    """
    no_items = isinstance(value, (str, bytes, type, Mapping)) or is_tensor(value)
    single = is_array(value) and value.ndim == 0  # says that it can be iterated
    if no_items or single or not isinstance(value, Iterable):
        raise argument_error(name, f"be {called}", shown(value))
    return value


def check_sequence(
    name: str, value: Any, *kinds: type[T], called: str, empty: bool = False
) -> tuple[T, ...]:
    """Check that `value` is a list, a tuple or the like of `kinds`; "must be `called`"."""
    items = tuple(check_iterable(name, value, called=called))
    if not items and not empty:
        raise argument_error(name, f"be {called}, at least one", "empty")
    for place, item in enumerate(items):
        if not isinstance(item, kinds):
            raise argument_error(name, f"be {called}", f"{shown(item)} at index {place}")
    return items


def check_numbers(
    name: str, value: Any, interval: str, called: str, *, empty: bool = False
) -> tuple[float, ...]:
    """Check that `value` is a sequence of numbers in an interval; "must be `called`"."""
    given = check_sequence(name, value, object, called=called, empty=empty)
    return tuple(check_interval(name, each, interval) for each in given)  # type: ignore[arg-type]


def check_field(one: Any, name: str, check: Callable[..., Any], *given: Any) -> None:
    """Check a field of a frozen dataclass, and keep what the check returns: in Python's own type.

    Args:
        one: the dataclass, in its `__post_init__`.
        name: of the field.
        check: one of the checks above.
        given: what it takes after name and value.
    """
    object.__setattr__(one, name, check(name, getattr(one, name), *given))


def shortened(text: str, most: int) -> str:
    """A stranger's text on one line of so many characters, "…" in the place of what is left out."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def harmless(text: str) -> str:
    """One line that a terminal shows as it stands: no control characters, no lone surrogates."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
