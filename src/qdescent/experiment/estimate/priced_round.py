"""The round that is priced: of settings, of a circuit that was run, or of a run and what flags
change in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from qdescent._checks import argument_error
from qdescent._evidence import Evidence, derived
from qdescent.experiment.estimate.found import (
    Found,
    ends_of_norms,
    found_in,
    higher_of,
    norms_of,
    spectrum_of,
)
from qdescent.experiment.estimate.inputs import (
    COUNTED,
    NORMS,
    READ,
    SAMPLING,
    SPECTRUM,
    read_of,
    read_run,
    round_of,
)
from qdescent.experiment.estimate.recorded import (
    KNOWN,
    UNTOLD,
    has_round,
    is_of_circuit,
    read_circuit,
    read_round,
)
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.report.record import Record
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.circuit import CountedCircuit
from qdescent.rows import names

# what may be said beside a circuit that was run: how it is read, on which machine, what is asked
BESIDE_CIRCUIT = (
    *READ, "from_", "error_rate", "cycle_time_ns", "budget", "machine", "sweep", "card",
)  # fmt: skip
SOURCES = ("norms", "kappa", "spectrum", "sparsity", "needed", "success")
MAP = ("learning_rate", *NORMS, *SPECTRUM)  # what the norms of the map follow from


def priced_of(
    settings: EstimateSettings, record: Record | None = None, name: str = "from"
) -> tuple[RoundSpec, CountedCircuit | None]:
    """The round that the settings ask for, and the circuit where the record is of one.

    Args:
        settings: of the command line, or the inputs of `price`.
        record: as of `round_of`.
        name: of the argument that the record was given by.

    Raises:
        ArgumentError: as `round_of` does; beside a circuit an input that it says itself.
    """
    if record is None and settings.from_:
        record = read_run(settings.from_, "from")
    if record is not None and has_round(record) and not is_of_circuit(record):
        return _of_run(settings, record, name), None
    if record is None or not is_of_circuit(record):
        return round_of(settings, record), None
    spec, circuit = read_circuit(record, name)
    for each in fields(settings):
        value = getattr(settings, each.name)
        if each.name not in BESIDE_CIRCUIT and value != each.default:
            raise argument_error(each.name, "be left out beside a circuit that was run", value)
    read = read_of(settings)
    return replace(spec, **read), circuit


def _of_run(settings: EstimateSettings, record: Record, name: str) -> RoundSpec:
    """The round that a run priced, but for what flags change and what follows from it."""
    run = _told_by(read_round(record, name), record)
    given = {
        each.name: getattr(settings, each.name)
        for each in fields(settings)
        if getattr(settings, each.name) != each.default
    }
    changed = {name for name, value in given.items() if value != _own(run, record, name)}
    told: dict[str, Any] = {"known": dict(run.known)}
    for flag, value in given.items():
        source = f"setting `{flag}`"
        if flag in KNOWN:
            told["known"][flag] = Evidence.ASSUMED, source
        if flag in ("kappa", "sparsity", "success_probability"):
            at = flag.removesuffix("_probability")
            told |= {f"{at}_evidence": Evidence.ASSUMED, f"{at}_source": source}
        if flag not in (*NORMS, *SPECTRUM) and flag in _FIELDS:
            told[flag] = value
    if changed & {*COUNTED}:
        told["masked_macs"] = None
    told |= _read(settings, run, told["known"])
    told |= _map(run, record, settings, given, changed)
    told |= _history(run, given, changed, told)
    told |= _entries(run, given, changed)
    return replace(run, **told)


_FIELDS = {each.name for each in fields(RoundSpec)}


def _told_by(run: RoundSpec, record: Record) -> RoundSpec:
    """The same round, whose sources say which run it is of."""
    sources: dict[str, Any] = {
        f"{name}_source": f"{record.name}: {getattr(run, f'{name}_source')}" for name in SOURCES
    }
    known = {name: (word, f"{record.name}: {source}") for name, (word, source) in run.known.items()}
    return replace(run, **sources, known=known)


def _own(run: RoundSpec, record: Record, flag: str) -> Any:
    """What the run has of an input."""
    if flag in NORMS:
        found = found_in(record, flag)
        return None if found is None else found.value
    value = getattr(run, flag, None)
    if value is None and flag in ("kappa", "padding", "success_probability"):
        return {
            "kappa": run.history.kappa,
            "padding": run.history.padding,
            "success_probability": run.history.success[0],
        }[flag]
    return value


def _read(
    settings: EstimateSettings, run: RoundSpec, known: dict[str, tuple[Evidence, str]]
) -> dict[str, Any]:
    """The readout: the run's shots, unless something else is said of how well u_T is read."""
    read = read_of(settings)
    if read["readout"] == SAMPLING and not {"shots", "readout_error"} & set(read):
        return read
    if "shots" not in read:
        known.pop("shots", None)
    return {"shots": None, **read}


