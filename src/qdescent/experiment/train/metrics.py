"""What a training says while it runs: a line of JSON for each epoch and round, and TensorBoard's.

The file is written anew, at once, after each of them, from what is saved: it never runs ahead of
the state, and a resumed training writes the same lines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qdescent._checks import argument_error
from qdescent.experiment.train.rounds import Measured
from qdescent.report.files import write_document
from qdescent.report.record import json_text
from qdescent.training.dense.state import DenseState
from qdescent.training.rounds.record import Round, rates_of
from qdescent.training.schedule import AdaptiveSchedule, Schedule

METRICS_FILE, EVENTS_FOLDER = "metrics.jsonl", "tensorboard"
PLACES = ("round", "step", "epoch")  # where a line stands
Line = Mapping[str, float | int | str | None]


def dense_lines(done: DenseState) -> list[Line]:
    """A line for each epoch of the dense training."""
    epochs = zip(done.loss, done.test_accuracy, strict=True)
    return [
        {"kind": "dense", "epoch": epoch, "loss": loss, "test_accuracy": share}
        for epoch, (loss, share) in enumerate(epochs, 1)
    ]


def round_lines(
    rounds: Sequence[Round],
    measured: Sequence[Measured],
    schedule: Schedule | AdaptiveSchedule,
) -> list[Line]:
    """A line for each round."""
    lines: list[Line] = []
    step, gradients, classical = 0, 0.0, 0.0
    rates = rates_of(schedule, rounds)
    parts = zip(rounds, measured, rates, strict=True)
    for number, (each, found, rate) in enumerate(parts, 1):
        step += each.steps
        gradients += each.gradients
        line: dict[str, Any] = {
            "kind": "round",
            "round": number,
            "step": step,
            "order": each.order,
            "steps": each.steps,
            "learning_rate": rate,
            "hybrid_loss": each.loss[-1],
            "hybrid_gradients": gradients,
        }
        if each.sparse is not None:
            classical += each.sparse.gradients
            line |= {"sparse_loss": each.sparse.loss[-1], "sparse_gradients": classical}
        if each.dense is not None:
            line["dense_loss"] = each.dense.loss[-1]
        line |= {
            "truncation": each.truncation[-1],
            "truncation_estimate": each.estimate[-1],
            "solver_error": each.solver_error,
            "readout_error": each.readout_error,
            "readout_expected": each.readout_expected,
            "entry_share": each.entry_share,
            "missing_share": each.missing_share,
            **found,
        }
        lines.append({name: _finite(value) for name, value in line.items()})
    return lines


def write_lines(directory: Path, lines: Sequence[Line]) -> None:
    """Write `metrics.jsonl`."""
    text = "".join(json_text("metrics", dict(line)) + "\n" for line in lines)
    write_document(directory / METRICS_FILE, text)


class Events:
    """TensorBoard's writer, opened with the first line; each line is written once a process."""

    def __init__(self, directory: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            must = "be off where TensorBoard is not installed (pip install tensorboard)"
            raise argument_error("tensorboard", must, "on") from None
        # What an interrupted run told is told again, by each process from its first line on.
        self._open = lambda: SummaryWriter(str(directory / EVENTS_FOLDER), purge_step=0)
        self._writer: Any = None
        self._written = 0

    def write(self, lines: Sequence[Line]) -> None:
        """Those lines that were not written yet, by round and by epoch."""
        self._writer = self._writer or self._open()
        for line in lines[self._written :]:
            kind = str(line["kind"])
            at = line["step"] if kind == "round" else line["epoch"]
            for name, value in line.items():
                if isinstance(value, (int, float)) and name not in PLACES:
                    self._writer.add_scalar(f"{kind}/{name}", value, at)
        self._written = len(lines)
        self._writer.flush()

    def close(self) -> None:
        """Close the file of events."""
        if self._writer is not None:
            self._writer.close()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
