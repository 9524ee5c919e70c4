"""The operator's inbox: what agents ask, and the answers; the standing answers too."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from engine.config import Settings
from engine.decision import Answered, Card, CardKind, Reply, Rule
from engine.dispatch import route_cards
from engine.dispatch.routebook import NOTHING, Routebook
from engine.errors import NotFoundError, UsageError
from engine.permission import configured
from engine.redact import Secrets
from engine.store import Store, cards, decisions, rules


class Inbox:
    """One for an engine. `answered` is called after each answer for which an agent may wait, `wake` after one that
    lets a job go on.
    """

    def __init__(self, store: Store, settings: Settings, secrets: Secrets, answered: Callable[[], None],
        book: Routebook = NOTHING, wake: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._store = store
        self._settings = settings
        self._secrets = secrets
        self._answered = answered
        self._book = book
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
        """Answer a card. Raises as `engine.store.decisions.answer` does. Keys in it are neither kept nor passed on."""
        out_of = self._secrets.out_of
        reply = replace(reply, reason=out_of(reply.reason), pattern=out_of(reply.pattern))
        if (await self.card(number)).kind is CardKind.ROUTE:
            routed = await self._store.write(lambda tx: route_cards.answer(tx, self._book, number, reply, by))
            self._wake()
            return routed
        answered = await self._store.write(lambda tx: decisions.answer(tx, number, reply, by))
        if not reply.dry_run:
            self._answered()
            self._wake()  # a job may have waited for it that has not begun
        return answered

    async def rules(self) -> list[Rule]:
        """Those that were made of answers, then those of headway.yaml."""
        return [*await self._store.look(rules.rules), *configured(self._settings)]

    async def drop_rule(self, number: int, by: str) -> Rule:
        """Take a rule back. Raises `NotFoundError`."""
        if number == 0:
            raise UsageError("what headway.yaml says is changed there")
        return await self._store.write(lambda tx: decisions.drop_rule(tx, number, by))
