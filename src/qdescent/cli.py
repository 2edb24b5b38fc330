"""The command line: arguments and a TOML file -> one call.

A subcommand imports its job when it is called, after its settings were found right: a help text or
an argument error takes tenths of a second, torch and Qualtran take many.
"""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from qdescent._checks import ArgumentError, argument_error
from qdescent._processes import is_first
from qdescent._search_path import user_modules_last
from qdescent._signals import Stopped, quiet_imports, stop_on_signals
from qdescent._terminal import (
    Bars,
    ends_in_words,
    not_written,
    out_console,
    print_place,
    print_table,
    say,
)
from qdescent.learning.pruning.criteria import MASKS

RUNS, SPECTRA, CIRCUITS = Path("runs"), Path("runs/spectra"), Path("runs/circuits")
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def describe() -> None:
    """Quantum gradient descent for sparse, dissipative networks: is yours one, what would the
    quantum computer answer, and what would it cost?
    """


def _flag(help_text: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, show_default=False)


@app.command()
def run(
    config: Annotated[
        Path | None, _flag("TOML file of settings (key = value); flags override it.")
    ] = None,
    out: Annotated[
        Path | None, _flag("Directory of the run; must not exist. Default: the next runs/run-NNN.")
    ] = None,
    resume: Annotated[
        bool, _flag("Go on with an unfinished run: the one in --out, or the latest in runs/.")
    ] = False,
    density: Annotated[
        float | None, _flag("Kept fraction of the prunable weights. Default 0.1.")
    ] = None,
    prune_by: Annotated[
        str | None, _flag(f"Which are kept: {', '.join(MASKS)}. Default magnitude.")
    ] = None,
    learning_rate: Annotated[
        float | None, _flag("Eta, learning rate after pruning. Default 0.02.")
    ] = None,
    order: Annotated[
        int | None, _flag("N, order of the Carleman linearisation, 1 to 6. Default 2.")
    ] = None,
    segment: Annotated[
        int | None, _flag("K, steps between an upload and a download. Default 20.")
    ] = None,
    rounds: Annotated[int | None, _flag("R, number of uploads. Default 5.")] = None,
    tolerance: Annotated[
        float | None,
        _flag(
            "Truncation error that chooses each segment's length and order; 0: fixed. Default 0."
        ),
    ] = None,
    shots: Annotated[
        int | None,
        _flag("S, shots of a readout for magnitudes, and again for signs. Default 1000000."),
    ] = None,
    batch: Annotated[int | None, _flag("Images of each round's batch. Default 512.")] = None,
    seed: Annotated[int | None, _flag("Seed of every random draw. Default 0.")] = None,
    data_root: Annotated[
        str | None, _flag("Folder of the full Fashion-MNIST files. Default: the embedded subset.")
    ] = None,
    epochs: Annotated[
        int | None, _flag("Epochs of dense training before pruning. Default 8.")
    ] = None,
    width: Annotated[int | None, _flag("Channels of the first convolution. Default 16.")] = None,
    probes: Annotated[
        int | None, _flag("Random vectors of each Hessian spectrum. Default 4.")
    ] = None,
    lanczos_steps: Annotated[int | None, _flag("Hessian products per probe. Default 64.")] = None,
    circuit_weights: Annotated[
        int | None, _flag("Weights of the instance solved as a circuit. Default 2.")
    ] = None,
    circuit_order: Annotated[
        int | None, _flag("Carleman order of that instance. Default 2.")
    ] = None,
    circuit_steps: Annotated[
        int | None, _flag("Gradient steps of that instance. Default 4.")
    ] = None,
    circuit_learning_rate: Annotated[
        float | None, _flag("Learning rate of that instance. Default 3.")
    ] = None,
    circuit_padding: Annotated[
        int | None, _flag("Padding steps of that instance. Default 3.")
    ] = None,
    circuit_epsilon: Annotated[
        float | None, _flag("Promised relative error of that solve. Default 1e-4.")
    ] = None,
    sparsity: Annotated[
        int | None, _flag("Non-zeros a row of the Hessian, assumed for the ledger. Default 10.")
    ] = None,
    train_images: Annotated[
        int | None, _flag("Use only so many training images; 0: all. Default 0.")
    ] = None,
) -> None:
    """Train, prune, descend classically and quantum-emulated, measure, solve one instance as a
    circuit, price it, report.

    About three minutes on two cores. Ctrl-C loses nothing: --resume goes on to the same numbers.
    """
    given = dict(locals())
    from qdescent.experiment.run.settings import Settings, load_settings

    flags = {field.name: given[field.name] for field in fields(Settings)}
    settings = load_settings(config, flags) if config or not resume else None
    with quiet_imports():
        from qdescent.experiment.run.pipeline import headline, run_first_pass
        from qdescent.experiment.run.workspace import create_workspace, resume_workspace
        from qdescent.experiment.saved_state import latest_unfinished
        from qdescent.report.reservation import next_directory
    bars = Bars()
    start = time.perf_counter()
    if resume or settings is None:
        directory = out or latest_unfinished(RUNS)
        workspace = resume_workspace(directory, bars)
        asked = settings.to_json() if settings else flags
        for name, kept in workspace.settings.to_json().items():
            if asked[name] not in (None, kept):
                raise argument_error(name, f"be {kept!r}, as in the run to be resumed", asked[name])
    else:
        directory = out or next_directory(RUNS)
        workspace = create_workspace(directory, settings, bars)
    again = shlex.join(["qdescent", "run", "--resume", "--out", str(directory)])
    with ends_in_words(directory, again), bars.progress:
        record = run_first_pass(workspace)
    print_table(f"qdescent run, {time.perf_counter() - start:.0f} s", headline(record))
    verdict = record.rows["dissipation/before/verdict"].value
    out_console.print(f"Dissipation: {verdict}.", highlight=False)
    out_console.print(f"Price: {record.rows['ledger/verdict/text'].value}", highlight=False)
    print_place("Report", directory / "report.html")


