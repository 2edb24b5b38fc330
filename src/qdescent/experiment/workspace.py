"""The directory of a job in the making: its settings, what is done so far, how long it took."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

from qdescent._evidence import Row
from qdescent._processes import is_first
from qdescent.experiment.origin import check_origin, origin_of, threads_of
from qdescent.experiment.progress import Progress, Silent
from qdescent.experiment.saved_state import ANEW, first_state, restored
from qdescent.report.record import Record, installed_versions, stopwatch
from qdescent.report.reservation import check_vacant, held
from qdescent.report.state import State, load_state, save_state, whole
from qdescent.rows.collection import Rows

STATE_OF_SETTINGS = "settings"


class Kept(Protocol):
    """Settings that can be written down."""

    @property
    def seed(self) -> int: ...

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""


S = TypeVar("S", bound=Kept)


@dataclass(frozen=True)
class Workspace(Generic[S]):
    """An unfinished job.

    Args:
        directory: where it is kept.
        settings: of the job.
        progress: who is told.
        timings: seconds of each stage, filled as they end.
        origin: what its saved stages must agree on; empty until a new run begins.
        writes: whether this process has the directory; of several, the first one.
    """

    directory: Path
    settings: S
    progress: Progress
    timings: dict[str, float] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    writes: bool = True

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Have the directory for this process alone, and compute with the threads that the run
        began with.

        Raises:
            ArgumentError: another process works on it.
        """
        mine = (
            held(self.directory, new=not self.origin) if self.writes else contextlib.nullcontext()
        )
        with mine, threads_of(self.origin):
            yield

    def begin(self, inputs: str, device: str = "cpu", what: str = "data") -> None:
        """Keep the settings on disk: from here on the run can be resumed. Called once the input is
        known to be usable.

        Args:
            inputs: fingerprint of the data.
            device: "cpu" or "cuda".
            what: the data are, in words.

        Raises:
            ArgumentError: the run began with other data, other versions of packages, or on another
                device.
        """
        now = origin_of(self.settings.to_json(), inputs, device)
        if self.origin:
            check_origin(self.origin, now, what)
            return
        self.origin.update(now)
        self.save(STATE_OF_SETTINGS, {}, self.settings.to_json())

    def save(
        self, stage: str, tensors: Mapping[str, Tensor], extra: Mapping[str, Any] | None = None
    ) -> None:
        """Keep what a stage has reached."""
        if self.writes:
            save_state(self.directory, stage, self.origin, tensors, extra or {})

    def load(self, stage: str) -> State | None:
        """What an earlier call kept, or None.

        Raises:
            ArgumentError: it is damaged, or of another run.
        """
        return load_state(self.directory, stage, self.origin)

    def whole(self, stage: str) -> contextlib.AbstractContextManager[None]:
        """Take what `load` found apart inside: what is missing or does not fit is one sentence."""
        return whole(self.directory, stage)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside under `name`."""
        with stopwatch(self.timings, name):
            yield

    def record(self, rows: Sequence[Row], **changed: Any) -> Record:
        """What the job found, with all that is needed to repeat it.

        Args:
            rows: every number.
            changed: settings that are written otherwise than they are.
        """
        return Record(
            name=self.directory.name,
            config={**self.settings.to_json(), **changed},
            seed=self.settings.seed,
            versions=installed_versions(),
            rows=Rows(rows),
            timings=dict(self.timings),
        )


def create_workspace(
    directory: Path, settings: S, progress: Progress | None = None
) -> Workspace[S]:
    """A new job in a directory that is empty or does not exist; nothing is written before `held`.

    Of several processes the first one has the directory, and looks at it.

    Raises:
        ArgumentError: there is something in the directory; the message says whether it can be
            resumed.
    """
    vacant = check_vacant(directory) if is_first() else directory
    return Workspace(vacant, settings, progress or Silent())


def resume_workspace(
    directory: Path, kind: type[S], progress: Progress | None = None
) -> Workspace[S]:
    """An unfinished job, with the settings it was started with.

    Args:
        kind: the class of its settings.

    Raises:
        ArgumentError: there is no run, it is already whole, or its state is damaged.
    """
    state = first_state(directory, STATE_OF_SETTINGS, "run")
    with whole(directory, STATE_OF_SETTINGS, ANEW):
        settings = restored(kind, state.extra, state.origin)
    return Workspace(directory, settings, progress or Silent(), origin=state.origin)
