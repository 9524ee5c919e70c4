"""Writing many rows of one table."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

ROWS = 16  #: of one statement: what a statement costs is then shared by so many


def insert(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]]) -> None:
    """Write many rows with few statements."""
    whole = len(rows) - len(rows) % ROWS
    for start in range(0, whole, ROWS):
        connection.execute(_insertion(table, columns, ROWS), [*chain.from_iterable(rows[start : start + ROWS])])
    connection.executemany(_insertion(table, columns, 1), rows[whole:])


@cache
def _insertion(table: str, columns: tuple[str, ...], rows: int) -> str:
    one = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([one] * rows)}"
