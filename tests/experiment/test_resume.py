"""What `--resume` trusts: no code that a state names, no stage of another run, no other program
under the same name.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from qdescent._checks import ArgumentError
from qdescent.cli import app
from qdescent.experiment import origin
from qdescent.experiment.progress import Silent
from qdescent.experiment.run import curvature
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.spectrum.beginning import resumed_spectrum
from qdescent.experiment.spectrum.pipeline import run_spectrum
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.experiment.workspace import create_workspace, resume_workspace
from qdescent.report.state import load_state, save_state

pytestmark = pytest.mark.usefixtures("project")
SRC = Path(__file__).parents[2] / "src"
TINY = SpectrumSettings(
    "my_project:build_network", "my_project:load_batch", steps=12, probes=2, rows=0
)
GIVEN = {"network": TINY.network, "data": TINY.data}


class KilledError(Exception):
    """Stands for the kill."""


class KilledAt(Silent):
    def __init__(self, k):
        self.left, self.threads = k, set()

    def advance(self):
        self.threads.add(torch.get_num_threads())
        self.left -= 1
        if self.left == 0:
            raise KilledError


@pytest.fixture
def killed(tmp_path):
    """A measurement that was killed after its quadrature was saved."""
    with pytest.raises(KilledError):
        run_spectrum(TINY, tmp_path / "o", KilledAt(11))
    assert (tmp_path / "o" / "state" / "spectrum-lanczos.safetensors").exists()
    return tmp_path / "o"


EVIL = """
from pathlib import Path
Path("ran").touch()

def network(**arguments):
    Path("ran").touch()

