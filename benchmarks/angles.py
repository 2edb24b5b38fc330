"""How fast are the angles of quantum signal processing, next to pyqsp's, and how long does degree
10^5 take?

    python benchmarks/angles.py             # degree 1,521 against pyqsp (sym_qsp), then degree 10^5
    python benchmarks/angles.py --smoke     # the same at degree 151 and 10^3

Target: the minimax polynomial for 1/x, scaled to max |p| = .5, which pyqsp's iteration still
converges for. Both sets of angles are rebuilt by 2 x 2 products at 1,000 random points. pyqsp comes
with `pip install -e '.[peers]'`; without it only ours is timed.
"""

import sys
import time

import numpy as np
from protocol import environment, interleave, ratios, save

from qdescent.linalg.chebyshev import chebyshev_value, inverse_degree, minimax_inverse
from qdescent.quantum.algorithms.qsp_angles import qsp_angles, qsp_value

EPSILON = 1e-4
LARGEST = 0.5


def target(degree):
    """Chebyshev coefficients of 1/x at the least kappa whose polynomial has this degree."""
    low, high = 1.001, float(degree)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if inverse_degree(middle, EPSILON) < degree else (low, middle)
    polynomial = minimax_inverse(high, EPSILON)
    assert polynomial.degree == degree
    return polynomial.coefficients * (LARGEST / polynomial.supremum)


def rebuilt_error(psi, coefficients):
    """max |Im <0|sequence(x)|0> - p(x)| at random points."""
    x = np.random.default_rng(0).uniform(-1, 1, 1000)
    return float(np.abs(qsp_value(psi, x).imag - chebyshev_value(coefficients, x)).max())


def pyqsp_angles(coefficients):
    """Angles by pyqsp's Newton iteration on the symmetric phases."""
    from pyqsp.angle_sequence import QuantumSignalProcessingPhases

    return QuantumSignalProcessingPhases(coefficients, method="sym_qsp", chebyshev_basis=True)[0]


def against_pyqsp(degree, rounds):
    """Interleaved times, and the error of either at the same points."""
    coefficients = target(degree)
    found = {}

    def ours():
        found["qdescent"] = qsp_angles(coefficients).psi

    def theirs():
        found["pyqsp"] = pyqsp_angles(coefficients)

    contenders = {"qdescent": ours}
    try:
        import pyqsp  # noqa: F401

        contenders["pyqsp"] = theirs
    except ImportError as error:
        print(f"without pyqsp: {error}")
    seconds = interleave(contenders, rounds)
    return {
        "degree": degree,
        "seconds": seconds,
        "ratio_to_qdescent": ratios(seconds, "qdescent"),
        "error_at_random_points": {
            name: rebuilt_error(psi, coefficients) for name, psi in found.items()
        },
    }


def large(degree, rounds):
    """Seconds and certificate, for a polynomial scaled to .98 as the circuits have it."""
    coefficients = target(degree) * (0.98 / LARGEST)
    seconds, certificates = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        certificates.append(qsp_angles(coefficients).certificate)
        seconds.append(time.perf_counter() - start)
        print(
            f"degree {degree}: {seconds[-1]:.2f} s, certificate {certificates[-1]:.1e}", flush=True
        )
    return {"degree": degree, "seconds": seconds, "certificate": max(certificates)}


if __name__ == "__main__":
    smoke = "--smoke" in sys.argv
    content = {
        "question": (
            "Seconds from Chebyshev coefficients to certified angles, next to pyqsp (sym_qsp)"
        ),
        "against_pyqsp": against_pyqsp(151 if smoke else 1521, 1 if smoke else 5),
        "large": large(1001 if smoke else 100_001, 1 if smoke else 5),
        "environment": environment("pyqsp"),
    }
    if smoke:
        print(content)
    else:
        save("angles", content)