@app.command()
def spectrum(
    network: Annotated[
        str | None, typer.Argument(help="package.module:function, which returns a torch.nn.Module.")
    ] = None,
    weights: Annotated[
        str | None,
        _flag("Safetensors file (or a checkpoint without code). Default: as NETWORK returns it."),
    ] = None,
    data: Annotated[
        str | None,
        _flag("An .npz of inputs and targets, a folder of images by class, or module:function."),
    ] = None,
    arguments: Annotated[
        list[str] | None, _flag("key=value, an argument of NETWORK; may be given again.")
    ] = None,
    loss: Annotated[
        str | None, _flag("cross_entropy, mse or module:function. Default cross_entropy.")
    ] = None,
    mask: Annotated[
        str | None, _flag("Safetensors file, not 0 where a weight is kept, or the word nonzero.")
    ] = None,
    density: Annotated[float | None, _flag("Prune to this fraction instead; 1 keeps all.")] = None,
    prune_by: Annotated[
        str | None, _flag(f"How it prunes: {', '.join(MASKS)}. Default magnitude.")
    ] = None,
    batch: Annotated[int | None, _flag("Samples in memory at once. Default 64.")] = None,
    batches: Annotated[
        int | None, _flag("Batches that the Hessian is the mean of. Default 1.")
    ] = None,
    learning_rate: Annotated[
        float | None, _flag("Eta of the descent that is judged. Default 0.01.")
    ] = None,
    momentum: Annotated[float | None, _flag("Beta of that descent. Default 0.")] = None,
    weight_decay: Annotated[float | None, _flag("Weight decay of that descent. Default 0.")] = None,
    horizon: Annotated[int | None, _flag("T, steps over which it is judged. Default 60.")] = None,
    steps: Annotated[
        int | None, _flag("Lanczos steps, Hessian products per probe. Default 64.")
    ] = None,
    probes: Annotated[
        int | None, _flag("Random vectors; they give the error bars. Default 4.")
    ] = None,
    deflate: Annotated[
        int | None,
        _flag(
            "Extreme eigenvalues to find first: they enter exactly, probes see the rest. Default 0."
        ),
    ] = None,
    rows: Annotated[
        int | None,
        _flag(
            "Rows of the Hessian to sample for its sparsity, a product each; 0: none. Default 16."
        ),
    ] = None,
    seed: Annotated[
        int | None, _flag("Seed of the probes and of the draws of samples and rows. Default 0.")
    ] = None,
    precision: Annotated[
        str | None, _flag("float32, float64 or bfloat16. Default float32.")
    ] = None,
    curvature: Annotated[
        str | None,
        _flag("hessian, gauss-newton or finite-differences (wants float64). Default hessian."),
    ] = None,
    shard_vectors: Annotated[
        bool | None,
        _flag("Spread the Lanczos vectors over torchrun's processes.", "--shard-vectors"),
    ] = None,
    device: Annotated[str | None, _flag("cpu or cuda. Default: cuda where there is a GPU.")] = None,
    out: Annotated[
        Path | None,
        _flag("Directory of the results; must not exist. Default: the next runs/spectra/run-NNN."),
    ] = None,
    resume: Annotated[
        bool,
        _flag("Go on with an unfinished measurement: in --out, or the latest in runs/spectra."),
    ] = False,
) -> None:
    """Measure the Hessian spectrum of a network's kept weights: is its descent dissipative?

    Writes spectrum.npz, run.json and spectrum.html. The network is put into evaluation mode. Ctrl-C
    loses nothing: --resume goes on to the same coefficients. Under torchrun -m qdescent spectrum
    ... the batches are dealt to the processes.
    """
    given = dict(locals())
    from qdescent.experiment.spectrum.settings import SpectrumSettings, spectrum_settings

    flags = {field.name: given[field.name] for field in fields(SpectrumSettings)}
    if not resume:
        spectrum_settings(flags)  # refuses a bad one before the imports
    with quiet_imports():
        from qdescent.experiment.saved_state import latest_unfinished
        from qdescent.experiment.spectrum.beginning import new_spectrum, resumed_spectrum
        from qdescent.experiment.spectrum.pipeline import run_spectrum, spectrum_headline
        from qdescent.report.pages.spectrum_page import guessing_warning
        from qdescent.report.reservation import next_directory
    if resume:
        directory = out or latest_unfinished(SPECTRA)
        settings = resumed_spectrum(directory, flags)
    else:
        settings = new_spectrum(out, flags)
        # the others are told
        directory = out or (next_directory(SPECTRA) if is_first() else SPECTRA)
    bars = Bars()
    start = time.perf_counter()
    with ends_in_words(directory, settings.again(directory)), bars.progress:
        record = run_spectrum(settings, directory, bars)
    if record is not None:
        seconds = time.perf_counter() - start
        print_table(f"qdescent spectrum, {seconds:.0f} s", spectrum_headline(record))
        out_console.print(f"Verdict: {record.rows['dissipation/verdict'].value}.", highlight=False)
        if warning := guessing_warning(record):
            out_console.print(f"Beware: {warning}", highlight=False)
        print_place("Page", directory / "spectrum.html")


