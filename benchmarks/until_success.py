"""How do the queries of a fast-forwarded segment grow with T until it succeeds, and what does no
method avoid?

    python benchmarks/until_success.py    # seconds

Order 1 of the almost dissipative family of scaling.py, eigenvalues of F_1 1 and .6, where the
polynomial has to reach T on the neutral mode, of which F_0 has a share a. In u_T/||u_T|| it is
l = T ||F_0||/||u_T|| times that, and whoever knows F_1 by its block-encoding alone needs k queries
with (2k + 1)/sqrt(P) >= l - epsilon/a (docs/mathematics.md). Of the family's F_0, a = 1/200; of one
that has as much of both modes; and of the first after twelve steps that a classical computer takes.
Slopes of the logarithms from T = 16 to 1,024, with their standard errors. Then the three almost
dissipative families with their coupling, order 1 and 2, T = 64 to 512, as they are and after twelve
steps.
"""

from __future__ import annotations

import torch
from protocol import environment, save
from scaling import EPSILON, FAMILIES, family_map, forwarded, slope

import qdescent as qd

STEPS = (16, 32, 64, 128, 256, 512, 1024)
BEYOND = (4096, 16_384, 65_536)  # outside of the slopes
COUPLED = (64, 128, 256, 512)
TAKEN = 12


def without_coupling(start, taken):
    """The map u <- F_0 + F_1 u, recentred where so many steps end."""
    factors, _, _ = FAMILIES["almost dissipative"]
    f = qd.PolynomialMap([torch.tensor(start).double(), torch.tensor(factors).double().diag()])
    return after(f, taken)


def after(f, taken):
    """The map from where so many steps end."""
    return f.recentred(f.iterate(torch.zeros(f.size, dtype=torch.float64), taken)[-1])


def against_steps(f):
    """Rows by T, the share of the neutral mode in F_0, and slopes."""
    start = f.coefficients[0].to_dense()[:, 0]
    share = float(start[0] / torch.linalg.vector_norm(start))
    rows = [{"steps": T, **forwarded(f, 1, T)} for T in (*STEPS, *BEYOND)]
    for row in rows:
        row["no method below"] = (row["T ||F_0|| / ||u_T||"] - EPSILON / share - 1) / 2
    names = ("degree", "queries of a run", "queries", "T ||F_0|| / ||u_T||", "no method below")
    fitted = rows[: len(STEPS)]
    slopes = {name: slope(fitted, lambda row, name=name: row[name], len(STEPS)) for name in names}
    return {"share of the neutral mode": share, "rows": rows, "slopes": slopes}


def with_coupling(f):
    """By order and steps taken: rows, and the slope of the queries until success."""
    table = {}
    for order in (1, 2):
        for taken in (0, TAKEN):
            rows = [{"steps": T, **forwarded(after(f, taken), order, T)} for T in COUPLED]
            found = {"rows": rows, "slope": slope(rows, lambda row: row["queries"])}
            table[f"order {order}, after {taken} classical steps"] = found
    return table


def main():
    """All of it."""
    _, (neutral, fast), _ = FAMILIES["almost dissipative"]
    kinds = {
        "as the family has it": ((neutral, fast), 0),
        "both modes alike": ((fast, fast), 0),
        f"as the family has it, after {TAKEN} classical steps": ((neutral, fast), TAKEN),
    }
    table = {name: against_steps(without_coupling(*kind)) for name, kind in kinds.items()}
    for name, part in table.items():
        told = {key: round(each["slope"], 2) for key, each in part["slopes"].items()}
        print(name, told, flush=True)
    coupled = {name: with_coupling(family_map(name)) for name in FAMILIES if "almost" in name}
    for name, part in coupled.items():
        told = {
            k: (round(v["slope"]["slope"], 2), v["rows"][-1]["queries"]) for k, v in part.items()
        }
        print(name, told, flush=True)
    content = {
        "question": "Queries of order 1 until success against T, and what no method avoids",
        "epsilon": EPSILON,
        "kinds": table,
        "with coupling": coupled,
        "environment": environment(),
    }
    save("until_success", content)


if __name__ == "__main__":
    main()
