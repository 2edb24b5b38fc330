"""The command line: arguments and a TOML file -> one call.

The flags of a subcommand are made from the class that declares its settings. A job is imported when
it is called, after its settings were found right: a help text or an argument error takes tenths of
a second, torch and Qualtran take many.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdescent._checks import ArgumentError
from qdescent._commands import Asked, app, command
from qdescent._processes import is_first
from qdescent._search_path import user_modules_last
from qdescent._signals import Stopped, stop_on_signals
from qdescent._terminal.sentences import ends_in_words, importing, not_written, say
from qdescent._terminal.streams import usable_streams
from qdescent.experiment.circuit.settings import CircuitSettings
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.reproduce.settings import ReproduceSettings, preset
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.setting import check_same
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.experiment.train.settings import TrainSettings

if TYPE_CHECKING:
    from qdescent._terminal.outcome import Bars
    from qdescent.experiment.workspace import Workspace

RUNS, SPECTRA, CIRCUITS = Path("runs"), Path("runs/spectra"), Path("runs/circuits")
ESTIMATES = Path("runs/estimates")
REPRODUCTIONS = Path("runs/reproductions")
TRAININGS = Path("runs/trainings")


def _workspace(
    out: Path | None, settings: Any, given: dict[str, Any], kind: type, parent: Path, bars: Bars
) -> Workspace[Any]:
    """The directory of a job that begins with these settings, or, where they are None, of the one
    that is gone on with: what is given again must be what it has.
    """
    with importing():
        from qdescent.experiment.saved_state import latest_unfinished
        from qdescent.experiment.workspace import create_workspace, resume_workspace
        from qdescent.report.reservation import next_directory
    if settings is None:
        workspace: Workspace[Any] = resume_workspace(out or latest_unfinished(parent), kind, bars)
        check_same(workspace.settings, given, "run")
        return workspace
    # the other processes are told
    directory = out or (next_directory(parent) if is_first() else parent)
    return create_workspace(directory, settings, bars)


@command(Settings, RUNS, resumable=True)
def run(asked: Asked) -> None:
    """Run the whole algorithm on a small image classifier.

    Train, prune, descend classically and quantum-emulated, measure, solve one instance as a
    circuit, price it, report. About two minutes on two cores. Ctrl-C loses nothing: --resume goes
    on to the same numbers.
    """
    settings = None if asked.resume else asked.settings(Settings)
    given = asked.given(Settings)
    with importing():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.run.pipeline import headline, run_first_pass
    bars = Bars()
    workspace = _workspace(asked.out, settings, given, Settings, RUNS, bars)
    directory = workspace.directory
    again = shlex.join(["qdescent", "run", "--resume", "--out", str(directory)])
    with ends_in_words(directory, again), bars:
        record = run_first_pass(workspace)
    print_outcome("run", bars.seconds, headline(record), directory / "report.html", asked.as_json)


@command(TrainSettings, TRAININGS, resumable=True)
def train(asked: Asked) -> None:
    """Train by upload, segment and download.

    Your network or the embedded one: dense warm-up or given weights, pruning, rounds of emulated
    segments with readout noise; the classical sparse and dense runs go beside it. Writes
    metrics.jsonl while it runs, then weights.safetensors, run.json and training.html. Ctrl-C loses
    at most a round: --resume goes on to the same bits.
    """
    settings = None if asked.resume else asked.settings(TrainSettings)
    given = asked.given(TrainSettings)
    with importing():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.code_settings import check_code_given
        from qdescent.experiment.train.pipeline import PAGE, run_training, training_headline
    bars = Bars()
    workspace = _workspace(asked.out, settings, given, TrainSettings, TRAININGS, bars)
    directory = workspace.directory
    if settings is None:
        check_code_given(workspace.settings, given, directory)
    with ends_in_words(directory, workspace.settings.again(directory)), bars:
        record = run_training(workspace)
    if record is not None:
        lines = training_headline(record)
        print_outcome("train", bars.seconds, lines, directory / PAGE, asked.as_json)


@command(SpectrumSettings, SPECTRA, resumable=True)
def spectrum(asked: Asked) -> None:
    """Measure your network's Hessian spectrum.

    Is gradient descent on its kept weights dissipative? Writes spectrum.npz, run.json and
    spectrum.html. The network is put into evaluation mode. Ctrl-C loses nothing: --resume goes on
    to the same coefficients. Under torchrun -m qdescent spectrum ... the batches are dealt to the
    processes.
    """
    settings = None if asked.resume else asked.settings(SpectrumSettings)
    given = asked.given(SpectrumSettings)
    with importing():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.saved_state import latest_unfinished
        from qdescent.experiment.spectrum.beginning import resumed_spectrum
        from qdescent.experiment.spectrum.pipeline import run_spectrum, spectrum_headline
        from qdescent.report.reservation import check_vacant, next_directory
    if settings is None:
        directory = asked.out or latest_unfinished(SPECTRA)
        settings = resumed_spectrum(directory, given)
    elif asked.out:
        directory = check_vacant(asked.out)
    else:  # the other processes are told
        directory = next_directory(SPECTRA) if is_first() else SPECTRA
    bars = Bars()
    with ends_in_words(directory, settings.again(directory)), bars:
        record = run_spectrum(settings, directory, bars)
    if record is not None:
        page = directory / "spectrum.html"
        print_outcome("spectrum", bars.seconds, spectrum_headline(record), page, asked.as_json)


@command(CircuitSettings, CIRCUITS, resumable=False)
def circuit(asked: Asked) -> None:
    """Run steps of a small map as a quantum circuit.

    Draws it, runs it on a state vector, counts its gates. The map is u <- F0 + F1 u + F2 (u (x) u)
    + ..., from u0 (zero, or u0 in the npz); with h in the npz it is one Euler step of du/dt = F0 +
    F1 u + .... Writes run.json and circuit.html.
    """
    settings = asked.settings(CircuitSettings)
    with importing():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.circuit.pipeline import circuit_headline, run_circuit_job
        from qdescent.report.reservation import next_directory
    directory = asked.out or next_directory(CIRCUITS)
    bars = Bars()
    with ends_in_words(directory), bars:
        record = run_circuit_job(settings, directory, bars)
    page = directory / "circuit.html"
    print_outcome("circuit", bars.seconds, circuit_headline(record), page, asked.as_json)


@command(ReproduceSettings, REPRODUCTIONS, resumable=True)
def reproduce(asked: Asked) -> None:
    """Repeat the paper's benchmark, and what its proxy cannot show.

    Train, prune, fine-tune; spectra and E(t) step by step beside true truncation errors; what a
    round would take. --config small (minutes on two cores), 7M, 103M, authors (CIFAR-100, a GPU),
    or a TOML file. Each seed is a job of its own. Ctrl-C loses nothing: --resume goes on.
    """
    asked = replace(asked, config=preset(asked.config))
    settings = None if asked.resume else asked.settings(ReproduceSettings)
    given = asked.given(ReproduceSettings)
    with importing():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.reproduce.launch import run_seeds
        from qdescent.experiment.reproduce.pipeline import (
            reproduction_headline,
            run_reproduction,
        )
        from qdescent.report.reservation import next_directory
    bars = Bars()
    if settings is not None and (settings.seeds > 1 or settings.launcher != "here"):
        directory = asked.out or next_directory(REPRODUCTIONS)
        with ends_in_words(directory, shlex.join(sys.argv)), bars:
            record = run_seeds(settings, directory, bars)[-1]
        page = directory / f"seed-{record.seed}" / "reproduction.html"
        print_outcome("reproduce", bars.seconds, reproduction_headline(record), page, asked.as_json)
        return
    workspace = _workspace(asked.out, settings, given, ReproduceSettings, REPRODUCTIONS, bars)
    directory = workspace.directory
    again = shlex.join(["qdescent", "reproduce", "--resume", "--out", str(directory)])
    with ends_in_words(directory, again), bars:
        record = run_reproduction(workspace)
    page = directory / "reproduction.html"
    print_outcome("reproduce", bars.seconds, reproduction_headline(record), page, asked.as_json)


@command(EstimateSettings, ESTIMATES, resumable=False)
def estimate(asked: Asked) -> None:
    """Price a round of training, quantum beside classical.

    The best quantum way beside the best classical one, and where the verdict flips. Writes run.json
    and estimate.html; --sweep sweep.csv and .json; --card card.json and .html.
    """
    settings = asked.settings(EstimateSettings)
    with importing():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.estimate.pipeline import estimate_headline, run_estimate
        from qdescent.report.reservation import next_directory
    directory = asked.out or next_directory(ESTIMATES)
    bars = Bars()
    with ends_in_words(directory), bars:
        record = run_estimate(settings, directory, bars)
    page = directory / "estimate.html"
    print_outcome("estimate", bars.seconds, estimate_headline(record), page, asked.as_json)


def main() -> None:
    """The console script: an argument error is one sentence and 2, a signal 128 + its number."""
    usable_streams()
    try:
        stop_on_signals()
        user_modules_last()
        app(prog_name="qdescent")
    except ArgumentError as error:
        say(f"qdescent: {error}")
        sys.exit(2)
    except OSError as error:  # a folder that cannot be made or read
        say(f"qdescent: {not_written(error)}")
        sys.exit(2)
    except Stopped as stop:  # before anything was begun
        sys.exit(stop.exit_code)
