"""Reading a database past the engine: for what also has to work without one, and for long reads beside it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import NotFoundError, RefusedError
from engine.store import pattern
from engine.store.schema import BUSY_MS, check_owner, migrations, refuse_what_is_none, storage_error


@contextmanager
def reading(path: Path, *, current: bool = True) -> Iterator[sqlite3.Connection]:
    """A read-only connection to a Headway database, closed again afterwards.

    `current`: the database has to be at this code's version, because tables are read by name. Raises `NotFoundError`,
    `RefusedError` or `StorageError` with what to do.
    """
    if not path.exists():
        raise NotFoundError(f"there is no database in {path.parent} yet; the first start of an engine makes it")
    refuse_what_is_none(path)
    try:
        connection = sqlite3.connect(_address(path), uri=True, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            pattern.teach(connection)
            version, known = check_owner(connection, path), len(migrations())
            if not version:
                raise NotFoundError(f"{path} is empty; the first start of an engine makes a database of it")
            if current and version < known:
                raise RefusedError(
                    f"{path} was written by an older Headway: its schema is {version}, this one needs {known}; "
                    "start its engine once with `headway serve`, which brings it up to date"
                )
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise storage_error(error, path) from error


def _address(path: Path) -> str:
    """How SQLite is to open it. Where nothing can be written, it could not make the index of its journal.

    Then nobody writes either, and a database that was closed in order is whole without one.
    """
    journal = path.with_name(f"{path.name}-wal")
    alone = not journal.exists() or not journal.stat().st_size
    still = "&immutable=1" if alone and not os.access(path.parent, os.W_OK) else ""
    return f"{path.absolute().as_uri()}?mode=ro{still}"
