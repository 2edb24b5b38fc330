"""The same round on a classical machine: FLOPs, bytes, seconds; and the classical work that the
quantum round needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdescent._checks import argument_error, check_instance
from qdescent.resources.physical import Accelerator
from qdescent.resources.round_spec import RoundSpec

FLOPS_A_MAC = 6  # forward, gradient by inputs, gradient by weights: two FLOPs each
# fp32, read for forward, backward and update, gradient written and read, weight written
BYTES_A_WEIGHT = 24


@dataclass(frozen=True)
class ClassicalCost:
    """T steps of (stochastic) gradient descent.

    Args:
        dense_flops: as dense hardware computes them, pruned weights included.
        kept_flops: kept weights only.
        weight_bytes: traffic of the weights; activations are not counted, in favour of neither FLOP
            figure.
        seconds: the longer of dense FLOPs and bytes on the machine.
        table_seconds: building the tables of one round by Hessian-vector products.
        upload_bytes: the tables and the displacement, sent to the quantum machine.
        readout_bits: the measured bits of all shots.
    """

    dense_flops: float
    kept_flops: float
    weight_bytes: float
    seconds: float
    table_seconds: float
    upload_bytes: float
    readout_bits: float


def classical_cost(spec: RoundSpec, machine: Accelerator | None = None) -> ClassicalCost:
    """Price the classical round: T x 6 FLOP x (multiply-adds of one sample) x batch.

    The quantum round's tables hold the Hessian of the kept weights: at least s Hessian-vector
    products (a product gives one number a row), each about two gradients. Steps beyond those that
    do something (`RoundSpec.useful_steps`) are not counted: the classical machine would stop, too.
    A fresh batch a step (SGD) would need T times that; one batch is counted.

    Args:
        spec: the round.
        machine: None is one A100.

    Raises:
        ArgumentError: the round takes longer on the machine than a float can hold.

    Example:
        >>> one = RoundSpec(
        ...     n=10, parameters=100, order=1, steps=2, padding=0, kappa=2.0, sparsity=3,
        ...     batch=5, forward_macs=1000
        ... )
        >>> cost = classical_cost(one)
        >>> cost.dense_flops, cost.kept_flops
        (60000.0, 6000.0)
    """
    check_instance("spec", spec, RoundSpec)
    machine = check_instance("machine", machine, Accelerator, optional=True) or Accelerator()
    by_density = spec.forward_macs * spec.n / spec.parameters
    kept_macs = by_density if spec.masked_macs is None else float(spec.masked_macs)
    gradient = float(FLOPS_A_MAC * spec.batch)
    steps = min(spec.steps, spec.useful_steps)
    dense = steps * gradient * spec.forward_macs
    weights = float(steps * BYTES_A_WEIGHT * spec.parameters)
    rate = machine.flops * machine.efficiency
    seconds = max(dense / rate, weights / machine.bandwidth)
    if not math.isfinite(seconds):
        raise argument_error(
            "machine", "finish the round in a finite time", f"{machine.flops:g} FLOP/s"
        )
    line = (spec.n.bit_length() + spec.value_bits) / 8
    return ClassicalCost(
        dense_flops=dense,
        kept_flops=steps * gradient * kept_macs,
        weight_bytes=weights,
        seconds=seconds,
        table_seconds=seconds / steps * 2 * spec.sparsity,
        upload_bytes=spec.entries * line + 4.0 * spec.n,
        readout_bits=float(spec.solves) * spec.n.bit_length(),
    )
