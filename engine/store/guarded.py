"""A connection through which no secret gets into the database, whoever wrote the statement.

Each room takes secrets out of what it says; this stands behind all of them. Every text that is bound passes it, also
in questions: what was written without its secret is found again without it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

SHORTEST = 8  #: characters: no secret is shorter

Clean = Callable[[str], str]


class Guarded(sqlite3.Connection):
    """Its `clean` takes secrets out of a text. Until it has one, it is a connection as any other."""

    clean: Clean | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        return super().execute(
            sql, parameters if self.clean is None or not parameters else _bound(parameters, self.clean)
        )

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        clean = self.clean
        return super().executemany(sql, parameters if clean is None else (_bound(one, clean) for one in parameters))


def _bound(parameters: Sequence[Any] | Mapping[str, Any], clean: Clean) -> Any:
    if isinstance(parameters, Mapping):
        return {name: _one(value, clean) for name, value in parameters.items()}
    return [_one(value, clean) for value in parameters]


def _one(value: Any, clean: Clean) -> Any:
    return clean(value) if isinstance(value, str) and len(value) >= SHORTEST else value
