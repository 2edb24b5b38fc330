"""How far is order 1, 2, 3 from true descent after K steps, on a trained and pruned network?

    python benchmarks/trained_truncation.py CHECKPOINT --data-root DIRECTORY

CHECKPOINT is made by trained_resnet.py. Batch 128, a tenth of the weights kept, float32, K up to
20; a spectrum of two probes beside it. Rows go to results/7M-order-3.json after each stage, and a
stage that is there is not measured again. About ten minutes on one quiet core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from protocol import environment
from trained_resnet import trained_problem

from qdescent._evidence import Row
from qdescent.experiment.reproduce.measures import plain
from qdescent.experiment.reproduce.spectra import spectrum_at
from qdescent.experiment.reproduce.truncation import truncation_rows
from qdescent.report.files import write_document
from qdescent.report.record import Record, installed_versions, read_record, record_text
from qdescent.rows.collection import Rows

RESULT = Path(__file__).parents[1] / "results" / "7M-order-3.json"
RATES = (0.1, 0.02)
ORDER, STEPS, HORIZON = 3, 20, 60


def main() -> None:
    """Stage by stage."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data-root")
    given = parser.parse_args()
    task, space, state = trained_problem(given.checkpoint, given.data_root)
    found: list[Row] = list(read_record(RESULT).rows) if RESULT.exists() else []
    config = {"checkpoint": given.checkpoint.name, "epochs": state.epoch, **environment()}

    def keep(rows: list[Row]) -> None:
        found.extend(rows)
        record = Record("7M-order-3", config, 0, installed_versions(), Rows(found))
        write_document(RESULT, record_text(record))

    if not any(row.name.startswith("spectrum/") for row in found):
        rule = plain(RATES[1])
        keep(
            spectrum_at(
                task, space, space.theta, rule, "step-0",
                horizon=HORIZON, steps=40, probes=2, seed=0,
            )
        )  # fmt: skip
    for rule in map(plain, RATES):
        if not any(row.name.startswith(f"truncation/step-0/{rule.name}/") for row in found):
            keep(truncation_rows(task, space, space.theta, rule, "step-0", ORDER, STEPS))


if __name__ == "__main__":
    main()
