"""Beginning a race, and picking who won it. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from msgspec import structs

from engine import events as log
from engine.errors import NotFoundError, RefusedError
from engine.model import UNFINISHED, Race, RacePicked, RaceState
from engine.store import actions, racing
from engine.store.actions import Inverse
from engine.store.racing import Outcome, Plan
from engine.store.submit import Submission, admit
from engine.store.writer import RollbackError, Transaction


@dataclass(frozen=True, slots=True)
class Begin:
    """A race to begin: its jobs, and what is to be done with them. `lots`: by the race's number."""

    submission: Submission
    title: str
    project: str | None
    base: str | None
    plan: Plan
    by: str
    lots: Callable[[int], Sequence[int]]
    dry_run: bool = False


def begin(tx: Transaction, wanted: Begin) -> Race:
    """Accept the jobs of a race and write it down, together."""
    admitted = admit(tx, wanted.submission)
    made = tx.connection.execute(
        "INSERT INTO races (at, by, title, project, base, batch, plan, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (tx.now, wanted.by, wanted.title, wanted.project, wanted.base, admitted.batch,
         msgspec.json.encode(wanted.plan).decode(), RaceState.RUNNING),
    )  # fmt: skip
    number = made.lastrowid or 0
    tx.connection.executemany(
        "INSERT INTO race_entries (race, job, lot) VALUES (?, ?, ?)",
        [(number, job, lot) for job, lot in zip(admitted.ids, wanted.lots(number), strict=True)],
    )
    tx.log(log.RaceBegun(race=number, title=wanted.title, jobs=tuple(admitted.ids), by=wanted.by))
    race = racing.race(tx, number)
    assert race is not None, "it has just been written"
    if wanted.dry_run:
        raise RollbackError(structs.replace(race, id=0))
    return race


def pick(tx: Transaction, number: int, job: int, by: str, *, dry_run: bool = False) -> RacePicked:
    """The operator says who won, whatever checks and judges say. `undo` takes it back.

    Raises `NotFoundError`, and `RefusedError` for a job that has not ended, or has won already.
    """
    race = racing.race(tx, number)
    if race is None:
        raise NotFoundError(f"there is no race {number}; `headway race list` shows them")
    entry = next((one for one in race.entries if one.job == job), None)
    if entry is None:
        known = ", ".join(f"J{one.job}" for one in race.entries)
        raise NotFoundError(f"J{job} is not in race {number}; there are {known}")
    if entry.state is None or entry.state in UNFINISHED:
        raise RefusedError(f"J{job} has {'been pruned' if entry.state is None else 'not ended yet'}")
    if race.winner == job:
        raise RefusedError(f"J{job} has won race {number} already")
    racing.move(tx, race, Outcome(number, RaceState.DECIDED, job, tx.now, by, f"{by} picked it"), by)
    inverse = Inverse(race=racing.outcome(race), picked=job)
    picked = RacePicked(
        race=number,
        job=job,
        was=race.winner,
        branch=entry.branch,
        action=actions.note(tx, "race pick", by, [job], inverse),
    )
    if dry_run:
        raise RollbackError(structs.replace(picked, action=None))
    return picked
