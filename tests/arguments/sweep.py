"""One valid call of a public name, and each argument replaced in turn by every nasty value."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from qdescent import ArgumentError

SENTENCE = re.compile(r"Argument `(?P<name>[^`]+)` must [^\n]+, but is [^\n]+\.")

NASTY: Mapping[str, Callable[[], Any]] = {
    "None": lambda: None,
    "text": lambda: "text",
    "empty text": lambda: "",
    "True": lambda: True,
    "-1": lambda: -1,
    "0": lambda: 0,
    "0.5": lambda: 0.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "1e9": lambda: 1e9,
    "10**9": lambda: 10**9,
    "10**30": lambda: 10**30,
    "10**400": lambda: 10**400,
    "1e-320": lambda: 1e-320,
    "1j": lambda: 1j,
    "float64(.5)": lambda: np.float64(0.5),
    "float32(.5)": lambda: np.float32(0.5),
    "int64(2)": lambda: np.int64(2),
    "tensor(.5)": lambda: torch.tensor(0.5),
    "tensor(2)": lambda: torch.tensor(2),
    "array(.5)": lambda: np.array(0.5),
    "index(2)": lambda: _Index(),
    "tensor()": lambda: torch.zeros(0),
    "tensor 2x2x2": lambda: torch.ones(2, 2, 2),
    "tensor of 7": lambda: torch.ones(7, dtype=torch.float64),
    "array": lambda: np.ones(3),
    "list": lambda: [1.0, 2.0],
    "empty list": list,
    "list of None": lambda: [None],
    "dict": lambda: {"a": 1.0},
    "empty dict": dict,
    "object": object,
    "class": lambda: SimpleNamespace,
    "function": lambda: _takes_nothing,
    "float8": lambda: torch.float8_e5m2,
}


class _Index:
    """What Python takes for an integer in `range` and in brackets, and nowhere else."""

    def __index__(self) -> int:
        return 2


def _takes_nothing() -> None:
    """A function that cannot be called with an argument."""


def _of_tensor(value: torch.Tensor) -> Iterator[tuple[str, Any]]:
    plain = value.detach().to_dense()
    with_nan = plain.clone().to(torch.promote_types(plain.dtype, torch.float32))
    if plain.numel():
        with_nan.reshape(-1)[-1] = float("nan")
        yield "its NaN", with_nan
    yield "its integers", plain.to(torch.int64)
    yield "its booleans", plain.to(torch.bool)
    yield "its complex", plain.to(torch.complex128) * (1 + 1j)
    yield "its float16", plain.to(torch.float16)
    yield "its float32", plain.to(torch.float32)
    yield "its bfloat16", plain.to(torch.bfloat16)
    yield "its meta", plain.to("meta")
    yield "its list", plain.tolist()
    yield "its array", plain.numpy()
    yield "its longer", plain[None]
    yield "its sparse", plain.to_sparse()
    if plain.is_floating_point():
        yield "its graph", plain.clone().requires_grad_()


def nasty_values(valid: Any) -> Iterator[tuple[str, Any]]:
    """Every nasty value, and those that are made from the valid one."""
    for label, make in NASTY.items():
        yield label, make()
    if isinstance(valid, torch.Tensor):
        yield from _of_tensor(valid)
    elif valid is not None and not isinstance(valid, (bool, int, float, str, type)):
        yield "its class", type(valid)
        if is_dataclass(valid):
            yield (
                "its fields",
                SimpleNamespace(**{f.name: getattr(valid, f.name) for f in fields(valid)}),
            )
        if isinstance(valid, (list, tuple)) and valid:
            yield "its first", valid[0]
            yield "its class inside", [type(valid[0])]


@dataclass(frozen=True)
class Entry:
    """A public name and one valid call.

    Args:
        name: of the public name, with its method: "Spectrum.mass".
        call: what is called, by keyword.
        valid: the arguments of the valid call, made anew; arguments with a default may be left out.
        skip: arguments that are not swept, each with its reason.
        named: for an argument the others that its sentence may name, where it is the two together
            that do not fit.
    """

    name: str
    call: Callable[..., Any]
    valid: Callable[[], dict[str, Any]] = dict
    skip: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        """What is swept."""
        return [name for name in {**self.valid(), **self.defaults} if name not in self.skip]

    @property
    def defaults(self) -> dict[str, Any]:
        """The arguments that may be left out, with what they then are."""
        return {
            name: parameter.default
            for name, parameter in inspect.signature(self.call).parameters.items()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        }


@dataclass(frozen=True)
class Outcome:
    """What a value did: "refused" in the house's sentence, "result", or "fault"; "kept" where a
    result holds it as it was given.
    """

    argument: str
    value: str
    kind: str
    text: str = ""


# numbers of NumPy and PyTorch: computed with, they would choose types and wrap around
SCALARS = (
    "float64(.5)", "float32(.5)", "int64(2)", "tensor(.5)", "tensor(2)", "array(.5)", "index(2)",
)  # fmt: skip
SAMPLE = (  # of every kind one: what `make test` tries
    "None", "text", "True", "-1", "0", "nan", "10**30", "tensor(.5)", "tensor()", "tensor of 7",
    "list of None", "object",
    "its NaN", "its integers", "its meta", "its graph", "its class", "its fields",
)  # fmt: skip


def outcomes(
    entry: Entry,
    labels: Container[str] | None = None,
    guard: Callable[[], AbstractContextManager] = nullcontext,
) -> Iterator[Outcome]:
    """Every argument of an entry with every nasty value (or those of `labels`), each call inside
    `guard()`.
    """
    for argument in entry.arguments:
        given = entry.valid().get(argument, entry.defaults.get(argument))
        for label, value in nasty_values(given):
            if labels is not None and label not in labels:
                continue
            try:
                with guard():
                    result = entry.call(**{**entry.valid(), argument: value})
            except ArgumentError as refusal:
                sentence = SENTENCE.fullmatch(str(refusal))
                if sentence is None or re.match(r"\w+", sentence["name"])[0] not in (
                    argument,
                    *entry.named.get(argument, ()),
                ):
                    yield Outcome(argument, label, "fault", f"another sentence: {refusal}")
                else:
                    yield Outcome(argument, label, "refused", str(refusal))
            except Exception as error:
                yield Outcome(
                    argument,
                    label,
                    "fault",
                    f"{type(error).__name__}: {error}".splitlines()[0][:200],
                )
            else:
                if label in SCALARS and getattr(result, argument, None) is value:
                    yield Outcome(argument, label, "kept", "kept as a stranger's type")
                yield Outcome(argument, label, "result")
