"""Several batches of one loss: what each counts in the loss over all of them."""

from __future__ import annotations

from collections.abc import Sequence

from qdescent._checks import argument_error, check_sequence
from qdescent.learning.task import Task


def weighted(task: Task | Sequence[Task]) -> list[tuple[Task, float]]:
    """Each task with its weight in the mean over samples.

    Raises:
        ArgumentError: no task.
    """
    called = "a task or several of them"
    tasks = [task] if isinstance(task, Task) else list(check_sequence("task", task, Task, called=called, empty=True))
    if not tasks:
        raise argument_error("task", f"be {called}", "empty")
    total = sum(each.batch for each in tasks)
    return [(each, each.batch / total) for each in tasks]
