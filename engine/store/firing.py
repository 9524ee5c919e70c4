"""What becomes of the times of schedules. Operations of the one writer.

The end of a time is one transaction: the row that says what became of it, the job, and the mark up to which all times
are decided. So a time submits once, whenever the engine dies.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec

from engine import events as log
from engine.errors import RefusedError
from engine.model import OnFailure
from engine.schedule import Firing, Missed, Outcome, Overlap
from engine.store import schedules
from engine.store.fold import record
from engine.store.rows import read_job
from engine.store.schedules import Stored
from engine.store.submit import Accepted, Needs, Submission, admit
from engine.store.verbs import cancel
from engine.store.writer import Transaction
from engine.timetable import Plan

FIRINGS = 200  #: of each schedule that are kept, the newest

_FIRING = (
    "INSERT INTO firings (schedule, fire_at, at, outcome, job, reason) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (schedule, fire_at) DO UPDATE SET at = excluded.at, outcome = excluded.outcome, job = excluded.job, "
    "reason = excluded.reason WHERE firings.outcome = 'missed'"
)
_OLD = (
    "DELETE FROM firings WHERE schedule = ?1 AND fire_at < "
    f"(SELECT fire_at FROM firings WHERE schedule = ?1 ORDER BY fire_at DESC LIMIT 1 OFFSET {FIRINGS})"
)
_UNFINISHED = "SELECT id FROM jobs WHERE schedule = ? AND ended_at IS NULL ORDER BY id"


@dataclass(slots=True)
class Come:
    """What became of some times: jobs that were submitted, and those whose processes are to be ended for them."""

    jobs: list[int] = field(default_factory=list)
    stopping: list[int] = field(default_factory=list)


def come(tx: Transaction, stored: Stored, plan: Plan, job: Accepted | str) -> Come:
    """Let a plan become true. Does nothing where the schedule has changed since it was made.

    `job`: what is submitted, or why it cannot be.
    """
    done = Come()
    if schedules.one(tx, stored.name) != stored:
        return done
    name = stored.name
    for fire_at, late in plan.fires:
        if not _is_decided(tx, name, fire_at):
            _fire(tx, stored, fire_at, late, job, done)
    if plan.missed and plan.first_missed is not None and plan.last_missed is not None:
        _miss(tx, name, plan)
    tx.connection.execute(
        "UPDATE schedules SET last_fire_at = ?, next_fire_at = ? WHERE name = ?",
        (stored.last_fire_at if plan.decided is None else plan.decided, plan.next, name),
    )
    tx.connection.execute(_OLD, (name,))
    return done


def run_now(tx: Transaction, stored: Stored, job: Accepted, by: str) -> int:
    """Submit its job out of turn, whatever else of it is unfinished; the job. Raises `RefusedError`."""
    admitted = admit(tx, Submission([replace(job, schedule=stored.name)]))
    (submitted,) = admitted.ids
    if admitted.existing:
        raise RefusedError(f"J{submitted} has its key and is unfinished")
    _note(tx, stored.name, Firing(fire_at=tx.now, at=tx.now, outcome=Outcome.ASKED, job=submitted, reason=by))
    _tell(tx, submitted, log.ScheduleFired(name=stored.name, fire_at=tx.now, by=by))
    return submitted


def _fire(tx: Transaction, stored: Stored, fire_at: int, late: bool, job: Accepted | str, done: Come) -> None:
    """One time: its job, or why there is none."""
    name, spec = stored.name, stored.kept.spec
    outcome = Outcome.CAUGHT_UP if late else Outcome.FIRED
    if isinstance(job, str):
        _note(tx, name, Firing(fire_at=fire_at, at=tx.now, outcome=Outcome.FAILED, reason=job))
        tx.log(log.ScheduleMissed(name=name, count=1, first=fire_at, last=fire_at, why=job))
        return
    before = [int(row[0]) for row in tx.connection.execute(_UNFINISHED, (name,))]
    # Those that are caught up with one by one would otherwise put each other off.
    overlap = Overlap.QUEUE if late and spec.missed is Missed.ALL else spec.overlap
    if before and overlap is Overlap.SKIP:
        why = f"J{before[-1]} of this schedule is unfinished"
        _note(tx, name, Firing(fire_at=fire_at, at=tx.now, outcome=Outcome.SKIPPED, job=before[-1], reason=why))
        tx.log(log.ScheduleMissed(name=name, count=1, first=fire_at, last=fire_at, why=why))
        return
    replaced = tuple(before) if before and overlap is Overlap.REPLACE else ()
    if replaced:
        done.stopping += cancel(tx, replaced, f"schedule {name}")
    waits = [one for one in before if (row := read_job(tx.connection, one)) is not None and row.ended_at is None]
    accepted = replace(job, schedule=name)
    if waits:
        on_failure = msgspec.structs.replace(job.spec, on_failure=OnFailure.RUN)
        accepted = replace(accepted, spec=on_failure, all_of=Needs(ids=tuple(waits)))
    admitted = admit(tx, Submission([accepted]))
    (submitted,) = admitted.ids
    if admitted.existing:
        why = f"J{submitted} has its key and is unfinished"
        _note(tx, name, Firing(fire_at=fire_at, at=tx.now, outcome=Outcome.SKIPPED, job=submitted, reason=why))
        tx.log(log.ScheduleMissed(name=name, count=1, first=fire_at, last=fire_at, why=why))
        return
    done.jobs.append(submitted)
    _note(tx, name, Firing(fire_at=fire_at, at=tx.now, outcome=outcome, job=submitted))
    late_ms = tx.now - fire_at if late else 0
    _tell(tx, submitted, log.ScheduleFired(name=name, fire_at=fire_at, late_ms=late_ms, replaces=replaced))


def _miss(tx: Transaction, name: str, plan: Plan) -> None:
    first, last = plan.first_missed or 0, plan.last_missed or 0
    why = f"{plan.missed}{'' if plan.counted else ' and more'}: {plan.why}"
    _note(tx, name, Firing(fire_at=last, at=tx.now, outcome=Outcome.MISSED, reason=why))
    tx.log(
        log.ScheduleMissed(name=name, count=plan.missed, first=first, last=last, why=plan.why, more=not plan.counted)
    )


def _tell(tx: Transaction, job: int, body: log.ScheduleFired) -> None:
    row = read_job(tx.connection, job)
    assert row is not None, "it was submitted a moment ago"
    record(tx, row, body)


def _note(tx: Transaction, name: str, firing: Firing) -> None:
    values = (name, firing.fire_at, firing.at, firing.outcome, firing.job, firing.reason)
    tx.connection.execute(_FIRING, values)


def _is_decided(tx: Transaction, name: str, fire_at: int) -> bool:
    """Whether something became of it: the clock may have been set back since."""
    found = "SELECT 1 FROM firings WHERE schedule = ? AND fire_at = ? AND outcome <> 'missed'"
    return tx.connection.execute(found, (name, fire_at)).fetchone() is not None
