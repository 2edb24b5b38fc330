"""The spectrum at a point, the authors' proxy E(t), and which layers hold the divergent modes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qdescent._evidence import Evidence, Row
from qdescent._random import named_generator
from qdescent.carleman.dissipation import diagnose
from qdescent.experiment.reproduce.truncation import Rule
from qdescent.experiment.run.curvature import spectrum_rows
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.masks import Mask
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.spectra.deflation import extreme_eigenpairs
from qdescent.linalg.spectra.density import spectral_density
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.rows import names

NEGATIVE = -0.1  # the authors count the modes below it


def spectrum_at(
    tasks: Task | Sequence[Task],
    space: ParameterSpace,
    theta: Tensor,
    rule: Rule,
    where: str,
    *,
    horizon: int,
    steps: int,
    probes: int,
    seed: int,
    on_step: Callable[[], None] = lambda: None,
) -> list[Row]:
    """The spectrum of the Hessian at theta, the verdict, and E(t) over kept and over all weights.

    Args:
        rule: the descent that the verdict is about.
        where: part of the rows' names: "step-0".
        horizon: of E(t).
    """
    spectrum = spectral_density(
        hessian(tasks, space, theta, check=False),
        steps,
        probes,
        seed,
        on_step=lambda _: on_step(),
    )
    batch = sum(each.batch for each in ([tasks] if isinstance(tasks, Task) else tasks))
    how = f"{probes} probes x {steps} Lanczos steps, {batch} samples"
    return verdict_rows(spectrum, space, rule, where, horizon, how)


def verdict_rows(
    spectrum: Spectrum, space: ParameterSpace, rule: Rule, place: str, horizon: int, how: str
) -> list[Row]:
    """The rows of a spectrum, and E(t) as the authors count it, pruned weights as zero modes."""
    diagnosis = diagnose(spectrum, rule.rate, rule.momentum, horizon, rule.decay)
    how = f"{how}; {rule}"
    rows = spectrum_rows(spectrum, diagnosis, how, f"{place}/")
    share = space.n / space.total
    every = (1 + share * (diagnosis.proxy - 1)).tolist()
    mass, error = spectrum.mass(-1e30, NEGATIVE)
    least = min(range(len(every)), key=every.__getitem__)
    crossed = next((t for t in range(1, len(every)) if every[t] > 1), len(every) - 1)
    return [
        *rows,
        Row(
            names.during(place, names.PROXY_ALL),
            every,
            "1",
            Evidence.MEASURED,
            "E(t) over all weights: pruned ones count as modes that stand still, 1 + (n/P)"
            f" (E_kept(t) - 1), n/P = {share:.6g}",
        ),
        Row(
            f"spectrum/{place}/below_a_tenth",
            mass,
            "1",
            Evidence.MEASURED,
            f"share of modes below {NEGATIVE:g}; {how}",
            error,
        ),
        Row(
            f"window/proxy/{place}/minimum",
            least,
            "steps",
            Evidence.MEASURED,
            f"t of the least E(t), of {len(every) - 1} steps; {how}",
        ),
        Row(
            f"window/proxy/{place}/above_1",
            crossed,
            "steps",
            Evidence.MEASURED,
            f"the first t with E(t) > 1, or the last of {len(every) - 1}; {how}",
        ),
    ]


def blocks_of(space: ParameterSpace) -> list[str]:
    """The network's parts with kept weights, by the first part of their names, in order."""
    return list(dict.fromkeys(name.partition(".")[0] for name in space.names))


def layer_rows(
    task: Task,
    space: ParameterSpace,
    theta: Tensor,
    where: str,
    steps: int,
    seed: int,
    on_step: Callable[[], None] = lambda: None,
) -> list[Row]:
    """How the modes with lambda < 0, which grow from step to step, are spread over the layers.

    A probe v of random signs on one layer's weights alone, zero elsewhere, sees v^T f(H) v, whose
    mean is sum_i f(lambda_i) |the part of mode i in the layer|^2. With f = lambda^2 below 0 and 0
    above, modes next to 0, whose side few products cannot tell, hardly count.

    Args:
        steps: Lanczos steps a layer.
    """
    operator = hessian(task, space, theta, check=False)
    strengths, weights = [], []
    blocks = blocks_of(space)
    for block in blocks:
        places = space.indices(block)
        draws = named_generator(seed, f"layer probe {block}")
        probe = torch.zeros(space.n, 1, dtype=theta.dtype, device=theta.device)
        signs = torch.randint(0, 2, (len(places),), generator=draws, device="cpu").to(probe) * 2 - 1
        probe[places.to(theta.device), 0] = signs
        spectrum = spectral_density(operator, steps, vectors=probe, on_step=lambda _: on_step())
        below = spectrum.nodes.clamp(max=0).square()
        strengths.append(float((spectrum.weights * below).sum()) * len(places))
        weights.append(len(places))
    total = sum(strengths)
    how = f"one probe x {steps} Lanczos steps a layer, {task.batch} samples"
    rows = [
        Row(f"layers/{where}/growing", total, "1", Evidence.MEASURED, f"sum of the next; {how}")
    ]
    for block, strength, count in zip(blocks, strengths, weights, strict=True):
        place = f"layers/{where}/{block}"
        source = f"sum over modes below 0 of lambda^2 |their part in this layer|^2; {how}"
        rows += [
            Row(f"{place}/weights", count, "weights", Evidence.EXACT, "kept in this layer"),
            Row(f"{place}/growing", strength, "1", Evidence.MEASURED, source),
            Row(
                f"{place}/of_all_growing",
                strength / total if total else 0.0,
                "1",
                Evidence.MEASURED,
                f"its share of that of all layers; {how}",
            ),
        ]
    return rows


def overlap_rows(
    task: Task,
    space: ParameterSpace,
    masks: dict[str, Mask],
    *,
    count: int,
    seed: int,
    on_product: Callable[[], None] = lambda: None,
) -> list[Row]:
    """What a mask keeps of the outermost eigenvectors of the dense network.

    Args:
        space: of all weights.
        masks: by a name for the rows.
        count: eigenvectors, half from each end.
    """
    operator = hessian(task, space, space.theta, check=False)
    pairs = extreme_eigenpairs(operator, count, seed=seed, on_product=on_product)
    rows = [
        Row(
            "overlap/values",
            pairs.values.tolist(),
            "1",
            Evidence.MEASURED,
            f"eigenvalues of the dense network's Hessian, {task.batch} samples",
            pairs.residuals.tolist(),
        )
    ]
    for name, mask in masks.items():
        kept = space.pack({part: keep.to(space.theta) for part, keep in mask.keep.items()})
        held = (pairs.vectors.square() * kept[:, None]).sum(0).tolist()
        rows.append(
            Row(
                f"overlap/{name}",
                held,
                "1",
                Evidence.EXACT,
                f"squared norm of each eigenvector on the {int(kept.sum()):,} weights of the mask"
                f" (a random one would keep {float(kept.mean()):.4g})",
            )
        )
    return rows
