"""Accepting jobs: all of a submission or none of it, and nothing twice. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from engine import events as log
from engine.errors import EntryError, RefusedError
from engine.model import JobSpec
from engine.store import clarify, dependencies, tools
from engine.store.fold import apply
from engine.store.queue import Open, waited_for
from engine.store.rows import JobRow, holder_of, insert_jobs, read_job
from engine.store.tools import Parent
from engine.store.writer import RollbackError, Transaction


@dataclass(frozen=True, slots=True)
class Needs:
    """What a job comes after: ids of jobs, and places in its own submission, counted from 0."""

    ids: tuple[int, ...] = ()
    entries: tuple[int, ...] = ()


NOTHING = Needs()


@dataclass(frozen=True, slots=True)
class Sorted:
    """Which class a job is of, and why that is thought."""

    triage: str | None = None
    why: str = ""
    sure: bool = True
    """More than was looked at would not tell another one."""
    said: bool = False
    """Its submitter says so."""


UNSORTED = Sorted()
OWN = 0  #: a worktree that stays though its job changes nothing in it: others are to work there


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job spec with every default filled in and every reference resolved."""

    spec: JobSpec
    title: str
    agent: str
    model: str | None
    project: str | None
    not_before: int | None
    account: str | None = None
    deadline: int | None = None
    all_of: Needs = NOTHING
    any_of: Needs = NOTHING
    route: str | None = None
    routed: str = ""
    """Why it takes that route."""
    sorted: Sorted = UNSORTED
    question: str = ""
    """What the operator is asked before it may start; empty for nothing."""
    unsure_until: int | None = None
    """It waits so long for what a model says of its class: the same moment as in `not_before`."""
    schedule: str | None = None
    """The one that submits it."""
    parent: Parent | None = None
    """The attempt whose agent submits it."""
    within: int | None = None
    """The job in whose worktree it works, and goes on with its branch; `OWN` for its own, which others share."""

    @property
    def waits(self) -> bool:
        """It comes after other jobs."""
        return self.all_of != NOTHING or self.any_of != NOTHING


@dataclass(frozen=True, slots=True)
class Submission:
    """Jobs to accept together."""

    jobs: Sequence[Accepted]
    token: str | None = None
    """The client's own name for this submission: sent again, it gives the same ids and submits nothing."""
    digest: str = ""
    """Of what the token stands for."""
    batch: str | None = None
    follow_up: Accepted | None = None
    """Runs once all of the batch have ended."""
    into: int | None = None
    """A batch that is there already."""

    @property
    def all(self) -> list[Accepted]:
        """Its jobs and what follows them, in the order of their ids."""
        return [*self.jobs, *([self.follow_up] if self.follow_up is not None else [])]

    def of(self, parent: Parent | None) -> Submission:
        """The same, submitted by an agent."""
        if parent is None:
            return self
        return replace(self, jobs=[replace(one, parent=parent) for one in self.jobs])

    @property
    def is_plain(self) -> bool:
        """Its jobs have nothing to do with any other job."""
        if self.token is not None or self.batch is not None or self.into is not None or self.follow_up is not None:
            return False
        return not any(job.waits or job.question or job.spec.key is not None or job.parent for job in self.jobs)


class Admitted(msgspec.Struct, frozen=True):
    """The ids of a submission's jobs, in its order."""

    ids: list[int]
    existing: list[int] = msgspec.field(default_factory=list)
    """Those among them that were there already: the same key, or the same token."""
    batch: int | None = None
    follow_up: int | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """The operation that accepts a submission. Plain ones that wait for the same commit are written together.

    Raises `EntryError` for a job that comes after one which does not exist, and `RefusedError` for a token that
    stands for other jobs already.
    """

    submission: Submission

    def __call__(self, tx: Transaction) -> Admitted:
        return admit(tx, self.submission)

    @staticmethod
    def together(tx: Transaction, operations: Sequence[Admission]) -> list[Admitted]:
        plain = [one.submission.jobs for one in operations if one.submission.is_plain]
        added = iter(_add_all(tx, [(job, None) for jobs in plain for job in jobs]))
        # What refers to other jobs comes after them: nobody who was not answered yet can have referred to those.
        return [
            Admitted([row.id for row in islice(added, len(one.submission.jobs))])
            if one.submission.is_plain
            else admit(tx, one.submission)
            for one in operations
        ]


def submit(tx: Transaction, jobs: Sequence[Accepted]) -> list[int]:
    """Accept all of them or, if anything raises, none. Returns their ids in the given order."""
    return admit(tx, Submission(jobs)).ids


