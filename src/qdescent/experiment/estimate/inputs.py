"""From settings, and from what a run has measured, to the round that is priced."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qdescent._checks import ArgumentError, argument_error
from qdescent._evidence import Evidence, Row, derived
from qdescent.experiment.estimate.found import (
    Found,
    ends_of_norms,
    higher_of,
    norms_of,
    row_of,
    spectrum_of,
)
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.report.record import Record, installed_versions, read_record
from qdescent.resources.round_spec import RoundSpec
from qdescent.rows import names

# Smooth ResNet-18 (widths 48, 96, 208, 400), two epochs of Fashion-MNIST, pruned to a tenth, batch
# of 32: benchmarks/results/map_norms_7M.json
MEASURED = "7 million trained weights, benchmarks/map_norms.py"
DEFAULTS: dict[str, Any] = {
    "n": 697_740, "order": 2, "steps": 20, "batch": 512, "sparsity": 10, "learning_rate": 0.02,
}  # fmt: skip
NORMS = {"gradient_norm": 0.72167301, "second_norm": 262.48054521}
SPECTRUM = {"lambda_min": -2.23878277, "lambda_max": 6.20837893}
PARAMETERS_OF_N, MACS_OF_P = 10, 9
DEFAULT = "default, of the network of 7 million weights that was measured"
DEFAULT_SPARSITY = "default, the paper's wish"
MACS = "9 P, as of a smooth ResNet-18 on images of 28 x 28"
# what the multiply-adds of kept weights follow from
COUNTED = ("parameters", "n", "forward_macs")

READ = ("readout", "readout_error", "shots", "largest")
SAMPLING = "sampling"
WHOLE = ("n", "parameters", "order", "steps", "padding", "sparsity", "batch", "forward_macs")


ALONE = Found(1, Evidence.ASSUMED, "1, of which the ends of a spectrum say all")


def round_of(settings: EstimateSettings, record: Record | None = None) -> RoundSpec:
    """The round that the settings ask for; each input from a flag, the run, or the defaults.

    Args:
        settings: of the command line, or the inputs of `price`.
        record: the run; None: the one that the settings name, if any.

    Raises:
        ArgumentError: a run of another version, or without a ledger's inputs; contradictions.
    """
    if record is None and settings.from_:
        record = read_run(settings.from_, "from")

    of_other_round = () if record is None else _of_other_round(settings, record)

    def find(name: str, default: Callable[[], Found | None]) -> Found | None:
        given = getattr(settings, name)
        if given is not None:
            return Found(given, Evidence.ASSUMED, f"setting `{name}`")
        row = None if record is None or name in of_other_round else row_of(record, name)
        if name == "sparsity" and record is not None:
            row = _needed_of_all(record) or row
        if row is not None:
            value = max(1, round(row.number)) if name in WHOLE and name != "padding" else row.number
            value = round(value) if name == "padding" else value
            return Found(value, row.evidence, f"{record.name}: {row.source}")  # type: ignore[union-attr]
        return default()

    def standard(name: str) -> Found:
        source = DEFAULT_SPARSITY if name == "sparsity" else DEFAULT
        known = find(name, lambda: Found(DEFAULTS[name], Evidence.ASSUMED, source))
        assert known is not None
        return known

    found: dict[str, Found] = {name: standard(name) for name in ("n", "steps", "batch")}
    n = found["n"].value
    parameters = find(
        "parameters", lambda: Found(PARAMETERS_OF_N * n, Evidence.ASSUMED, "ten times n")
    )
    assert parameters is not None
    macs = find("forward_macs", lambda: Found(MACS_OF_P * parameters.value, Evidence.ASSUMED, MACS))
    assert macs is not None
    rate, sparsity = standard("learning_rate"), standard("sparsity")
    if sparsity.source == DEFAULT_SPARSITY:
        sparsity = replace(sparsity, value=min(sparsity.value, n))
    # bounds and measurements of another network serve only where nothing of this one is known
    own = record is not None
    ends = {
        name: find(name, lambda name=name: None if own else  # type: ignore[misc]
                   Found(SPECTRUM[name], Evidence.BOUNDED, MEASURED))
        for name in SPECTRUM
    }  # fmt: skip
    norms = {
        name: find(name, lambda name=name: None if own else  # type: ignore[misc]
                   Found(NORMS[name], Evidence.BOUNDED, MEASURED))
        for name in NORMS
    }  # fmt: skip
    kappa = find("kappa", lambda: None)
    alone = kappa is None and None not in ends.values() and None in norms.values()
    # the ends of a spectrum alone say all of order 1, in units of F_0
    found["order"] = (alone and find("order", lambda: ALONE)) or standard("order")
    order = found["order"].value
    padding = find("padding", lambda: None)
    success = find("success_probability", lambda: None)
    found |= {"parameters": parameters, "forward_macs": macs}
    given: dict[str, Any] = {
        **{name: each.value for name, each in found.items()},
        "known": {
            name: (each.evidence, each.source)
            for name, each in {**found, "learning_rate": rate, "padding": padding}.items()
            if each is not None
        },
        **_sparse(sparsity, n),
        **({} if record is None else _needed(record, n)),
        **spectrum_of(rate, ends),
        **norms_of(
            rate,
            norms,
            ends_of_norms(settings, record, ends),
            kappa,
            order,
            higher_of(settings, record),
        ),
        **_known("kappa", kappa),
        **({"padding": padding.value} if padding is not None else {}),
        **_known("success", success, "success_probability"),
        "coupling_sparsity": settings.coupling_sparsity,
        "fresh_batches": settings.fresh_batches,
    }
    for name in ("alpha_over_norm", "epsilon"):
        given[name] = getattr(settings, name)
    if record is not None:
        given["masked_macs"] = _masked(record, parameters.value, n, macs.value)
    read = read_of(settings)
    taken = None if record is None else row_of(record, "shots")
    # those of the run, where nothing else is said of how well its u_T is read
    if taken and read["readout"] == SAMPLING and not {"shots", "readout_error"} & set(read):
        read["shots"] = max(1, round(taken.number))
        where = record.name  # type: ignore[union-attr]
        given["known"]["shots"] = taken.evidence, f"{where}: {taken.source}"
    return RoundSpec(**given, **read)


def read_of(settings: EstimateSettings) -> dict[str, Any]:
    """What the settings say of the readout."""
    found = {name: getattr(settings, name) for name in READ}
    return {name: value for name, value in found.items() if value is not None}


def _of_other_round(settings: EstimateSettings, record: Record) -> tuple[str, ...]:
    """What a run says of its own round alone: not used where flags ask for another one and norms
    of the map say what that one has.
    """
    moved = any(
        getattr(settings, name) is not None
        and (row := row_of(record, name)) is not None
        and getattr(settings, name) != row.number
        for name in ("order", "steps", "learning_rate")
    )
    known = all(
        getattr(settings, name) is not None or row_of(record, name) is not None
        for name in (*NORMS, *SPECTRUM)
    )
    return ("kappa", "padding", "success_probability") if moved and known else ()


def read_run(directory: str | os.PathLike[str], name: str) -> Record:
    """The record of a run of this version.

    Args:
        directory: of the run.
        name: of the argument that it was given by.

    Raises:
        ArgumentError: there is none, it is of another version, or of an estimate, which has
            measured nothing.
    """
    try:
        record = read_record(Path(directory))
    except ArgumentError as error:
        raise error.called(path=name) from None
    version, own = record.versions.get("qdescent"), installed_versions()["qdescent"]
    if version is not None and version != own:
        must = f"be a run of this version, {own} (run it again)"
        raise argument_error(name, must, f"of version {version}")
    if "from_" in record.config:  # a setting of `EstimateSettings` alone
        must = "be a run that has measured something (give the flags of an estimate again)"
        raise argument_error(name, must, "an estimate")
    return record


def _masked(record: Record, *sizes: int) -> int | None:
    """Multiply-adds of the kept weights, as a ledger of these sizes has counted them."""
    rows = record.rows
    own = [row_of(record, name) for name in COUNTED]
    dense, kept = (f"{names.LEDGER}classical/{name}_flops" for name in ("dense", "kept"))
    if None in own or dense not in rows or kept not in rows or not rows.number(dense):
        return None
    same = all(row.number == size for row, size in zip(own, sizes, strict=True) if row is not None)
    return round(sizes[-1] * rows.number(kept) / rows.number(dense)) if same else None


def _needed_of_all(record: Record) -> Row | None:
    """The entries a row that a segment needs, where all kept weights were looked at."""
    rows = record.rows
    kept = row_of(record, "n")
    if names.NEEDED_FOR_1_PERCENT not in rows or names.NEEDED_WEIGHTS not in rows or kept is None:
        return None
    found = rows[names.NEEDED_FOR_1_PERCENT]
    whole = rows.number(names.NEEDED_WEIGHTS) == kept.number and math.isfinite(found.number)
    return replace(found, value=math.ceil(found.number)) if whole else None


def _sparse(found: Found, n: int) -> dict[str, Any]:
    return {
        "sparsity": min(found.value, n) if found.evidence is not Evidence.ASSUMED else found.value,
        "sparsity_evidence": found.evidence,
        "sparsity_source": found.source,
    }


def _needed(record: Record, n: int) -> dict[str, Any]:
    """Entries a row that a segment needs, as the record has them: of all weights, or of some, from
    which they are scaled: the share of a row does not fall with n (`needed_entries`).
    """
    rows = record.rows
    if names.NEEDED_FOR_1_PERCENT not in rows or names.NEEDED_WEIGHTS not in rows:
        return {}
    row, of = rows[names.NEEDED_FOR_1_PERCENT], rows.number(names.NEEDED_WEIGHTS)
    if not math.isfinite(row.number) or of < 1:
        return {}
    whole = of == n
    scaled = "" if whole else f", times {n:,}/{of:,.0f} weights (a share of the row, modelled)"
    return {
        "needed_sparsity": min(row.number * n / of, float(n)),
        "needed_evidence": row.evidence if whole else derived(row.evidence, Evidence.MODELLED),
        "needed_source": f"{record.name}: {row.source}{scaled}",
    }


def _known(name: str, found: Found | None, field: str | None = None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        field or name: found.value,
        f"{name}_evidence": found.evidence,
        f"{name}_source": found.source,
    }
