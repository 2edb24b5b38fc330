"""The ranges of `--sweep`; no torch is imported here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qdescent._checks import ArgumentError, argument_error

# the inputs of `resources.verdict.inputs`, and the letters that stand for them
SWEPT = (
    "n", "sparsity", "steps", "learning_rate", "kappa", "epsilon", "readout_error", "largest",
    "alpha_over_norm", "batch", "error_rate", "cycle_time_ns",
)  # fmt: skip
WHOLE = ("n", "sparsity", "steps", "largest", "batch")  # what is counted
LETTERS = {"s": "sparsity", "T": "steps", "eta": "learning_rate", "m": "largest"}
MOST_POINTS = 100_000  # minutes of them
VALUES = 25  # of a range whose number is not given


@dataclass(frozen=True)
class Range:
    """An input, and its values on a logarithmic scale.

    Args:
        name: of the input.
        values: in order.
    """

    name: str
    values: tuple[float, ...]


def ranges_of(texts: Sequence[str]) -> list[Range]:
    """The ranges that `--sweep` was given.

    Raises:
        ArgumentError: an input that is none, ends that are no numbers, or too many points.

    Example:
        >>> ranges_of(["n=1e4:1e6:3"])
        [Range(name='n', values=(10000.0, 100000.0, 1000000.0))]
    """
    found = [_range(text) for text in texts]
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise argument_error("sweep", "name every input once", ", ".join(names))
    points = math.prod(len(each.values) for each in found)
    if points > MOST_POINTS:
        raise _too_many(points)
    return found


def _too_many(points: int) -> ArgumentError:
    shown = f"{points:,}" if points < 10**15 else f"{points:.3g}"
    return argument_error("sweep", f"make at most {MOST_POINTS:,} points", f"{shown} of them")


def _range(text: str) -> Range:
    name, equals, ends = text.partition("=")
    name = name.strip().replace("-", "_")
    name = LETTERS.get(name, name)
    parts = ends.split(":")
    form = "be an input and its ends, as in n=1e4:1e12 or n=1e4:1e12:100"
    if not equals or len(parts) not in (2, 3):
        raise argument_error("sweep", form, repr(text[:100]))
    if name not in SWEPT:
        known = ", ".join((*SWEPT, *LETTERS))
        raise argument_error("sweep", f"name one of {known}", repr(name[:100]))
    try:
        low, high = float(parts[0]), float(parts[1])
        wanted = float(parts[2]) if len(parts) == 3 else float(VALUES)
        count = int(wanted)
    except (ValueError, OverflowError):
        raise argument_error("sweep", form, repr(text[:100])) from None
    if count != wanted:
        raise argument_error("sweep", "ask for a whole number of values", repr(text[:100]))
    if count > MOST_POINTS:
        raise _too_many(count)
    if not (0 < low < high < math.inf) or count < 2:
        must = "go from a number above 0 to a larger one, by two values at least"
        raise argument_error("sweep", must, repr(text[:100]))
    if name in WHOLE and not (low.is_integer() and high.is_integer()):
        must = f"have integers as ends of {name}, which is counted"
        raise argument_error("sweep", must, repr(text[:100]))
    step = math.log(high / low) / (count - 1)
    # twelve digits: the logarithm of a power of ten is none that floats hold
    values = [float(f"{low * math.exp(step * k):.12g}") for k in range(count)]
    values = [low, *values[1:-1], high]
    if name in WHOLE:  # each as it is priced, and once
        values = list(dict.fromkeys(float(round(value)) for value in values))
    return Range(name, tuple(values))
