"""A job that was stopped: the rows that it had saved are those of a whole one."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from qdescent.experiment.reproduce import pipeline
from qdescent.experiment.reproduce.pipeline import run_reproduction
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.workspace import create_workspace
from qdescent.report.record import read_record

TOOLS = Path(__file__).parents[3] / "tools" / "results"
SMALL = ReproduceSettings(
    widths="4,4,4", images=400, tested=100, epochs=1, dense_batch=32, tune_steps=4, tune_batch=32,
    batch=32, rates="0.1", rate=0.1, order=2, segment=4, pivots="0,4", spectra=2, probes=2,
    lanczos_steps=8, horizon=10, densities="none", masks="none", sampled_rows=4, restricted=0,
    chains=2, device="cpu",
)  # fmt: skip


def tool(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    settings = replace(SMALL, measure="spectra,truncation,layers,norms")

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "write_reproduction", stop)
        with pytest.raises(KeyboardInterrupt):
            run_reproduction(create_workspace(folder / "stopped", settings))
    return run_reproduction(create_workspace(folder / "whole", settings)), folder


def test_a_stopped_job_has_the_rows_that_it_saved(whole):
    record, folder = whole
    log = "Pruning 0 s  test accuracy 43.5 % before, 21.0 % after\n"
    found = tool("stopped").stopped(folder / "stopped", log, "stopped", "")
    stages = {row.name for row in record.rows} - {row.name for row in found.rows}
    assert stages == {
        "tuning/loss", "tuning/step", "tuning/test_accuracy", "environment/cores",
        "environment/threads",
    }  # fmt: skip
    for row in found.rows.section("spectrum/"):
        assert row.value == record.rows[row.name].value
    assert found.rows.number("dense/test_accuracy") == pytest.approx(0.435)
    assert found.rows.number("network/kept") == record.rows.number("network/kept")
    assert read_record(folder / "whole").rows.number("network/kept") > 0
    assert json.dumps(found.config)
    state = folder / "stopped" / "state" / "layers.safetensors"
    content = bytearray(state.read_bytes())
    content[-20] ^= 1
    state.write_bytes(content)
    with pytest.raises(ValueError, match="state"):
        tool("stopped").stopped(folder / "stopped", log, "stopped", "")
