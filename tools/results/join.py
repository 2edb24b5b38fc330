"""One record of a job that was done in parts: of the same settings, each with another `measure`.

    python tools/results/join.py results/7M-seed-0.json PART.json PART.json ...

Parts may run at the same time, each from the dense weights of the first (`--trained`). They are
joined where settings and seed are the same and every row that two of them have is the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qdescent._evidence import Row
from qdescent.report.files import write_document
from qdescent.report.record import Record, read_record, record_text
from qdescent.rows.collection import Rows

# where and from which file a part ran does not change what it measures
PLACES = ("measure", "trained", "data_root", "device")


def joined(name: str, parts: list[Record]) -> Record:
    """All rows of the parts, in order, the first part's settings, the seconds of all.

    Raises:
        ValueError: parts of other settings, or a row that two parts have otherwise.
    """
    first = parts[0]
    rows: dict[str, Row] = {}
    timings: dict[str, float] = {}
    measured = []
    for part in parts:
        for key, value in part.config.items():
            if key not in PLACES and value != first.config[key]:
                raise ValueError(f"{part.name} has {key} = {value!r}, not {first.config[key]!r}")
        if (part.seed, part.versions) != (first.seed, first.versions):
            raise ValueError(f"{part.name} has another seed or other versions")
        measured.append(str(part.config["measure"]))
        timings |= {stage: timings.get(stage, 0) + s for stage, s in part.timings.items()}
        for row in part.rows:
            if row.name in rows and rows[row.name] != row:
                raise ValueError(f"{part.name} has another {row.name}")
            rows[row.name] = row
    config = {**first.config, "measure": ",".join(measured), "trained": ""}
    return Record(name, config, first.seed, first.versions, Rows(rows.values()), timings)


def main() -> None:
    """Join and write."""
    path, *parts = map(Path, sys.argv[1:])
    write_document(path, record_text(joined(path.stem, [read_record(part) for part in parts])))


if __name__ == "__main__":
    main()