def admit(tx: Transaction, submission: Submission) -> Admitted:
    """Accept a submission, raising as `Admission` says."""
    if submission.token is not None and (known := _known(tx, submission)) is not None:
        return known
    batch = submission.into
    if submission.batch is not None:
        batch = tx.connection.execute(
            "INSERT INTO batches (name, at) VALUES (?, ?)", (submission.batch, tx.now)
        ).lastrowid
    ids, existing = _numbered(tx, submission.jobs)
    owner = dict.fromkeys(existing, -1)
    mine = [
        (entry, accepted)
        for entry, (job, accepted) in enumerate(zip(ids, submission.jobs, strict=True))
        if owner.setdefault(job, entry) == entry
    ]
    rows = _add_all(tx, [(accepted, batch) for _, accepted in mine])
    wrong = [
        error for (entry, accepted), row in zip(mine, rows, strict=True) for error in _missing(tx, row, accepted, entry)
    ]
    if wrong:
        raise EntryError(wrong[0].message, wrong[0].entry, wrong[0].key, wrong[1:])
    for (entry, accepted), row in zip(mine, rows, strict=True):
        if accepted.waits:
            row = _block(tx, row, accepted, ids, entry)
        if accepted.question:
            clarify.ask_first(tx, row, accepted.question, accepted.spec.prompt)
    follow_up = None
    if submission.follow_up is not None:
        key = submission.follow_up.spec.key
        if key is not None and (holder := holder_of(tx, key)) is not None:
            raise RefusedError(f"then: J{holder} has the key {key!r} and is unfinished, and does not follow this batch")
        (row,) = _add_all(tx, [(submission.follow_up, None)])
        follow_up = row.id
        dependencies.add(tx, row, ids, ())
        if batch is not None:
            tx.connection.execute("UPDATE batches SET follow_up = ? WHERE id = ?", (follow_up, batch))
    admitted = Admitted(ids, sorted(existing), batch, follow_up)
    if submission.token is not None:
        tx.connection.execute(
            "INSERT INTO submissions (token, at, digest, ids) VALUES (?, ?, ?, ?)",
            (submission.token, tx.now, submission.digest, msgspec.json.encode(admitted).decode()),
        )
    return admitted


def rehearse(tx: Transaction, submission: Submission) -> tuple[dict[int, JobRow], dict[int, Open]]:
    """Accept a submission and take it back: the rows that its jobs would have, by the ids that they would have, and
    what each blocked job would wait for.
    """
    admitted = admit(tx, submission)
    ids = {*admitted.ids, *([admitted.follow_up] if admitted.follow_up is not None else [])} - {*admitted.existing}
    found = {job: read_job(tx.connection, job) for job in sorted(ids)}
    raise RollbackError(({job: row for job, row in found.items() if row is not None}, waited_for(tx)))


def _known(tx: Transaction, submission: Submission) -> Admitted | None:
    found = tx.connection.execute("SELECT digest, ids FROM submissions WHERE token = ?", (submission.token,)).fetchone()
    if found is None:
        return None
    if found[0] != submission.digest:
        raise RefusedError(f"the token {submission.token!r} stands for other jobs already; choose a new one")
    before = msgspec.json.decode(found[1], type=Admitted)
    return msgspec.structs.replace(before, existing=before.ids)


def _numbered(tx: Transaction, jobs: Sequence[Accepted]) -> tuple[list[int], set[int]]:
    """Which id each of them gets, and which of those belong to unfinished jobs with the same key."""
    following = tx.newest("jobs") + 1
    ids, keys, existing = [], dict[str, int](), set[int]()
    for accepted in jobs:
        key = accepted.spec.key
        job = keys.get(key) if key is not None else None
        if job is None and key is not None and (job := holder_of(tx, key)) is not None:
            existing.add(job)
        if job is None:
            job = following
            following += 1
        if key is not None:
            keys[key] = job
        ids.append(job)
    return ids, existing


def _add_all(tx: Transaction, jobs: Sequence[tuple[Accepted, int | None]]) -> list[JobRow]:
    """Write jobs, each with the batch that it belongs to. They get the next ids, in this order."""
    first = tx.take("jobs", len(jobs))
    bodies = (
        log.Submitted(
            spec=accepted.spec,
            title=accepted.title,
            agent=accepted.agent,
            model=accepted.model,
            project=accepted.project,
            not_before=accepted.not_before,
            account=accepted.account,
            deadline=accepted.deadline,
            batch=batch,
            route=accepted.route,
            routed=accepted.routed,
            triage=accepted.sorted.triage,
            schedule=accepted.schedule,
            within=accepted.within,
        )
        for accepted, batch in jobs
    )
    rows = [apply(None, event) for event in tx.log_all([(body, job, None) for job, body in enumerate(bodies, first)])]
    insert_jobs(tx, rows)
    for row, (accepted, _) in zip(rows, jobs, strict=True):
        if accepted.parent is not None:
            tools.adopt(tx, accepted.parent, row.id)
    return rows


def _missing(tx: Transaction, row: JobRow, accepted: Accepted, entry: int) -> Iterator[EntryError]:
    for key, needs in (("after", accepted.all_of), ("after_any", accepted.any_of)):
        for job in needs.ids:
            if job >= row.id or read_job(tx.connection, job) is None:
                yield EntryError(f"{key}: there is no job {job}", entry, key)


def _block(tx: Transaction, row: JobRow, accepted: Accepted, ids: Sequence[int], entry: int) -> JobRow:
    named = [[*needs.ids, *(ids[other] for other in needs.entries)] for needs in (accepted.all_of, accepted.any_of)]
    if row.id in named[0] + named[1]:
        # Two entries with one key are one job.
        raise EntryError(f"after: it would come after itself, as job {row.id} has the same key", entry, "after")
    return dependencies.add(tx, row, *named)
