"""`qdescent estimate`: a round priced best against best, the region where the verdict flips,
sweeps, and the claim card.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.experiment.estimate.as_given import as_given
from qdescent.experiment.estimate.priced_round import priced_of
from qdescent.experiment.estimate.ranges import Range, ranges_of
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.estimate.sweep import COLUMNS, swept
from qdescent.experiment.estimate.this_cpu import this_cpu
from qdescent.experiment.progress import Progress, Silent
from qdescent.report.files import write_document, write_json
from qdescent.report.pages.estimate.estimate_page import write_card_figure, write_estimate_page
from qdescent.report.record import Record, installed_versions, stopwatch, write_record
from qdescent.report.reservation import held as held_directory
from qdescent.resources.classical.machines import A100, CLUSTER, H100, Accelerator
from qdescent.resources.ledger import Ledger, ledger_of
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.symbolic import to_qref
from qdescent.resources.verdict.inputs import Case, held
from qdescent.resources.verdict.region import PAIRS, map_over
from qdescent.rows import names
from qdescent.rows.collection import Rows

PAGE, CARD, CARD_PAGE, SWEEP = "estimate.html", "card.json", "card.html", "sweep"
QREF, COUNTS = "copy.qref.json", "run.counts.json"
CARD_MAP = ("n", "sparsity")
# Measured: kept weights, and entries a row that carry 99 % of its squared norm (results/small,
# 7M-costs, MiniLM and 103M-costs)
MEASURED_ROWS = (
    ("CNN", 4_905.0, 1_425.0),
    ("7M", 697_740.0, 124_503.0),
    ("MiniLM", 2_284_388.0, 128_511.0),
    ("103M", 10_072_272.0, 4_665_536.0),
)


@dataclass(frozen=True)
class Estimate:
    """What an estimate is made of.

    Args:
        spec: the round.
        ledger: its price, with the region.
        case: for whatever moves an input.
        settings: what it was made from.
    """

    spec: RoundSpec
    ledger: Ledger
    case: Case
    settings: EstimateSettings


def estimated(settings: EstimateSettings) -> Estimate:
    """The round of the settings, priced with its region.

    Raises:
        ArgumentError: contradictions, or a round that no machine can do.
    """
    accelerator = _machine(settings.machine)
    architecture = _architecture(settings)

    def attempt(tried: EstimateSettings) -> None:
        spec, circuit = priced_of(tried)
        ledger_of(spec, _architecture(tried), accelerator, circuit=circuit)

    try:
        spec, circuit = priced_of(settings)
        ledger = ledger_of(spec, architecture, accelerator, region=True, circuit=circuit)
    except ArgumentError as error:
        raise as_given(error, settings, attempt) from None
    return Estimate(spec, ledger, Case(held(spec), architecture, accelerator), settings)


def _architecture(settings: EstimateSettings) -> SurfaceCode:
    return SurfaceCode(settings.error_rate, settings.cycle_time_ns, settings.budget)


def _machine(name: str) -> Accelerator:
    return {"A100": A100, "H100": H100, "cluster": CLUSTER}.get(name) or this_cpu()


def run_estimate(
    settings: EstimateSettings, directory: Path, progress: Progress | None = None
) -> Record:
    """Price, look for where the verdict flips, and write what was found.

    Args:
        settings: what to price.
        directory: where results go; must not exist yet, or be empty.
        progress: who is told.

    Returns:
        Record: also written as run.json, beside estimate.html; of a sweep also sweep.csv and
            sweep.json; of a card card.json, card.html, copy.qref.json, the cost in symbols, and
            run.counts.json, one run's logical counts as the Azure estimator takes them.

    Raises:
        ArgumentError: settings that contradict each other, or a run of another version (nothing is
            written then).
    """
    ranges = ranges_of(settings.sweep)
    with held_directory(directory, new=True):  # a name that is taken is refused before the work
        return _estimate_in(directory, settings, ranges, progress or Silent())


def _estimate_in(
    directory: Path, settings: EstimateSettings, ranges: Sequence[Range], progress: Progress
) -> Record:
    timings: dict[str, float] = {}
    progress.start("Pricing", 2)
    with stopwatch(timings, "pricing"):
        found = estimated(settings)
    progress.advance()
    pairs = PAIRS if settings.card else PAIRS[:1]
    with stopwatch(timings, "maps"):
        maps, drawn = _map_rows(found.case, pairs)
    progress.advance()
    progress.finish(f"{len(found.ledger.rows)} rows")
    rows = [*found.ledger.rows.under(names.LEDGER), *maps]
    record = Record(directory.name, asdict(settings), 0, installed_versions(), Rows(rows), timings)
    if ranges:
        points = math.prod(len(each.values) for each in ranges)
        progress.start("Sweep", points)
        _write_sweep(found, ranges, directory, progress)
        progress.finish(f"{points} points in sweep.csv and sweep.json")
    here = (("this", float(found.spec.n), float(found.spec.sparsity)), *MEASURED_ROWS)
    write_estimate_page(record, directory / PAGE, drawn, {"n_sparsity": here})
    if settings.card:
        write_json(directory / CARD, claim_card(record, found))
        write_json(directory / QREF, to_qref(min(2, found.spec.order)))
        if found.ledger.counts is not None:
            write_json(directory / COUNTS, found.ledger.counts.as_job())
        write_card_figure(record, directory / CARD_PAGE, *CARD_MAP, here)
    write_record(record, directory)
    return record


def _map_rows(
    case: Case, pairs: Iterable[tuple[str, str]]
) -> tuple[list[Row], tuple[tuple[str, str], ...]]:
    rows, drawn = [], []
    for x, y in pairs:
        found = map_over(case, x, y)
        if found is None:
            continue
        at = f"{names.LEDGER}{names.MAPS}{x}_{y}/"
        source = "quantum / classical time, each by its best way; others held"
        rows += [
            Row(f"{at}x", found.xs, "1", Evidence.ASSUMED, f"values of {x}"),
            Row(f"{at}y", found.ys, "1", Evidence.ASSUMED, f"values of {y}"),
            Row(f"{at}ratio", [each for line in found.ratios for each in line], "1",
                Evidence.MODELLED, f"{source}; by {y}, then {x}"),
        ]  # fmt: skip
        drawn.append((x, y))
    return rows, tuple(drawn)


def _write_sweep(
    found: Estimate, ranges: Sequence[Range], directory: Path, progress: Progress
) -> None:
    text, lines = io.StringIO(), []
    writer = csv.DictWriter(text, [*(each.name for each in ranges), *COLUMNS])
    writer.writeheader()
    for line in swept(found.case, found.settings, ranges, progress.advance):
        writer.writerow(line)
        lines.append({name: _plain(value) for name, value in line.items()})
    write_document(directory / f"{SWEEP}.csv", text.getvalue())
    content = {"ranges": {each.name: each.values for each in ranges}, "points": lines}
    write_json(directory / f"{SWEEP}.json", content)


def _plain(value: float | str) -> float | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def claim_card(record: Record, found: Estimate) -> dict[str, Any]:
    """The verdict with the region where it holds: inputs with their evidence, verdict, break-even
    of each input, the map of the figure, versions.
    """
    rows = record.rows
    at = names.LEDGER
    inputs = [
        row.to_json()
        for row in rows
        if row.name.startswith(f"{at}logical/") and row.name.count("/") == 2
    ]
    region = {
        row.name.removeprefix(at + names.BREAK_EVEN): row.to_json()["value"]
        for row in rows
        if row.name.startswith(at + names.BREAK_EVEN)
    }
    x, y = CARD_MAP
    mapped = f"{at}{names.MAPS}{x}_{y}/"
    verdict = [row.to_json() for row in rows if row.name.startswith(f"{at}verdict/")]
    return {
        "format": "qdescent-claim/1",
        "claim": str(rows[at + names.VERDICT_TEXT].value),
        "verdict": verdict,
        "inputs": inputs,
        "break_even": region,
        "map": {
            "x": x,
            "y": y,
            "ratio": rows[mapped + "ratio"].to_json()["value"],
            "xs": rows[mapped + "x"].to_json()["value"],
            "ys": rows[mapped + "y"].to_json()["value"],
        },
        "machine": {each.name: getattr(found.case.architecture, each.name)
                    for each in fields(found.case.architecture)},
        "classical_machine": found.case.accelerator.name,
        "versions": dict(record.versions),
    }  # fmt: skip


def estimate_headline(record: Record) -> list[tuple[str, Row]]:
    """The few rows that the command line shows at the end, each with a label."""
    labels = {
        names.LEDGER_N: "kept weights",
        names.LEDGER_SPARSITY: "non-zeros a row, s",
        names.LEDGER_KAPPA: "kappa of the history",
        names.SOLVES: "copies that the readout takes",
        names.QUANTUM_TIME: "best quantum round",
        names.CLASSICAL_TIME: "best classical round",
        names.TIME_RATIO: "time, quantum / classical",
        names.FREE_RATIO: "a free quantum computer / classical",
        names.FREE_SPARSITY: "s below which it stays open",
        names.NEEDED_ENTRIES: "s that 1 % was seen to ask for",
        names.VERDICT_TEXT: "Verdict",
    }
    rows = record.rows  # without a learning rate nobody knows how long the segment is
    return [
        (label, rows[names.LEDGER + name])
        for name, label in labels.items()
        if name != names.NEEDED_ENTRIES or names.LEDGER + name in rows
    ]
