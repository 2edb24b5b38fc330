"""What an imperfect logical machine does to a circuit's outcome: depolarising noise, one chance of
error a query.
"""

from __future__ import annotations

import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import argument_error, check_integer, check_interval
from qdescent.linalg.inner_product import power_of_two

MOST_QUERIES, MOST_QUBITS = 10**18, 1000  # 2^-m is still a number
ROUNDING = 1e-3  # probabilities may come in half precision


def depolarised(probabilities: Tensor, queries: int, qubits: int, rate: float) -> Tensor:
    """The outcome probabilities when each query, with probability `rate`, replaces the whole state
    by the maximally mixed one.

        rho -> (1 - r) rho + r 1/2^m after each of Q queries
        =>   P_i -> f P_i + (1 - f)/2^m,   f = (1 - r)^Q,

    exactly, since a unitary leaves 1/2^m as it is. A model: real errors are local and partly
    corrected.

    Args:
        probabilities: P_i of some outcomes of a measurement of all m qubits, any shape, each in [0,
            1], summing to at most 1.
        queries: Q.
        qubits: m, all that the queries act on.
        rate: r in [0, 1].

    Returns:
        Tensor: of the same shape.

    References:
        Nielsen and Chuang (2010), section 8.3.4.

    Example:
        >>> depolarised(torch.tensor([1.0, 0.0]), queries=2, qubits=1, rate=0.5).tolist()
        [0.625, 0.375]
    """
    probabilities = check_tensor("probabilities", probabilities)
    if (
        not bool(((probabilities >= -ROUNDING) & (probabilities <= 1 + ROUNDING)).all())
        or probabilities.sum() > 1 + ROUNDING
    ):
        raise argument_error(
            "probabilities",
            "be in [0, 1], with a sum of at most 1",
            f"with a sum of {float(probabilities.sum()):.6g}",
        )
    queries = check_integer("queries", queries, 0, MOST_QUERIES)
    qubits = check_integer("qubits", qubits, 1, MOST_QUBITS)
    rate = check_interval("rate", rate, "[0, 1]")
    left = (1 - rate) ** queries
    return left * probabilities + (1 - left) / 2**qubits


def noisy_solution(
    solution: Tensor, success_probability: float, queries: int, qubits: int, rate: float
) -> Tensor:
    """Z as it would be read from a noisy circuit: magnitudes from the noisy probabilities, signs
    taken as right.

    The post-selected amplitudes are Z_i sqrt(p / ||Z||^2), p the success probability; the machine
    is read by the scale of the noiseless one, as its user would.

    Args:
        solution: Z of the noiseless circuit, (D,).
        success_probability: p, of the post-selection.
        queries, qubits, rate: as for `depolarised`.

    Returns:
        Tensor: (D,).

    Example:
        >>> z = torch.tensor([3.0, 4.0], dtype=torch.float64)
        >>> torch.equal(noisy_solution(z, 0.5, queries=9, qubits=4, rate=0.0).round(decimals=12), z)
        True
    """
    success_probability = check_interval("success_probability", success_probability, "(0, 1]")
    solution = check_tensor("solution", solution, (None,))
    if not bool(solution.any()):
        raise argument_error("solution", "not be zero", "zero")
    unit = power_of_two(solution.abs().max())  # its type need not hold the squares
    solution = solution / unit
    scale = success_probability / float(solution @ solution)
    noisy = depolarised(solution**2 * scale, queries, qubits, rate)
    return torch.where(solution < 0, -1.0, 1.0) * (unit * (noisy / scale).sqrt())
