"""The operator's inbox: what is asked of him, what follows from his answers, and what time makes of what he leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import count

from msgspec.structs import replace

from engine import events as log
from engine.alarm import Alarm
from engine.clock import now_ms
from engine.config import Settings
from engine.decision import (
    Answered,
    Card,
    Foreseen,
    NewRule,
    Outlook,
    Proposal,
    Replies,
    Reply,
    Rule,
    RuleMade,
    SnoozeCards,
    Snoozed,
)
from engine.dispatch.preview import Change
from engine.documents import nearest
from engine.entry import moment
from engine.errors import HeadwayError, NotFoundError, RefusedError, StorageError, UsageError
from engine.hub import Hub
from engine.model import Preview
from engine.permission import configured
from engine.redact import Secrets
from engine.store import Store, Transaction, answering, card_times, cards, decisions, proposals, rules
from engine.store.answering import Kinds, Rehearsed
from engine.store.card_times import Attention
from engine.store.proposals import Habit
from engine.units import milliseconds

logger = logging.getLogger(__name__)

STORAGE_RETRY_MS = 5_000  #: between looks while the store cannot be written

LOOK_SECONDS = 0.05  #: at least between two looks at the cards: events come in crowds, and defaults do not

#: After these a card may be due at another time.
_OF_CARDS = (log.Asked, log.Answered, log.Reopened, log.CardSnoozed, log.RuleKept, log.RuleDropped)
#: After these nobody may ask any more, where somebody did.
_OF_JOBS = (
    log.Held, log.Released, log.Cancelled, log.Failed, log.Succeeded, log.Retried, log.Restored, log.Rerouted,
    log.Attached, log.Detached,
)  # fmt: skip

Foresee = Callable[[Change], Awaitable[Preview]]


class Inbox:
    """One for an engine. `answered` is called after each answer for which an agent may wait, `wake` after one that
    lets a job go on. `foresee` is what a dry run of a verb uses.
    """

    def __init__(
        self,
        store: Store,
        hub: Hub,
        settings: Settings,
        secrets: Secrets,
        kinds: Kinds,
        foresee: Foresee,
        answered: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._hub = hub
        self._settings = settings
        self._secrets = secrets
        self._foresee = foresee
        self._answered = answered
        self._wake = wake
        self.kinds = kinds
        self._open = False
        """There are open cards, as far as was looked."""
        said = settings.inbox
        self._habit = Habit(said.propose_after, milliseconds(said.rules_for))
        self._attention = Attention(milliseconds(said.warn), milliseconds(said.escalate), said.escalations)

    async def run(self) -> None:
        """Take defaults at their time, bring back what was put aside, and remind. Until cancelled."""
        alarm = Alarm()
        self._open = True  # until it was looked
        heeding = [
            self._hub.heed(_OF_CARDS, alarm.wake),
            self._hub.heed(_OF_JOBS, lambda: alarm.wake() if self._open else None),
        ]
        try:
            while True:
                try:
                    due = await self._look()
                except StorageError as error:
                    logger.error("%s; looking at the cards again in %.0f s", error, STORAGE_RETRY_MS / 1000)
                    due = now_ms() + STORAGE_RETRY_MS
                await alarm.until(due, now_ms())
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            for forget in heeding:
                forget()
            alarm.close()

    async def _look(self) -> int | None:
        due, self._open = await self._store.look(
            lambda tx: (card_times.pending(tx, self.kinds, self._attention), cards.any_open(tx))
        )
        if due is None or due > now_ms():
            return due
        ticked = await self._store.write(lambda tx: card_times.tick(tx, self.kinds, self._attention))
        if ticked.answered:
            self._answered()
            self._wake()
        return ticked.due

    # ---- what can be read

    async def cards(self, limit: int | None = None, *, snoozed: bool = False) -> list[Card]:
        """What waits, the oldest first, with `snoozed` also what was put aside; or the newest cards, where a limit is
        given, answered ones too.
        """
        if limit is not None:
            return await self._store.look(lambda tx: cards.newest(tx, limit))
        return await self._store.look(cards.opened if snoozed else cards.waiting)

    async def card(self, number: int) -> Card:
        """Raises `NotFoundError`."""
        found = await self._store.look(lambda tx: cards.one(tx, number))
        if found is None:
            raise NotFoundError(f"there is no card {number}; `headway inbox` lists them")
        return found

    async def outlooks(self, number: int) -> list[Foreseen]:
        """What would follow from each answer that an open card may have, by carrying it out and taking it back."""
        card = await self.card(number)
        if not card.open:
            raise RefusedError(f"card {card.id} is closed: {card.choice} by {card.by}")
        found = []
        for reply in self.kinds[card.kind].samples(card):
            try:
                (answered,) = await self._rehearse([number], reply, "you")
            except HeadwayError as error:
                found.append(Foreseen(choice=reply.choice, reason=reply.reason, refused=error.message))
            else:
                found.append(
                    Foreseen(
                        choice=reply.choice, reason=reply.reason, amount=reply.amount, outlook=answered.outlook
                    )
                )  # fmt: skip
        return found

    # ---- what the operator says

    async def answer(self, number: int, reply: Reply, by: str) -> Answered:
        """Answer a card. Raises as `engine.store.answering.answer` does. Keys in it are neither kept nor passed on."""
        return (await self.answer_all(Replies(cards=[number], reply=reply), by))[0]

    async def answer_all(self, wanted: Replies, by: str) -> list[Answered]:
        """Answer several cards alike, all or none, as one action."""
        out_of = self._secrets.out_of
        reply = replace(wanted.reply, reason=out_of(wanted.reply.reason), pattern=out_of(wanted.reply.pattern))
        if reply.dry_run:
            return await self._rehearse(wanted.cards, reply, by)

        def write(tx: Transaction) -> list[Answered]:
            answered = answering.answer_all(tx, self.kinds, wanted.cards, reply, by)
            for one in answered:
                proposals.consider(tx, one.card.id, self._habit)
            return answered

        done = await self._store.write(write)
        self._answered()
        self._wake()  # a job may have waited for it that has not begun
        return done

    async def _rehearse(self, numbers: list[int], reply: Reply, by: str) -> list[Answered]:
        """What an answer would do, with what it means for the queue."""
        done: Rehearsed = await self._store.write(
            lambda tx: answering.rehearse(tx, self.kinds, numbers, reply, by)
        )  # fmt: skip
        if not done.rows:
            return done.answered
        preview = await self._foresee(Change(done.rows, done.needs))
        return [_foreseen(one, preview, first=place == 0) for place, one in zip(count(), done.answered, strict=False)]

    async def snooze(self, wanted: SnoozeCards, by: str) -> Snoozed:
        """Put cards aside until a time, or take them up again. `undo` takes that back."""
        now = now_ms()
        until = None
        if wanted.until is not None and (until := moment(wanted.until, now)) is None:
            raise UsageError("that time is over; write 30m, 2h or a time to come")
        return await self._store.write(lambda tx: card_times.snooze(tx, wanted, until, by))

    def taken_back(self) -> None:
        """An answer may have been: whoever waits for it looks again."""
        self._answered()

    # ---- standing answers

    async def rules(self) -> list[Rule]:
        """Those that were made of answers, then those of headway.yaml."""
        return [*await self._store.look(rules.rules), *configured(self._settings)]

    async def rule(self, number: int) -> RuleMade:
        """A rule, what it would have decided so far, and what it has decided. Raises `NotFoundError`."""

        def look(tx: Transaction) -> RuleMade:
            rule = rules.one(tx, number)
            return RuleMade(rule=rule, past=proposals.past_of(tx, rule), used_on=cards.decided_by(tx, number))

        return await self._store.look(look)

    async def add_rule(self, wanted: NewRule, by: str) -> RuleMade:
        """Keep a rule on tools. Raises `UsageError` for what names no project."""
        rule = Rule(
            tool=wanted.tool,
            pattern=wanted.pattern,
            effect=wanted.effect,
            project=self._project(wanted.project) if wanted.project is not None else None,
            job_kind=wanted.job_kind,
            expires_at=decisions.ending(wanted.expires, now_ms()),
        )
        dry_run = wanted.dry_run
        done = await self._store.write(
            lambda tx: decisions.add_rule(tx, rule, proposals.past_of(tx, rule), by, dry_run=dry_run)
        )
        self._answered()
        return done

    def _project(self, name: str) -> str:
        directories = {known: one.directory for known, one in self._settings.projects.items()}
        if name in directories or name.startswith("/"):
            return directories.get(name, name)
        hint = nearest(name, directories) if directories else "give its directory"
        raise UsageError(f"project: there is no project {name!r}; {hint}")

    async def proposals(self) -> list[Proposal]:
        """The rules that like answers suggest, and that wait for a word."""
        return await self._store.look(proposals.opened)

    async def propose(self, *, again: bool) -> list[Proposal]:
        """Look at all that was answered in the last months. `again`: also at what was dismissed."""
        if not self._habit.least:
            raise RefusedError("headway.yaml wants no proposals: inbox: propose_after: 0")
        await self._store.write(lambda tx: proposals.consider_all(tx, self._habit, again=again))
        return await self.proposals()

    async def drop_rule(self, number: int, by: str) -> Rule:
        """Take a rule back. Raises `NotFoundError`."""
        if number == 0:
            raise UsageError("what headway.yaml says is changed there")
        return await self._store.write(lambda tx: decisions.drop_rule(tx, number, by))


def _foreseen(answered: Answered, preview: Preview, *, first: bool) -> Answered:
    """An answer with what the forecast says of its job; of the whole, with the first of them."""
    shift = next((one for one in preview.shifts if one.job == answered.card.job), None)
    outlook = answered.outlook or Outlook()
    if shift is not None and shift.after is not None:
        outlook = replace(outlook, start=shift.after.start, finish=shift.after.finish)
    outlook = replace(outlook, waits=shift.waits if shift is not None else "")
    return replace(answered, outlook=replace(outlook, cost_micros=preview.cost_micros if first else None))
