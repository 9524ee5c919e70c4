"""Races as the database keeps them. Operations of the one writer, or looks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct, structs

from engine import events as log
from engine.model import RACE_ENDED, CheckResult, DiffStat, Race, RaceEntry, RaceState
from engine.store import scores
from engine.store.rows import read_attempts, read_jobs
from engine.store.writer import Transaction

_COLUMNS = (
    "id", "at", "by", "title", "project", "base", "batch", "state", "judge_job", "winner", "decided_at", "decided_by",
    "why",
)  # fmt: skip
_RACE = f"SELECT {', '.join(_COLUMNS)}, plan FROM races"
_OPEN = "SELECT id FROM races WHERE state IN ('running', 'checking', 'judging') ORDER BY id"
_ENTRIES = "SELECT job, lot, fit, passed, checks, note FROM race_entries WHERE race = ? ORDER BY job"
_TOOK = (
    "SELECT job, sum(max(0, ended_at - started_at)) FROM attempts WHERE job IN (SELECT value FROM json_each(?)) "
    "AND ended_at IS NOT NULL AND started_at IS NOT NULL GROUP BY job"
)


class Plan(Struct, frozen=True, kw_only=True):
    """What was asked for of a race."""

    checks: list[str]
    check_ms: int
    judge: str | None = None
    first: int | None = None


class Outcome(Struct, frozen=True, omit_defaults=True):
    """How a race stands: what a pick changes, and `undo` puts back."""

    race: int
    state: RaceState
    winner: int | None = None
    decided_at: int | None = None
    decided_by: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """How an entry's checks went."""

    fit: bool
    passed: bool | None = None
    checks: Sequence[CheckResult] = ()
    note: str = ""


def race(tx: Transaction, number: int) -> Race | None:
    """A race with its entries, as they stand now."""
    if number >= 1 << 63:
        return None
    values = tx.connection.execute(f"{_RACE} WHERE id = ?", (number,)).fetchone()
    return structs.replace(_race(values), entries=_entries(tx.connection, number)) if values else None


def races(tx: Transaction, limit: int) -> list[Race]:
    """The newest races, without their entries."""
    return [_race(values) for values in tx.connection.execute(f"{_RACE} ORDER BY id DESC LIMIT ?", (limit,))]


def unfinished(tx: Transaction) -> list[int]:
    """The races that go on by themselves."""
    return [int(row[0]) for row in tx.connection.execute(_OPEN)]


def outcome(of: Race) -> Outcome:
    return Outcome(of.id, of.state, of.winner, of.decided_at, of.decided_by, of.why)


def move(tx: Transaction, before: Race, to: Outcome, by: str = "headway") -> bool:
    """Bring a race to another state, unless it has moved on meanwhile: then False, and nothing is done."""
    done = tx.connection.execute(
        "UPDATE races SET state = ?, winner = ?, decided_at = ?, decided_by = ?, why = ? WHERE id = ? AND state = ? "
        "AND winner IS ?",
        (to.state, to.winner, to.decided_at, to.decided_by, to.why, to.race, before.state, before.winner),
    )
    if not done.rowcount:
        return False
    tx.log(log.RaceMoved(race=to.race, state=to.state, winner=to.winner, by=by, why=to.why))
    if to.state in RACE_ENDED or before.state in RACE_ENDED:
        scores.due(tx, _ended_jobs(tx, to.race))
    return True


def note_checks(tx: Transaction, number: int, job: int, checked: Checked) -> None:
    """Write whether an entry can win. Once: what a crash repeats says no more."""
    done = tx.connection.execute(
        "UPDATE race_entries SET fit = ?, passed = ?, checks = ?, note = ? WHERE race = ? AND job = ? AND fit IS NULL",
        (checked.fit, checked.passed, msgspec.json.encode(list(checked.checks)).decode(), checked.note, number, job),
    )
    if done.rowcount:
        body = log.RaceChecked(race=number, fit=checked.fit, passed=checked.passed, note=checked.note)
        tx.log_all([(body, job, None)])


def note(tx: Transaction, number: int, job: int, text: str) -> None:
    tx.connection.execute("UPDATE race_entries SET note = ? WHERE race = ? AND job = ?", (text, number, job))


def judged_by(tx: Transaction, number: int, job: int) -> None:
    """The job that judges a race."""
    tx.connection.execute("UPDATE races SET judge_job = ? WHERE id = ?", (job, number))


def _ended_jobs(tx: Transaction, number: int) -> list[int]:
    found = tx.connection.execute(
        "SELECT job FROM race_entries JOIN jobs ON jobs.id = job WHERE race = ? AND ended_at IS NOT NULL", (number,)
    )
    return [int(row[0]) for row in found]


def _race(values: Sequence[Any]) -> Race:
    *own, plan = values
    fields = dict(zip(_COLUMNS, own, strict=True))
    asked = msgspec.json.decode(plan, type=Plan)
    return Race(**{**fields, "state": RaceState(fields["state"])}, **structs.asdict(asked))


def _entries(connection: sqlite3.Connection, number: int) -> list[RaceEntry]:
    found = connection.execute(_ENTRIES, (number,)).fetchall()
    ids = [int(row[0]) for row in found]
    rows = read_jobs(connection, ids)
    tried = read_attempts(connection, [row.attempt for row in rows.values() if row.attempt is not None])
    took = dict(connection.execute(_TOOK, (msgspec.json.encode(ids).decode(),)).fetchall())
    entries = []
    for job, lot, fit, passed, checks, said in found:
        row = rows.get(job)
        told = {
            "job": job,
            "lot": lot,
            "fit": None if fit is None else bool(fit),
            "passed": None if passed is None else bool(passed),
            "checks": msgspec.json.decode(checks, type=list[CheckResult]) if checks else [],
            "note": said,
        }
        if row is None:
            entries.append(RaceEntry(target="", state=None, **told))
            continue
        newest = tried.get(row.attempt) if row.attempt is not None else None
        diff = None
        if newest is not None and newest.diff_files is not None:
            diff = DiffStat(files=newest.diff_files, added=newest.diff_added or 0, removed=newest.diff_removed or 0)
        entries.append(
            RaceEntry(
                target=str(row.target),
                state=row.state,
                failure=row.failure,
                attempt=newest.number if newest is not None else 0,
                workspace=newest.workspace if newest is not None else None,
                branch=newest.branch if newest is not None else None,
                diff=diff,
                result=newest.result if newest is not None else None,
                input_tokens=row.input_tokens,
                output_tokens=row.output_tokens,
                cost_micros=row.cost_micros,
                cost_grade=row.cost_grade,
                took_ms=took.get(job),
                **told,
            )
        )
    return entries
