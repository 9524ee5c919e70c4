"""The engine's hand-offs: what attempts leave for each other, read and written."""

from __future__ import annotations

from msgspec.structs import replace

from engine.errors import NotFoundError
from engine.hand_off import Cause, Done, HandOff, Stored
from engine.redact import Secrets
from engine.store import Store, Transaction, hand_offs
from engine.store.rows import read_job

OPERATOR = "operator"


class HandOffs:
    """One for an engine."""

    def __init__(self, store: Store, secrets: Secrets) -> None:
        self._store = store
        self._secrets = secrets

    async def of_job(self, job: int) -> list[Stored]:
        """All that are kept of a job, the oldest first. Raises `NotFoundError`."""

        def look(tx: Transaction) -> list[Stored]:
            if read_job(tx.connection, job) is None:
                raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
            return hand_offs.of_job(tx, job)

        return await self._store.look(look)

    async def write(self, job: int, note: HandOff, by: str = OPERATOR, attempt: int | None = None) -> Stored:
        """Keep what an agent or the operator wants the next attempt to know. `by`: the agent's name.

        `attempt`: the number of the one that it is about; unset, the newest. Keys that are known are taken out of it.
        Raises `NotFoundError`, and `UsageError` for one that says nothing.
        """
        clean = cleaned(note, self._secrets)

        def put(tx: Transaction) -> Stored:
            about = hand_offs.attempt_of(tx, job, attempt)
            return hand_offs.store_hand_off(tx, job, clean, by=by, cause=Cause.OWN, attempt=about)

        return await self._store.write(put)


def cleaned(note: HandOff, secrets: Secrets) -> HandOff:
    """The same without keys."""
    out_of = secrets.out_of
    return replace(
        note,
        goal=out_of(note.goal),
        state=out_of(note.state),
        done=[Done(out_of(one.what), out_of(one.proof)) for one in note.done],
        next=[out_of(one) for one in note.next],
        traps=[out_of(one) for one in note.traps],
    )
