"""The command line: arguments and a TOML file -> one call.

The flags of a subcommand are made from the class that declares its settings. A job is imported when
it is called, after its settings were found right: a help text or an argument error takes tenths of
a second, torch and Qualtran take many.
"""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from qdescent._checks import ArgumentError
from qdescent._processes import is_first
from qdescent._search_path import user_modules_last
from qdescent._signals import Stopped, quiet_imports, stop_on_signals
from qdescent._terminal.sentences import ends_in_words, not_written, say
from qdescent.experiment.circuit.settings import CircuitSettings
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.reproduce.settings import ReproduceSettings, preset
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.setting import (
    PATH,
    Setting,
    check_same,
    declared,
    given_settings,
    load_settings,
)
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.experiment.train.settings import TrainSettings

RUNS, SPECTRA, CIRCUITS = Path("runs"), Path("runs/spectra"), Path("runs/circuits")
ESTIMATES = Path("runs/estimates")
REPRODUCTIONS = Path("runs/reproductions")
TRAININGS = Path("runs/trainings")


@click.group(
    no_args_is_help=True,
    context_settings={"max_content_width": 100},
    epilog='Completion in bash: eval "$(_QDESCENT_COMPLETE=bash_source qdescent)"; zsh and fish'
    " likewise.",
)
@click.version_option(package_name="qdescent")
def app() -> None:
    """Quantum gradient descent for sparse, dissipative networks: is yours one, what would the
    quantum computer answer, and what would it cost?
    """


@dataclass(frozen=True)
class Asked:
    """What was asked for besides settings.

    Args:
        given: settings by name, as of `given_settings`; not checked yet.
        config: the TOML file, or None.
        out: the directory of the results, or None.
        resume: go on with an unfinished job.
        as_json: print JSON instead of a table.
    """

    flags: dict[str, Any]
    config: Path | None
    out: Path | None
    resume: bool
    as_json: bool

    def settings(self, kind: type) -> Any:
        """Those of a new job, checked."""
        return load_settings(kind, self.config, self.flags)

    def given(self, kind: type) -> dict[str, Any]:
        """Those that were given, for an unfinished job to be compared with."""
        return given_settings(kind, self.config, self.flags)


