"""The main job: from images to a report, in the order of the algorithm."""

from __future__ import annotations

from dataclasses import replace

from qdescent._evidence import Row
from qdescent.experiment.run.comparison import comparison_rows
from qdescent.experiment.run.curvature import measure_spectrum
from qdescent.experiment.run.instance import run_instance
from qdescent.experiment.run.pricing import price_round
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.run.training import (
    load_data,
    train_and_prune,
    train_classically,
    train_emulated,
)
from qdescent.experiment.workspace import Workspace
from qdescent.report.files import write_weights
from qdescent.report.pages.page import write_report
from qdescent.report.record import Record, write_record
from qdescent.report.state import fingerprint
from qdescent.rows import names


def run_first_pass(workspace: Workspace[Settings]) -> Record:
    """Train densely, prune, train on classically and quantum-emulated, measure, solve one instance
    as a circuit, price, report.

    Every stage keeps its result in the workspace as it goes: an interrupted run, resumed, ends in
    the same rows to the last digit.

    Args:
        workspace: a new one (`create_workspace`) or an unfinished one (`resume_workspace`).

    Returns:
        Record: also written to the directory as `run.json`, beside the weights (safetensors) and
            the page (`report.html`).

    Raises:
        ArgumentError: settings that do not fit the data or the network; another process works in
            the directory; what was saved there is damaged or of another run.
    """
    with workspace.held():
        return _made(workspace)


def _made(workspace: Workspace[Settings]) -> Record:
    data, rows = load_data(workspace)
    workspace.begin(
        fingerprint(data.train_images, data.train_labels, data.test_images, data.test_labels)
    )
    pruned, more = train_and_prune(workspace, data)
    rows += more
    run, emulated = train_emulated(workspace, pruned)
    baseline = train_classically(workspace, pruned, run)
    rows += comparison_rows(workspace, pruned, baseline, run, emulated)
    before, _, more = measure_spectrum(workspace, pruned, pruned.space.theta, "before")
    rows += more
    _, _, more = measure_spectrum(workspace, pruned, run.theta, "after")
    rows += more
    rows += run_instance(workspace, pruned)
    _, more = price_round(workspace, pruned, before, run)
    rows += more

    record = workspace.record(rows)
    weights = {
        f"pruned/{name}": weight for name, weight in pruned.space.unpack(pruned.space.theta).items()
    }
    weights.update(
        {
            f"classical/{name}": weight
            for name, weight in pruned.space.unpack(baseline.theta).items()
        }
    )
    weights.update(
        {f"emulated/{name}": weight for name, weight in pruned.space.unpack(run.theta).items()}
    )
    write_weights(workspace.directory / "weights.safetensors", weights)
    write_report(record, workspace.directory / "report.html")
    write_record(record, workspace.directory)
    return record


def headline(record: Record) -> list[tuple[str, Row]]:
    """The few rows that the command line shows at the end, each with a label."""

    def worst(name: str) -> Row:
        row = record.rows[name]
        return replace(row, value=max(row.value))  # type: ignore[arg-type]

    if names.ERROR_TO_DIRECT in record.rows:
        circuit = [
            ("circuit: simulated qubits", record.rows[names.CIRCUIT + names.QUBITS]),
            ("circuit: error to direct solution", record.rows[names.ERROR_TO_DIRECT]),
        ]
    else:
        circuit = [("Circuit", record.rows[names.CIRCUIT_STATUS])]
    return [
        ("all weights", record.rows[names.NETWORK_PARAMETERS]),
        ("kept weights", record.rows[names.NETWORK_KEPT]),
        ("accuracy, emulated - classical", record.rows[names.ACCURACY_GAP]),
        ("truncation error, worst round", worst(names.TRUNCATION_BY_ROUND)),
        ("readout error, worst round", worst(names.READOUT_ERROR_BY_ROUND)),
        ("fastest growth of a mode", record.rows[names.during("before", names.GROWTH)]),
        *circuit,
        ("time, quantum / classical round", record.rows[names.LEDGER + names.TIME_RATIO]),
        ("Dissipation", record.rows[names.during("before", names.DISSIPATION_VERDICT)]),
        ("Price", record.rows[names.LEDGER + names.VERDICT_TEXT]),
    ]
