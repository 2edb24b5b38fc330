"""How long a solve may take: its queries are forecast, and refused beyond a limit."""

from __future__ import annotations

from qdescent._checks import argument_error

MOST_PRODUCTS = 1_000_000  # of a matrix polynomial: ten seconds of the smallest systems
MOST_QUERIES = 20_000  # of a simulated circuit, some milliseconds each
# of the series form: above it the rounding of the recurrences outgrows the term itself in float32
ORDER_LIMIT = 6
FREE_QUBITS = 16  # up to here a query takes as long as its steps; beyond, each qubit doubles it


def check_forecast(
    most_queries: int | None, queries: int, kappa: float, *, circuit: bool, qubits: int = 0
) -> None:
    """Refuse a solve that would take more queries than its limit.

    Args:
        most_queries: the setting; None takes 1,000,000 products of a matrix polynomial, 20,000
            queries of a circuit.
        queries: the forecast.
        kappa: that sets it.
        circuit: a query is a call of a simulated circuit, not a product.
        qubits: of that circuit; beyond 16 a query counts double for each more.

    Raises:
        ArgumentError: a forecast above the limit.

    Example:
        >>> check_forecast(None, 20_000, kappa=50.0, circuit=True, qubits=12)
        >>> check_forecast(None, 20_000, kappa=50.0, circuit=True, qubits=17)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        qdescent._checks.ArgumentError: Argument `most_queries` must be at least 40000 for a ...
    """
    limit = most_queries or (MOST_QUERIES if circuit else MOST_PRODUCTS)
    beyond = max(0, qubits - FREE_QUBITS) if circuit else 0
    weighted = queries * 2**beyond
    if weighted <= limit:
        return
    of = "a circuit" if circuit else "a matrix polynomial"
    why = ""
    if beyond:
        why = (
            f" ({queries} queries on {qubits} qubits, each of which beyond {FREE_QUBITS} counts"
            " double)"
        )
    raise argument_error(
        "most_queries", f"be at least {weighted} for {of} at kappa = {kappa:.4g}{why}", limit
    )
