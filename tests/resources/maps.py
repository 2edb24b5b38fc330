"""Maps of known sparsity."""

import torch

import qdescent as qd


def sparse_map(n: int, entries: tuple[int, ...], seed: int) -> qd.PolynomialMap:
    """So many entries in each row of F_1, F_2, ..., none equal to another."""
    draws = torch.Generator().manual_seed(seed)
    rows = torch.arange(n)
    parts = [0.1 + torch.rand(n, generator=draws)]
    for degree, count in enumerate(entries, 1):
        part = torch.zeros(n, n**degree)
        for place in range(count):
            columns = (rows + place) % n
            for _ in range(degree - 1):
                columns = columns * n + torch.randint(n, (n,), generator=draws)
            part[rows, columns] = 0.1 + torch.rand(n, generator=draws)
        parts.append(part)
    return qd.PolynomialMap(parts)
