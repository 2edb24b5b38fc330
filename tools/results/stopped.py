"""The record of a job whose machine was given back before it ended: the rows that it had saved.

    python tools/results/stopped.py results/7M-seed-0.json STATE --log FILE --data-root FOLDER

STATE is the job's folder `state`, or what was brought back of it: stages that hold rows. Each says
of which job it is and proves that it is whole. From the log come the accuracies that the job had
told, to a tenth of a percent; how many weights are kept follows from the settings.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from qdescent._evidence import Evidence, Row
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.reproduce.subject import load_images, new_network
from qdescent.experiment.workspace import STATE_OF_SETTINGS
from qdescent.learning.pruning.criteria import MASKS
from qdescent.report.files import write_document
from qdescent.report.record import Record, record_text
from qdescent.report.state import load_state
from qdescent.rows import names
from qdescent.rows.collection import Rows

TOLD = "told by the job as it ran, to a tenth of a percent"


def stopped(directory: Path, log: str, name: str, data_root: str) -> Record:
    """What a stopped job had found.

    Args:
        directory: that holds `state`.
        log: what it had printed.
        name: of the record.
        data_root: where the images are here; the state has their checksum.

    Raises:
        ArgumentError: a damaged stage, or one of another job.
    """
    first = load_state(directory, STATE_OF_SETTINGS)
    if first is None:
        raise SystemExit(f"{directory} holds no job")
    settings = ReproduceSettings(**first.extra)
    paths = sorted(each.stem for each in (directory / "state").glob("*.safetensors"))
    stages = {stage: load_state(directory, stage, first.origin) for stage in paths}
    rows = [
        Row.from_json(row)
        for state in stages.values()
        if state is not None and "rows" in state.extra
        for row in state.extra["rows"]
    ]
    config = {**settings.to_json(), "stopped": "before its end; the stages that it had saved"}
    versions = dict(each.partition(" ")[::2] for each in first.origin["versions"].split(", "))
    where = Row("environment/device", first.origin["device"], "", Evidence.EXACT, "of its state")
    about = told(replace(settings, data_root=data_root), log)
    return Record(name, config, settings.seed, versions, Rows([*about, *rows, where]))


def told(settings: ReproduceSettings, log: str) -> list[Row]:
    """About the network: its weights from the settings, its accuracies from the log."""
    data = load_images(settings)
    network = new_network(settings, data)
    criterion = MASKS[settings.prune_by]
    mask = criterion(network, None, settings.density, None)
    exact, measured = Evidence.EXACT, Evidence.MEASURED
    rows = [
        Row(names.TRAIN_IMAGES, len(data.train_images), "images", exact, data.source),
        Row(names.TEST_IMAGES, len(data.test_images), "images", exact, data.source),
        Row(names.NETWORK_PARAMETERS, mask.total, "weights", exact, "P, all weights"),
        Row(names.NETWORK_KEPT, mask.kept, "weights", exact, f"n, {criterion.keeps}"),
        Row(names.NETWORK_DENSITY, mask.density, "1", exact, "n / P"),
        Row("dense/epochs", settings.epochs, "epochs", exact, "setting `epochs`"),
    ]
    accuracy = r"test accuracy ([\d.]+) %"
    before = re.search(rf"Pruning.*{accuracy} before, ([\d.]+) % after", log)
    if before:
        after = float(before[2]) / 100
        rows.append(Row(names.DENSE_ACCURACY, float(before[1]) / 100, "1", measured, TOLD))
        rows.append(Row("pruned/test_accuracy", after, "1", measured, TOLD))
    tuned = re.search(rf"Fine-tuning.*{accuracy}", log)
    if tuned:
        source = f"after {settings.tune_steps} steps of fine-tuning; {TOLD}"
        rows.append(Row("tuned/test_accuracy", float(tuned[1]) / 100, "1", measured, source))
    return rows


def main() -> None:
    """Read, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--data-root", default="")
    given = parser.parse_args()
    log = given.log.read_text()
    record = stopped(given.state.parent, log, given.path.stem, given.data_root)
    write_document(given.path, record_text(record))


if __name__ == "__main__":
    main()
