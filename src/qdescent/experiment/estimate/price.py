"""`qdescent.price`: the ledger of whatever says what a round is."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

from qdescent._checks import ArgumentError, argument_error, check_boolean, check_instance, shown
from qdescent._evidence import Evidence, Row
from qdescent.experiment.estimate.as_given import as_given
from qdescent.experiment.estimate.counted import circuit_of
from qdescent.experiment.estimate.inputs import read_run
from qdescent.experiment.estimate.priced_round import priced_of
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.report.record import Record
from qdescent.resources.classical.machines import Accelerator
from qdescent.resources.ledger import Ledger, ledger_of
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.ways.circuit import CountedCircuit
from qdescent.rows import names
from qdescent.rows.collection import Rows
from qdescent.solvers.segment.map_segment import MapSegment
from qdescent.solvers.solve import Solution

# settings of the command line that are no inputs of a round
_APART = ("from_", "error_rate", "cycle_time_ns", "budget", "machine", "sweep", "card")
CALLED = "a RoundSpec, a run (its directory or Record), a Spectrum, or what a circuit returned"


def price(
    what: RoundSpec | Record | str | os.PathLike[str] | Spectrum | Solution | MapSegment,
    architecture: SurfaceCode | None = None,
    accelerator: Accelerator | None = None,
    region: bool = False,
    **inputs: Any,
) -> Ledger:
    """Price one round (upload, T steps, readout): the best quantum way beside the best classical.

        quantum time = copies x runs x run on the surface code + tables made and sent classically,
        classical time = gradients x 6 FLOP x multiply-adds x batch at a sustained rate.

    Every way (`resources/ways/`) is priced with every loader that works one gate after another, and
    the shortest round counts; a bucket-brigade QRAM, which no fault-tolerant estimator knows, gets
    a time at best: its layers of gates, each taking one logical cycle; an oracle, whose look-ups
    take nothing, stands beside them as assumed, and is never what is built. Classically it is the
    fewer of T gradients and those of a fast-forwarded segment. What is unknown is counted in favour
    of the quantum side, so that "no advantage" is safe to say and "advantage" is to be read with
    the evidence column.

    Args:
        what: the round. A `RoundSpec` says all of it. Of a run (its directory, or `read_record` of
            it) what was measured there is used, and marked so, as `qdescent estimate --from` does;
            of a `Spectrum` its size and its ends, at order 1. Of what `solve` or `fast_forward_map`
            returned with a circuit its gates, as they were counted, and its success stand as one
            way more, `ways/circuit`, beside the others for the same map; what was counted is under
            `circuit/`; the directory of `qdescent circuit`, or its record, says the same.
        architecture: None is `SurfaceCode()`.
        accelerator: the classical machine; None is one A100.
        region: break-even and tenfold change of every input, other machines, energy and money, and
            what others found, too; a circuit stands apart from them.
        **inputs: of a run or a spectrum what shall stand in the place of what was found, by the
            names of the flags of `qdescent estimate`: `steps=100`, `learning_rate=0.01`.

    Returns:
        Ledger: its rows, and the verdict as one sentence.

    Raises:
        ArgumentError: the architecture can go none of the ways within its budget (a kappa beyond
            1e40 to 1e60, by the size, and nothing to fast-forward by: no distillation is that
            good); inputs that contradict each other; a circuit of something else than a history or
            a segment.

    Cost:
        Some tenths of a second after Qualtran's import, at any n; with `norms` their search. Of a
        circuit a walk through its call graph.

    References:
        Hoefler, Haener, Troyer, arXiv:2307.00523 (what to compare); Liu et al., Nat. Commun. 15,
        434 (2024).

    Example:
        >>> ledger = price(
        ...     RoundSpec(
        ...         n=10**4, parameters=10**5, order=2, steps=20, padding=0, kappa=40.0,
        ...         sparsity=100, batch=512, forward_macs=10**6, shots=10**6
        ...     )
        ... )
        >>> ledger.verdict.startswith("No advantage at this size")
        True
        >>> ledger.rows["logical/solves"].value
        2000000
    """
    region = check_boolean("region", region)
    check_instance("architecture", architecture, SurfaceCode, optional=True)
    check_instance("accelerator", accelerator, Accelerator, optional=True)
    spec, circuit = _round(what, inputs)
    try:
        return ledger_of(spec, architecture, accelerator, region=region, circuit=circuit)
    except ArgumentError as error:
        raise error.called(spec="what", machine="accelerator") from None


def _round(what: Any, inputs: dict[str, Any]) -> tuple[RoundSpec, CountedCircuit | None]:
    """The round, and its circuit where one was run."""
    if isinstance(what, (RoundSpec, Solution, MapSegment)):
        for name, value in inputs.items():
            raise argument_error(name, f"be left out beside a {type(what).__name__}", shown(value))
        return (what, None) if isinstance(what, RoundSpec) else circuit_of(what)
    known = [each.name for each in fields(EstimateSettings) if each.name not in _APART]
    for name, value in inputs.items():
        if name not in known:
            raise argument_error(name, f"be one of {', '.join(known)}", shown(value))
    settings, record = EstimateSettings(**inputs), _read(what)
    try:
        spec, circuit = priced_of(settings, record, "what")
        _ = spec.history  # found, or refused by the input that it follows from
    except ArgumentError as error:
        raise as_given(error, settings, lambda tried: priced_of(tried, record)[0].history) from None
    return spec, circuit


def _read(what: Any) -> Record:
    """The rows that say what a round is."""
    if isinstance(what, Record):
        return what
    if isinstance(what, Spectrum):
        return _record(what)
    if isinstance(what, (str, os.PathLike)) and str(what):
        return read_run(what, "what")
    raise argument_error("what", f"be {CALLED}", shown(what))


def _record(spectrum: Spectrum) -> Record:
    """What a spectrum says of a round."""
    exact, measured = Evidence.EXACT, Evidence.MEASURED
    rows = [Row(names.NETWORK_KEPT, spectrum.size, "weights", exact, "dimension of the operator")]
    for name in (names.LAMBDA_MIN, names.LAMBDA_MAX):
        value, error = getattr(spectrum, name.rpartition("/")[2])
        rows.append(Row(name, value, "1", measured, "Ritz value and its residual", error))
    return Record("the spectrum", {}, 0, {}, Rows(rows))
