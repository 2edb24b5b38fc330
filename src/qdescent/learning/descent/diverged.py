"""A training whose numbers left all bounds: an outcome of its settings, no slip of the caller."""

from __future__ import annotations

from qdescent._checks import ArgumentError, argument_error


class DivergedError(ArgumentError):
    """The loss or the weights are no longer finite, or the loss has exploded.

    Args:
        name: the setting to change.
        must: completes "must ..."; it says what to try.
        actual: its value.

    Example:
        >>> str(DivergedError("learning_rate", "keep the loss finite (try a tenth of it)", 3.0))
        'Argument `learning_rate` must keep the loss finite (try a tenth of it), but is 3.0.'
    """

    def __init__(self, name: str, must: str, actual: object) -> None:
        super().__init__(str(argument_error(name, must, actual)))
