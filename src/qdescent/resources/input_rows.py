"""The ledger's first rows: what was given, and what follows from it alone."""

from __future__ import annotations

import math

from qdescent._evidence import Evidence, Row
from qdescent.resources.round_spec import RoundSpec
from qdescent.rows import names


def input_rows(spec: RoundSpec) -> list[Row]:
    """The rows of what the round was said to be."""
    success = spec.success_probability
    return [
        assumed("logical/n", spec.n, "weights", "argument `n`, the kept weights"),
        assumed("logical/order", spec.order, "1", "argument `order`"),
        assumed("logical/steps", spec.steps, "steps", "argument `steps`"),
        modelled(
            "logical/useful_steps",
            spec.useful_steps,
            "steps",
            "ln(1/epsilon) / ln((kappa+1)/(kappa-1)): of a contraction with this kappa no more than"
            " epsilon is left after them",
        ),
        assumed("logical/padding", spec.padding, "steps", "argument `padding`"),
        Row(
            names.LEDGER_KAPPA,
            spec.kappa,
            "1",
            spec.kappa_evidence,
            spec.kappa_source,
        ),
        assumed("logical/alpha_over_norm", spec.alpha_over_norm, "1", "argument `alpha_over_norm`"),
        Row(
            "logical/sparsity",
            spec.sparsity,
            "1",
            spec.sparsity_evidence,
            spec.sparsity_source,
        ),
        (
            modelled(
                "logical/table_entries",
                spec.entries,
                "entries",
                "n s of F_1; F_2 and higher counted as no larger",
            )
            if spec.table_entries is None
            else assumed(
                "logical/table_entries", spec.entries, "entries", "argument `table_entries`"
            )
        ),
        assumed("logical/epsilon", spec.epsilon, "1", "argument `epsilon`, l2 error of one solve"),
        (
            assumed(
                "logical/success_probability",
                1.0,
                "1",
                "unknown: counted as 1, in favour of the quantum side",
            )
            if success is None
            else Row(
                "logical/success_probability",
                success,
                "1",
                spec.success_evidence,
                spec.success_source,
            )
        ),
        (
            modelled(
                "logical/value_bits",
                spec.value_bits,
                "bits",
                "rotation errors of all queries below epsilon",
            )
            if spec.angle_bits is None
            else assumed("logical/value_bits", spec.value_bits, "bits", "argument `angle_bits`")
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


def modelled(name: str, value: float | str, unit: str, source: str) -> Row:
    """A row of the ledger that follows from a model."""
    return Row(name, value, unit, Evidence.MODELLED, source)


def assumed(name: str, value: float | str, unit: str, source: str) -> Row:
    """A row of the ledger that is taken as given."""
    return Row(name, value, unit, Evidence.ASSUMED, source)
