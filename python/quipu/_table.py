"""Rows with named columns, where pandas is not installed."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload


class Table(Sequence[Any]):
    """Rows as dictionaries, in order; `table["name"]` is a column as a list.

    `list(table)` is a plain list of dictionaries; `pandas.DataFrame(list(table))` makes a frame of it.
    """

    def __init__(self, columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
        self.columns = list(columns)
        self._rows = [dict(zip(self.columns, row)) for row in rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> Table: ...
    @overload
    def __getitem__(self, key: str) -> list[Any]: ...
    def __getitem__(self, key: int | slice | str) -> Any:
        if isinstance(key, str):
            if key not in self.columns:
                raise KeyError(f"there is no column {key!r}; the columns are {', '.join(self.columns)}")
            return [row[key] for row in self._rows]
        if isinstance(key, slice):
            return Table(self.columns, [list(row.values()) for row in self._rows[key]])
        return self._rows[key]

    def _cells(self, limit: int = 60) -> tuple[list[list[str]], int]:
        """The header and the first rows as text, and how many rows are left out."""
        cells = [self.columns] + [[_cell(value) for value in row.values()] for row in self._rows[:limit]]
        return cells, max(0, len(self) - limit)

    def __repr__(self) -> str:
        cells, left = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths)) for row in cells]
        return "\n".join([*lines, f"… and {left} more rows" if left else f"{len(self)} rows"])

    def _repr_html_(self) -> str:
        cells, left = self._cells()
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells[1:])
        head = "".join(f"<th>{html.escape(column)}</th>" for column in self.columns)
        foot = f"<p>… and {left} more rows</p>" if left else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{foot}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    text = "" if value is None else str(value)
    text = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return text if len(text) <= 60 else text[:59] + "…"


def frame(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """A pandas DataFrame if pandas is installed, else a `Table`."""
    try:
        import pandas
    except ImportError:
        return Table(columns, rows)
    return pandas.DataFrame.from_records([tuple(row) for row in rows], columns=list(columns), coerce_float=True)
