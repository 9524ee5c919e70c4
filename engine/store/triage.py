"""The class of a job: set by the operator, or by what was asked for it. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from engine import events as log
from engine.decision import Choice
from engine.errors import NotFoundError
from engine.model import Corrected, JobSpec, Triage
from engine.store import actions, clarify, corrections
from engine.store.actions import Inverse
from engine.store.fold import record
from engine.store.rows import JobRow, read_job, read_spec
from engine.store.writer import RollbackError, Transaction

Reroute = Callable[[JobRow, JobSpec], log.Routed | None]
"""Where a job that has not begun is to begin, now that it is of another class; None where that changes nothing."""


@dataclass(frozen=True, slots=True)
class Word:
    """The operator's word on a job's class, and which rules had spoken for it or for another one."""

    triage: Triage | None
    by: str
    agreed: Sequence[str] = ()
    contradicted: Sequence[str] = ()


def correct(tx: Transaction, job: int, word: Word, reroute: Reroute, *, dry_run: bool = False) -> Corrected:
    """Give a job the class that the operator says, and count that. `undo` takes both back.

    A job that was held with a question because of its class goes on where it is of another one, and one that has not
    begun begins where its class wants it.
    """
    row = read_job(tx.connection, job)
    if row is None:
        raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
    number = corrections.keep(tx, row, word.triage, word.by, [*word.agreed], [*word.contradicted])
    after = record(tx, row, log.Triaged(by=word.by, triage=word.triage, was=row.triage))
    if word.triage is not Triage.CLARIFY and clarify.holds(tx, after):
        after = clarify.over(tx, after, Choice.RUN, word.by)
        after = record(tx, after, log.Released(by=word.by))
    if (routed := reroute(after, read_spec(tx.connection, after))) is not None:
        after = record(tx, after, routed)
    inverse = Inverse(jobs={row.id: actions.changed(row, after)}, corrected=number)
    corrected = Corrected(
        job=row.id,
        was=row.triage,
        triage=word.triage,
        target=str(after.target),
        agreed=[*word.agreed],
        contradicted=[*word.contradicted],
        action=actions.note(tx, "triage", word.by, [row.id], inverse),
    )
    if dry_run:
        raise RollbackError(replace(corrected, action=None))
    return corrected
