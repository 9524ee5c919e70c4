"""Jobs in whose session the operator works, at a terminal of his own. Operations of the one writer.

From `begin` to `end` the job is held, whatever becomes of the terminal, so that no attempt can go on in the session
at the same time.
"""

from __future__ import annotations

from msgspec import Struct, structs

from engine import events as log
from engine.errors import RefusedError
from engine.model import State
from engine.store import sessions
from engine.store.fold import record
from engine.store.rows import JobRow, read_job
from engine.store.writer import Transaction

LOST = "the terminal at its session ended without a word"

_COLUMNS = "job, agent, session, marker, by, at, pid, started, boot, held_before"
_SELECT = f"SELECT {_COLUMNS} FROM attachments"


class Attachment(Struct, frozen=True, array_like=True):
    """A row of `attachments`: whose terminal it is, and how the job was held before."""

    job: int
    agent: str
    session: str | None
    """None until the attempt that ran in it is parked."""
    marker: str
    by: str
    at: int
    pid: int
    started: int
    boot: str
    held_before: str | None = None

    @property
    def hold(self) -> str:
        """What the job's hold says meanwhile."""
        return f"{self.by}, who works in its session (pid {self.pid})"


def of(tx: Transaction, job: int) -> Attachment | None:
    values = tx.connection.execute(f"{_SELECT} WHERE job = ?", (job,)).fetchone()
    return Attachment(*values) if values else None


def holder(tx: Transaction, job: int) -> str | None:
    """Who works in a job's session, or waits to."""
    found = of(tx, job)
    return found.by if found is not None else None


def all_of(tx: Transaction) -> list[Attachment]:
    return [Attachment(*values) for values in tx.connection.execute(_SELECT).fetchall()]


def begin(tx: Transaction, wanted: Attachment) -> JobRow:
    """Hold a job for a terminal. Raises `RefusedError` where its session cannot be had."""
    row = read_job(tx.connection, wanted.job)
    if row is None:
        raise RefusedError(f"J{wanted.job} is gone")
    if (other := of(tx, row.id)) is not None:
        raise RefusedError(f"{other.by} works in the session of J{row.id} already (pid {other.pid})")
    if row.stopping is not None:
        raise RefusedError(f"J{row.id} is being cancelled")
    if row.state is State.GATING:
        raise RefusedError(f"J{row.id} is being judged; attach to it once that is over")
    held = structs.replace(wanted, held_before=None if _is_lost(row.held_by) else row.held_by)
    tx.connection.execute(
        f"INSERT INTO attachments ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        structs.astuple(held),
    )
    attempt = row.attempt if row.state is State.RUNNING else None
    return record(tx, row, log.Attached(wanted.by, wanted.pid, held.hold), attempt)


def enter(tx: Transaction, job: int, marker: str, agent: str, session: str) -> None:
    """The operator takes the session: nothing of the job runs any more.

    Raises `RefusedError` where somebody else writes it, or the terminal has gone meanwhile.
    """
    found = of(tx, job)
    if found is None or found.marker != marker:
        raise RefusedError(f"the terminal that asked for the session of J{job} has gone")
    if who := sessions.busy(tx, agent, session):
        raise RefusedError(f"the session of J{job} is taken: {who}")
    sessions.attach(tx, agent, session)
    tx.connection.execute("UPDATE attachments SET agent = ?, session = ? WHERE job = ?", (agent, session, job))


def lose(tx: Transaction, job: int, marker: str) -> JobRow | None:
    """The terminal has gone without a word: the job is held until the operator has looked."""
    found = of(tx, job)
    by = found.by if found is not None else ""
    return end(tx, job, marker, hold=f"{by}: {LOST}", reason=LOST)


def _is_lost(held_by: str | None) -> bool:
    """A hold that only says that an earlier terminal was lost: a new takeover answers it."""
    return held_by is not None and held_by.endswith(LOST)


def end(tx: Transaction, job: int, marker: str, *, hold: str | None = None, reason: str | None = None) -> JobRow | None:
    """The operator has left the session. The job is held as it was before, or else by `hold`.

    None where it was told already.
    """
    found = of(tx, job)
    if found is None or found.marker != marker:
        return None
    tx.connection.execute("DELETE FROM attachments WHERE job = ?", (job,))
    if found.session is not None:
        sessions.detach(tx, found.agent, found.session)
    row = read_job(tx.connection, job)
    if row is None:
        return None
    held = hold if hold is not None and row.ended_at is None else found.held_before
    return record(tx, row, log.Detached(found.by, held, reason))
