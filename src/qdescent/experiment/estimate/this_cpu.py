"""What this machine's processor does in a second."""

from __future__ import annotations

import torch

from qdescent.report.record import stopwatch
from qdescent.resources.classical.machines import Accelerator, measured_cpu

SIZE = 512  # of the matrices whose product is timed: 1 MB each
ROUNDS = 40  # some tenths of a second on one core; the fastest counts
COPIED = 2**22  # numbers: more than a cache holds


def this_cpu() -> Accelerator:
    """This processor by the fastest of some products of matrices and copies, in about a second."""
    left, right = (torch.ones(SIZE, SIZE, device="cpu") for _ in range(2))
    block, copy = torch.ones(COPIED, device="cpu"), torch.empty(COPIED, device="cpu")
    products, copies = [], []
    for _ in range(ROUNDS):
        timings: dict[str, float] = {}
        with stopwatch(timings, "product"):
            torch.mm(left, right)
        with stopwatch(timings, "copy"):
            copy.copy_(block)
        products.append(timings["product"])
        copies.append(timings["copy"])
    # read and written, four bytes each
    return measured_cpu(2 * SIZE**3 / min(products), 8 * COPIED / min(copies))
