"""How a learning rate falls over the steps of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

CONSTANT = "constant"
STEPS_DOWN = (0.5, 0.75)  # He et al. 2016, section 4.2: at 32,000 and 48,000 of 64,000 steps

FALLS: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {
        CONSTANT: lambda share: 1.0,
        "cosine": lambda share: math.cos(math.pi / 2 * share) ** 2,  # (1 + cos(pi share)) / 2
        "linear": lambda share: 1 - share,
        "step": lambda share: 0.1 ** sum(share >= down for down in STEPS_DOWN),
    }
)
"""Share of the steps that are done, in [0, 1) -> what the rate is multiplied by.

"cosine" is `CosineAnnealingLR` of PyTorch (Loshchilov and Hutter 2017, without restarts), "linear"
goes to 0, "step" is `MultiStepLR` with a tenth at half and at three quarters of the steps.
"""
