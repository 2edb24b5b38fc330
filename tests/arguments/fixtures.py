"""The small valid things of which the tables' calls are made."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import nn

import qdescent as qd
from qdescent._evidence import Row
from qdescent.carleman.history import HistorySystem
from qdescent.carleman.lifting.linearization import LiftedMap
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.report.record import Record
from qdescent.solvers.solve import Solution

DOUBLE = torch.float64


def vector(*values: float) -> torch.Tensor:
    """A float64 vector."""
    return torch.tensor(values, dtype=DOUBLE)


def diagonal(*values: float) -> torch.Tensor:
    """A float64 diagonal matrix."""
    return torch.diag(vector(*values))


@cache
def network() -> nn.Module:
    """Two weights a unit, two units, float64."""
    made = nn.Sequential(nn.Linear(2, 2), nn.Tanh()).double()
    with torch.no_grad():
        for place, weight in enumerate(made.parameters()):
            weight.copy_(
                torch.linspace(-0.4, 0.5, weight.numel(), dtype=DOUBLE).reshape(weight.shape)
                + 0.1 * place
            )
    return made


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Three samples."""
    return torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], dtype=DOUBLE), torch.zeros(
        3, 2, dtype=DOUBLE
    )


@cache
def task() -> qd.Task:
    """The network under a mean squared error."""
    return qd.Task(network(), nn.functional.mse_loss, batch())


@cache
def space() -> qd.ParameterSpace:
    """All six weights."""
    return qd.ParameterSpace(network())


@cache
def images() -> qd.datasets.ImageData:
    """Four images of 2 x 2 pixels."""
    pictures = torch.linspace(-1, 1, 16).reshape(4, 1, 2, 2)
    labels = torch.tensor([0, 1, 0, 1])
    return qd.datasets.ImageData(pictures, labels, pictures[:2], labels[:2], ("a", "b"), "made up")


@cache
def spectrum() -> Spectrum:
    """Of diag(1, 2, 3, 4)."""
    return qd.spectral_density(diagonal(1, 2, 3, 4), steps=3, probes=2)


@cache
def logistic() -> qd.PolynomialMap:
    """x <- .9 x + .1 x^2."""
    return qd.PolynomialMap([vector(0.0), diagonal(0.9), diagonal(0.1)])


@cache
def equation() -> qd.PolynomialField:
    """dx/dt = -x + x^2 / 2."""
    return qd.PolynomialField([vector(0.0), diagonal(-1.0), diagonal(0.5)])


@cache
def lift() -> LiftedMap:
    """The logistic map at order 2."""
    return qd.carleman_linearize(logistic(), 2)


@cache
def history() -> HistorySystem:
    """Three of its steps."""
    return qd.history_system(lift(), vector(0.5), 3, 1)


@cache
def system() -> qd.LinearSystem:
    """Two unknowns."""
    return qd.LinearSystem(torch.tensor([[1.0, 0.25], [0.0, 1.0]], dtype=DOUBLE), vector(1, 0))


@cache
def solution() -> Solution:
    """Its solution."""
    return qd.solve(system(), qd.Direct())


@cache
def round_spec() -> qd.RoundSpec:
    """A round of ten weights."""
    return qd.RoundSpec(**round_fields())


def round_fields() -> dict[str, Any]:
    """What has no default."""
    return {
        "n": 10, "parameters": 100, "order": 1, "steps": 2, "padding": 0, "kappa": 8.0,
        "sparsity": 3, "batch": 5,
        "forward_macs": 1000,
    }  # fmt: skip


def row() -> Row:
    """A number with evidence and source."""
    return Row("network/kept", 10, "weights", qd.Evidence.EXACT, "entries of the mask")


def record() -> Record:
    """One row."""
    return Record("demo", {"density": 0.1}, 0, {}, (row(),))
