"""The ledger's first rows: what was given, and what follows from it alone."""

from __future__ import annotations

import math

from qdescent._evidence import Evidence, Row
from qdescent.resources.instance import Instance


def input_rows(instance: Instance) -> list[Row]:
    """The rows of what the round was said to be."""
    success = instance.success_probability
    return [
        assumed("logical/n", instance.n, "weights", "argument `n`, the kept weights"),
        assumed("logical/order", instance.order, "1", "argument `order`"),
        assumed("logical/steps", instance.steps, "steps", "argument `steps`"),
        modelled(
            "logical/useful_steps",
            instance.useful_steps,
            "steps",
            "ln(1/epsilon) / ln((kappa+1)/(kappa-1)): of a contraction with this kappa no more than"
            " epsilon is left after them",
        ),
        assumed("logical/padding", instance.padding, "steps", "argument `padding`"),
        Row(
            "ledger/logical/kappa",
            instance.kappa,
            "1",
            instance.kappa_evidence,
            instance.kappa_source,
        ),
        assumed(
            "logical/alpha_over_norm", instance.alpha_over_norm, "1", "argument `alpha_over_norm`"
        ),
        Row(
            "ledger/logical/sparsity",
            instance.sparsity,
            "1",
            instance.sparsity_evidence,
            instance.sparsity_source,
        ),
        (
            modelled(
                "logical/table_entries",
                instance.entries,
                "entries",
                "n s of F_1; F_2 and higher counted as no larger",
            )
            if instance.table_entries is None
            else assumed(
                "logical/table_entries", instance.entries, "entries", "argument `table_entries`"
            )
        ),
        assumed(
            "logical/epsilon", instance.epsilon, "1", "argument `epsilon`, l2 error of one solve"
        ),
        (
            assumed(
                "logical/success_probability",
                1.0,
                "1",
                "unknown: counted as 1, in favour of the quantum side",
            )
            if success is None
            else Row(
                "ledger/logical/success_probability",
                success,
                "1",
                instance.success_evidence,
                instance.success_source,
            )
        ),
        (
            modelled(
                "logical/value_bits",
                instance.value_bits,
                "bits",
                "rotation errors of all queries below epsilon",
            )
            if instance.angle_bits is None
            else assumed("logical/value_bits", instance.value_bits, "bits", "argument `angle_bits`")
        ),
        modelled(
            "logical/log2_lifted_dimension",
            math.log2(instance.lifted_dimension),
            "bits",
            "sum_j (n+1)^j, homogenised Carleman",
        ),
        modelled(
            "logical/log2_history_dimension",
            math.log2(instance.history_dimension),
            "bits",
            "(T+p+1) sum_j (n+1)^j",
        ),
    ]


def modelled(name: str, value: float | str, unit: str, source: str) -> Row:
    """A row of the ledger that follows from a model."""
    return Row(f"ledger/{name}", value, unit, Evidence.MODELLED, source)


def assumed(name: str, value: float | str, unit: str, source: str) -> Row:
    """A row of the ledger that is taken as given."""
    return Row(f"ledger/{name}", value, unit, Evidence.ASSUMED, source)