class Value(click.ParamType):
    """A text, checked with the setting that it is given for; here it is only completed."""

    name = "text"

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The words to choose from, or files."""
        allowed = self.setting.allowed
        if isinstance(allowed, tuple):
            return [CompletionItem(word) for word in allowed if word.startswith(incomplete)]
        return [CompletionItem(incomplete, type="file")] if allowed == PATH else []


def command(kind: type, place: Path, resumable: bool) -> Callable[[Callable[[Asked], None]], Any]:
    """Make a job a subcommand, with the settings that a class declares and the flags that every
    subcommand has.

    Args:
        kind: the class of its settings.
        place: where its results go if the user does not say.
        resumable: whether an unfinished one can be gone on with.
    """

    def made(job: Callable[[Asked], None]) -> click.Command:
        def call(config: Path | None, out: Path | None, json: bool, **rest: Any) -> None:
            resume = rest.pop("resume", False)
            job(Asked(rest, config, out, resume, json))

        settings = list(declared(kind))
        places = [f"{each.name.upper()}: {each.help}" for each in settings if each.positional]
        subcommand = click.Command(
            kind.command,  # type: ignore[attr-defined]
            callback=call,
            params=[*map(_parameter, settings), *_shared(place, resumable)],
            help="\n\n".join([inspect.cleandoc(job.__doc__ or ""), *places]),
        )
        app.add_command(subcommand)
        return subcommand

    return made


def _parameter(setting: Setting) -> click.Parameter:
    """The flag, or the place, of a setting. Texts are taken as they stand: what they stand for is
    for the setting to say, in one wording for flags and files.
    """
    value = Value(setting)
    if setting.positional:
        return click.Argument(
            [setting.name],
            required=False,
            type=value,
            metavar=setting.name.upper() if setting.required else f"[{setting.name.upper()}]",
        )
    default = f"default: {setting.default_text}" if setting.default_text else ""
    remarks = "; ".join(each for each in (setting.range, default) if each)
    text = f"{setting.help}  [{remarks}]" if remarks else setting.help
    if setting.kind == "bool":
        return click.Option([f"{setting.flag}/--no-{setting.flag[2:]}"], default=None, help=text)
    return click.Option(
        [setting.flag, setting.name],
        type=value,
        multiple=setting.kind.startswith("tuple"),
        metavar=setting.noun.upper(),
        help=text,
    )


def _shared(place: Path, resumable: bool) -> list[click.Parameter]:
    """The flags that are no settings."""
    path = click.Path(path_type=Path)
    made = {
        "--config": "TOML file of settings (key = value); flags override it.",
        "--out": f"Directory of the results; must not exist.  [default: the next {place}/run-NNN]",
    }
    flags = {"--json": "Print the headline as JSON; bars go to standard error as ever."}
    if resumable:
        flags["--resume"] = f"Go on with an unfinished one: in --out, or the latest in {place}/."
    return [
        *(
            click.Option([name], type=path, metavar="PATH", help=text)
            for name, text in made.items()
        ),
        *(click.Option([name], is_flag=True, help=text) for name, text in flags.items()),
    ]


@command(Settings, RUNS, resumable=True)
def run(asked: Asked) -> None:
    """Run the whole algorithm on a small image classifier.

    Train, prune, descend classically and quantum-emulated, measure, solve one instance as a
    circuit, price it, report. About three minutes on two cores. Ctrl-C loses nothing: --resume goes
    on to the same numbers.
    """
    settings = None if asked.resume else asked.settings(Settings)
    given = asked.given(Settings)
    with quiet_imports():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.run.pipeline import headline, run_first_pass
        from qdescent.experiment.saved_state import latest_unfinished
        from qdescent.experiment.workspace import create_workspace, resume_workspace
        from qdescent.report.reservation import next_directory
    bars = Bars()
    if settings is None:
        directory = asked.out or latest_unfinished(RUNS)
        workspace = resume_workspace(directory, Settings, bars)
        check_same(workspace.settings, given, "run")
    else:
        directory = asked.out or next_directory(RUNS)
        workspace = create_workspace(directory, settings, bars)
    again = shlex.join(["qdescent", "run", "--resume", "--out", str(directory)])
    with ends_in_words(directory, again), bars.progress:
        record = run_first_pass(workspace)
    print_outcome("run", bars.seconds, headline(record), directory / "report.html", asked.as_json)


@command(TrainSettings, TRAININGS, resumable=True)
def train(asked: Asked) -> None:
    """Train by upload, segment and download, on your network or the embedded one.

    Dense warm-up or given weights, pruning, rounds of emulated segments with readout noise; the
    classical sparse and dense runs go beside it. Writes metrics.jsonl while it runs, then
    weights.safetensors, run.json and training.html. Ctrl-C loses at most a round: --resume goes on
    to the same bits.
    """
    settings = None if asked.resume else asked.settings(TrainSettings)
    given = asked.given(TrainSettings)
    with quiet_imports():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.code_settings import check_code_given
        from qdescent.experiment.saved_state import latest_unfinished
        from qdescent.experiment.train.pipeline import PAGE, run_training, training_headline
        from qdescent.experiment.workspace import create_workspace, resume_workspace
        from qdescent.report.reservation import next_directory
    bars = Bars()
    if settings is None:
        directory = asked.out or latest_unfinished(TRAININGS)
        workspace = resume_workspace(directory, TrainSettings, bars)
        check_same(workspace.settings, given, "training")
        check_code_given(workspace.settings, given, directory)
    else:
        directory = asked.out or next_directory(TRAININGS)
        workspace = create_workspace(directory, settings, bars)
    with ends_in_words(directory, workspace.settings.again(directory)), bars.progress:
        record = run_training(workspace)
    print_outcome("train", bars.seconds, training_headline(record), directory / PAGE, asked.as_json)


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
    with quiet_imports():
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
    with ends_in_words(directory, settings.again(directory)), bars.progress:
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
    with quiet_imports():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.circuit.pipeline import circuit_headline, run_circuit_job
        from qdescent.report.reservation import next_directory
    directory = asked.out or next_directory(CIRCUITS)
    bars = Bars()
    with ends_in_words(directory), bars.progress:
        record = run_circuit_job(settings, directory, bars)
    page = directory / "circuit.html"
    print_outcome("circuit", bars.seconds, circuit_headline(record), page, asked.as_json)


@command(ReproduceSettings, REPRODUCTIONS, resumable=True)
def reproduce(asked: Asked) -> None:
    """Repeat the paper's benchmark, and see what its proxy cannot show.

    Train, prune, fine-tune; spectra and E(t) step by step beside true truncation errors; what a
    round would take. --config small (minutes on two cores), 7M, 103M, authors (CIFAR-100, a GPU),
    or a TOML file. Each seed is a job of its own. Ctrl-C loses nothing: --resume goes on.
    """
    asked = replace(asked, config=preset(asked.config))
    settings = None if asked.resume else asked.settings(ReproduceSettings)
    given = asked.given(ReproduceSettings)
    with quiet_imports():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.reproduce.launch import run_seeds
        from qdescent.experiment.reproduce.pipeline import (
            reproduction_headline,
            run_reproduction,
        )
        from qdescent.experiment.saved_state import latest_unfinished
        from qdescent.experiment.workspace import create_workspace, resume_workspace
        from qdescent.report.reservation import next_directory
    bars = Bars()
    if settings is not None and (settings.seeds > 1 or settings.launcher != "here"):
        directory = asked.out or next_directory(REPRODUCTIONS)
        with ends_in_words(directory, shlex.join(sys.argv)), bars.progress:
            record = run_seeds(settings, directory, bars)[-1]
        page = directory / f"seed-{record.seed}" / "reproduction.html"
        print_outcome("reproduce", bars.seconds, reproduction_headline(record), page, asked.as_json)
        return
    if settings is None:
        directory = asked.out or latest_unfinished(REPRODUCTIONS)
        workspace = resume_workspace(directory, ReproduceSettings, bars)
        check_same(workspace.settings, given, "run")
    else:
        directory = asked.out or next_directory(REPRODUCTIONS)
        workspace = create_workspace(directory, settings, bars)
    again = shlex.join(["qdescent", "reproduce", "--resume", "--out", str(directory)])
    with ends_in_words(directory, again), bars.progress:
        record = run_reproduction(workspace)
    page = directory / "reproduction.html"
    print_outcome("reproduce", bars.seconds, reproduction_headline(record), page, asked.as_json)


@command(EstimateSettings, ESTIMATES, resumable=False)
def estimate(asked: Asked) -> None:
    """Price a round of training: the best quantum way beside the best classical one.

    Says where the verdict flips: break-even of every input, maps, other machines, energy, money.
    Writes run.json and estimate.html; with --sweep sweep.csv and sweep.json; with --card card.json
    and card.html.
    """
    settings = asked.settings(EstimateSettings)
    with quiet_imports():
        from qdescent._terminal.outcome import Bars, print_outcome
        from qdescent.experiment.estimate.pipeline import estimate_headline, run_estimate
        from qdescent.report.reservation import next_directory
    directory = asked.out or next_directory(ESTIMATES)
    bars = Bars()
    with ends_in_words(directory), bars.progress:
        record = run_estimate(settings, directory, bars)
    page = directory / "estimate.html"
    print_outcome("estimate", bars.seconds, estimate_headline(record), page, asked.as_json)


def main() -> None:
    """The console script: an argument error is one sentence and 2, a signal 128 + its number."""
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
