"""Rows of a CSV file of one's own, with a header (UTF-8), each with its line for what must be said of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from interp.errors import InputError, first_line, nearest


def csv_rows(
    path: Path, *, columns: Sequence[str], required: Sequence[str]
) -> list[tuple[int, dict[str, str]]]:
    """Each row with the number of the line that it ends in; columns that are left out are empty.

    Raises `InputError`, naming the line, for a column that is none of `columns`, a row without a value for
    one of those `required` or with too many, and a file that is no CSV or holds no row.
    """
    if path.suffix.lower() != ".csv":
        raise InputError(f"Prompts are read from a .csv file here, not from {path.name!r}.")
    try:
        text = path.read_text(encoding="utf-8-sig")  # with or without a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} cannot be read ({first_line(error)}).") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        for column in reader.fieldnames or ():
            if column not in columns:
                raise InputError(f"{path.name}: unknown column {column!r}; {nearest(column, columns)}")
        for row in reader:
            if None in row or not all(row.get(column) for column in required):
                raise InputError(
                    f"{path.name}, line {reader.line_num}: a row needs {' and '.join(map(repr, required))}, "
                    "and no more values than there are columns; put text with a comma in double quotes."
                )
            rows.append((reader.line_num, {column: row.get(column) or "" for column in columns}))
    except csv.Error as error:
        raise InputError(f"{path.name}, line {reader.line_num}: no valid CSV ({error}).") from None
    if not rows:
        raise InputError(f"{path.name!r} holds no prompt; write one a line.")
    return rows
