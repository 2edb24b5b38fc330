"""The arithmetic of a GPU, such that a run can be repeated to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable_float32() -> Iterator[None]:
    """While it lasts, float32 on a GPU is float32, and convolutions sum in one order.

    PyTorch lets convolutions round their inputs to the 11 bits of TF32 otherwise, which is more
    than a segment's truncation; and the same product, made twice, differs in its last bits, which
    a Lanczos run repeated from its start does not survive. Nothing changes on a CPU.

    Example:
        >>> with repeatable_float32():
        ...     torch.backends.cudnn.deterministic
        True
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, matmul.allow_tf32
    repeatable = False, True, False, False
    try:
        cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, matmul.allow_tf32 = repeatable
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark, matmul.allow_tf32 = before
