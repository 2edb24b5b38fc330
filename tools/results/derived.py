"""What follows from the rows of a record, computed anew: bounds on kappa, and the price of a round.

    python tools/results/derived.py RECORD --trained CHECKPOINT --data-root FOLDER --window ANOTHER

For a record with norms whose measures took hours, where the ledger or the choice of a unit has
changed since; and where the window stands in another record.
"""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from qdescent.experiment.reproduce.costs import kappa_rows, price_rows
from qdescent.experiment.reproduce.settings import ReproduceSettings
from qdescent.experiment.reproduce.subject import load_images, train_and_prune
from qdescent.experiment.workspace import create_workspace
from qdescent.report.files import write_document
from qdescent.report.record import Record, read_record, record_text
from qdescent.rows import names
from qdescent.rows.collection import Rows

DERIVED = ("kappa/", names.LEDGER, f"{names.REFUSED}kappa/", f"{names.REFUSED}price")
WINDOW = "window/true/step-0/"


def derived(record: Record, settings: ReproduceSettings, window: Record | None) -> Record:
    """The record with kappa and price computed from its norms, and from a window if one is given.

    Args:
        record: with norms.
        settings: its own, with a checkpoint of the dense weights.
        window: a record with windows right after pruning; its rows are taken over.
    """
    rows = [row for row in record.rows if not row.name.startswith(DERIVED)]
    if window is not None:
        rows += [row for row in window.rows.section(WINDOW) if row.name not in record.rows]
    found = Rows(rows)
    rows += kappa_rows(
        found.number("norms/eta-1/F_0"),
        found[names.NORM_EXTREMES].curve,
        found.number("norms/eta-1/F_2"),
    )
    with TemporaryDirectory() as folder:
        workspace = create_workspace(Path(folder) / "run", settings)
        subject, _ = train_and_prune(workspace, load_images(settings), torch.device("cpu"))
    rows += price_rows(subject, settings, rows)
    return replace(record, rows=Rows(rows))


def main() -> None:
    """Read, compute, and write in place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--trained", required=True)
    parser.add_argument("--data-root", default="")
    parser.add_argument("--window", type=Path)
    given = parser.parse_args()
    record = read_record(given.path)
    known = {each.name for each in fields(ReproduceSettings)}
    settings = ReproduceSettings(**{k: v for k, v in record.config.items() if k in known})
    settings = replace(settings, trained=given.trained, data_root=given.data_root)
    window = read_record(given.window) if given.window else None
    write_document(given.path, record_text(derived(record, settings, window)))


if __name__ == "__main__":
    main()
