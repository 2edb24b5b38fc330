"""The rounds of a hybrid training, each saved as it ends and gone on with after a kill.

Of the weights only the last round's are kept: nothing goes back further. What was measured of each
round is kept with it, so that a resumed run measures nothing twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

import torch
from torch import Tensor

from qdescent._array_checks import check_shape
from qdescent.experiment.workspace import Workspace
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.report.state import State
from qdescent.training.hybrid import train_hybrid
from qdescent.training.rounds.record import Round, Run
from qdescent.training.schedule import AdaptiveSchedule, Schedule

Measured = Mapping[str, float]


@dataclass(frozen=True)
class Trained:
    """A hybrid training with what was measured of it.

    Args:
        run: its rounds; the weights of those before an interruption are not kept.
        measured: of each round, by name.
    """

    run: Run
    measured: tuple[Measured, ...]


def hybrid_rounds(
    workspace: Workspace[Any],
    stage: str,
    title: str,
    tasks: Sequence[Task],
    space: ParameterSpace,
    schedule: Schedule | AdaptiveSchedule,
    seed: int,
    measure: Callable[[Round], Measured],
    on_saved: Callable[[Sequence[Round], Sequence[Measured]], None] | None = None,
    **options: Any,
) -> Trained:
    """Upload, segment, readout and download, round by round resumable.

    Args:
        workspace: of the job.
        stage: name of the saved stage.
        title: of the progress bar.
        tasks, space, schedule, seed: as for `train_hybrid`.
        measure: what is kept of a round besides itself.
        on_saved: called with all rounds, and what was measured of them, once they are saved, and
            once before the first of this call.
        options: further arguments of `train_hybrid`.
    """
    progress = workspace.progress
    rounds: list[Round] = []
    measured: list[Measured] = []
    saved = workspace.load(stage)
    if saved:
        with workspace.whole(stage):
            rounds, measured = restored_rounds(saved, space)
    progress.start(title, schedule.steps, sum(each.steps for each in rounds))
    if on_saved is not None and rounds:
        on_saved(rounds, measured)

    def keep(done: Round) -> None:
        measured.append(dict(measure(done)))
        rounds.append(done)
        tensors, _ = _parts(done)
        facts = [_parts(each)[1] for each in rounds]
        workspace.save(stage, tensors, {"rounds": facts, "measured": measured})
        if on_saved is not None:
            on_saved(rounds, measured)

    with workspace.stage(title.lower()):
        run = train_hybrid(
            tasks,
            space,
            schedule,
            seed=seed,
            done=tuple(rounds),
            on_round=keep,
            on_step=progress.advance,
            **options,
        )
    worst = max((each.truncation[-1] for each in run.rounds), default=math.nan)
    progress.finish("" if math.isnan(worst) else f"truncation error at most {100 * worst:.2g} %")
    return Trained(run, tuple(measured))


def span(values: Sequence[int]) -> int | str:
    """The one value, or the least and the largest in words."""
    return values[0] if len(set(values)) == 1 else f"{min(values)} to {max(values)}"


def _parts(of: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a round, and of what it holds, by name; and all else as JSON types."""
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {}
    for each in fields(of):
        value = getattr(of, each.name)
        if isinstance(value, Tensor):
            tensors[each.name] = value
        elif is_dataclass(value):
            inner, facts[each.name] = _parts(value)
            tensors |= {f"{each.name}/{name}": tensor for name, tensor in inner.items()}
        else:
            facts[each.name] = _plain(value)
    return tensors, facts


def _plain(value: Any) -> Any:
    """As JSON types; of a step that was not watched NaN is a number, and JSON has none."""
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_numbers(each) for each in value)
    return float(value) if value in ("nan", "inf", "-inf") else value


@cache
def _inner(kind: type) -> dict[str, type]:
    """The fields that hold a dataclass, and which."""
    hints = get_type_hints(kind)
    found = {
        name: next((each for each in (hint, *get_args(hint)) if is_dataclass(each)), None)
        for name, hint in hints.items()
    }
    return {name: each for name, each in found.items() if isinstance(each, type)}


def _made(kind: type, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `_parts`."""
    given = {name: _numbers(value) for name, value in dict(facts).items()}
    for name, inner in _inner(kind).items():
        if isinstance(given.get(name), dict):
            under = {
                key.removeprefix(f"{name}/"): tensor
                for key, tensor in tensors.items()
                if key.startswith(f"{name}/")
            }
            given[name] = _made(inner, given[name], under)
    held = {key: tensor for key, tensor in tensors.items() if "/" not in key}
    return kind(**dict.fromkeys(_may_lack(kind)) | given | held)


@cache
def _may_lack(kind: type) -> list[str]:
    """The tensors that may be None: of a round before the last they are not kept."""
    return [name for name, hint in get_type_hints(kind).items() if hint == Tensor | None]


def restored_rounds(saved: State, space: ParameterSpace) -> tuple[list[Round], list[Measured]]:
    """The rounds, the last with its weights; inside `Workspace.whole`, which makes one sentence of
    the ValueError or the like where they do not fit.
    """
    check_shape("theta", saved.tensors["theta"], (space.n,))
    facts, measured = list(saved.extra["rounds"]), list(saved.extra["measured"])
    if not facts or len(facts) != len(measured):
        raise ValueError(f"it has {len(facts)} rounds and {len(measured)} measurements")
    away = {
        name: torch.zeros(1, device="cpu")
        for name in saved.tensors
        if name.split("/")[-1] == "theta"
    }
    rounds = [_made(Round, each, away) for each in facts[:-1]]
    last = {name: tensor.to(space.device) for name, tensor in saved.tensors.items()}
    return [*rounds, _made(Round, facts[-1], last)], measured
