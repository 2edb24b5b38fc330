"""Bytes of images that were not scaled: the operator says so, and the diagnosis of its spectrum."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from qdescent import ParameterSpace, Task, diagnose, gauss_newton, hessian, spectral_density
from qdescent.learning.refusals.unscaled import unscaled

BYTES = torch.arange(256).reshape(4, 1, 8, 8).float()
LABELS = torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize("curvature", [hessian, gauss_newton])
@pytest.mark.parametrize("check", [True, False])
def test_operator_and_diagnosis_say_so(curvature, check):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    space, said = ParameterSpace(network), {}
    for name, inputs in (("raw", BYTES), ("scaled", BYTES / 255)):
        H = curvature(Task(network, cross_entropy, (inputs, LABELS)), space, check=check)
        spectrum = spectral_density(H, steps=4, probes=2)
        said[name] = H.remark, diagnose(spectrum, 0.01, horizon=10).reasons[-1]
    assert all("as bytes of images are" in each for each in said["raw"])
    assert not any("bytes" in each for each in said["scaled"])


@pytest.mark.parametrize(
    ("inputs", "seen"),
    [
        (BYTES, True),
        (BYTES.double(), True),
        (BYTES.flatten(1), True),
        ({"pixel_values": BYTES, "mask": torch.ones(4, 8)}, True),
        ((torch.ones(4, 3), BYTES), True),
        (BYTES[2:], True),  # no dark pixel
        (BYTES.to(torch.uint8), False),  # a network that takes bytes knows what they are
        (BYTES / 255, False),
        (BYTES - 128, False),
        (BYTES + 0.5, False),
        (BYTES * 2, False),
        (torch.arange(16.0).repeat(4, 4), False),  # grey levels of 0 to 16
        (torch.full((4, 5), 200.0), False),  # a table of few columns
        (torch.tensor(200.0), False),
        ([["a"], ["b"]], False),
    ],
)
def test_what_looks_like_bytes(inputs, seen):
    assert bool(unscaled(inputs)) == seen
