"""Both sides of a ledger way by way, as tables."""

from __future__ import annotations

from qdescent.report.pages.tables import table
from qdescent.report.record import Record
from qdescent.rows import names

_CLASSICAL = names.LEDGER + "classical/"
# of each quantum way: what a copy takes, and the round
_OF_A_WAY = ("queries", "runs", "loader", "time")


def ways_tables(record: Record) -> str:
    """Every quantum way, cheapest first, and every classical one, with what each is made of."""
    quantum = [
        row
        for row in record.rows.section(names.LEDGER + names.WAYS)
        if row.name.rpartition("/")[2] in _OF_A_WAY
    ]
    classical = [
        row
        for row in record.rows.section(_CLASSICAL)
        if row.name.endswith("/gradients") or row.name.startswith(f"{_CLASSICAL}time")
    ]
    parts = (
        ("Quantum ways, cheapest first: a run, runs a copy, and the round", quantum, names.WAYS),
        ("Classical ways, and the best of them on each machine", classical, "classical/"),
    )
    return "".join(
        f"<h3>{title}</h3>{table(rows, names.LEDGER + prefix)}"
        for title, rows, prefix in parts
        if rows
    )
