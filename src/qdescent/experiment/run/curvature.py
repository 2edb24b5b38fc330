"""Stage (d) of the main job: the Hessian spectrum of the kept weights before and after, and what it
says of dissipation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torch import Tensor

from qdescent._array_checks import check_shape
from qdescent._evidence import Evidence, Row
from qdescent._signals import Stopped
from qdescent.carleman.dissipation import Dissipation, diagnose
from qdescent.carleman.growth import GROWTH_LIMIT, NEUTRAL_CHANGE, Growth
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.workspace import Workspace
from qdescent.learning.curvature.hessian import hessian
from qdescent.linalg.spectra.density import spectral_density
from qdescent.linalg.spectra.lanczos import LanczosState
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.report.state import State
from qdescent.rows import names

if TYPE_CHECKING:  # a spectrum alone needs no training
    from qdescent.experiment.run.training import Pruned

BETWEEN = "mean over probes of the Chebyshev-Markov-Stieltjes bounds of each probe's quadrature"
SAVE_EVERY = 8  # Lanczos steps between two saved states: a kill loses at most a few seconds


class SavedEvery:
    """Lanczos steps on their way to the disk: every eighth, the last, and one that a signal ends.

    Args:
        reached: where an earlier call stopped.
        steps: wanted.
        save: writes a state.
    """

    def __init__(
        self, reached: LanczosState | None, steps: int, save: Callable[[LanczosState], None]
    ) -> None:
        self.reached = self.saved = reached
        self.steps, self.save = steps, save

    def reach(self, now: LanczosState) -> None:
        """One more step is done."""
        self.reached = now
        if now.steps % SAVE_EVERY == 0 or now.steps == self.steps or not bool(now.alive.any()):
            self._keep(now)

    @contextmanager
    def when_stopped(self) -> Iterator[None]:
        """Save what was reached where the block is ended by Ctrl-C or a cluster's signal."""
        try:
            yield
        except (KeyboardInterrupt, Stopped):
            if self.reached is not None and self.reached is not self.saved:
                self._keep(self.reached)
            raise

    def _keep(self, now: LanczosState) -> None:
        self.save(now)
        self.saved = now


def lanczos_state(saved: State, n: int, probes: int) -> LanczosState:
    """Where Lanczos steps stopped, as saved; a ValueError or TypeError where it does not fit."""
    state = LanczosState(**saved.tensors)
    check_shape("current", state.current, (n, probes))
    check_shape("previous", state.previous, (n, probes))
    check_shape("alpha", state.alpha, (probes, None))
    check_shape("beta", state.beta, (probes, state.steps))
    check_shape("alive", state.alive, (probes,))
    check_shape("length", state.length, (probes,))
    check_shape("start", state.start, (probes,))
    return state


def measure_spectrum(
    workspace: Workspace[Settings], pruned: Pruned, theta: Tensor, when: str
) -> tuple[Spectrum, Dissipation, list[Row]]:
    """The spectrum at theta on the first round's batch, resumable between Lanczos steps.

    Args:
        workspace: the run.
        pruned: network, mask and batches.
        theta: the point, (n,).
        when: "before" or "after", part of the rows' names.
    """
    settings, progress = workspace.settings, workspace.progress
    stage = f"spectrum-{when}"
    saved = workspace.load(stage)
    state = None
    if saved:
        with workspace.whole(stage):
            state = lanczos_state(saved, pruned.space.n, settings.probes)
    progress.start(f"Spectrum {when}", settings.lanczos_steps, state.steps if state else 0)
    kept = SavedEvery(state, settings.lanczos_steps, lambda now: workspace.save(stage, vars(now)))

    def keep(reached: LanczosState) -> None:
        progress.advance()
        kept.reach(reached)

    with workspace.stage(f"spectrum {when}"), kept.when_stopped():
        spectrum = spectral_density(
            hessian(pruned.tasks[0], pruned.space, theta),
            settings.lanczos_steps,
            settings.probes,
            settings.seed,
            state=state,
            on_step=keep,
        )
    diagnosis = diagnose(spectrum, settings.learning_rate, horizon=settings.schedule.steps)
    progress.finish(
        f"{diagnosis.verdict}, eigenvalues {spectrum.lambda_min[0]:.3g} to"
        f" {spectrum.lambda_max[0]:.3g}"
    )
    how = (
        f"Lanczos quadrature, {settings.probes} probes x {settings.lanczos_steps} steps, first"
        f" batch of {settings.batch}"
    )
    return spectrum, diagnosis, spectrum_rows(spectrum, diagnosis, how, f"{when}/")


