"""Is the explicit Carleman matrix assembled and applied at memory speed, and is Burgers at N = 4 a
matter of seconds?

    python benchmarks/explicit_carleman.py             # n = 3,000 tridiagonal, N = 2 compressed
    python benchmarks/explicit_carleman.py --burgers   # 69,904 unknowns, 4,000 steps; compressed
    python benchmarks/explicit_carleman.py --memory    # peak memory of the assembly

"Bytes moved" is the least that the work can move: apply reads A once, reads z and writes A z;
assembly writes A; a copy of A reads and writes it, into memory in use (what apply is held against)
or into memory just asked for (where assembly writes). All work is on one thread, the copies too.
"""

import math
import sys
import time

import numpy as np
import torch
from protocol import environment, interleave, own_peak, peak_memory, ratios, save

from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.carleman.lifting.operator import carleman_operator
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap


def tridiagonal_map(n=3000):
    """u_i <- sum over neighbours of a_ij u_j + b_ij u_j^2, F_0 = 0."""
    generator, place = torch.Generator().manual_seed(0), torch.arange(n)
    rows, columns = (
        torch.cat([place[1:], place, place[:-1]]),
        torch.cat([place[:-1], place, place[1:]]),
    )
    linear, quadratic = torch.rand(2, len(rows), generator=generator, dtype=torch.float64) / 3
    F1 = torch.sparse_coo_tensor(
        torch.stack([rows, columns]), linear, (n, n), check_invariants=True
    ).coalesce()
    F2 = torch.sparse_coo_tensor(
        torch.stack([rows, columns * (n + 1)]), quadratic, (n, n * n), check_invariants=True
    ).coalesce()
    return PolynomialMap([torch.zeros(n, dtype=torch.float64), F1, F2])


def stored(rows):
    """Bytes of a matrix in compressed sparse rows."""
    return rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes


def memory_speed():
    """Assembly, application and a copy of the same bytes, interleaved."""
    f = tridiagonal_map()
    lift = carleman_linearize(f, 2, "plain", symmetric=True)
    free = carleman_operator(f, 2, "plain", symmetric=True)
    z = lift.lift(
        torch.rand(f.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    )
    size = stored(lift.rows)
    source = np.ones(size // 8)
    target = np.empty_like(source)
    gap = float((free @ z - lift @ z).abs().max() / (lift @ z).abs().max())
    seconds = interleave(
        {
            "copy of the matrix": lambda: np.copyto(target, source),
            "copy into new memory": source.copy,
            "apply": lambda: lift @ z,
            "apply, matrix-free": lambda: free @ z,
            "assemble": lambda: carleman_linearize(f, 2, "plain", symmetric=True),
        }
    )
    vectors = 2 * 8 * lift.dimension
    moved = {
        "copy of the matrix": 2 * size,
        "copy into new memory": 2 * size,
        "apply": size + vectors,
        "apply, matrix-free": vectors,
        "assemble": size,
    }
    rates = {name: [moved[name] / s / 1e9 for s in values] for name, values in seconds.items()}
    save(
        "explicit_carleman",
        {
            "question": (
                "Bytes moved over time against a copy: n = 3,000 tridiagonal quadratic map, order"
                " 2, plain, symmetric"
            ),
            "unknowns": lift.dimension,
            "entries": lift.rows.nnz,
            "matrix_bytes": size,
            "bytes_moved": moved,
            "seconds": seconds,
            "gigabytes_per_second": {
                name: sorted(values)[len(values) // 2] for name, values in rates.items()
            },
            "time_over_copy": ratios(seconds, "copy of the matrix"),
            "time_over_copy_into_new_memory": ratios(seconds, "copy into new memory"),
            "rate_over_copy": {
                name: sorted(
                    a / b for a, b in zip(values, rates["copy of the matrix"], strict=True)
                )[len(values) // 2]
                for name, values in rates.items()
            },
            "matrix_free_relative_gap": gap,
            "environment": environment(),
        },
    )


def burgers(points=16, reynolds=20):
    """Liu et al. (2021), section 7."""
    u0, dx = 1 / math.sqrt(points - 1), 1 / (points - 1)
    x = torch.linspace(-0.5, 0.5, points, dtype=torch.float64)
    F1, F2 = (
        torch.zeros(points, points, dtype=torch.float64),
        torch.zeros(points, points**2, dtype=torch.float64),
    )
    for i in range(1, points - 1):
        F1[i, i - 1 : i + 2] = (
            torch.tensor([1.0, -2.0, 1.0], dtype=torch.float64) * u0 / reynolds / dx**2
        )
        F2[i, (i - 1) * (points + 1)], F2[i, (i + 1) * (points + 1)] = 1 / (4 * dx), -1 / (4 * dx)
    source = u0 * torch.exp(-((x - 0.25) ** 2) / (2 / 32**2))
    field = PolynomialField(
        [0 * x, F1.to_sparse(), F2.to_sparse()], lambda t: source * math.cos(2 * math.pi * t)
    )
    return field, -u0 * torch.sin(2 * math.pi * x)


def burgers_time():
    """Assembly and 4,000 Euler steps of order 4 in full and in symmetric coordinates."""
    field, start = burgers()
    steps, paths, unknowns, processor = 4000, {}, {}, {}

    def work(name, symmetric):
        used = time.process_time()
        lift = carleman_linearize(field, 4, "plain", symmetric)
        paths[name] = lift.integrate(start, 3 / steps, steps)
        unknowns[name] = lift.dimension
        processor.setdefault(name, []).append(time.process_time() - used)

    seconds = interleave(
        {"full": lambda: work("full", False), "symmetric": lambda: work("symmetric", True)}
    )
    save(
        "explicit_burgers",
        {
            "question": (
                "Seconds of assembly and 4,000 Euler steps of Burgers (Liu et al. 2021), order 4,"
                " plain"
            ),
            "unknowns": unknowns,
            "seconds": seconds,
            "processor_seconds": {name: values[1:] for name, values in processor.items()},
            "largest_difference": float((paths["full"] - paths["symmetric"]).abs().max()),
            "environment": environment(),
        },
    )


def memory():
    """What the assembly takes beyond a process that only makes the map, over the matrix."""
    with_matrix, without = (peak_memory(__file__, "--peak", what) for what in ("matrix", "map"))
    size = stored(carleman_linearize(tridiagonal_map(), 2, "plain", symmetric=True).rows)
    save(
        "explicit_memory",
        {
            "question": (
                "Peak memory of assembling the matrix of n = 3,000, N = 2, symmetric, over the"
                " matrix itself"
            ),
            "matrix_bytes": size,
            "peak_bytes": {"assembly": with_matrix, "map alone": without},
            "assembly_over_matrix": (with_matrix - without) / size,
            "environment": environment(),
        },
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    if "--peak" in sys.argv:
        f = tridiagonal_map()
        if sys.argv[-1] == "matrix":
            carleman_linearize(f, 2, "plain", symmetric=True)
        print(own_peak())
    elif "--burgers" in sys.argv:
        burgers_time()
    elif "--memory" in sys.argv:
        memory()
    else:
        memory_speed()
