"""Rows in order, looked up by name: what a solve took, what a round costs, what a run found."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from qdescent._checks import ArgumentError, argument_error, check_sequence, check_text, shown
from qdescent._evidence import Row
from qdescent.rows.numbers import number

if TYPE_CHECKING:
    import pandas

COLUMNS = ("name", "value", "unit", "evidence", "source", "error")
MOST_NAMED = 30  # names that one sentence can list; of more, their sections


class MissingRowError(ArgumentError):
    """There is no row of the name that was asked for; a page leaves that part out."""

    def __init__(self, name: str, names: Iterable[str]) -> None:
        known = list(names)
        near = difflib.get_close_matches(name, known, n=3)
        hints = [f"near it: {', '.join(near)}"] if near else []
        hints.append(f"there are: {_listed(known)}")
        actual = f"{name!r} ({'; '.join(hints)})"
        super().__init__(str(argument_error("name", "be the name of one of these rows", actual)))
        self.name = name


def _listed(names: list[str]) -> str:
    """All names where they are few, else their sections with the number of rows in each."""
    if len(names) <= MOST_NAMED:
        return ", ".join(names) or "none"
    sections: dict[str, int] = {}
    for name in names:
        section = f"{name.split('/')[0]}/" if "/" in name else name
        sections[section] = sections.get(section, 0) + 1
    return ", ".join(f"{each} ({n})" if n > 1 else each for each, n in sections.items())


@dataclass(frozen=True, init=False, repr=False)
class Rows:
    """Rows in order, no name twice; they are looked up by name, and never change.

    Args:
        rows: any sequence of `Row`s.

    Raises:
        ArgumentError: something that is not a row, or a name given twice.

    Example:
        >>> from qdescent._evidence import Evidence
        >>> kept = Row("kept", 10, "weights", Evidence.EXACT, "entries of the mask")
        >>> rows = Rows([kept, Row("kappa", 41.5, "1", Evidence.MODELLED, "(1 + a) sum a^j")])
        >>> rows["kappa"].evidence.value, rows.number("kept"), "alpha" in rows
        ('modelled', 10, False)
        >>> print(rows.under("network/"))
        network/kept   10    weights  exact
        network/kappa  41.5  1        modelled
    """

    _rows: tuple[Row, ...]
    _by_name: dict[str, Row] = field(compare=False)

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        called = "a sequence of `Row`s (a number without evidence is an error)"
        given = check_sequence("rows", rows, Row, called=called, empty=True)
        by_name = {row.name: row for row in given}
        if len(by_name) < len(given):
            names = [row.name for row in given]
            twice = next(name for name in names if names.count(name) > 1)
            raise argument_error("rows", "hold every name once", f"given {twice!r} twice")
        object.__setattr__(self, "_rows", given)
        object.__setattr__(self, "_by_name", by_name)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __contains__(self, name: object) -> bool:
        """Whether there is a row of this name; of a `Row`, whether it is one of these."""
        return name in self._rows if isinstance(name, Row) else name in self._by_name

    def __getitem__(self, name: str) -> Row:
        """The row of this name.

        Raises:
            MissingRowError: there is none; the sentence says which there are.
        """
        try:
            return self._by_name[check_text("name", name, empty=True)]
        except KeyError:
            raise MissingRowError(name, self._by_name) from None

    def __add__(self, more: Iterable[Row]) -> Rows:
        """These rows and, after them, more."""
        return Rows([*self, *Rows(more)])

    def __repr__(self) -> str:
        return f"Rows({', '.join(self._by_name)})"

    def __str__(self) -> str:
        """A line a row: name, value, unit, evidence."""
        cells = [
            (row.name, _cell(row), row.unit if row.unit else "-", str(row.evidence)) for row in self
        ]
        widths = [max((len(cell[column]) for cell in cells), default=0) for column in range(3)]
        return "\n".join(
            f"{name:<{widths[0]}}  {value:<{widths[1]}}  {unit:<{widths[2]}}  {evidence}"
            for name, value, unit, evidence in cells
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self._by_name)

    def number(self, name: str) -> float:
        """The number in the row of this name (an integer stays one).

        Raises:
            ArgumentError: no such row, or it holds a text or a curve.
        """
        return self[name].number

    @property
    def numbers(self) -> Rows:
        """Those that hold one number: neither a text nor a curve."""
        return Rows(row for row in self if isinstance(row.value, (int, float)))

    def under(self, section: str) -> Rows:
        """The same rows in a section of a larger collection: `section` stands before each name.

        Args:
            section: with its slash, "circuit/".

        Example:
            >>> from qdescent._evidence import Evidence
            >>> Rows([Row("queries", 57, "calls", Evidence.EXACT, "counted")]).under("circuit/")
            Rows(circuit/queries)
        """
        if not check_text("section", section).endswith("/"):
            must = "be a section with its slash, such as 'circuit/'"
            raise argument_error("section", must, shown(section))
        return Rows(tuple(replace(row, name=section + row.name) for row in self))

    def section(self, prefix: str) -> Rows:
        """The rows whose names begin with `prefix`, under their full names."""
        check_text("prefix", prefix, empty=True)
        return Rows(row for row in self if row.name.startswith(prefix))

    def to_csv(self) -> str:
        """A table for any spreadsheet: a line of column names, then a line a row. Numbers keep
        every digit; a curve stands in one cell, "[1.0, 0.5]".

        Example:
            >>> from qdescent._evidence import Evidence
            >>> print(Rows([Row("queries", 57, "calls", Evidence.EXACT, "counted")]).to_csv())
            name,value,unit,evidence,source,error
            queries,57,calls,exact,counted,
            <BLANKLINE>
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self:
            writer.writerow(map(_csv_cell, _cells(row)))
        return text.getvalue()

    def to_pandas(self) -> pandas.DataFrame:
        """The same table as a DataFrame of pandas, one line a row; curves are tuples.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        import pandas  # heavy, and not everybody's

        return pandas.DataFrame([_cells(row) for row in self], columns=list(COLUMNS))


def _cell(row: Row) -> str:
    """The value as a table of texts shows it; of a curve, how long it is."""
    if isinstance(row.value, tuple):
        return f"{len(row.value)} values"
    return number(row.value, 4)


def _cells(row: Row) -> tuple[Any, ...]:
    """One line of a table, in the order of `COLUMNS`."""
    return row.name, row.value, row.unit, str(row.evidence), row.source, row.error


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"[{', '.join(map(repr, value))}]" if isinstance(value, tuple) else value
