"""Every number that the price has built in, as a row: how it is known, and from where."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from qdescent._evidence import Evidence, Row, Value
from qdescent.quantum.algorithms import sharpening
from qdescent.resources import ledger_rows
from qdescent.resources.classical import descent
from qdescent.resources.classical.machines import MACHINES, Accelerator
from qdescent.resources.physical import closed_form, platforms
from qdescent.resources.physical.energy import Upkeep
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.round_spec import READS, RoundSpec
from qdescent.resources.spec_fields import word_of
from qdescent.resources.ways import priced, queries, segment_plan
from qdescent.rows import names

A, M, X, C = Evidence.ASSUMED, Evidence.MEASURED, Evidence.EXACT, Evidence.MODELLED
Said = tuple[str, Value, str, Evidence, str]  # name, value, unit, word, source
_SHEET = "the maker's data sheet, FP32 without tensor cores"
_CODE = "Beverland et al., arXiv:2211.07629"


def constant_rows(spec: RoundSpec, machine: SurfaceCode, classical: Accelerator) -> list[Row]:
    """The rows of the section "constants/", each named as in the code.

    Args:
        spec: the round.
        machine: the quantum one.
        classical: the other.

    Example:
        >>> from qdescent.resources.classical.machines import A100
        >>> one = RoundSpec(
        ...     n=100, parameters=1000, order=1, steps=9, padding=0, kappa=20.0, sparsity=5,
        ...     batch=5, forward_macs=1000
        ... )
        >>> rows = constant_rows(one, SurfaceCode(), A100)
        >>> [(row.name, row.value) for row in rows[:2]]
        [('constants/flops_a_mac', 6), ('constants/bytes_a_weight', 24)]
    """
    said: list[Said] = [
        ("flops_a_mac", descent.FLOPS_A_MAC, "FLOP", X,
         "of a gradient: forward, by inputs, by weights, two each"),
        ("bytes_a_weight", descent.BYTES_A_WEIGHT, "B", A,
         "fp32, read three times and written, its gradient written and read"),
        ("gradients_a_product", descent.GRADIENTS_A_PRODUCT, "gradients", A,
         "of a product with the Hessian; 1.8 were measured, docs/benchmarks.md"),
        ("momentum", descent.MOMENTUM, "1", A, "the paper's"),
        ("line_bits", descent.LINE_BITS, "bits", A, "fp32 beside an index"),
        ("reads", READS, "1", A, "shots for magnitudes, and as many for signs"),
        ("signal", priced.SIGNAL, "logical qubits", X,
         "signal, padding and choice of a transform, as the circuits have them"),
        ("subnormalisation", sharpening.SUBNORMALISATION, "1", X,
         "of the circuits' polynomials"),
        ("nodes_share", segment_plan.NODES_SHARE, "1", C,
         "of the tolerance at order 2, of any start: fits the solver's plans to 15 %"),
        ("wasted", sharpening.WASTED, "1", X, "supremum over |p| from which circuits end p early"),
        ("worth", sharpening.WORTH, "1", X, "the same from which circuits try a sharper start"),
        ("costa_proven", queries.COSTA_PROVEN, "1", Evidence.BOUNDED,
         "arXiv:2111.08152, quoted from a summary"),
        ("costa_measured", queries.COSTA_MEASURED, "1", A,
         "arXiv:2312.07690, of random matrices, measured by others"),
        ("clock_law", queries.CLOCK_LAW, "1", M,
         "values of a clock a kappa/sqrt(error), measured on clocks of up to 7 bits"),
        ("least_clock", queries.LEAST_CLOCK, "1", M, "of the same, the least that serves"),
        ("edge", queries.EDGE, "1", M, "(t/2)^(1/3) beyond t: order of an evolution's polynomial"),
        ("uneven", [share for ends in ledger_rows.UNEVEN.values() for share in ends], "1", M,
         f"least and most of a query that circuits with rows of 1 to s entries had: "
         f"{', '.join(ledger_rows.UNEVEN)} (benchmarks/uneven_rows.py)"),
        ("error_rate", machine.error_rate, "1", A, f"argument; {_CODE}"),
        ("cycle_time_ns", machine.cycle_time_ns, "ns", A, f"argument; {_CODE}"),
        ("budget", machine.budget, "1", A, "argument; chance that a run fails"),
        ("prefactor", closed_form.PREFACTOR, "1", A, f".03 (p/.01)^((d+1)/2): {_CODE}"),
        ("threshold", closed_form.THRESHOLD, "1", A, f"the same: {_CODE}"),
        ("synthesis", closed_form.SYNTHESIS, "T gates", A,
         "beside .53 log2 of a rotation's error: the estimator's, 5.3 in its paper"),
        ("rounds", closed_form.ROUNDS, "1", A, "of 15-to-1 distillation, the estimator's most"),
        ("largest_distance", closed_form.LARGEST_DISTANCE, "1", A,
         "of a code; beyond it a machine counts as out of reach"),
        ("reaction_seconds", platforms.REACTION_SECONDS, "s", A,
         "decode and react: Gidney, Ekera, arXiv:1905.09749"),
        ("routing", platforms.ROUTING, "1", A, "tiles a logical qubit, as qualtran's model has"),
        ("alpha_over_norm", spec.alpha_over_norm, "1", word_of(spec.known, "alpha_over_norm"),
         "the largest of small instances, benchmarks/block_encodings.py"),
        ("epsilon", spec.epsilon, "1", A, "argument; l2 error of a solve"),
        ("readout_error", spec.reached_error, "1", A, "argument; l2 error of what is read"),
        ("forwarded", [each for _, _, each in descent.FORWARDED], "gradients", A,
         "of a classical segment without its steps, orders 1, 2, 2; measured on one network of 7"
         " million weights"),
        ("forwarded_errors", [each for _, each, _ in descent.FORWARDED], "1", A,
         "to which these were asked for, beside the order's own displacement"),
    ]  # fmt: skip
    kept = Upkeep()
    units = ("W a physical qubit", "dollars a physical qubit", "years", "1", "dollars a kWh")
    known = (
        "10^12 to 10^13 J for 10^5 qubits and 10^6 s in arXiv:2502.11239; 25 W are drawn by an"
        " annealer of 1,000",
        "nobody has published what an error-corrected machine's cost; an annealer of 2,048 was sold"
        " at 7,300 each",
        "of a machine's life",
        "share of a year",
        "wholesale to retail",
    )
    upkeep: list[Said] = [
        (f"upkeep_{field.name}", _plain(getattr(kept, field.name)), unit, A, source)
        for field, unit, source in zip(fields(kept), units, known, strict=True)
    ]
    return [
        Row(f"{names.CONSTANTS}{name}", value, unit, evidence, source)
        for name, value, unit, evidence, source in (*said, *upkeep, *_machines(classical))
    ]


def _machines(own: Accelerator) -> list[Said]:
    """Of the classical machine, and of those beside it."""
    found: list[Said] = []
    for each in dict.fromkeys((own, *MACHINES)):
        measured = each.evidence is M
        rate = "measured in a second" if measured else _SHEET
        what = (
            ("flops", "FLOP/s", each.evidence, rate),
            ("bandwidth", "B/s", each.evidence, rate),
            ("efficiency", "1", each.evidence, "sustained" if measured else
             "utilisations of 21 to 46 % in PaLM, arXiv:2204.02311"),
            ("watts", "W", A, "least, most: the board's limit, and its share of a server"),
            ("dollars_an_hour", "dollars/h", A, "least, most: price lists of 2024 and 2025"),
        )  # fmt: skip
        for name, unit, evidence, source in what:
            value = _plain(getattr(each, name))
            found.append((f"accelerator_{name}/{each.name}", value, unit, evidence, source))
    return found


def _plain(value: Any) -> Value:
    return list(value) if isinstance(value, tuple) else value
