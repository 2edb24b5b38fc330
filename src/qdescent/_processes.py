"""Whether this process is one of several, and the one of them that speaks."""

from __future__ import annotations

import os


def launched() -> bool:
    """Whether a launcher such as torchrun started this process as one of several."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


def is_first() -> bool:
    """Whether this process is the one that prints: alone, or the first of several."""
    return not launched() or os.environ["RANK"] == "0"
