"""What the operator does to memory, as actions that can be taken back: `headway undo`.

What things were before stands in memory itself and not in the log, so that `forget` removes it from there too.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from engine.errors import HeadwayError
from engine.memory.answers import Change, Forget, Forgotten, Remember, What, Written
from engine.memory.item import Item
from engine.memory.memory import Memory
from engine.store import Store, actions
from engine.store.actions import Inverse


class Remembering:
    """One for an engine."""

    def __init__(self, store: Store, memory: Memory) -> None:
        self._store = store
        self._memory = memory

    async def remember(self, wanted: Remember, by: str) -> list[Written]:
        token = "" if wanted.dry_run else uuid.uuid4().hex
        written = await self._memory.remember(wanted, token)
        if token:
            added = sum(one.what is What.ADDED for one in written)
            await self._note(f"memory add {added}" if added else "memory add, merged", by, Inverse(memory=token))
        return written

    async def change(self, wanted: Change, by: str) -> list[Item]:
        token = "" if wanted.dry_run else uuid.uuid4().hex
        changed = await self._memory.change(wanted, token)
        if token:
            await self._note(f"memory {wanted.verb} {_numbers(wanted.ids)}", by, Inverse(memory=token))
        return changed

    async def forget(self, wanted: Forget, by: str) -> Forgotten:
        """Nothing brings it back; the action says so to who would undo it."""
        done = await self._memory.forget(wanted)
        if not wanted.dry_run:
            await self._note(f"memory forget {len(done.ids)}", by, Inverse(forgot=len(done.ids)))
        return done

    async def take_back(self, token: str, *, dry_run: bool) -> str:
        """Let things stand as before an action; what came of it, in words. Never raises: the rest is taken back."""
        try:
            return await self._memory.take_back(token, dry_run=dry_run)
        except HeadwayError as error:
            return f"memory stays as it is: {error.message}"

    async def _note(self, verb: str, by: str, inverse: Inverse) -> None:
        await self._store.write(lambda tx: actions.note(tx, verb, by, (), inverse))


def _numbers(ids: Sequence[int]) -> str:
    return f"{ids[0]} and {len(ids) - 1} more" if len(ids) > 1 else str(ids[0])
