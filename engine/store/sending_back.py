"""A job whose work could not be merged goes back to its writer. Operations of the one writer."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from engine import events as log
from engine.model import JobSpec, Merge, MergeState
from engine.store import cards, dependencies, merges
from engine.store.fold import record
from engine.store.rows import JobRow, holder_of, read_job
from engine.store.writer import Transaction


@dataclass(frozen=True, slots=True)
class Asked:
    """Who sent it back, with which words, and the merge with why it could not be done."""

    merge: Merge
    words: str = ""
    by: str = "headway"


@dataclass(frozen=True, slots=True)
class Again:
    """A job to go on in its session. `onto`: the commit that its change is now one on top of."""

    merge: Merge
    spec: JobSpec
    onto: str
    by: str


def asked(tx: Transaction, merge: Merge) -> Asked:
    """What the operator said on its card."""
    card = cards.one(tx, merge.card) if merge.card is not None else None
    if card is None:
        return Asked(merge)
    why = card.summary.partition(": ")[2]
    return Asked(replace(merge, why=why), (card.reason or "").strip(), card.by or "headway")


def send(tx: Transaction, again: Again) -> str:
    """Put the job back with its new prompt, and queue it again for when it has ended. Why not, where it cannot be."""
    row = read_job(tx.connection, again.merge.job)
    if row is None:
        return "its job was pruned"
    if row.ended_at is not None:
        if why := obstacle(tx, row):
            return why
        restart(tx, row, again.spec, again.by)
        # From here on its diff is what it does beyond the branch.
        tx.connection.execute("UPDATE attempts SET base = ? WHERE id = ?", (again.onto, row.attempt))
    merges.move(tx, again.merge, MergeState.QUEUED, by=again.by, why="its writer mends it", candidate=None, card=None)
    return ""


def obstacle(tx: Transaction, row: JobRow) -> str:
    """Why an ended job cannot be put back; nothing where it can."""
    if row.deadline is not None and row.deadline <= tx.now:
        return "its job's deadline has passed"
    if row.unique_key is not None and (other := holder_of(tx, row.unique_key)) is not None:
        return f"J{other} has its job's key and is unfinished"
    return ""


def restart(tx: Transaction, row: JobRow, spec: JobSpec, by: str) -> JobRow:
    """An ended job goes on with another prompt, in the session that it has."""
    row = record(tx, row, log.Edited(by=by, spec=spec, title=row.title))
    after = record(tx, row, log.Retried(by=by))
    dependencies.reopen(tx, row)
    return after
