"""What agents call of Headway, as the database keeps it. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine import events as log
from engine.decision import Card
from engine.errors import RefusedError
from engine.model import Report
from engine.store import cards, jobs
from engine.store.fold import record
from engine.store.kin import children, kinship
from engine.store.writer import Transaction

_FIND = "SELECT ok, answer FROM tool_calls WHERE attempt = ? AND call = ?"
_KEEP = "INSERT INTO tool_calls (attempt, call, tool, at, ok, answer) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_REPORT = (
    "INSERT INTO reports (attempt, at, line, share) VALUES (?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET at = excluded.at, line = excluded.line, share = excluded.share"
)
_CARD = (
    "SELECT id FROM decisions WHERE attempt = ?1 AND (request = ?2 OR (request LIKE ?3 AND sent_at IS NULL)) "
    "ORDER BY request = ?2 DESC, id LIMIT 1"
)
_REPORTS = (
    "SELECT reports.attempt, line, share, at FROM attempts JOIN reports ON reports.attempt = attempts.id "
    "WHERE attempts.job = ?"
)
_THESE = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Answered:
    """How a call was answered."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A call, as the log tells it."""

    attempt: int
    call: str
    tool: str
    said: str = ""


@dataclass(frozen=True, slots=True)
class Parent:
    """Which attempt's agent submits a job, and how far that may go."""

    attempt: int
    depth: int
    children: int


@dataclass(frozen=True, slots=True)
class Told:
    """What agents said of a job, and whom they submitted."""

    parent: int | None
    children: list[int]
    reports: Mapping[int, Report]
    """The last of each attempt."""


def answer_of(tx: Transaction, attempt: int, call: str) -> Answered | None:
    """How a call was answered that came before; None for a new one."""
    found = tx.connection.execute(_FIND, (attempt, call)).fetchone()
    return Answered(bool(found[0]), found[1]) if found else None


def note(tx: Transaction, called: Called, answer: Answered) -> None:
    """Log a call and remember its answer. Raises `RefusedError` for an attempt that has been settled."""
    row, _ = jobs.fenced(tx, called.attempt)
    kept = tx.connection.execute(
        _KEEP, (called.attempt, called.call, called.tool, tx.now, answer.ok, answer.text)
    ).rowcount
    if kept:
        record(tx, row, log.ToolCalled(called.tool, called.call, answer.ok, called.said), called.attempt)


def report(tx: Transaction, attempt: int, line: str, share: float | None) -> None:
    """How far an attempt is. Raises `RefusedError` for one that has been settled."""
    row, _ = jobs.fenced(tx, attempt)
    tx.connection.execute(_REPORT, (attempt, tx.now, line, share))
    record(tx, row, log.Reported(line, share), attempt)


def reported(tx: Transaction, attempt: int) -> Report | None:
    """What an attempt reported last."""
    found = tx.connection.execute("SELECT line, share, at FROM reports WHERE attempt = ?", (attempt,)).fetchone()
    return Report(line=found[0], share=found[1], at=found[2]) if found else None


def of_job(tx: Transaction, job: int) -> Told:
    """What agents said of a job, and whom they submitted."""
    found = tx.connection.execute(_REPORTS, (job,))
    reports = {int(attempt): Report(line=line, share=share, at=at) for attempt, line, share, at in found}
    return Told(kinship(tx, job).parent, children(tx, job), reports)


def adopt(tx: Transaction, parent: Parent, child: int) -> None:
    """A job that an attempt's agent submits belongs to its own.

    Raises `RefusedError` where that has as many as it may, or is too far down, is being cancelled, or has been settled.
    """
    row, _ = jobs.fenced(tx, parent.attempt)
    if row.stopping is not None:
        raise RefusedError("this job is being cancelled, and what it submitted is too: it submits nothing more")
    above = kinship(tx, row.id)
    if above.depth >= parent.depth:
        raise RefusedError("this job was submitted by an agent itself, and may submit none: do it here")
    there = len(children(tx, row.id))
    if there >= parent.children:
        raise RefusedError(f"this job has submitted {there} jobs, which is as many as it may: do the rest here")
    tx.connection.execute(
        "INSERT INTO children (job, parent, root, depth, attempt) VALUES (?, ?, ?, ?, ?)",
        (child, row.id, above.root, above.depth + 1, parent.attempt),
    )
    record(tx, row, log.Spawned(child, above.depth + 1), parent.attempt)


def card_of(tx: Transaction, attempt: int, request: str) -> Card | None:
    """The card that stands for a request, or for one that asks the same and was not told its answer yet."""
    same = f"{request.rpartition(':')[0]}:%"
    found = tx.connection.execute(_CARD, (attempt, request, same)).fetchone()
    return cards.one(tx, int(found[0])) if found else None


def prune(tx: Transaction, these: str) -> None:
    """Jobs are removed: a JSON list of ids. Their attempts are there still."""
    for table in ("tool_calls", "reports"):
        tx.connection.execute(
            f"DELETE FROM {table} WHERE attempt IN (SELECT id FROM attempts WHERE job {_THESE})", (these,)
        )
    tx.connection.execute(f"DELETE FROM children WHERE job {_THESE}", (these,))
