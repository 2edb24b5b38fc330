"""What an unfinished run has in common with the process that goes on with it, so that the bits are
those of one run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from qdescent._checks import argument_error
from qdescent.report.record import installed_versions, json_text
from qdescent.report.state import fingerprint

MOST_THREADS = 4096
COMPUTING = ("qdescent", "torch", "numpy", "scipy")  # the packages whose rounding reaches the bits


def origin_of(settings: Mapping[str, Any], inputs: str, device: str = "cpu") -> dict[str, str]:
    """Where a run comes from, as its saved stages name it.

    Args:
        settings: of the run, JSON types.
        inputs: fingerprint of what it reads.
        device: "cpu" or "cuda".
    """
    versions = installed_versions()
    return {
        "versions": ", ".join(f"{name} {versions[name]}" for name in COMPUTING),
        "device": device,
        "threads": str(torch.get_num_threads()),
        "settings": settings_fingerprint(settings),
        "inputs": inputs,
    }


def settings_fingerprint(settings: Mapping[str, Any]) -> str:
    """SHA-256 of the settings as JSON."""
    return fingerprint(json_text("settings", dict(sorted(settings.items()))))


def check_origin(kept: Mapping[str, str], now: Mapping[str, str], what: str) -> None:
    """Refuse to go on with a run that was begun otherwise; threads are taken over (`threads_of`).

    Args:
        kept: of the run.
        now: of this process.
        what: it reads, in words.

    Raises:
        ArgumentError: other versions, another device, other inputs.
    """
    cures = {
        "versions": "(install them, or begin anew in another directory)",
        "device": "(go on where there is one, or begin anew in another directory)",
    }
    for name, cure in cures.items():
        if kept[name] != now[name]:
            raise argument_error(
                "resume",
                f"go on with the {name} of the start, {kept[name][:200]}",
                f"with {now[name]} {cure}",
            )
    for name in ("settings", "inputs"):
        if kept[name] != now[name]:
            shown = what if name == "inputs" else name
            raise argument_error(
                "out", f"be resumed with the {shown} it was started with", "given others"
            )


@contextmanager
def threads_of(origin: Mapping[str, str]) -> Iterator[None]:
    """Compute with as many threads as the run began with while the block lasts: their number
    changes the last bits.
    """
    before = torch.get_num_threads()
    wanted = int(origin.get("threads", before))
    if wanted != before:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        if wanted != before:
            torch.set_num_threads(before)


def check_threads(origin: Mapping[str, str]) -> None:
    """A ValueError where the number of threads is none."""
    if not 1 <= int(origin["threads"]) <= MOST_THREADS:
        raise ValueError(f"{origin['threads']} threads")
