"""The stages of `qdescent spectrum`, each saved as it goes and gone on with after a kill:
deflation, quadrature, rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from torch import Tensor

from qdescent._array_checks import check_shape
from qdescent._checks import argument_error, check_choice, check_integer
from qdescent._evidence import Evidence, Row
from qdescent.experiment.origin import check_origin, check_threads, origin_of
from qdescent.experiment.probe import check_probe
from qdescent.experiment.progress import Progress
from qdescent.experiment.run.curvature import SavedEvery, lanczos_state
from qdescent.experiment.saved_state import ANEW
from qdescent.experiment.spectrum.settings import FASTER, STATE_OF_JOB, SpectrumSettings
from qdescent.experiment.spectrum.subject import Subject
from qdescent.experiment.spectrum.ways import done, faster_way
from qdescent.learning.curvature.products import METHODS
from qdescent.learning.parallel.operators import sharded
from qdescent.learning.parallel.ranks import Ranks
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.spectra.deflation import Eigenpairs, extreme_eigenpairs
from qdescent.linalg.spectra.density import spectral_density
from qdescent.linalg.spectra.lanczos import LanczosState
from qdescent.linalg.spectra.sparsity import RowSparsity, row_sparsity
from qdescent.linalg.spectra.spectrum import Spectrum
from qdescent.report.state import State, load_state, save_state, whole
from qdescent.rows import names

STATE_OF_WAY, STATE_OF_PAIRS, STATE_OF_LANCZOS, STATE_OF_ROWS = (
    "spectrum-products",
    "spectrum-deflation",
    "spectrum-lanczos",
    "spectrum-rows",
)


@dataclass(frozen=True)
class Stages:
    """An unfinished measurement in its directory.

    Args:
        settings: of the measurement.
        directory: where it is kept.
        subject: what is measured.
        progress: who is told.
        ranks: the processes that measure; the first one saves.
        origin: what the saved stages must agree on.
        begun_with: how many processes began the measurement.
        found: what an earlier call saved, by stage; a stage takes its own out.
        saved: the stages that a later call could go on with.
    """

    settings: SpectrumSettings
    directory: Path
    subject: Subject
    progress: Progress
    ranks: Ranks
    origin: dict[str, str]
    begun_with: int
    found: dict[str, State] = field(default_factory=dict, repr=False)
    saved: set[str] = field(default_factory=set)

    @classmethod
    def begin(
        cls,
        settings: SpectrumSettings,
        directory: Path,
        subject: Subject,
        progress: Progress,
        ranks: Ranks,
    ) -> Stages:
        """A new measurement, or the one that the directory holds.

        Raises:
            ArgumentError: it holds one of other weights, another mask, other data, or of a network
                or a loss that computed something else; or it is damaged.
        """
        origin = origin_of(asdict(settings), subject.fingerprint, ranks.device.type)
        kept = load_state(directory, STATE_OF_JOB, remedy=ANEW)
        if kept is None:
            if ranks.rank == 0:
                extra = {
                    "settings": asdict(settings),
                    "probe": [each.hex() for each in subject.probe],
                    "processes": ranks.size,
                }
                save_state(directory, STATE_OF_JOB, origin, {}, extra)
            return cls(settings, directory, subject, progress, ranks, origin, ranks.size)
        with whole(directory, STATE_OF_JOB, ANEW):
            begun_with = check_integer("processes", kept.extra["processes"], 1)
            probe = [float.fromhex(each) for each in kept.extra["probe"]]
        check_origin(kept.origin, origin, "weights, mask and data")
        check_probe(subject.probe, probe, ranks.device.type)
        origin = kept.origin
        states = {
            name: load_state(directory, name, origin)
            for name in (STATE_OF_WAY, STATE_OF_PAIRS, STATE_OF_LANCZOS, STATE_OF_ROWS)
        }
        found = {name: state for name, state in states.items() if state is not None}
        return cls(
            settings, directory, subject, progress, ranks, origin, begun_with, found, set(found)
        )

    def rows(self) -> list[Row]:
        """What the report must say of a measurement begun by another number of processes."""
        if self.begun_with == self.ranks.size:
            return []
        source = (
            "as many began the measurement: sums in another order, equal to rounding, not to"
            " the bit"
        )
        return [Row(names.PROCESSES_AT_START, self.begun_with, "processes", Evidence.EXACT, source)]

    def way(self, made: Callable[[str], LinearOperator]) -> str:
        """The way to the products: that of the settings, or the faster one, timed once and kept.

        Args:
            made: the operator by a way of this name.
        """
        if self.settings.products != FASTER:
            return self.settings.products
        saved = self.found.pop(STATE_OF_WAY, None)
        if saved is not None:
            with whole(self.directory, STATE_OF_WAY):
                return str(check_choice("products", saved.extra["products"], METHODS))
        found = self.ranks.of_first(faster_way(made, lambda: done(self.subject.space.device)))
        self._save(STATE_OF_WAY, {}, {"products": found})
        return found

    def deflation(self, operator: LinearOperator) -> Eigenpairs | None:
        """The extreme eigenpairs, where they are wanted; a kill in this stage loses it whole."""
        count = self.settings.deflate
        if count == 0:
            return None
        if count >= operator.shape[0]:
            raise argument_error(
                "deflate", f"be below the number of kept weights, {operator.shape[0]}", count
            )
        state = self.found.pop(STATE_OF_PAIRS, None)
        if state is not None:
            with whole(self.directory, STATE_OF_PAIRS):
                check_shape(
                    "vectors",
                    state.tensors["vectors"],
                    (operator.shape[0], len(state.tensors["values"])),
                )
                return Eigenpairs(**self._here(state.tensors, "vectors"))
        steps = 2 * count + 40  # as `extreme_eigenpairs` has it
        self.progress.start("Extremes", 2 * steps - 1)
        pairs = extreme_eigenpairs(
            operator, count, steps, self.settings.seed, on_product=self.progress.advance
        )
        self._save(STATE_OF_PAIRS, vars(pairs))
        self.progress.finish(f"{len(pairs.values)} of {count} converged")
        return pairs

    def quadrature(
        self, operator: LinearOperator, pairs: Eigenpairs | None
    ) -> tuple[Spectrum, LanczosState]:
        """The spectrum of what the pairs leave, and the Lanczos coefficients.

        Sharded vectors are saved whole, so that any number of processes can go on with them.
        """
        settings, saved = self.settings, self.found.pop(STATE_OF_LANCZOS, None)
        n = operator.shape[0]
        reached = None
        if saved:
            with whole(self.directory, STATE_OF_LANCZOS):
                reached = lanczos_state(saved, n, settings.probes)
                reached = replace(
                    reached,
                    **self._here(
                        {name: getattr(reached, name) for name in ("current", "previous")}
                    ),
                )
        if settings.shard_vectors:
            operator = sharded(operator, self.ranks)
            if reached is not None:
                held = slice(*self.ranks.slice(n))
                reached = replace(
                    reached,
                    current=reached.current[held].clone(),
                    previous=reached.previous[held].clone(),
                )
        self.progress.start("Spectrum", settings.steps, reached.steps if reached else 0)

        def save(now: LanczosState) -> None:
            if operator.shard is not None:
                now = replace(
                    now,
                    current=self.ranks.gather(now.current, n),
                    previous=self.ranks.gather(now.previous, n),
                )
            self._save(STATE_OF_LANCZOS, vars(now))

        kept = SavedEvery(reached, settings.steps, save)

        def keep(now: LanczosState) -> None:
            self.progress.advance()
            kept.reach(now)

        # Parts of sharded vectors are together only between two steps, so that a signal cannot save
        # them.
        with nullcontext() if operator.shard is not None else kept.when_stopped():
            spectrum = spectral_density(
                operator,
                settings.steps,
                settings.probes,
                settings.seed,
                state=reached,
                on_step=keep,
                deflate=pairs or 0,
            )
        assert kept.reached is not None  # at least one step, now or before
        self.progress.finish(
            f"eigenvalues {spectrum.lambda_min[0]:.3g} to {spectrum.lambda_max[0]:.3g}"
        )
        return spectrum, kept.reached

    def sparsity(self, operator: LinearOperator) -> RowSparsity | None:
        """What counts in the sampled rows, where they are wanted."""
        count = min(self.settings.rows, operator.shape[0])
        if count == 0:
            return None
        saved = self.found.pop(STATE_OF_ROWS, None)
        state = None
        if saved:
            with whole(self.directory, STATE_OF_ROWS):
                state = RowSparsity(**{**saved.tensors, **saved.extra})
                if state.size != operator.shape[0] or len(state.rows) > count:
                    raise ValueError(f"it has {len(state.rows)} rows of {state.size} entries")
        done = len(state.rows) if state else 0
        self.progress.start("Rows", count, done)

        def keep(now: RowSparsity) -> None:
            nonlocal done
            self._save(
                STATE_OF_ROWS,
                {name: getattr(now, name) for name in ("rows", "above", "carrying")},
                _thresholds(now),
            )
            for _ in range(len(now.rows) - done):
                self.progress.advance()
            done = len(now.rows)

        found = row_sparsity(operator, count, self.settings.seed, state=state, on_rows=keep)
        self.progress.finish(
            f"{found.mean_above[0]:.0f} entries above 1/1000 of a row's largest, of {found.size}"
        )
        return found

    def _save(
        self, name: str, tensors: dict[str, Tensor], extra: Mapping[str, float | str] | None = None
    ) -> None:
        self.saved.add(name)
        if self.ranks.rank == 0:
            save_state(self.directory, name, self.origin, tensors, dict(extra or {}))

    def _here(self, tensors: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
        """The same tensors, those of these names (none given: all) where products are computed."""
        device = self.subject.space.device
        return {
            name: tensor.to(device) if name in (names or tensors) else tensor
            for name, tensor in tensors.items()
        }


def kept_origin(directory: Path) -> dict[str, str]:
    """The origin of the measurement that the directory holds; empty where it holds none."""
    kept = load_state(directory, STATE_OF_JOB, remedy=ANEW)
    if kept is None:
        return {}
    with whole(directory, STATE_OF_JOB, ANEW):
        check_threads(kept.origin)
    return kept.origin


def _thresholds(sparsity: RowSparsity) -> dict[str, float]:
    return {"size": sparsity.size, "tolerance": sparsity.tolerance, "share": sparsity.share}
