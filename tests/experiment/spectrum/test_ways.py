"""The way to a product: the faster one by the clock, saved, and what a resumed run takes."""

from dataclasses import replace

import pytest
import torch
from experiment.killed import KilledAt, KilledError

from qdescent._checks import ArgumentError
from qdescent.experiment.run import curvature
from qdescent.experiment.spectrum import stages, ways
from qdescent.experiment.spectrum.pipeline import run_spectrum
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.linalg.operator import LinearOperator

pytestmark = pytest.mark.usefixtures("project")


def operator(work):
    def apply(block):
        for _ in range(work):
            torch.linalg.eigvalsh(torch.eye(60))
        return block

    return LinearOperator((4, 4), apply, apply, torch.float64, torch.device("cpu"))


@pytest.mark.parametrize(("taylor", "backward"), [(1, 40), (40, 1)])
def test_the_clock_takes_the_faster(taylor, backward):
    made = {"taylor": operator(taylor), "double-backward": operator(backward)}
    found = ways.faster_way(made.__getitem__, lambda: None)
    assert found == ("taylor" if taylor < backward else "double-backward")


def test_what_has_no_rule_goes_by_double_backward():
    def made(name):
        if name == "taylor":
            raise ArgumentError("no rule")
        return operator(1)

    assert ways.faster_way(made, lambda: None) == "double-backward"


def test_a_resumed_run_keeps_what_was_timed_to_the_same_bits(tmp_path, monkeypatch):
    """The clock says the other way by then."""
    settings = SpectrumSettings(
        "my_project:build_network", "my_project:load_batch", learning_rate=0.1, horizon=9,
        steps=8, probes=2, products="faster",
    )  # fmt: skip
    monkeypatch.setattr(curvature, "SAVE_EVERY", 2)
    monkeypatch.setattr(stages, "faster_way", lambda made, clock: "double-backward")
    whole = run_spectrum(settings, tmp_path / "whole")
    assert whole.rows["spectrum/products"].value == "double-backward"
    with pytest.raises(KilledError):
        run_spectrum(settings, tmp_path / "killed", KilledAt(5))
    monkeypatch.setattr(stages, "faster_way", lambda made, clock: "taylor")
    assert run_spectrum(settings, tmp_path / "killed").rows == whole.rows
    other = run_spectrum(settings, tmp_path / "other")  # planted: timed anew
    assert other.rows["spectrum/products"].value == "taylor"
    named = run_spectrum(replace(settings, products="double-backward"), tmp_path / "named")
    assert "spectrum/products" not in named.rows
    assert named.rows["spectrum/lambda_max"] == whole.rows["spectrum/lambda_max"]


def test_only_the_hessian_has_several_ways():
    with pytest.raises(ArgumentError, match="`products` must be auto for a matrix that is not the"):
        SpectrumSettings("a:b", "c.npz", curvature="gauss-newton", products="faster")
