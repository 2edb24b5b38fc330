"""The stages of `qdescent spectrum`, each saved as it goes and gone on with after a kill: deflation, quadrature, rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from torch import Tensor

from qdescent._checks import argument_error
from qdescent.experiment.curvature import SAVE_EVERY
from qdescent.experiment.spectrum_settings import STATE_OF_JOB, SpectrumSettings
from qdescent.experiment.spectrum_subject import Subject
from qdescent.experiment.workspace import Progress
from qdescent.learning.parallel import Ranks, sharded
from qdescent.linalg.deflation import Eigenpairs, extreme_eigenpairs
from qdescent.linalg.density import spectral_density
from qdescent.linalg.lanczos import LanczosState
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.sparsity import RowSparsity, row_sparsity
from qdescent.linalg.spectrum import Spectrum
from qdescent.report.record import State, load_state, save_state

STATE_OF_PAIRS, STATE_OF_LANCZOS, STATE_OF_ROWS = "spectrum-deflation", "spectrum-lanczos", "spectrum-rows"


@dataclass(frozen=True)
class Stages:
    """An unfinished measurement in its directory.

    Args:
        settings: of the measurement.
        directory: where it is kept.
        subject: what is measured.
        progress: who is told.
        ranks: the processes that measure; the first one saves.
        found: what an earlier call saved, by stage; a stage takes its own out.
        saved: the stages that a later call could go on with.
    """

    settings: SpectrumSettings
    directory: Path
    subject: Subject
    progress: Progress
    ranks: Ranks
    found: dict[str, State] = field(default_factory=dict, repr=False)
    saved: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, settings: SpectrumSettings, directory: Path, subject: Subject, progress: Progress, ranks: Ranks) -> Stages:
        """A new measurement, or the one that the directory holds.

        Raises:
            ArgumentError: it holds one of other weights, another mask or other data, or is damaged.
        """
        kept = load_state(directory, STATE_OF_JOB) if directory.is_dir() else None
        if kept is None:
            if ranks.rank == 0:
                save_state(directory, STATE_OF_JOB, {}, [], {"settings": asdict(settings), "fingerprint": subject.fingerprint})
            return cls(settings, directory, subject, progress, ranks)
        if kept.extra.get("fingerprint") != subject.fingerprint:
            raise argument_error("out", "be resumed with the weights, mask and data it was started with", "given others")
        states = {name: load_state(directory, name) for name in (STATE_OF_PAIRS, STATE_OF_LANCZOS, STATE_OF_ROWS)}
        found = {name: state for name, state in states.items() if state is not None}
        return cls(settings, directory, subject, progress, ranks, found, set(found))

    def deflation(self, operator: LinearOperator) -> Eigenpairs | None:
        """The extreme eigenpairs, where they are wanted; a kill in this stage loses it whole."""
        count = self.settings.deflate
        if count == 0:
            return None
        if count >= operator.shape[0]:
            raise argument_error("deflate", f"be below the number of kept weights, {operator.shape[0]}", count)
        state = self.found.pop(STATE_OF_PAIRS, None)
        if state is not None:
            return Eigenpairs(**self._here(state.tensors, "vectors"))
        steps = 2 * count + 40  # as `extreme_eigenpairs` has it
        self.progress.start("Extremes", 2 * steps - 1)
        pairs = extreme_eigenpairs(operator, count, steps, self.settings.seed, on_product=self.progress.advance)
        self._save(STATE_OF_PAIRS, vars(pairs))
        self.progress.finish(f"{len(pairs.values)} of {count} converged")
        return pairs

    def quadrature(self, operator: LinearOperator, pairs: Eigenpairs | None) -> tuple[Spectrum, LanczosState]:
        """The spectrum of what the pairs leave, and the Lanczos coefficients.

        Sharded vectors are saved whole, so that any number of processes can go on with them.
        """
        settings, saved = self.settings, self.found.pop(STATE_OF_LANCZOS, None)
        reached = LanczosState(**self._here(saved.tensors, "current", "previous")) if saved else None
        n = operator.shape[0]
        if settings.shard_vectors:
            operator = sharded(operator, self.ranks)
            if reached is not None:
                held = slice(*self.ranks.slice(n))
                reached = replace(reached, current=reached.current[held].clone(), previous=reached.previous[held].clone())
        self.progress.start("Spectrum", settings.steps, reached.steps if reached else 0)

        def keep(now: LanczosState) -> None:
            nonlocal reached
            reached = now
            self.progress.advance()
            if now.steps % SAVE_EVERY == 0 or now.steps == settings.steps or not bool(now.alive.any()):
                if operator.shard is not None:
                    now = replace(now, current=self.ranks.gather(now.current, n), previous=self.ranks.gather(now.previous, n))
                self._save(STATE_OF_LANCZOS, vars(now))

        spectrum = spectral_density(
            operator, settings.steps, settings.probes, settings.seed, state=reached, on_step=keep, deflate=pairs or 0
        )
        assert reached is not None  # at least one step, now or before
        self.progress.finish(f"eigenvalues {spectrum.lambda_min[0]:.3g} to {spectrum.lambda_max[0]:.3g}")
        return spectrum, reached

    def sparsity(self, operator: LinearOperator) -> RowSparsity | None:
        """What counts in the sampled rows, where they are wanted."""
        count = min(self.settings.rows, operator.shape[0])
        if count == 0:
            return None
        saved = self.found.pop(STATE_OF_ROWS, None)
        state = RowSparsity(**{**saved.tensors, **saved.extra}) if saved else None
        done = len(state.rows) if state else 0
        self.progress.start("Rows", count, done)

        def keep(now: RowSparsity) -> None:
            nonlocal done
            self._save(STATE_OF_ROWS, {name: getattr(now, name) for name in ("rows", "above", "carrying")}, _thresholds(now))
            for _ in range(len(now.rows) - done):
                self.progress.advance()
            done = len(now.rows)

        found = row_sparsity(operator, count, self.settings.seed, state=state, on_rows=keep)
        self.progress.finish(f"{found.mean_above[0]:.0f} entries above 1/1000 of a row's largest, of {found.size}")
        return found

    def _save(self, name: str, tensors: dict[str, Tensor], extra: dict[str, float] | None = None) -> None:
        self.saved.add(name)
        if self.ranks.rank == 0:
            save_state(self.directory, name, tensors, [], extra or {})

    def _here(self, tensors: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
        """The same tensors, those of these names where products are computed."""
        device = self.subject.space.device
        return {name: tensor.to(device) if name in names else tensor for name, tensor in tensors.items()}


def _thresholds(sparsity: RowSparsity) -> dict[str, float]:
    return {"size": sparsity.size, "tolerance": sparsity.tolerance, "share": sparsity.share}
