"""How near to the measured truncation error is the estimate that needs no reference run?

    python benchmarks/tail_calibration.py

Five Fashion-MNIST CNNs, trained and pruned; from each pivot the series of order 4 and true descent,
step by step, in float64: plain (gradient descent), with momentum 0.9 from the velocity of ten steps
before, and with a fresh batch a step. The quotient estimate / error is taken at every step of every
learning rate at which the error lies between 1e-7 (rounding is far below) and 0.1 (above, the
series is of no use), for orders 1 to 3, from N terms and from N + 1. Nothing is timed: the script
may run beside others.
"""

import itertools
import math

import torch
from protocol import environment, save
from torch import nn
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.solvers.series import SeriesSteps
from qdescent.training.descent import displacements
from qdescent.training.tail_estimate import estimate_tail

NETWORKS = {
    "GELU, 10 % kept": (nn.GELU, 0.1),
    "GELU, 5 %": (nn.GELU, 0.05),
    "SiLU, 10 %": (nn.SiLU, 0.1),
    "tanh, 10 %": (nn.Tanh, 0.1),
    "softplus, 10 %": (nn.Softplus, 0.1),
}
# eta without momentum: the most steps K; with momentum a tenth of it
RATES = {0.005: 24, 0.02: 16, 0.1: 8, 0.3: 4}
WAYS = {"plain": (0.0, False), "momentum": (0.9, False), "fresh batches": (0.0, True)}
ORDERS, BATCH, WARM = (1, 2, 3), 32, 10


def pruned(activation, density, data):
    """The kept weights of a trained CNN, and batches."""
    torch.manual_seed(0)
    layers = qd.networks.fashion_cnn(widths=(4, 8, 16))
    network = nn.Sequential(
        *(activation() if isinstance(layer, nn.GELU) else layer for layer in layers)
    )
    qd.train_dense(network, cross_entropy, data, epochs=2)
    space = qd.ParameterSpace(network.double(), qd.magnitude_mask(network, density=density))
    network.load_state_dict(space.unpack(space.theta))
    draw = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(1))
    batches = [
        (data.train_images[places].double(), data.train_labels[places])
        for places in draw.split(BATCH)
    ]
    return space, [
        qd.Task(network, cross_entropy, batch) for batch in batches[: max(RATES.values()) + WARM]
    ]


def seen(space, tasks, rate, steps, beta, fresh):
    """(inner products of the terms, relative errors of the orders) after each step but the first,
    which is exact.
    """
    before, after = (
        (tasks[:WARM], tasks[WARM:]) if fresh else ([tasks[0]] * WARM, [tasks[0]] * steps)
    )
    theta, velocity = space.theta, None
    if beta:
        *_, (_, short), (_, long) = displacements(before, space, theta, rate, beta)
        theta, velocity = theta + long, (short - long) / rate
    series = SeriesSteps(
        after if fresh else after[0], space, theta, ORDERS[-1] + 1, rate, beta, velocity=velocity
    )
    truth = displacements(after, space, theta, rate, beta, velocity)
    for t, (terms, (_, u)) in enumerate(itertools.islice(zip(series, truth, strict=False), steps)):
        if t:
            yield (
                terms @ terms.T,
                [float((terms[:order].sum(0) - u).norm() / u.norm()) for order in ORDERS],
            )


def quantiles(found):
    """Least, 5 %, median, 95 %, largest, and how many."""
    found = sorted(found)
    at = {"min": 0.0, "5%": 0.05, "median": 0.5, "95%": 0.95, "max": 1.0}
    return {
        "count": len(found),
        **{name: found[round(share * (len(found) - 1))] for name, share in at.items()},
    }


def table(points):
    """Of the points of one way: the quotients, and what the true error is where the estimate says
    that there is none.
    """
    rows = {}
    for order in ORDERS:
        for known in (order, order + 1):
            pairs = [
                (estimate_tail(gram[:known, :known], order).error, errors[order - 1])
                for gram, errors in points
            ]
            usable = [(guess, error) for guess, error in pairs if 1e-7 < error < 0.1 and known > 1]
            refused = [error for guess, error in pairs if math.isinf(guess) and known > 1]
            if usable:
                rows[f"order {order} from {known} terms"] = {
                    "estimate_over_error": quantiles(
                        [guess / error for guess, error in usable if math.isfinite(guess)]
                    ),
                    "past_the_radius": len(refused),
                    "least_error_past_the_radius": min(refused, default=None),
                }
    return rows


def main():
    """All networks, ways and rates."""
    data, points = qd.datasets.load_fashion_mnist(), {way: [] for way in WAYS}
    for name, (activation, density) in NETWORKS.items():
        space, tasks = pruned(activation, density, data)
        for (way, (beta, fresh)), (eta, steps) in itertools.product(WAYS.items(), RATES.items()):
            points[way] += seen(space, tasks, eta * (1 - beta), steps, beta, fresh)
        print(f"{name}: {space.n} weights", flush=True)
    tables = {way: table(found) for way, found in points.items()}
    for way, rows in tables.items():
        for name, row in rows.items():
            print(
                f"{way:<14} {name:<22}",
                {key: round(value, 2) for key, value in row["estimate_over_error"].items()},
            )
    question = (
        f"Estimated over measured truncation error: {len(NETWORKS)} pruned CNNs, batch {BATCH},"
        " float64"
    )
    settings = {
        "networks": list(NETWORKS),
        "rates_and_steps": {str(eta): steps for eta, steps in RATES.items()},
        "momentum": 0.9,
    }
    save(
        "tail_calibration",
        {"question": question, "settings": settings, "ways": tables, "environment": environment()},
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
