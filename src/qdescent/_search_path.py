"""Where Python looks for modules: those beside the user come last, so that they hide no library."""

from __future__ import annotations

# Nothing else: what is imported before `user_modules_last` ran may be the user's own `random.py`.
import os
import sys


def user_modules_last() -> None:
    """Find modules in the working directory, but only those that no installed one hides."""
    try:
        here = os.getcwd()
    except OSError:  # it was removed meanwhile
        return
    if sys.path[:1] in ([""], [here]):  # as `python -m` puts it
        del sys.path[0]
    if here not in sys.path:
        sys.path.append(here)


def is_module_run() -> bool:
    """Whether `python -m qdescent` is about to run, also under torchrun."""
    return sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] == "qdescent"
