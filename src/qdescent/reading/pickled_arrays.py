"""The arrays of bytes in an old pickle, with lists, dictionaries, texts and integers around them:
followed opcode by opcode, so that no code of it is run and no library builds anything of it.

CIFAR-100 was published so, by Python 2 and NumPy 1. What is not needed for that is refused.
"""

from __future__ import annotations

import io
import math
import pickletools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from qdescent.reading.pickle_stack import last, marked, step

MOST_OPCODES = 1_000_000  # CIFAR-100's training file has some 400,000
CORE = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
NAMES = (*CORE, "numpy ndarray", "numpy dtype")
BYTES = ("u1", "|u1")  # the one type of numbers


class PickleError(ValueError):
    """A pickle of something else; the text completes "which ..."."""


@dataclass(frozen=True)
class Name:
    """One of `NAMES`."""

    path: str


@dataclass(eq=False)
class Array:
    """An array of bytes that is still to get its numbers."""

    content: np.ndarray | None = None


class ByteType:
    """dtype("uint8")."""


def pickled_arrays(content: bytes) -> Any:
    """What a pickle holds: dictionaries, lists, tuples, texts, integers, and uint8 arrays.

    Raises:
        PickleError: anything else is in it, or it is damaged.

    Example:
        >>> import pickle
        >>> pickled_arrays(pickle.dumps({"fine_labels": [3, 5]}, protocol=2))
        {'fine_labels': [3, 5]}
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd texts in damaged files
            for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(content))):
                if count > MOST_OPCODES:
                    raise PickleError("has a pickle of more than a million steps")
                if opcode.name == "STOP":
                    return _plain(stack.pop())
                _step(opcode.name, argument, stack, memo)
    except PickleError:
        raise
    # below the stack's end; not in the memo; no key; cut short; texts that are none
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError):
        raise PickleError("is damaged (its pickle does not hold together)") from None
    raise PickleError("is damaged (its pickle does not end)")


def _step(opcode: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    if step(opcode, argument, stack, memo):
        return
    match opcode:
        case (
            "BININT"
            | "BININT1"
            | "BININT2"
            | "SHORT_BINSTRING"
            | "BINSTRING"
            | "BINUNICODE"
            | "SHORT_BINBYTES"
            | "BINBYTES"
        ):
            stack.append(argument)
        case "EMPTY_DICT":
            stack.append({})
        case "EMPTY_LIST":
            stack.append([])
        case "APPEND" | "SETITEM":
            items = last(stack, 1 + (opcode == "SETITEM"))
            del stack[-len(items) :]
            _filled(stack[-1], items)
        case "APPENDS" | "SETITEMS":
            items = marked(stack)
            _filled(stack[-1], items)
        case "GLOBAL":
            if argument not in NAMES:
                raise PickleError("holds pickled code or other things than arrays of bytes")
            stack.append(Name(argument))
        case "REDUCE":
            given = stack.pop()
            stack[-1] = _made(stack[-1], given)
        case "BUILD":
            state = stack.pop()
            _built(stack[-1], state)
        case _:
            raise PickleError("holds pickled code or other things than arrays of bytes")


def _filled(container: Any, items: list[Any]) -> None:
    """Items put into a list, or keys and values into a dictionary; a container holds no other that
    could hold it.
    """
    if any(isinstance(item, dict) for item in items):
        raise PickleError("is damaged (a dictionary in another container)")
    if isinstance(container, list):
        if any(isinstance(item, (list, tuple)) for item in items):
            raise PickleError("is damaged (a list in a list)")
        container += items
    elif isinstance(container, dict):
        keys = items[::2]
        if len(items) % 2 or not all(isinstance(key, (str, bytes)) for key in keys):
            raise PickleError("is damaged (a dictionary without keys)")
        container.update(zip(keys, items[1::2], strict=True))
    else:
        raise PickleError("is damaged (its pickle does not hold together)")


def _made(function: Any, given: Any) -> Array | ByteType:
    path = function.path if isinstance(function, Name) else ""
    if path in CORE and isinstance(given, tuple) and given[:1] == (Name("numpy ndarray"),):
        return Array()
    if path == "numpy dtype" and isinstance(given, tuple) and given[:1] in [(k,) for k in BYTES]:
        return ByteType()
    raise PickleError("holds pickled code or other things than arrays of bytes")


def _built(made: Any, state: Any) -> None:
    """Give an array its numbers: (version, shape, type, whether columns come first, bytes)."""
    if isinstance(made, ByteType):
        return  # what makes a type of one byte another one does not matter
    if not isinstance(made, Array) or not isinstance(state, tuple) or len(state) != 5:
        raise PickleError("holds pickled code or other things than arrays of bytes")
    _, shape, kind, columns_first, numbers = state
    if isinstance(numbers, str):
        numbers = numbers.encode("latin-1")  # Python 2 had no bytes
    whole = isinstance(shape, tuple) and all(type(x) is int and 0 <= x < 2**40 for x in shape)
    if not whole or not isinstance(kind, ByteType) or not isinstance(numbers, bytes):
        raise PickleError("is damaged (an array without numbers)")
    if len(shape) > 8 or math.prod(shape) != len(numbers) or columns_first not in (False, 0):
        raise PickleError("is damaged (an array of another size than its numbers)")
    made.content = np.frombuffer(numbers, dtype=np.uint8).reshape(shape)


def _plain(value: Any) -> Any:
    """The value with its arrays; what is no value is refused."""
    if isinstance(value, Array):
        if value.content is None:
            raise PickleError("is damaged (an array without numbers)")
        return value.content
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return value
    raise PickleError("holds pickled code or other things than arrays of bytes")
