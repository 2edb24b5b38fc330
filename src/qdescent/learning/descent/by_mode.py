"""The update rule in one mode of the curvature."""

from __future__ import annotations

from qdescent._checks import check_boolean, check_instance
from qdescent.learning.descent.sgd import SGD
from qdescent.linalg.reduced_model import Recurrence


def recurrence_of(rule: SGD, begun: bool) -> Recurrence:
    """What a step does in a mode, whose eigenvalue holds the rule's `decay_within`.

    Args:
        rule: the rule.
        begun: whether there was a step before: without one the first velocity is the gradient
            itself, without dampening.

    Example:
        >>> recurrence_of(SGD(0.1, momentum=0.9, nesterov=True), begun=True).along
        0.9
    """
    check_instance("rule", rule, SGD)
    begun = check_boolean("begun", begun)
    if not rule.momentum:
        return Recurrence(rule.learning_rate)
    gain = 1.0 - rule.dampening
    return Recurrence(
        rule.learning_rate,
        rule.momentum,
        gain,
        first_gain=gain if begun else 1.0,
        along=rule.momentum if rule.nesterov else 1.0,
        aside=float(rule.nesterov),
        shrink=rule.decay_apart,
    )