@app.command()
def circuit(
    source: Annotated[
        str,
        typer.Argument(
            help="A directory of qdescent run, or an npz of F0 (n,), F1 (n, n), F2 (n, n^2), ..."
        ),
    ],
    order: Annotated[
        int | None, _flag("N, order of the Carleman linearisation. Default 2.")
    ] = None,
    steps: Annotated[int | None, _flag("T, steps of the map. Default 4.")] = None,
    padding: Annotated[int | None, _flag("p, further copies of the end. Default 3.")] = None,
    epsilon: Annotated[float | None, _flag("Promised relative error. Default 1e-4.")] = None,
    solver: Annotated[
        str | None, _flag("kernel-reflection or qsvt. Default kernel-reflection.")
    ] = None,
    encoding: Annotated[
        str | None, _flag("balanced, coloured or composed. Default balanced.")
    ] = None,
    loader: Annotated[
        str | None,
        _flag(
            "qrom or qroam, each also with -measured; qroam-dirty; bucket-brigade. Default qrom."
        ),
    ] = None,
    amplify: Annotated[
        bool | None, _flag("Amplitude amplification until it succeeds for certain.", "--amplify")
    ] = None,
    noise: Annotated[
        float | None,
        _flag("Chance of a depolarising error a query. Default 0; a table of rates is shown."),
    ] = None,
    export: Annotated[
        bool | None, _flag("Write one query as OpenQASM 3 gates, encoding.qasm.", "--export")
    ] = None,
    out: Annotated[
        Path | None,
        _flag("Directory of the results; must not exist. Default: the next runs/circuits/run-NNN."),
    ] = None,
) -> None:
    """Steps of a small map as a quantum circuit: drawn, run on a state vector, counted.

    The map is u <- F0 + F1 u + F2 (u (x) u) + ..., from u0 (zero, or u0 in the npz). Writes
    run.json and circuit.html.
    """
    given = dict(locals())
    from qdescent.experiment.circuit.settings import CircuitSettings

    settings = CircuitSettings(
        **{f.name: given[f.name] for f in fields(CircuitSettings) if given[f.name] is not None}
    )
    with quiet_imports():
        from qdescent.experiment.circuit.pipeline import circuit_headline, run_circuit_job
        from qdescent.report.reservation import next_directory
    directory = out or next_directory(CIRCUITS)
    bars = Bars()
    start = time.perf_counter()
    with ends_in_words(directory), bars.progress:
        record = run_circuit_job(settings, directory, bars)
    print_table(f"qdescent circuit, {time.perf_counter() - start:.0f} s", circuit_headline(record))
    out_console.print(f"Outcome: {record.rows['circuit/status'].value}.", highlight=False)
    print_place("Page", directory / "circuit.html")


def main() -> None:
    """The console script: an argument error is one sentence and 2, a signal 128 + its number."""
    try:
        stop_on_signals()
        user_modules_last()
        app()
    except ArgumentError as error:
        say(f"qdescent: {error}")
        sys.exit(2)
    except OSError as error:  # a folder that cannot be made or read
        say(f"qdescent: {not_written(error)}")
        sys.exit(2)
    except Stopped as stop:  # before anything was begun
        sys.exit(stop.exit_code)
