"""The audit: every verb that was called, by whom and from where, read out of the log."""

from __future__ import annotations

from typing import Any

import msgspec

from engine import events as log
from engine.model.access import AuditLine
from engine.store.writer import Transaction

#: By the words of the index: what agents called of their tools is in it too.
_LINES = (
    "SELECT seq, at, job, body FROM events "
    'WHERE substr(body, 1, 17) IN (\'{"kind":"audited"\', \'{"kind":"tool_cal\') AND at >= ? '
    "ORDER BY at DESC, seq DESC"
)


def lines(tx: Transaction, since: int, who: str | None, limit: int) -> list[AuditLine]:
    """The newest calls since a time, oldest first; of one caller where one is named."""
    found: list[AuditLine] = []
    for row in tx.connection.execute(_LINES, (since,)):
        line = _line(row)
        if who is None or line.who == who:
            found.append(line)
            if len(found) == limit:
                break
    return found[::-1]


def _line(row: tuple[Any, ...]) -> AuditLine:
    seq, at, job, body = row
    told = msgspec.json.decode(body, type=log.Audited | log.ToolCalled)
    if isinstance(told, log.ToolCalled):
        return AuditLine(
            seq=seq, at=at, who=f"J{job}", role="job", door="mcp", address="", what=told.tool,
            status=200 if told.ok else 409, said=told.said, job=job,
        )  # fmt: skip
    more = f" (and {told.more} more like it)" if told.more else ""
    return AuditLine(
        seq=seq, at=at, who=told.who, role=told.role, door=told.door, address=told.address, what=told.what,
        status=told.status, said=told.said + more, job=told.of,
    )  # fmt: skip
