"""What the operator said of classes: kept, forgotten, counted. Operations of the one writer."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from engine.model import Triage
from engine.store.rows import JobRow
from engine.store.writer import Transaction

_COUNTS = (
    "SELECT c.project, one.value, sum(?1 = 'agreed'), sum(?1 = 'contradicted') FROM triage_corrections AS c, "
    "json_each(iif(?1 = 'agreed', c.agreed, c.contradicted)) AS one GROUP BY 1, 2"
)
_KINDS = "SELECT project, kind, triage, count(*) FROM triage_corrections WHERE kind <> '' GROUP BY 1, 2, 3"


@dataclass(frozen=True, slots=True)
class Said:
    """Corrections in one project, counted."""

    rules: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By rule: those that it had spoken for, and those that it had spoken against."""
    kinds: dict[str, dict[Triage | None, int]] = field(default_factory=dict)
    """By kind of job: how often it was said to be of each class."""


def keep(tx: Transaction, row: JobRow, triage: Triage | None, by: str, agreed: list[str], against: list[str]) -> int:
    """A new correction; its number."""
    encode = msgspec.json.encode
    made = tx.connection.execute(
        "INSERT INTO triage_corrections (at, by, job, project, kind, was, triage, agreed, contradicted) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (tx.now, by, row.id, row.project or "", row.kind or "", row.triage, triage,
         encode(agreed).decode(), encode(against).decode()),
    )  # fmt: skip
    return made.lastrowid or 0


def forget(tx: Transaction, number: int) -> None:
    """It was taken back, and counts no more."""
    tx.connection.execute("DELETE FROM triage_corrections WHERE id = ?", (number,))


def said(tx: Transaction) -> dict[str, Said]:
    """By project; '' is work without one. Corrections are the operator's own, so there are never many."""
    found: dict[str, Said] = {}
    for what in ("agreed", "contradicted"):
        for project, rule, agreed, against in tx.connection.execute(_COUNTS, (what,)):
            counts = found.setdefault(project, Said()).rules
            before = counts.get(rule, (0, 0))
            counts[rule] = (before[0] + agreed, before[1] + against)
    for project, kind, triage, count in tx.connection.execute(_KINDS):
        kinds = found.setdefault(project, Said()).kinds
        kinds.setdefault(kind, {})[Triage(triage) if triage else None] = count
    return found
