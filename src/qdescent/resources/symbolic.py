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
# Entries that are read, as counts/history_query.py has them part by part: roles, colours, letters
# and what follows; runs of equal entries, a few logarithms a part, are left out.
_LOOK_UPS = {
    1: "4*(T + 1) + 4*n*(s - 1) + 2*n*s + 4*2**ceiling(log2(T + 1))",
    2: (
        "56*(T + 1) + 4*(n + 1)*(s**2 - 1 + s + ceiling(log2(s**2)))"
        " + 4*(n + 1)*(2*s + 2) + 2*(n + 1)*(s**2 + 2*s) + (n + 1)*s**2 + 8*(n + 1)"
        " + 6*2**ceiling(log2(T + 1))"
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

    Symbols: n, s (non-zeros a row; F_2 has s^2), T (steps, no padding), kappa (||M|| ||M^-1||),
    epsilon, alpha (alpha/||M||).

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
