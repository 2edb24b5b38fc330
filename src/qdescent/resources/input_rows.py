"""The ledger's first rows: what was given, and what follows from it alone."""

from __future__ import annotations

import math

from qdescent._evidence import Evidence, Row, Value
from qdescent.linalg.spectra.needed_entries import needed_entries
from qdescent.resources.round_spec import RoundSpec
from qdescent.resources.spec_fields import word_of
from qdescent.rows import names


def input_rows(spec: RoundSpec) -> list[Row]:
    """The rows of what the round was said to be."""
    history = spec.history
    success, word, source = history.success
    rows = [
        said(spec, "n", "weights", "argument `n`, the kept weights"),
        said(spec, "parameters", "weights", "argument `parameters`"),
        said(spec, "batch", "samples", "argument `batch`"),
        said(spec, "forward_macs", "multiply-adds", "argument `forward_macs`, of one sample"),
        said(spec, "order", "1", "argument `order`"),
        said(spec, "steps", "steps", "argument `steps`"),
        modelled(
            "logical/useful_steps",
            spec.useful_steps,
            "steps",
            "ln(1/epsilon) / ln((kappa+1)/(kappa-1)): of a contraction with this kappa no more than"
            " epsilon is left after them",
        ),
        Row(
            "logical/padding",
            history.padding,
            "steps",
            Evidence.MODELLED
            if spec.kappa is None and spec.padding is None
            else word_of(spec.known, "padding"),
            history.padding_source,
        ),
        Row(names.LEDGER_KAPPA, history.kappa, "1", history.kappa_evidence, history.kappa_source),
    ]
    if spec.kappa is None:  # of a kappa that was given nobody knows the unit
        plain = spec.plain_history
        rows += [
            Row(names.LEDGER_PLAIN_KAPPA, plain.kappa, "1", plain.kappa_evidence,
                plain.kappa_source),
            modelled("logical/scale", history.scale, "1", "gamma of fewest queries"),
        ]  # fmt: skip
    if (given := spec.norms) is not None:
        rows += [
            Row(f"logical/norm_F_{k}", norm, "1", spec.norms_evidence, spec.norms_source)
            for k, norm in enumerate((given.constant, given.linear, *given.higher))
        ]
    if spec.learning_rate is not None:
        rows.append(said(spec, "learning_rate", "1", "argument `learning_rate`"))
        for name in ("lambda_min", "lambda_max"):
            value = getattr(spec, name)
            rows.append(
                Row(names.LOGICAL + name, value, "1", spec.spectrum_evidence, spec.spectrum_source)
            )
    rows += [
        said(spec, "alpha_over_norm", "1", "argument `alpha_over_norm`"),
        Row(
            names.LEDGER_SPARSITY, spec.sparsity, "1", spec.sparsity_evidence, spec.sparsity_source
        ),
        *needed_rows(spec),
        modelled("logical/table_entries", spec.entries, "entries", _entries_source(spec)),
        said(spec, "epsilon", "1", "argument `epsilon`, l2 error of one solve"),
        (
            assumed("logical/readout_error", spec.readout_error, "1", "argument `readout_error`")
            if spec.shots is None
            else modelled(
                "logical/readout_error",
                spec.reached_error,
                "1",
                f"sqrt(m/(4 S)), what the {spec.shots:,} `shots` come to",
            )
        ),
        modelled(
            "logical/round_error",
            spec.round_error,
            "1",
            "epsilon + readout_error: of the displacement that comes back, beside the order-N"
            " solution",
        ),
        (
            assumed(
                "logical/success_probability",
                1.0,
                "1",
                "unknown: counted as 1, in favour of the quantum side",
            )
            if success is None
            else Row("logical/success_probability", success, "1", word, source)
        ),
        modelled(
            "logical/log2_lifted_dimension",
            math.log2(spec.lifted_dimension),
            "bits",
            "sum_j (n+1)^j, homogenised Carleman",
        ),
        modelled(
            "logical/log2_history_dimension",
            math.log2(spec.history_dimension),
            "bits",
            "(T+p+1) sum_j (n+1)^j",
        ),
    ]
    return rows


def needed_rows(spec: RoundSpec) -> list[Row]:
    """The non-zeros a row that a segment to within 1 % asks for: given, or by the law of stored
    Hessians; none where no learning rate says how long it is.
    """
    given = spec.needed_sparsity
    if given is not None:
        return [Row(names.NEEDED_ENTRIES, given, "entries", spec.needed_evidence,
                    spec.needed_source)]  # fmt: skip
    if spec.learning_rate is None:
        return []
    law = needed_entries(spec.n, spec.learning_rate * spec.steps)
    return [law.row(names.NEEDED_ENTRIES)]


def _entries_source(spec: RoundSpec) -> str:
    if len(spec.colours) == 1:
        what = "n s of F_1" + ("" if spec.order == 1 else "; F_2 and higher loaded for nothing")
    else:
        given = spec.coupling_sparsity is not None
        pairs = "argument `coupling_sparsity`" if given else "s^2, all pairs of a row's neighbours"
        what = f"n (s + s_2) of F_1 and F_2, s_2 = {spec.colours[1]:.6g}: {pairs}"
        if spec.order > 2:
            what = (
                f"n (s + s_2 + ...) of F_1 to F_{spec.order}, s_2 = {spec.colours[1]:.6g}: {pairs};"
                " s_k = s_2^(k/2), all whose pairs are F_2's"
            )
    return what + (f"; a table for each of {spec.steps} steps" if spec.fresh_batches else "")


def said(spec: RoundSpec, name: str, unit: str, source: str) -> Row:
    """The row of an input, as it is known."""
    word, source = spec.known.get(name, (Evidence.ASSUMED, source))
    return Row(names.LOGICAL + name, getattr(spec, name), unit, word, source)


def modelled(name: str, value: Value, unit: str, source: str) -> Row:
    """A row of the ledger that follows from a model."""
    return Row(name, value, unit, Evidence.MODELLED, source)


def assumed(name: str, value: Value, unit: str, source: str) -> Row:
    """A row of the ledger that is taken as given."""
    return Row(name, value, unit, Evidence.ASSUMED, source)
