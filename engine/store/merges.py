"""The merge queue as the database keeps it. Operations of the one writer, or looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct, structs

from engine import events as log
from engine.model import MERGE_ENDED, CheckResult, Conflict, Merge, MergeState
from engine.store.fold import record
from engine.store.rows import read_job
from engine.store.writer import Transaction

_COLUMNS = (
    "id", "at", "by", "job", "title", "project", "repository", "target", "checks", "check_ms", "state", "source",
    "onto", "candidate", "conflicts", "results", "card", "why", "ended_at",
)  # fmt: skip
_JSON: dict[str, Any] = {"checks": list[str], "conflicts": list[Conflict], "results": list[CheckResult]}
_MERGE = f"SELECT {', '.join(_COLUMNS)} FROM merges"
_INSERT = (
    "INSERT INTO merges (at, by, job, title, project, repository, target, checks, check_ms, state) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued')"
)
# A job that was put back is waited for, and others go past it.
_READY = "merges.state = 'queued' AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = merges.job AND ended_at IS NULL)"
_WORK = f"ended_at IS NULL AND (state IN ('checking', 'landing', 'returning') OR ({_READY}))"
_NEXT = f"{_MERGE} WHERE repository = ? AND {_WORK} ORDER BY state = 'queued', id LIMIT 1"
_REPOSITORIES = f"SELECT DISTINCT repository FROM merges WHERE {_WORK}"
_OF_JOB = f"{_MERGE} WHERE job = ? AND ended_at IS NULL ORDER BY id"
_LISTED = f"{_MERGE} WHERE ended_at IS NULL OR id > (SELECT ifnull(max(id), 0) - ? FROM merges) ORDER BY id"
_IN_LINE = (
    f"{_MERGE} WHERE repository = ? AND target = ? AND ended_at IS NULL AND state IN ('queued', 'checking', 'landing') "
    "ORDER BY state = 'queued', id"
)
_AHEAD = (
    "SELECT count(*) FROM merges WHERE repository = ? AND ended_at IS NULL AND "
    "(state IN ('checking', 'landing', 'returning') OR (state = 'queued' AND id < ?))"
)


@dataclass(frozen=True, slots=True)
class New:
    """A job's work to be queued."""

    job: int
    title: str
    project: str
    repository: str
    target: str
    checks: Sequence[str]
    check_ms: int


class Stood(Struct, frozen=True, omit_defaults=True):
    """How an action changed a merge, and what `undo` goes by."""

    merge: int
    now: MergeState
    was: MergeState | None = None
    """None: it was queued by the action."""


def add(tx: Transaction, new: New, by: str) -> Merge:
    """Queue a job's work, as the last of its repository."""
    made = tx.connection.execute(
        _INSERT,
        (tx.now, by, new.job, new.title, new.project, new.repository, new.target,
         msgspec.json.encode(list(new.checks)).decode(), new.check_ms),
    )  # fmt: skip
    number = made.lastrowid or 0
    row = read_job(tx.connection, new.job)
    assert row is not None, "who queues it has looked at it"
    record(tx, row, log.MergeEntered(merge=number, target=new.target, by=by))
    found = one(tx, number)
    assert found is not None, "it has just been written"
    return found


def one(tx: Transaction, number: int) -> Merge | None:
    if number >= 1 << 63:
        return None
    values = tx.connection.execute(f"{_MERGE} WHERE id = ?", (number,)).fetchone()
    return _with_place(tx, _merge(values)) if values else None


def listed(tx: Transaction, newest: int) -> list[Merge]:
    """All that are open, and so many of the newest."""
    return [_with_place(tx, _merge(values)) for values in tx.connection.execute(_LISTED, (newest,)).fetchall()]


def of_job(tx: Transaction, job: int) -> list[Merge]:
    """Those of a job that have not come to their end."""
    return [_with_place(tx, _merge(values)) for values in tx.connection.execute(_OF_JOB, (job,)).fetchall()]


def in_line(tx: Transaction, repository: str, target: str) -> list[Merge]:
    """Those that a new one for this branch would come after."""
    return [_merge(values) for values in tx.connection.execute(_IN_LINE, (repository, target))]


def repositories(tx: Transaction) -> list[str]:
    """Those in whose queue there is something to do."""
    return [str(row[0]) for row in tx.connection.execute(_REPOSITORIES)]


def ended(tx: Transaction, numbers: Sequence[int]) -> list[int]:
    """Those of them that have come to their end, or are gone."""
    told = msgspec.json.encode(list(numbers)).decode()
    found = tx.connection.execute(
        "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM merges WHERE ended_at IS NULL)", (told,)
    )
    return [int(row[0]) for row in found]


def next_of(tx: Transaction, repository: str) -> Merge | None:
    """What comes next in a repository: what was begun, else the oldest whose job has ended."""
    values = tx.connection.execute(_NEXT, (repository,)).fetchone()
    return _merge(values) if values else None


def move(tx: Transaction, before: Merge, to: MergeState, *, by: str = "headway", why: str = "", **fields: Any) -> bool:
    """Bring a merge to another state, unless it is not as it was thought to be: then False, and nothing is done."""
    ended = tx.now if to in MERGE_ENDED else None
    values = {name: _written(name, value) for name, value in fields.items()} | {"ended_at": ended, "why": why}
    columns = ", ".join(f"{name} = ?" for name in values)
    done = tx.connection.execute(
        f"UPDATE merges SET state = ?, {columns} WHERE id = ? AND state = ? AND candidate IS ? AND card IS ?",
        (to, *values.values(), before.id, before.state, before.candidate, before.card),
    )
    if not done.rowcount:
        return False
    candidate = fields.get("candidate", before.candidate)
    tell(tx, before.job, log.MergeMoved(merge=before.id, state=to, by=by, why=why, commit=candidate))
    return True


def tell(tx: Transaction, job: int, body: log.AnyBody) -> None:
    """Log it with its job, if that was not pruned."""
    row = read_job(tx.connection, job)
    if row is not None:
        record(tx, row, body)


def _with_place(tx: Transaction, found: Merge) -> Merge:
    if found.state is not MergeState.QUEUED:
        return found
    (ahead,) = tx.connection.execute(_AHEAD, (found.repository, found.id)).fetchone()
    return structs.replace(found, ahead=int(ahead))


def _written(name: str, value: Any) -> Any:
    return msgspec.json.encode(value).decode() if name in _JSON else value


def _merge(values: Sequence[Any]) -> Merge:
    fields = dict(zip(_COLUMNS, values, strict=True))
    told = {name: msgspec.json.decode(fields[name], type=kind) for name, kind in _JSON.items()}
    return Merge(**{**fields, **told, "state": MergeState(fields["state"])})
