"""The cost of one copy of u_T in symbols, in the exchange format QREF: n, s, T, kappa, epsilon."""

from __future__ import annotations

from typing import Any

from qdescent._checks import check_integer

# of a history by kernel reflection, norm unknown, and plain QROM
_QUERIES = "alpha*kappa*(56 + 1.05*log(1/epsilon))"
_BITS = "ceiling(log2(6.283185307179586*{order}) + log2(queries) - log2(epsilon))"
_TURNS = {  # rotations by loaded angles in a query
    1: "2 + 2*ceiling(log2(s))",
    2: "6 + 2*ceiling(log2(s**2)) + 2*ceiling(log2(s + 1)) + 2*ceiling(log2(n + 1))",
}
# Runs that are read, as counts/history_tables.py has them part by part, for s a power of two: a =
# log2 s, w bits of a colour, B letters beyond n, which waste theirs on the last colour.
_A, _W = "log2(s)", "2*log2(s)"
_BEYOND = "(2**ceiling(log2(n + 1)) - n - 1)"
_SHORT = f"({_A} - 1)*({_A} + 2)/2"  # runs of a single last colour, level by level
_LOOK_UPS = {
    1: (
        f"4*(T + 1) + 4*n*(s - 1) + 2*({_BEYOND} + 1)*{_SHORT} + 2*n*(s - 1)"
        " + 2*2**ceiling(log2(T + 1))"
    ),
    2: (
        # roles; colours of the first slot under both roles, and those of the second
        f"52*(T + 1) + 2*n*(2*s**2 + 2*s - 3 + {_A}**2 + {_SHORT} + (5*{_A}**2 - 3*{_A})/2)"
        f" + {_BEYOND}*(({_W} - 2)*({_W} + 1) + ({_W} - 1)*({_W} + 2))"
        f" + 2*n*(2*s - 1 + {_A} + {_A}*({_A} + 1)/2) + 2*{_BEYOND}*{_SHORT}"
        # letters of both, F_0, what follows a letter, steps
        " + 2*n*(s**2 + 2*s - 2) + 4*n + n*s**2 + 4*2**ceiling(log2(T + 1))"
    ),
}
# F_0 once for each letter of a word; steps and lengths are turned, too, by a few lines
_UPLOAD = {1: "2*n", 2: "4*n + 4*ceiling(log2(n + 1))"}
_UPLOAD_TURNS = {
    1: "ceiling(log2(T + 1)) + ceiling(log2(n + 1))",
    2: "1 + ceiling(log2(T + 1)) + 2*ceiling(log2(n + 1))",
}


def to_qref(order: int = 2) -> dict[str, Any]:
    """A routine of QREF (v1): one run of kernel reflection on a history of order 1 or 2, tables by
    QROM, in symbols; to be compiled and evaluated by bartiq.

    Symbols: n, s (non-zeros a row, a power of two: of others, tables have up to a quarter more
    runs; F_2 has s^2), T (steps, no padding), kappa (||M|| ||M^-1||), epsilon, alpha (alpha/||M||).

    Args:
        order: N, 1 or 2.

    Returns:
        A dictionary as JSON has it: resources `queries`, `preparations`, `toffoli`; the children
        `query` and `upload` with what one of each takes.

    References:
        QREF, https://github.com/PsiQ/qref; bartiq evaluates it.

    Example:
        >>> routine = to_qref(order=1)["program"]
        >>> [child["name"] for child in routine["children"]]
        ['query', 'upload']
    """
    order = check_integer("order", order, 1, 2)
    symbols = ["n", "s", "T", "kappa", "epsilon", "alpha"]
    bits = _BITS.format(order=order)
    children = [
        _routine("query", ["n", "s", "T", "bits"], {
            "toffoli": f"{_LOOK_UPS[order]} + ({_TURNS[order]})*(bits - 2)",
        }),
        _routine("upload", ["n", "T", "bits"], {
            "toffoli": f"{_UPLOAD[order]} + ({_UPLOAD_TURNS[order]})*(bits - 2)",
        }),
    ]  # fmt: skip
    linked = [("n", ["query.n", "upload.n"]), ("s", ["query.s"]), ("T", ["query.T", "upload.T"])]
    program = _routine("copy_of_u_T", symbols, {
        "queries": "queries",
        "preparations": "2*queries",
        "toffoli": "queries*query.toffoli + 2*queries*upload.toffoli",
    })  # fmt: skip
    program |= {
        "children": children,
        "local_variables": {"queries": _QUERIES, "bits": bits},
        "linked_params": [
            *({"source": source, "targets": targets} for source, targets in linked),
            {"source": "bits", "targets": ["query.bits", "upload.bits"]},
        ],
    }
    return {"version": "v1", "program": program}


def _routine(name: str, symbols: list[str], resources: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "type": None,
        "input_params": symbols,
        "resources": [
            {"name": what, "type": "other", "value": value} for what, value in resources.items()
        ],
    }
