"""Products of coordinates that stand for the sources of the higher terms: the tensors that make
these are not known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qdescent._arrays import Floats

DRAWS = 40  # products of coordinates that stand for all of three and more


def stand_ins(k: int, first: Floats, second: Floats | None) -> list[list[Floats]]:
    """Lists of k paths, or of one fewer where u_2 is one of them, (T + 1, m) each, whose product,
    entry by entry, stands for what drives u_k.

    Args:
        k: 2, 3, ....
        first: c_1(t), (T + 1, d).
        second: c_2(t), likewise; None: not known.
    """
    if k == 2:
        left, right = np.triu_indices(first.shape[1])
        return [[first[:, left], first[:, right]]]
    drawn = np.random.default_rng(k)

    def along(path: Floats) -> Floats:  # its coordinates in directions drawn at random
        return path @ drawn.standard_normal((path.shape[1], DRAWS))

    found = [[along(first) for _ in range(k)]]
    if second is not None:
        found.append([along(second), *(along(first) for _ in range(k - 2))])
    return found


def driven_by(response: Floats, factors: Sequence[Floats]) -> tuple[Floats, float, float]:
    """What these products leave in each mode at the end.

    Args:
        response: of a mode at the end to a source at each step, (modes, T).
        factors: of `stand_ins`.

    Returns:
        (Floats, float, float): what is left, (modes, m); the largest norm of a mode's; the largest
            of a step's products.
    """
    sources = np.prod([path[:-1] for path in factors], axis=0)
    left = response @ sources
    sizes = (np.linalg.norm(each, axis=1).max() for each in (left, sources))
    largest, given = (float(size) for size in sizes)
    return left, largest, given
