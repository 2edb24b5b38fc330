"""What a user's own code raises is told with its file and line, and in the user's own names."""

import re
import sys

import pytest
import torch
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.experiment.setting import declared
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.experiment.spectrum.subject import load_subject as load_spectrum
from qdescent.experiment.train.settings import TrainSettings
from qdescent.experiment.train.subject import load_subject as load_training
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.refusals.raised import begun
from qdescent.learning.task import Task

OWN = """\
import torch
from torch import nn
def net():
    return nn.Linear(3, 2)
def wrong():
    three = "3"
    return nn.Linear(three, 2)
def outer():
    return wrong()
def needs(width): return net()
class Pairs(nn.Module):
    def __init__(self): super().__init__(); self.layer = nn.Linear(3, 2)
    def forward(self, x, y): return x
class Inside(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
    def forward(self, x):
        return self.layer(x) @ x
class Bare(nn.Module):
    def forward(self, x): return x[:, :2]
def frozen(): return net().requires_grad_(False)
def data(): return torch.ones(6, 3), torch.arange(6) % 2
def three(): return torch.ones(6, 3), torch.arange(6) % 3
def one(): return torch.ones(1, 3), torch.zeros(1).long()
def file():
    return open("not there")
def key(): raise KeyError
def single(outputs): return outputs.sum()
def askew(outputs, targets):
    return (outputs @ targets).sum()
"""
PLAIN = {"network": "own_code:net", "data": "own_code:data"}


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "own_code.py").write_text(OWN)
    (tmp_path / "fails_early.py").write_text("import torch\nnumber = 1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("own_code", None)


def at(text):
    """The place of a line of the module."""
    (line,) = (n for n, each in enumerate(OWN.splitlines(), 1) if text in each)
    return f"'own_code.py', line {line}"


BEGUN = {  # what is given, and what is said of where it fails
    ("network", "wrong"): f"'own_code:wrong' (TypeError in {at('three, 2')}: ",
    ("network", "outer"): f"'own_code:outer' (TypeError in {at('three, 2')}: ",
    ("network", "needs"): f"must be those of needs(width) in {at('def needs')}, but is not (",
    ("network", "Pairs"): f"argument: 'y'; it begins in {at('x, y): return x')}).",
    ("network", "Inside"): f"of input shape (3,) (RuntimeError in {at('(x) @ x')}: ",
    (
        "data",
        "file",
    ): f"(FileNotFoundError in {at('open(')}: No such file or directory: 'not there')",
    ("data", "key"): f"'own_code:key' (KeyError in {at('def key')}).",
    ("loss", "single"): f"it begins in {at('def single')}).",
    ("loss", "askew"): f"(RuntimeError in {at('@ targets')}: size mismatch",
}
OTHERS = {
    "fails_early:net": "(ZeroDivisionError in 'fails_early.py', line 2: division by zero).",
    "./own_code.py:net": "package.module:function (own_code:net), but is './own_code.py:net'.",
    "a/b/own_code.py:net": "(own_code:net, from within 'a/b'), but is",
    "own_code.py:net": "must be written as package.module:function (own_code:net), but is",
}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        *(({name: f"own_code:{function}"}, said) for (name, function), said in BEGUN.items()),
        *(({"network": name}, said) for name, said in OTHERS.items()),
    ],
)
def test_a_users_own_code_is_told_by_file_and_line(given, sentence):
    jobs = (
        (SpectrumSettings, load_spectrum, Ranks()),
        (TrainSettings, load_training, torch.device("cpu")),
    )
    for kind, load, place in jobs:
        with pytest.raises(ArgumentError) as caught:
            load(kind(**PLAIN | given), place)
        assert sentence in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"samples": 1}, "samples"),
        ({"data": "own_code:one"}, "data"),
        ({"held_out": 0.01}, "held_out"),
        ({"data": "own_code:three"}, "data"),
        ({"network": "own_code:Bare"}, "network"),
        ({"network": "own_code:frozen"}, "network"),
        ({"loss": "mse"}, "data"),
        ({"test_data": "own_code:three"}, "test_data"),
        ({"test_data": "own_code:key"}, "test_data"),
        ({"test_data": "nowhere.npz"}, "test_data"),
        ({"batch": 100}, "batch"),
        ({"weights": "nowhere.safetensors"}, "weights"),
    ],
)
def test_a_sentence_names_what_the_command_line_has(given, argument):
    settings = TrainSettings(**PLAIN | given)
    with pytest.raises(ArgumentError) as caught:
        load_training(settings, torch.device("cpu"))
    assert caught.value.argument == argument
    named = set(re.findall(r"`(\w+)`", str(caught.value)))
    assert named <= {each.name for each in declared(TrainSettings)}


def test_what_is_no_users_has_no_place():
    network = nn.Linear(3, 2)
    with pytest.raises(ArgumentError, match=r"but is not \(RuntimeError: mat1"):
        Task(network, nn.functional.mse_loss, (torch.ones(2, 4), torch.ones(2, 2)))
    assert begun(dict) == begun(nn.Linear) == begun(len) == ""
