"""The operator whose spectrum is measured, over the batches of all processes, and how far its
products can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.experiment.spectrum.settings import FINITE_DIFFERENCES, SpectrumSettings
from qdescent.experiment.spectrum.subject import Subject
from qdescent.learning.curvature.finite_differences import finite_difference_hessian
from qdescent.learning.curvature.guard import as_checked
from qdescent.learning.curvature.hessian import check_operator, gauss_newton, hessian
from qdescent.learning.parallel.operators import data_parallel, weighted_over
from qdescent.learning.parallel.ranks import Ranks
from qdescent.linalg.operator import LinearOperator, product_error

CURVATURES: dict[str, Callable[..., LinearOperator]] = {
    "hessian": hessian,
    "gauss-newton": gauss_newton,
}


def curvature_operator(
    settings: SpectrumSettings, subject: Subject, ranks: Ranks, way: str = "auto"
) -> LinearOperator:
    """(n, n), the mean over the samples of all processes; they must make the same products in the
    same order; those of the Hessian by this way.
    """
    if settings.curvature == FINITE_DIFFERENCES:
        return finite_difference_hessian(_gradient(subject, ranks), subject.space.theta)
    build, space = CURVATURES[settings.curvature], subject.space
    precision = torch.bfloat16 if settings.precision == "bfloat16" else None
    chosen = {"method": way} if build is hessian else {}
    return data_parallel(
        lambda tasks: build(tasks, space, None, precision, check=False, **chosen),
        subject.tasks,
        space,
        ranks,
    )


def in_float32(settings: SpectrumSettings) -> SpectrumSettings:
    """The same settings with products that are not rounded to bfloat16."""
    return replace(settings, precision="float32") if settings.precision == "bfloat16" else settings


def checked_operator(
    settings: SpectrumSettings, subject: Subject, operator: LinearOperator, ranks: Ranks
) -> tuple[LinearOperator, list[Row]]:
    """One product beside the loss moved in float64: an operation that hides its second derivative
    shows here only.

    Returns:
        (LinearOperator, list): the operator as it was seen (`as_checked`); the check.

    Raises:
        ArgumentError: the products are not those of the loss.
    """
    if settings.curvature == FINITE_DIFFERENCES:
        return operator, []
    checked = check_operator(
        settings.curvature,
        operator,
        weighted_over(subject.tasks, ranks),
        subject.space,
        None,
        None if ranks.size == 1 else ranks.total,
    )
    source = f"||A v - what the moved loss says|| / ||A v|| for one random v: {checked.how}"
    row = Row("spectrum/product_check", checked.difference, "1", Evidence.MEASURED, source)
    return as_checked(operator, checked), [row]


def error_rows(
    settings: SpectrumSettings, subject: Subject, operator: LinearOperator, ranks: Ranks
) -> list[Row]:
    """What bfloat16 costs: one product beside its float32 twin; what finite differences cost:
    beside twice the step.
    """
    directions = _random_direction(settings, subject, "precision")[:, None]
    if settings.precision == "bfloat16":
        reference = curvature_operator(in_float32(settings), subject, ranks)
        source = "||(H_bf16 - H_fp32) v|| / ||H_fp32 v|| for one random v"
    elif settings.curvature == FINITE_DIFFERENCES:
        theta = subject.space.theta
        step = 2 * torch.finfo(theta.dtype).eps ** (1 / 3)
        reference = finite_difference_hessian(_gradient(subject, ranks), theta, step)
        # along the outliers truncation is far larger than along a random direction
        outer = operator @ (operator @ directions)
        directions = torch.cat([directions, outer], dim=1)
        advice = "" if settings.precision == "float64" else "; --precision float64 makes it smaller"
        source = (
            "||(H_h - H_2h) v|| / ||H_2h v||, steps h and 2h, the larger of a random v and of H H"
            f" v{advice}"
        )
    else:
        return []
    _, error = product_error(operator, reference, directions)
    return [Row("spectrum/product_error", error, "1", Evidence.MEASURED, source)]


def _random_direction(settings: SpectrumSettings, subject: Subject, purpose: str) -> Tensor:
    return torch.randn(
        subject.space.n, generator=named_generator(settings.seed, purpose), device="cpu"
    ).to(subject.space.theta)


def _gradient(subject: Subject, ranks: Ranks) -> Callable[[Tensor], Tensor]:
    """theta (n,) -> the gradient of the loss over all processes' batches, (n,)."""
    parts = weighted_over(subject.tasks, ranks)

    def gradient(theta: Tensor) -> Tensor:
        part = torch.zeros_like(theta)
        for task, weight in parts:
            part.add_(task.loss_and_gradient(subject.space, theta)[1], alpha=weight)
        return ranks.total(part)

    return gradient
