"""One seed, many named generators.

Every random draw of the package takes its generator from `named_generator(seed, "what it is for",
index)`. A draw then depends on its name alone, never on what was drawn before it: a run that is
killed and resumed in round 3 draws the same shots as one that was not.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from qdescent._checks import check_integer


def derived_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed from `seed` and a path of names (SHA-256: neighbours share nothing)."""
    text = repr((check_integer("seed", seed, 0), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def named_generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU torch generator for one purpose, e.g. `named_generator(seed, "probes")`."""
    return torch.Generator().manual_seed(derived_seed(seed, *names))


def named_numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """The same for draws that NumPy does better (multinomial counts of a million shots)."""
    return np.random.default_rng(derived_seed(seed, *names))
