"""Accepting jobs: all of a submission or none of it, and nothing twice. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from engine import events as log
from engine.errors import EntryError, RefusedError
from engine.model import JobSpec
from engine.store import dependencies
from engine.store.fold import apply
from engine.store.rows import JobRow, read_job, save_job
from engine.store.writer import RollbackError, Transaction


@dataclass(frozen=True, slots=True)
class Needs:
    """What a job comes after: ids of jobs, and places in its own submission, counted from 0."""

    ids: tuple[int, ...] = ()
    entries: tuple[int, ...] = ()


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
    all_of: Needs = Needs()
    any_of: Needs = Needs()


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


class Admitted(msgspec.Struct, frozen=True):
    """The ids of a submission's jobs, in its order."""

    ids: list[int]
    existing: list[int] = msgspec.field(default_factory=list)
    """Those among them that were there already: the same key, or the same token."""
    batch: int | None = None
    follow_up: int | None = None


def submit(tx: Transaction, jobs: Sequence[Accepted]) -> list[int]:
    """Accept all of them or, if anything raises, none. Returns their ids in the given order."""
    return admit(tx, Submission(jobs)).ids


def admit(tx: Transaction, submission: Submission) -> Admitted:
    """Accept a submission.

    Raises `EntryError` for a job that comes after one which does not exist, and `RefusedError` for a token that
    stands for other jobs already.
    """
    if submission.token is not None and (known := _known(tx, submission)) is not None:
        return known
    batch = None
    if submission.batch is not None:
        batch = tx.connection.execute(
            "INSERT INTO batches (name, at) VALUES (?, ?)", (submission.batch, tx.now)
        ).lastrowid
    ids, existing = _numbered(tx, submission.jobs)
    owner = dict.fromkeys(existing, -1)
    for entry, (job, accepted) in enumerate(zip(ids, submission.jobs, strict=True)):
        if owner.setdefault(job, entry) == entry:
            _check_needs(tx, entry, accepted)
            _add(tx, job, accepted, batch)
    for entry, (job, accepted) in enumerate(zip(ids, submission.jobs, strict=True)):
        if owner[job] == entry and (accepted.all_of != Needs() or accepted.any_of != Needs()):
            _block(tx, job, accepted, ids, entry)
    follow_up = None
    if submission.follow_up is not None:
        follow_up = _next_id(tx)
        row = _add(tx, follow_up, submission.follow_up, None)
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


def rehearse(tx: Transaction, submission: Submission) -> dict[int, JobRow]:
    """Accept a submission and take it back: the rows that its jobs would have, by the ids that they would have."""
    admitted = admit(tx, submission)
    ids = {*admitted.ids, *([admitted.follow_up] if admitted.follow_up is not None else [])} - {*admitted.existing}
    found = {job: read_job(tx.connection, job) for job in sorted(ids)}
    raise RollbackError({job: row for job, row in found.items() if row is not None})


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
    following = _next_id(tx)
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


def holder_of(tx: Transaction, key: str) -> int | None:
    """The unfinished job that has a key."""
    found = tx.connection.execute(
        "SELECT id FROM jobs WHERE unique_key = ? AND state IN ('blocked', 'ready', 'running', 'gating')", (key,)
    ).fetchone()
    return int(found[0]) if found else None


def _next_id(tx: Transaction) -> int:
    if not tx.next_job:
        newest = tx.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
        tx.next_job = (newest[0] if newest else 0) + 1
    return tx.next_job


def _add(tx: Transaction, job: int, accepted: Accepted, batch: int | None) -> JobRow:
    body = log.Submitted(
        spec=accepted.spec,
        title=accepted.title,
        agent=accepted.agent,
        model=accepted.model,
        project=accepted.project,
        not_before=accepted.not_before,
        account=accepted.account,
        deadline=accepted.deadline,
        batch=batch,
    )
    row = apply(None, tx.log(body, job=job))
    tx.next_job = max(tx.next_job, job + 1)
    save_job(tx, None, row)
    return row


def _check_needs(tx: Transaction, entry: int, accepted: Accepted) -> None:
    for key, needs in (("after", accepted.all_of), ("after_any", accepted.any_of)):
        for job in needs.ids:
            if read_job(tx.connection, job) is None:
                raise EntryError(f"{key}: there is no job {job}", entry, key)


def _block(tx: Transaction, job: int, accepted: Accepted, ids: Sequence[int], entry: int) -> None:
    row = read_job(tx.connection, job)
    assert row is not None, "it was written a moment ago"
    named = [[*needs.ids, *(ids[other] for other in needs.entries)] for needs in (accepted.all_of, accepted.any_of)]
    if job in named[0] + named[1]:
        # Two entries with one key are one job.
        raise EntryError(f"after: it would come after itself, as job {job} has the same key", entry, "after")
    dependencies.add(tx, row, *named)
