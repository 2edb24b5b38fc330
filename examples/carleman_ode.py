"""Carleman linearisation for the reader of differential equations: the logistic equation, and
Burgers as Liu et al. (2021) set it.

du/dt = F_0(t) + F_1 u + F_2 (u (x) u) becomes dz/dt = C z + c on z = (u, u (x) u, ..., u^{(x)N}).
Run it with `python examples/carleman_ode.py` (some seconds), or `--small` for fewer.
"""

import math
import sys

import torch

from qdescent import Direct, history_system, solve
from qdescent.carleman.lifting.linearization import carleman_linearize
from qdescent.linalg.polynomial_field import PolynomialField

small = "--small" in sys.argv
f64 = torch.float64

# The logistic equation: each order gains. With x' = x - x^2 up to t = 2 the series has left its
# radius: each order loses.
for a, b, x0, end, title in [(-1.0, 0.5, 1.0, 1.0, "converges"), (1.0, -1.0, 0.5, 2.0, "diverges")]:
    growth = math.exp(a * end)
    truth = growth * x0 / (1 - b * x0 / a * (growth - 1))
    field = PolynomialField(
        [
            torch.zeros(1, dtype=f64),
            torch.full((1, 1), a, dtype=f64),
            torch.full((1, 1), b, dtype=f64),
        ]
    )
    for order in (1, 2, 4, 8):
        lift = carleman_linearize(field, order, form="plain")
        z = torch.linalg.matrix_exp(end * lift.to_sparse().to_dense()) @ lift.lift(
            torch.tensor([x0], dtype=f64)
        )
        print(f"logistic {title}  N = {order}  error {abs(float(lift.project(z)) - truth):.6e}")

# The same as a quantum computer would have it: T Euler steps as one linear system, with its
# declared condition number.
logistic = PolynomialField(
    [torch.zeros(1, dtype=f64), -torch.eye(1, dtype=f64), 0.5 * torch.eye(1, dtype=f64)]
)
lift = carleman_linearize(logistic, order=4, form="plain")
system = history_system(lift.euler_step(0.05), torch.tensor([1.0], dtype=f64), steps=20, padding=5)
answer = float(solve(system, Direct()).answer)
print(
    f"history  x(1) = {answer:.6f} from {system.size} unknowns, kappa at most"
    f" {system.kappa_bound:.1f}"
)
print(f"         found with probability {system.success_probability:.3f}")

# Burgers on 16 points, Re = 20, a source that oscillates; R = 43.6, far above the bound that
# guarantees convergence.
n, steps, U = 16, 400 if small else 3999, 1 / math.sqrt(15)
h, dx, x = 3 / steps, 1 / 15, torch.linspace(-0.5, 0.5, 16, dtype=f64)
F1, F2 = torch.zeros(n, n, dtype=f64), torch.zeros(n, n * n, dtype=f64)
for i in range(1, n - 1):
    F1[i, i - 1 : i + 2] = torch.tensor([1.0, -2.0, 1.0], dtype=f64) * U / 20 / dx**2
    F2[i, (i - 1) * n + i - 1], F2[i, (i + 1) * n + i + 1] = 1 / (4 * dx), -1 / (4 * dx)
source = U * torch.exp(-((x - 0.25) ** 2) / (2 / 32**2))
burgers = PolynomialField(
    [0 * x, F1.to_sparse(), F2.to_sparse()], forcing=lambda t: source * math.cos(2 * math.pi * t)
)
u = start = -U * torch.sin(2 * math.pi * x)
truth = [u]
for t in range(steps):
    u = u + h * burgers(u, h * t)
    truth.append(u)
for order in (1, 2) if small else (1, 2, 3, 4):
    lift = carleman_linearize(
        burgers, order, form="plain", symmetric=True
    )  # 4,844 unknowns at N = 4, where the full words are 69,904
    error = torch.linalg.vector_norm(
        lift.integrate(start, h, steps) - torch.stack(truth), dim=1
    ).max()
    print(f"Burgers  N = {order}  {lift.dimension} unknowns  max_t error {float(error):.6f}")
