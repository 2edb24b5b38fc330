"""Taylor coefficients a_m = f^(m)(x) / m! of elementwise functions, by recurrences in m.

Each recurrence is the function's differential equation along x + eps (Griewank and Walther 2008,
table 13.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Tower = Callable[[Tensor, int], list[Tensor]]  # (x, M) -> a_0 ... a_M


def exp(x: Tensor, top: int) -> list[Tensor]:
    """e^x / m!."""
    value = torch.exp(x)
    return [value / math.factorial(m) for m in range(top + 1)]


def power(exponent: float) -> Tower:
    """x^a: m a_m = (a - m + 1) a_{m-1} / x; whole powers by binomials, for x may be 0."""

    def tower(x: Tensor, top: int) -> list[Tensor]:
        if exponent >= 0 and exponent == int(exponent):
            whole = int(exponent)
            return [
                math.comb(whole, m) * x ** (whole - m) if m <= whole else torch.zeros_like(x)
                for m in range(top + 1)
            ]
        a = [torch.pow(x, exponent)]
        for m in range(1, top + 1):
            a.append((exponent - m + 1) / m * a[-1] / x)
        return a

    return tower


def log(x: Tensor, top: int) -> list[Tensor]:
    """log x, then the integral of 1/x."""
    return [torch.log(x), *(a / m for m, a in enumerate(power(-1.0)(x, top - 1), start=1))]


def tanh(x: Tensor, top: int) -> list[Tensor]:
    """y' = 1 - y^2."""
    y = [torch.tanh(x)]
    for m in range(top):
        y.append(((1.0 if m == 0 else 0.0) - _coefficient(y, y, m)) / (m + 1))
    return y


def sigmoid(x: Tensor, top: int) -> list[Tensor]:
    """y' = y (1 - y)."""
    y = [torch.sigmoid(x)]
    for m in range(top):
        y.append((y[m] - _coefficient(y, y, m)) / (m + 1) if m else y[0] * torch.sigmoid(-x))
    return y


def silu(x: Tensor, top: int) -> list[Tensor]:
    """x sigmoid(x)."""
    return _times_argument(x, sigmoid(x, top))


def softplus(beta: float) -> Tower:
    """log(1 + e^(beta x)) / beta, whose derivative is sigmoid(beta x). PyTorch is linear above 20,
    equal to rounding in float32.
    """

    def tower(x: Tensor, top: int) -> list[Tensor]:
        steep = beta * x
        value = torch.logaddexp(steep, torch.zeros_like(steep)) / beta
        return [value, *(beta**m * a / (m + 1) for m, a in enumerate(sigmoid(steep, top - 1)))]

    return tower


def normal_distribution(x: Tensor, top: int) -> list[Tensor]:
    """Phi(x), whose derivative is the density: density' = -x density."""
    density = [torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)]
    for m in range(top - 1):
        total = x * density[m] + (density[m - 1] if m else 0)
        density.append(-total / (m + 1))
    return [torch.special.ndtr(x), *(a / m for m, a in enumerate(density, start=1))]


def gelu(x: Tensor, top: int) -> list[Tensor]:
    """x Phi(x)."""
    return [F.gelu(x), *_times_argument(x, normal_distribution(x, top))[1:]]


def erf(x: Tensor, top: int) -> list[Tensor]:
    """2 Phi(sqrt2 x) - 1."""
    inner = normal_distribution(math.sqrt(2) * x, top)
    return [torch.erf(x), *(2 * math.sqrt(2) ** m * a for m, a in enumerate(inner[1:], start=1))]


def sin(x: Tensor, top: int) -> list[Tensor]:
    """Derivatives sin, cos, -sin, -cos."""
    circle = (torch.sin(x), torch.cos(x), -torch.sin(x), -torch.cos(x))
    return [circle[m % 4] / math.factorial(m) for m in range(top + 1)]


def cos(x: Tensor, top: int) -> list[Tensor]:
    """sin, a quarter further."""
    circle = (torch.cos(x), -torch.sin(x), -torch.cos(x), torch.sin(x))
    return [circle[m % 4] / math.factorial(m) for m in range(top + 1)]


def _times_argument(x: Tensor, a: Sequence[Tensor]) -> list[Tensor]:
    """The tower of x f(x) from that of f."""
    return [x * a[0], *(torch.addcmul(a[m - 1], x, a[m]) for m in range(1, len(a)))]


def _coefficient(a: Sequence[Tensor], b: Sequence[Tensor], m: int) -> Tensor:
    """sum_{i+j=m} a_i b_j."""
    total = a[0] * b[m]
    for i in range(1, m + 1):
        total = torch.addcmul(total, a[i], b[m - i])
    return total
