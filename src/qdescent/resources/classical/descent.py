"""The same round on a classical machine, best way first; and the classical work that the quantum
round needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdescent._checks import argument_error, check_instance
from qdescent.resources.classical.machines import A100, Accelerator
from qdescent.resources.round_spec import RoundSpec

FLOPS_A_MAC = 6  # forward, gradient by inputs, gradient by weights: two FLOPs each
# fp32, read for forward, backward and update, gradient written and read, weight written
BYTES_A_WEIGHT = 24
GRADIENTS_A_PRODUCT = 2  # a Hessian-vector product; 1.8 were measured, docs/benchmarks.md
MOMENTUM = 0.9  # the paper's
PLAIN, FAST_FORWARD, HEAVY_BALL = "plain", "fast_forward", "momentum"
# order, distance to the order-N series that was asked for, gradients: measured on 7 million weights
# at any T (benchmarks/results/fast_forward.json)
FORWARDED = ((1, 1e-3, 8.2), (2, 8e-3, 15.8), (2, 1e-3, 21.6))


@dataclass(frozen=True)
class ClassicalWay:
    """A way to move the weights as T steps of gradient descent do.

    Args:
        name: as rows name it.
        gradients: what it takes.
        is_same: whether it ends in the same displacement; momentum only goes as far.
        source: of the number.
    """

    name: str
    gradients: float
    is_same: bool
    source: str


@dataclass(frozen=True)
class ClassicalCost:
    """The round on one machine.

    Args:
        ways: best first.
        gradient_seconds: of one gradient: the longer of dense FLOPs and bytes on the machine.
        dense_flops: of the best way, as dense hardware computes them, pruned weights included.
        kept_flops: kept weights only.
        weight_bytes: traffic of the weights; activations are not counted, in favour of neither FLOP
            figure.
        seconds: of the best way.
        table_seconds: building the tables of one round by Hessian-vector products.
        upload_bytes: the tables and the displacement, sent to the quantum machine.
        upload_seconds: the same at the machine's own bandwidth, in favour of the quantum side.
        readout_bits: the measured bits of all shots.
    """

    ways: tuple[ClassicalWay, ...]
    gradient_seconds: float
    dense_flops: float
    kept_flops: float
    weight_bytes: float
    seconds: float
    table_seconds: float
    upload_bytes: float
    upload_seconds: float
    readout_bits: float

    @property
    def best(self) -> ClassicalWay:
        """The one of fewest gradients that ends in the same displacement."""
        return min((way for way in self.ways if way.is_same), key=lambda way: way.gradients)


def forwarded(spec: RoundSpec) -> ClassicalWay:
    """A segment without its steps, as accurate as what the quantum round gives back
    (`RoundSpec.round_error`): with the fewest gradients that were measured to be so.

    Beyond order 2, and below what was asked for in any measurement, it does not end in the same
    displacement.
    """
    given = spec.fast_forward_gradients
    if given is not None:
        return ClassicalWay(FAST_FORWARD, given, True, "argument `fast_forward_gradients`")
    order, wanted = min(spec.order, 2), spec.round_error
    known = [(kept, gradients) for at, kept, gradients in FORWARDED if at == order]
    enough = [each for each in known if each[0] <= wanted]
    kept, gradients = max(enough) if enough else min(known)
    source = (
        f"measured on 7 million weights, order {order}, any T, to {100 * kept:g} % of the order's"
        f" own displacement; the quantum round comes back to {100 * wanted:.3g} %"
    )
    if not enough:
        return ClassicalWay(FAST_FORWARD, gradients, False, f"{source}, which nobody measured")
    if spec.order > order:
        return ClassicalWay(FAST_FORWARD, gradients, False, f"{source}, of order {spec.order}")
    return ClassicalWay(FAST_FORWARD, gradients, True, source)


def classical_ways(spec: RoundSpec) -> tuple[ClassicalWay, ...]:
    """T plain steps, a segment fast-forwarded, heavy-ball momentum; best first.

    Example:
        >>> one = RoundSpec(
        ...     n=10, parameters=100, order=2, steps=200, padding=0, kappa=2e3, sparsity=3,
        ...     batch=5, forward_macs=1000
        ... )
        >>> [(way.name, way.gradients) for way in classical_ways(one)]
        [('fast_forward', 15.8), ('momentum', 30.0), ('plain', 200.0)]
    """
    steps = float(min(spec.steps, spec.useful_steps))
    ways = [
        ClassicalWay(PLAIN, steps, True, "T gradients, T at most useful_steps"),
        forwarded(spec),
        ClassicalWay(
            HEAVY_BALL,
            steps * (1 - MOMENTUM) + 1 / (1 - MOMENTUM),
            False,
            "T (1 - beta) + 1/(1 - beta) gradients at beta = .9: as far along flat directions, not"
            " the same displacement",
        ),
    ]
    if spec.fresh_batches:  # no fixed Hessian: nothing to fast-forward by
        del ways[1]
    return tuple(sorted(ways, key=lambda way: way.gradients))


def classical_cost(spec: RoundSpec, machine: Accelerator | None = None) -> ClassicalCost:
    """Price the classical round: gradients x 6 FLOP x (multiply-adds of one sample) x batch.

    The quantum round's tables hold the Hessian of the kept weights: at least s Hessian-vector
    products (a product gives one number a row), each about two gradients. Steps beyond those that
    do something (`RoundSpec.useful_steps`) are not counted: the classical machine would stop, too.
    A fresh batch a step makes T times as many tables.

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
        >>> cost.dense_flops, cost.kept_flops, cost.table_seconds / cost.gradient_seconds
        (60000.0, 6000.0, 6.0)
    """
    check_instance("spec", spec, RoundSpec)
    machine = check_instance("machine", machine, Accelerator, optional=True) or A100
    by_density = spec.forward_macs * spec.n / spec.parameters
    kept_macs = by_density if spec.masked_macs is None else float(spec.masked_macs)
    flops = float(FLOPS_A_MAC * spec.batch)
    ways = classical_ways(spec)
    traffic = float(BYTES_A_WEIGHT * spec.parameters)
    gradient = max(flops * spec.forward_macs / machine.rate, traffic / machine.bandwidth)
    best = min(way.gradients for way in ways if way.is_same)
    batches = spec.steps if spec.fresh_batches else 1
    tables = gradient * GRADIENTS_A_PRODUCT * spec.sparsity * batches
    upload = spec.entries * (spec.n.bit_length() + LINE_BITS) / 8 + 4.0 * spec.n
    cost = ClassicalCost(
        ways=ways,
        gradient_seconds=gradient,
        dense_flops=best * flops * spec.forward_macs,
        kept_flops=best * flops * kept_macs,
        weight_bytes=best * traffic,
        seconds=best * gradient,
        table_seconds=tables,
        upload_bytes=upload,
        upload_seconds=upload / machine.bandwidth,
        readout_bits=float(spec.copies) * spec.n.bit_length(),
    )
    if not math.isfinite(cost.seconds + cost.table_seconds + cost.upload_seconds):
        raise argument_error(
            "machine", "finish the round in a finite time", f"{machine.flops:g} FLOP/s"
        )
    return cost


LINE_BITS = 32  # of a value beside its index
