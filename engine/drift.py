"""Lines that adapters did not know, by agent and version: a program that has changed under us is seen here first."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

#: A version is that of the attempt's session: only an agent with one tells it. Read once, by `doctor`.
_QUERY = (
    "SELECT a.agent, coalesce(s.agent_version, ''), sum(a.unknown_lines), count(*), max(a.job) FROM attempts AS a "
    "LEFT JOIN sessions AS s ON s.agent = a.agent AND s.id = a.session "
    "WHERE a.unknown_lines > 0 GROUP BY 1, 2 ORDER BY 1, 2"
)


class Drift(Struct, frozen=True):
    """What one version of an agent printed that its adapter did not know."""

    agent: str
    version: str
    lines: int
    attempts: int
    job: int
    """The newest job in which it did."""

    def __str__(self) -> str:
        version = f" {self.version}" if self.version else ""
        return f"{self.agent}{version}: {self.lines:,} unknown lines in {self.attempts:,} attempts, J{self.job} last"


def drift(connection: sqlite3.Connection) -> list[Drift]:
    return [Drift(*row) for row in connection.execute(_QUERY)]