def _map(
    run: RoundSpec, record: Record, settings: EstimateSettings,
    given: Mapping[str, Any], changed: set[str],
) -> dict[str, Any]:  # fmt: skip
    """Norms, spectrum and displacements of another map, as far as flags make it one."""
    told: dict[str, Any] = {}
    flags = {name: Found(given[name], Evidence.ASSUMED, f"setting `{name}`")
             for name in MAP if name in given}  # fmt: skip
    rate = flags.get("learning_rate") or Found(
        run.learning_rate, *run.known.get("learning_rate", UNTOLD)
    )
    seen = {
        end: Found(getattr(run, end), run.spectrum_evidence, run.spectrum_source)
        for end in SPECTRUM
    }
    if {*SPECTRUM} & set(given):
        told |= spectrum_of(rate, seen | {end: flags[end] for end in SPECTRUM if end in flags})
    if changed & {"n", "order", "steps", *MAP}:
        told |= {"grams": None}
    order = given.get("order", run.order)
    # a run whose own norms no machine could bear may have a shorter round that one can
    other = changed & ({"order", *MAP} if run.norms is not None else {"order", "steps", *MAP})
    if other:
        told["norms"] = None
    if other and names.NORM_EXTREMES in record.rows:
        kappa = Found(given["kappa"], Evidence.ASSUMED, "") if "kappa" in given else None
        norms = {name: flags.get(name) or found_in(record, name) for name in NORMS}
        ends = ends_of_norms(settings, record, {end: flags.get(end) for end in SPECTRUM})
        told |= norms_of(rate, norms, ends, kappa, order, higher_of(settings, record))
    if "n" in changed:
        for part in ("norms", "spectrum"):
            word = told.get(f"{part}_evidence", getattr(run, f"{part}_evidence"))
            source = told.get(f"{part}_source", getattr(run, f"{part}_source"))
            told |= _held(part, word, source, f"of n = {run.n:,}")
    return told


def _held(part: str, word: Evidence, source: str, of: str) -> dict[str, Any]:
    """What was known of another round, held where nothing is known of this one."""
    return {
        f"{part}_evidence": derived(word, Evidence.MODELLED),
        f"{part}_source": f"{source}; {of}, held",
    }


def _history(
    run: RoundSpec, given: Mapping[str, Any], changed: set[str], told: Mapping[str, Any]
) -> dict[str, Any]:
    """kappa, padding and success: of another round they follow from the norms where these are
    known; else those of the run are held, and no more than a model.
    """
    if run.kappa is None:  # the norms bound it, or a flag says it
        return {}
    moved = changed & {"n", "order", "steps", *MAP}
    if moved and told.get("norms", run.norms) is not None and "kappa" not in given:
        free = ("kappa", "padding", "success_probability")
        return {name: given.get(name) for name in free}
    if not moved | changed & {"padding"}:
        return {}
    of = f"of T = {run.steps}, order {run.order}, padding {run.padding}"
    found: dict[str, Any] = {}
    if "kappa" not in given:
        found |= _held("kappa", run.kappa_evidence, run.kappa_source, of)
    if "success_probability" not in given:
        found |= _held("success", run.success_evidence, run.success_source, of)
    return found


def _entries(run: RoundSpec, given: Mapping[str, Any], changed: set[str]) -> dict[str, Any]:
    """Entries a row, seen and needed: another segment needs others, another n a share of them."""
    told: dict[str, Any] = {}
    n, needed = given.get("n", run.n), run.needed_sparsity
    of = f"of n = {run.n:,}, T = {run.steps}, eta = {run.learning_rate:g}"
    longer = changed & {"order", "steps", "learning_rate"}
    if needed is not None and longer:
        told |= {"needed_sparsity": None}
    elif needed is not None and "n" in changed:
        told |= {"needed_sparsity": min(needed * n / run.n, float(n))}
        told |= _held("needed", run.needed_evidence, f"{run.needed_source}, times {n:,}/{run.n:,}",
                      of)  # fmt: skip
    if "sparsity" in given:
        return told
    told["sparsity"] = min(run.sparsity, n)
    is_seen = run.sparsity_evidence is not Evidence.ASSUMED
    if is_seen and ("n" in changed or (longer and run.sparsity_source == run.needed_source)):
        told |= _held("sparsity", run.sparsity_evidence, run.sparsity_source, of)
    return told
