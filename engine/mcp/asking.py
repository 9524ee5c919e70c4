"""`ask_operator`: a card for the operator, and a call that waits for it.

The card is found again by what is asked: a call that is sent again, to this engine or to the next one, waits for the
same card, and one whose answer was not told yet is told it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Protocol

import msgspec

from engine.config import Settings
from engine.decision import Asker, Card, CardKind, Choice
from engine.errors import RefusedError
from engine.mcp.caller import Caller
from engine.mcp.tools import AskOperator
from engine.model import Tool
from engine.permission import Policy
from engine.plain import plain, plain_line
from engine.redact import Secrets
from engine.store import Store, Transaction, answering, cards, jobs, tools
from engine.store.cards import Asking, Due

SUMMARY = 500  #: characters of the line that a card shows
LOOK_SECONDS = 30.0  #: at least so often a card is looked at, whoever may have closed it


class Halts(Protocol):
    """Stops the clocks of an attempt while it waits."""

    def __call__(self, job: int, attempt: int, *, open: bool) -> None: ...


class Questions:
    """The calls that wait for the operator. One for an engine."""

    def __init__(self, store: Store, settings: Settings, secrets: Secrets, halts: Halts) -> None:
        self._store = store
        self._policy = Policy.of(settings)
        self._secrets = secrets
        self._halts = halts
        self._waiting: Counter[int] = Counter()
        """Calls by attempt."""
        self._news: list[asyncio.Event] = []

    def answered(self) -> None:
        """The operator has answered something."""
        for one in self._news:
            one.set()

    async def ask(self, caller: Caller, given: AskOperator) -> str:
        asking = self._asking(caller, given)
        card = await self._store.write(lambda tx: self._put_up(tx, caller, asking))
        number, news = card.id, asyncio.Event()
        self._news.append(news)
        try:
            with self.waiting(caller):
                while card.open:
                    news.clear()
                    found = await self._store.look(partial(cards.one, card=number))
                    if found is None:
                        raise RefusedError("the question is gone: go on without an answer")
                    card = found
                    if card.open:
                        await _until(news)
        finally:
            self._news.remove(news)
        return _words(card)

    @contextlib.contextmanager
    def waiting(self, caller: Caller) -> Iterator[None]:
        """The clocks of the attempt stand still meanwhile."""
        self._waiting[caller.attempt] += 1
        self._halts(caller.job, caller.attempt, open=True)
        try:
            yield
        finally:
            self._waiting[caller.attempt] -= 1
            if not self._waiting[caller.attempt]:
                del self._waiting[caller.attempt]
                self._halts(caller.job, caller.attempt, open=False)

    def told(self, tx: Transaction, caller: Caller, given: AskOperator) -> None:
        """The call is being answered."""
        if (card := tools.card_of(tx, caller.attempt, _request(caller, given))) is not None and not card.open:
            cards.sent(tx, card.id)

    def withdraw(self, tx: Transaction, caller: Caller, given: AskOperator) -> None:
        """The agent does not wait any more."""
        row, _ = jobs.fenced(tx, caller.attempt)
        card = tools.card_of(tx, caller.attempt, _request(caller, given))
        if card is not None and card.open:
            cards.close(tx, row, caller.attempt, card.id, cards.Closing(Choice.WITHDRAWN, "headway"))
            cards.sent(tx, card.id)

    def _put_up(self, tx: Transaction, caller: Caller, asking: Asking) -> Card:
        card = tools.card_of(tx, caller.attempt, asking.request)
        if card is None:
            row, _ = jobs.fenced(tx, caller.attempt)
            due = Due(self._policy.due(tx.now), Choice.DENY)
            answering.raise_card(tx, row, caller.attempt, asking, due, holds=False)
            card = tools.card_of(tx, caller.attempt, asking.request)
        assert card is not None, "it was put up a moment ago"
        return card

    def _asking(self, caller: Caller, given: AskOperator) -> Asking:
        def cleaned(text: str) -> str:
            return self._secrets.out_of(plain(text).strip())

        arguments = {"question": cleaned(given.question)}
        return Asking(
            request=_request(caller, given),
            kind=CardKind.QUESTION,
            asker=Asker.TOOL,
            tool=Tool.ASK_OPERATOR,
            subject="",
            shell=False,
            summary=plain_line(arguments["question"], SUMMARY),
            arguments=msgspec.json.encode(arguments).decode(),
            why=plain_line(cleaned(given.why), SUMMARY),
            options=tuple(filter(None, (plain_line(cleaned(one), 200) for one in given.options))),
        )


def _request(caller: Caller, given: AskOperator) -> str:
    asked = msgspec.json.encode((given.question, given.options))
    return f"mcp:{hashlib.sha256(asked).hexdigest()[:16]}:{caller.call}"


async def _until(news: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            await news.wait()


def _words(card: Card) -> str:
    if card.choice is Choice.ANSWER:
        return f"The operator answers: {card.reason}"
    if card.choice is Choice.WITHDRAWN:
        return "The question was withdrawn. Go on without an answer."
    return card.reason or "The operator does not answer this. Go on without it."