def spectrum_rows(
    spectrum: Spectrum,
    diagnosis: Dissipation,
    how: str,
    place: str = "",
    factor: str = "|1 - eta lambda|",
) -> list[Row]:
    """The rows of a spectrum and of what it says of dissipation.

    Args:
        how: probes, steps and samples in words, for the source of each row.
        place: what stands between a row's section and its name: "before/" gives
            names.during("before", names.SPECTRUM_NODES).
        factor: of a mode per step, as a formula.
    """
    modes = (
        f"modes by {factor}, neutral if changed by less than {100 * NEUTRAL_CHANGE:g} % over the"
        f" horizon; {how}"
    )
    proxy = f"E(t) = (1/n) sum {factor}^t (draft figure of Liu et al. 2024); {how}"
    nodes, order = spectrum.nodes.flatten().sort()
    weights = (spectrum.weights / len(spectrum.weights)).flatten()[order]
    used = weights > 0

    def row(name: str, value: object, unit: str, source: str, error: object = None) -> Row:
        section, word = name.split("/")
        return Row(f"{section}/{place}{word}", value, unit, Evidence.MEASURED, source, error)  # type: ignore[arg-type]

    minimum, maximum = spectrum.lambda_min, spectrum.lambda_max
    trace = spectrum.trace
    (least, least_error), (most, most_error) = diagnosis.divergent_bounds
    return [
        row(names.SPECTRUM_NODES, nodes[used].tolist(), "1", f"Ritz values; {how}"),
        row(
            names.SPECTRUM_WEIGHTS,
            weights[used].tolist(),
            "1",
            "weights of the Ritz values, together 1",
        ),
        row(
            names.LAMBDA_MIN,
            minimum[0],
            "1",
            "smallest Ritz value, an upper bound on lambda_min; error: its residual norm",
            minimum[1],
        ),
        row(
            names.LAMBDA_MAX,
            maximum[0],
            "1",
            "largest Ritz value, a lower bound on lambda_max; error: its residual norm",
            maximum[1],
        ),
        row("spectrum/trace", trace[0], "1", how, trace[1]),
        row(
            names.DISSIPATIVE,
            diagnosis.dissipative[0],
            "1",
            modes,
            diagnosis.dissipative[1],
        ),
        row(names.NEUTRAL, diagnosis.neutral[0], "1", modes, diagnosis.neutral[1]),
        row(names.DIVERGENT, diagnosis.divergent[0], "1", modes, diagnosis.divergent[1]),
        row(names.DIVERGENT_AT_LEAST, least, "1", BETWEEN, least_error),
        row(names.DIVERGENT_AT_MOST, most, "1", BETWEEN, most_error),
        *_growth_rows(diagnosis.per_step, row, factor),
        row(
            names.GROWTH,
            diagnosis.growth,
            "1",
            f"largest {factor}^T, T = {diagnosis.horizon}",
        ),
        row(names.DISSIPATION_VERDICT, _said(diagnosis), "", how),
        row(
            names.PROXY_TOTAL, diagnosis.proxy.tolist(), "1", proxy, diagnosis.proxy_error.tolist()
        ),
        row(
            names.PROXY_DISSIPATIVE,
            diagnosis.proxy_dissipative.tolist(),
            "1",
            "its part from dissipative modes",
        ),
        row(
            names.PROXY_NEUTRAL,
            diagnosis.proxy_neutral.tolist(),
            "1",
            "its part from neutral modes",
        ),
        row(
            names.PROXY_DIVERGENT,
            diagnosis.proxy_divergent.tolist(),
            "1",
            "its part from divergent modes",
        ),
    ]


def _said(diagnosis: Dissipation) -> str:
    """The verdict, its reason and, where there is something, what would settle it."""
    outlook = diagnosis.per_step.outlook.removesuffix(".")
    return f"{diagnosis.verdict}: {diagnosis.reason}" + (f". {outlook}" if outlook else "")


def _growth_rows(growth: Growth, row: Callable[..., Row], factor: str) -> list[Row]:
    """What the verdict rests on: none of it depends on the horizon."""
    (least, least_error), (most, most_error) = growth.share
    fastest, error = growth.a_step
    return [
        row(
            names.GROWTH_A_STEP,
            fastest,
            "1",
            f"largest {factor}; error: what its residual norm leaves open",
            error,
        ),
        row(
            "dissipation/growing_at_least",
            least,
            "1",
            f"share of modes that grow from step to step; {BETWEEN}",
            least_error,
        ),
        row(
            names.GROWING_AT_MOST,
            most,
            "1",
            f"share of modes that grow from step to step; {BETWEEN}",
            most_error,
        ),
        row(
            names.STEPS_TO_LIMIT,
            growth.steps_to_limit,
            "steps",
            f"until the fastest mode has grown {GROWTH_LIMIT:g}-fold, which takes a solve's error"
            " of 1e-3 to the readout's 1e-2; infinite: none was seen to grow",
        ),
    ]
