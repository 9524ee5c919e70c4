"""The operator's inbox: what agents ask, and the answers; the standing answers too."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from engine.config import Settings
from engine.decision import Answered, Card, Reply, Rule
from engine.errors import NotFoundError, UsageError
from engine.permission import configured
from engine.redact import Secrets
from engine.store import Store, answering, cards, decisions, rules
from engine.store.answering import Kinds


class Inbox:
    """One for an engine. `answered` is called after each answer for which an agent may wait, `wake` after one that
    lets a job go on.
    """

    def __init__(self, store: Store, settings: Settings, secrets: Secrets, answered: Callable[[], None],
        kinds: Kinds, wake: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._store = store
        self._settings = settings
        self._secrets = secrets
        self._answered = answered
        self.kinds = kinds
        self._wake = wake

    async def cards(self, limit: int | None = None) -> list[Card]:
        """What waits, the oldest first; or the newest cards, answered ones too, where a limit is given."""
        if limit is None:
            return await self._store.look(cards.opened)
        return await self._store.look(lambda tx: cards.newest(tx, limit))

    async def card(self, number: int) -> Card:
        """Raises `NotFoundError`."""
        found = await self._store.look(lambda tx: cards.one(tx, number))
        if found is None:
            raise NotFoundError(f"there is no card {number}; `headway inbox` lists them")
        return found

    async def answer(self, number: int, reply: Reply, by: str) -> Answered:
        """Answer a card. Raises as `engine.store.answering.answer` does. Keys in it are neither kept nor passed on."""
        out_of = self._secrets.out_of
        reply = replace(reply, reason=out_of(reply.reason), pattern=out_of(reply.pattern))
        answered = await self._store.write(lambda tx: answering.answer(tx, self.kinds, number, reply, by))
        if not reply.dry_run:
            self._answered()
            self._wake()  # a job may have waited for it that has not begun
        return answered

    def taken_back(self) -> None:
        """An answer may have been: whoever waits for it looks again."""
        self._answered()

    async def rules(self) -> list[Rule]:
        """Those that were made of answers, then those of headway.yaml."""
        return [*await self._store.look(rules.rules), *configured(self._settings)]

    async def drop_rule(self, number: int, by: str) -> Rule:
        """Take a rule back. Raises `NotFoundError`."""
        if number == 0:
            raise UsageError("what headway.yaml says is changed there")
        return await self._store.write(lambda tx: decisions.drop_rule(tx, number, by))
