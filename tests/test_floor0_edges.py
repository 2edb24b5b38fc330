"""NumPy and torch numbers as arguments, and infinities in JSON."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import qdescent as qd
from qdescent._checks import ArgumentError, check_integer, check_interval
from qdescent._evidence import Evidence, Row
from qdescent._terminal.outcome import print_place


def test_numpy_infinity_survives_json():
    assert (
        Row.from_json(Row("a", np.float64("inf"), "1", Evidence.EXACT, "x").to_json()).value
        == math.inf
    )


@pytest.mark.parametrize(
    "value", [torch.tensor(1.5), np.array([1, 2]), torch.tensor([1, 2]), torch.tensor(True)]
)
def test_integers_that_are_none(value):
    with pytest.raises(ArgumentError):
        check_integer("a", value, 1)


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(1)])
def test_numpy_numbers_are_numbers(value):
    assert check_interval("a", value, "(0, 1]") == value


def test_a_text_is_quoted():
    with pytest.raises(ArgumentError, match=r"but is '0.5'\."):
        check_interval("a", "0.5", "(0, 1]")


@pytest.mark.parametrize("path", ["x" * 5000, "y" * 300])
@pytest.mark.parametrize(
    ("reader", "name"), [(qd.read_record, "path"), (qd.datasets.load_fashion_mnist, "data_root")]
)
def test_a_name_that_no_file_system_takes(reader, name, path):
    with pytest.raises(
        ArgumentError,
        match=f"`{name}` must be a path that the file system takes, but is {len(path)} char",
    ):
        reader(path)


def test_the_name_of_a_folder_commands_no_terminal_and_no_markup(capsys):
    print_place("Page", Path("runs/[red]a\x1b]0;b") / "spectrum.html")
    assert capsys.readouterr().out == "Page: runs/[red]a\\x1b]0;b/spectrum.html\n"
