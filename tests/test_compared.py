"""What holds tensors or arrays is compared by identity: `==` of its numbers would raise."""

import copy
import dataclasses
import importlib
import pkgutil
import re

import numpy as np
import pytest
import torch

import qdescent as qd

HOLDS = re.compile(r"\b(Tensor|ndarray|NDArray|Floats|Ints|Complexes|Bools|csr_array|csr_matrix)\b")
FUNCTION = re.compile(r"Callable\[\[[^\[\]]*\], [^\[\],]*(\[[^\[\]]*\])?\]")


def holds_numbers(annotation):
    while annotation != (annotation := FUNCTION.sub("a function", annotation)):
        pass
    return bool(HOLDS.search(annotation))


def test_no_dataclass_that_holds_numbers_compares_them():
    found, wrong = set(), set()
    for module in pkgutil.walk_packages(qd.__path__, "qdescent."):
        if module.name.endswith("__main__"):
            continue
        for one in vars(importlib.import_module(module.name)).values():
            if not (isinstance(one, type) and dataclasses.is_dataclass(one)) or one in found:
                continue
            if any(holds_numbers(str(field.type)) for field in dataclasses.fields(one)):
                found.add(one)
                compares = next(each for each in one.__mro__ if "__eq__" in vars(each))
                if dataclasses.is_dataclass(compares) and compares.__dataclass_params__.eq:
                    numbers = (holds_numbers(str(x.type)) for x in dataclasses.fields(compares))
                    wrong |= {one.__name__} if any(numbers) else set()
    assert len(found) > 60
    assert wrong == set()
    assert not holds_numbers("Callable[[Tensor], Tensor] | None")


@pytest.mark.parametrize(
    "value",
    [
        qd.PolynomialMap([torch.tensor([0.1, 0.0]), torch.eye(2) / 2]),
        qd.LinearSystem(torch.eye(2), torch.ones(2)),
    ],
)
def test_equal_values_are_two(value):
    assert value == value
    assert value != copy.deepcopy(value)
    assert len({value, value}) == 1
    assert np.array_equal(value == value, True)
