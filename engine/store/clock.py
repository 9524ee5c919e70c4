"""What the database makes of a clock that somebody has set. Operations of the one writer."""

from __future__ import annotations

from engine import events as log
from engine.store.fold import record
from engine.store.rows import SELECT_JOB, job_row
from engine.store.writer import Transaction

#: Jobs that wait to be tried again, where that was decided at a time that has not come yet.
_FROM_LATER = (
    f"{SELECT_JOB} WHERE state = 'ready' AND not_before > :now AND EXISTS (SELECT 1 FROM events WHERE job = jobs.id "
    "AND at > :now AND json_extract(body, '$.kind') = 'requeued' "
    "AND json_extract(body, '$.not_before') = jobs.not_before)"
)


def was_set(tx: Transaction, by_ms: int) -> int:
    """Note that the clock was set, and let nothing wait by the clock as it was. Returns how many jobs that opens.

    Set ahead, a wait is over sooner, which costs a probe at most. Set back, a pause of seconds that was begun before
    would last for hours: such a job is tried again now. Times that the operator named stay as they are.
    """
    late = tx.connection.execute(_FROM_LATER, {"now": tx.now}).fetchall() if by_ms < 0 else []
    tx.log(log.ClockSet(by_ms=by_ms, opened=len(late)))
    for values in late:
        record(tx, job_row(values), log.Due())
    return len(late)
