"""The cheaper of the two engines that take any number of weights, for one segment."""

from __future__ import annotations

from qdescent._checks import ArgumentError
from qdescent.learning.descent.diverged import DivergedError
from qdescent.learning.taylor.gradient_series import GRADIENTS
from qdescent.training.engines.choices import ENGINES, FAST_FORWARD, SERIES
from qdescent.training.engines.path import Path, Upload

MOST_SPACE = 60  # the default `dimension` of `fast_forward`


def cheaper(upload: Upload, ahead: Upload, fresh_batches: bool) -> tuple[str, Path]:
    """Fast-forward where it does the segment, within its tolerance, for fewer gradients than the
    series would; else the series.

    Args:
        upload: where the segment starts.
        ahead: the same, as long as fast-forward is to try.
        fresh_batches: whether the batch changes from step to step.

    Returns:
        tuple: the engine's name and its path. What fast-forward took in vain is in the path's
            gradients.
    """
    spent, series = 0.0, 1 + GRADIENTS[upload.order] * ahead.longest
    try:
        ENGINES[FAST_FORWARD].check((upload.order,), upload.rule, fresh_batches)
    except ArgumentError:
        return SERIES, ENGINES[SERIES].follow(upload)
    try:
        forward = ENGINES[FAST_FORWARD].follow(ahead)
        spent = forward.gradients
        if spent < series:
            return FAST_FORWARD, forward
    except DivergedError:
        spent = GRADIENTS[1] * MOST_SPACE  # it gives up where its space is full
    path = ENGINES[SERIES].follow(upload)
    path.gradients += spent
    return SERIES, path
