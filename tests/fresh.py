"""Databases for the engines that the tests start, without the time that migrations and disks take.

What the migrations make is made once for each process, by the migrations, and every database that is still empty gets a
copy of it. All else (an older database, other scripts) goes the long way; tests/store/test_schema.py goes it always.
Nor does one of them wait for the disk: a test kills engines, and switches no machine off.
"""

from __future__ import annotations

import contextlib
import sqlite3
from functools import cache

from engine.memory import database
from engine.store import schema

long_way = schema.migrate
_memory_s_way = database._migrate
_NO_WAIT = "PRAGMA synchronous = OFF"
_INCREMENTAL = 2  #: what `PRAGMA auto_vacuum` says of a database that shrinks


def hasten() -> None:
    """Let every database that is opened in this process, and in its forks, be made of the copy."""
    image()
    schema.migrate = migrate
    database._migrate = migrate_memory


def migrate(connection: sqlite3.Connection, scripts: list[str]) -> None:
    if _is_empty(connection) and scripts == schema.migrations():
        with contextlib.closing(sqlite3.connect(":memory:")) as made:
            made.deserialize(image())
            made.backup(connection)
    else:
        long_way(connection, scripts)
    connection.execute(_NO_WAIT)


def migrate_memory(connection: sqlite3.Connection) -> None:
    _memory_s_way(connection)
    connection.execute(_NO_WAIT)


@cache
def image() -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
        long_way(connection, schema.migrations())
        return connection.serialize()


def _is_empty(connection: sqlite3.Connection) -> bool:
    """A file that has no table yet and was made to be ours, or a database that never leaves the memory."""
    file = connection.execute("PRAGMA database_list").fetchone()[2]
    ours = not file or connection.execute("PRAGMA auto_vacuum").fetchone() == (_INCREMENTAL,)
    return ours and not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