loss = data = network
"""
NAMED = [
    {"network": "evil:network"},
    {"data": "evil:data"},
    {"loss": "evil:loss"},
    {"arguments": ("path='/etc/passwd'",)},
]


@pytest.mark.parametrize("named", NAMED)
def test_no_code_that_a_state_names_is_run(project, named, killed):
    (project / "evil.py").write_text(EVIL)
    kept = load_state(killed, "spectrum-settings")
    settings = {**kept.extra["settings"], **named}
    strange = {**kept.origin, "settings": origin.settings_fingerprint(settings)}
    save_state(killed, "spectrum-settings", strange, {}, {**kept.extra, "settings": settings})
    (name,) = named
    given = ["my_project:build_network", "--data", "my_project:load_batch"]
    given = given[1:] if name == "network" else given[:1] if name == "data" else given
    result = CliRunner().invoke(app, ["spectrum", *given, "--resume", "--out", str(killed)])
    with pytest.raises(
        ArgumentError,
        match=rf"`{name}` must be given again, for it runs as code \(qdescent spectrum .*--resume",
    ):
        raise result.exception
    assert not (project / "ran").exists()
    if name != "arguments":
        with pytest.raises(
            ArgumentError,
            match=f"`{name}` must be 'evil:{name}', as in the measurement to be resumed",
        ):
            resumed_spectrum(killed, {**GIVEN, name: "my_project:other"})


def test_a_killed_measurement_goes_on_with_its_functions_given_again(killed, tmp_path):
    record = run_spectrum(TINY, tmp_path / "whole")
    assert run_spectrum(resumed_spectrum(killed, GIVEN), killed).rows == record.rows


def test_as_many_threads_as_at_the_start_whatever_is_set_now(killed, tmp_path):
    record, before, seen = (
        run_spectrum(TINY, tmp_path / "whole"),
        torch.get_num_threads(),
        KilledAt(-1),
    )
    torch.set_num_threads(before + 1)
    try:
        assert run_spectrum(resumed_spectrum(killed, GIVEN), killed, seen).rows == record.rows
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert seen.threads == {before}


def test_other_versions_and_devices_are_refused(killed, monkeypatch):
    settings = resumed_spectrum(killed, GIVEN)
    versions = {**origin.installed_versions(), "torch": "1.0"}
    with monkeypatch.context() as patch:
        patch.setattr(origin, "installed_versions", lambda: versions)
        with pytest.raises(
            ArgumentError,
            match=r"`resume` must go on with the versions of the start.*torch 1.0.*install them",
        ):
            run_spectrum(settings, killed)
    kept = load_state(killed, "spectrum-settings")
    save_state(killed, "spectrum-settings", {**kept.origin, "device": "cuda"}, {}, kept.extra)
    with pytest.raises(
        ArgumentError, match="`resume` must go on with the device of the start, cuda"
    ):
        run_spectrum(settings, killed)
    assert (killed / "state" / "spectrum-lanczos.safetensors").exists()


def test_the_stage_of_another_seed_is_refused(killed, tmp_path):
    with pytest.raises(KilledError):
        run_spectrum(replace(TINY, seed=1), tmp_path / "other", KilledAt(11))
    name = "state/spectrum-lanczos.safetensors"
    os.replace(tmp_path / "other" / name, killed / name)
    with pytest.raises(
        ArgumentError,
        match=(
            r"spectrum-lanczos.*of another run: its settings are not this one's.*delete that file"
        ),
    ):
        run_spectrum(TINY, killed)
    with pytest.raises(
        ArgumentError, match="`out` must be resumed with the settings it was started with"
    ):
        run_spectrum(replace(TINY, seed=1), killed)
    (killed / name).unlink()
    assert run_spectrum(TINY, killed).rows == run_spectrum(TINY, tmp_path / "whole").rows


@pytest.mark.parametrize(("old", "new"), [("nn.GELU()", "nn.SiLU()"), ("width=4", "width=4 ")])
def test_other_code_with_the_same_weights_is_refused(project, killed, old, new):
    source = (project / "my_project.py").read_text()
    (project / "my_project.py").write_text(source.replace(old, new))
    sys.modules.pop("my_project")
    settings = resumed_spectrum(killed, GIVEN)
    if old == "width=4":  # nothing that is computed changed
        run_spectrum(settings, killed)
        return
    with pytest.raises(
        ArgumentError,
        match="`out` must be resumed with a network and a loss that compute what they computed",
    ):
        run_spectrum(settings, killed)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("beta"),
        lambda tensors: tensors.update(more=torch.ones(2)),
        lambda tensors: tensors.update(current=tensors["current"][:, :1]),
        lambda tensors: tensors.update(alpha=tensors["alpha"][0]),
    ],
)
def test_a_stage_that_does_not_fit_is_one_sentence(killed, change):
    state = load_state(killed, "spectrum-lanczos")
    change(state.tensors)
    save_state(killed, "spectrum-lanczos", state.origin, state.tensors, state.extra)
    with pytest.raises(
        ArgumentError,
        match=(
            r"`state` must be a whole .*spectrum-lanczos\.safetensors.*delete that file and resume"
        ),
    ):
        run_spectrum(TINY, killed)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"a": 1},
        {**Settings().to_json(), "rounds": "x" * 3000},
        {**Settings().to_json(), "more": 1},
    ],
)
@pytest.mark.parametrize("threads", ["1", "0", "x"])
def test_settings_that_are_none_are_one_sentence(tmp_path, extra, threads):
    names = {"versions": "v", "device": "cpu", "inputs": "i", "threads": threads}
    save_state(
        tmp_path / "o",
        "settings",
        {**names, "settings": origin.settings_fingerprint(extra)},
        {},
        extra,
    )
    with pytest.raises(ArgumentError, match="begin the run anew in another directory") as caught:
        resume_workspace(tmp_path / "o", Settings)
    assert len(str(caught.value)) < 1500


def test_a_run_on_other_data_is_refused(tmp_path):
    workspace = create_workspace(tmp_path / "o", Settings())
    with workspace.held():
        workspace.begin("of these data")
    resumed = resume_workspace(tmp_path / "o", Settings)
    assert resumed.settings == Settings()
    with (
        resumed.held(),
        pytest.raises(
            ArgumentError, match="`out` must be resumed with the data it was started with"
        ),
    ):
        resumed.begin("of others")
    assert resume_workspace(tmp_path / "o", Settings).origin == workspace.origin


def test_an_interrupt_saves_the_step_that_was_reached(tmp_path):
    class Interrupted(Silent):
        left = 6

        def advance(self):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    assert curvature.SAVE_EVERY > 6
    with pytest.raises(KeyboardInterrupt):
        run_spectrum(TINY, tmp_path / "o", Interrupted())
    assert load_state(tmp_path / "o", "spectrum-lanczos").tensors["alpha"].shape[1] == 5
    assert run_spectrum(TINY, tmp_path / "o").rows == run_spectrum(TINY, tmp_path / "whole").rows


def test_modules_in_the_working_directory_hide_no_library(project):
    for name in ("json", "random", "torch", "colorsys"):
        (project / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    (project / "mine.py").write_text("import colorsys\nfrom my_project import *")
    script = str(Path(sys.executable).with_name("qdescent"))
    call = [
        script,
        "spectrum",
        "mine:build_network",
        "--data",
        "mine:load_batch",
        "--steps",
        "2",
        "--rows",
        "0",
        "--out",
        "o",
    ]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    result = subprocess.run(call, capture_output=True, text=True, timeout=120, env=environment)
    assert result.returncode == 0, result.stderr
