"""What time does to cards: they come back from a snooze, near their default, and are said louder. Of the one writer."""

from __future__ import annotations

from dataclasses import dataclass

from engine import events as log
from engine.decision import Card, CardKind, SnoozeCards, Snoozed
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.store import actions, answering, cards, policy_cards, rules
from engine.store.actions import CardTime, Inverse
from engine.store.answering import Kinds
from engine.store.writer import RollbackError, Transaction

_WARNED = "UPDATE decisions SET warned_at = ? WHERE id = ?"
_ESCALATED = "UPDATE decisions SET escalated = escalated + 1, escalated_at = ? WHERE id = ?"
_TIMES = "SELECT warned_at, escalated_at FROM decisions WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Attention:
    """How the operator is reminded, in milliseconds; 0 is never."""

    warn: int = 0
    """So long before its default a card says that it is near."""
    escalate: int = 0
    """So long after it was put up, and then again and again, a card is said louder."""
    most: int = 0
    """So often."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a look at the clock came to. `due`: when to look again; `answered`: defaults were taken."""

    due: int | None
    answered: bool


def pending(tx: Transaction, kinds: Kinds, attention: Attention) -> int | None:
    """When there is something to do next; a time that is over where there is now. Writes nothing."""
    if policy_cards.waiting(tx):
        return tx.now
    found = [end] if (end := rules.next_end(tx)) is not None else []
    for card in cards.opened(tx):
        kind = kinds.get(card.kind)
        if kind is not None and kind.stale(tx, card, cards.job_of(tx, card)):
            return tx.now
        found += [at for at in (card.due, card.snoozed_until, *_reminders(tx, card, attention)) if at is not None]
    return min(found, default=None)


def tick(tx: Transaction, kinds: Kinds, attention: Attention) -> Ticked:
    """Do all that the clock wants of the open cards."""
    for card in cards.opened(tx):
        if card.snoozed_until is not None and card.snoozed_until <= tx.now:
            cards.put_aside(tx, card, None, card.due, "headway")
    rules.expire(tx)
    by_rule = policy_cards.answer_waiting(tx, kinds)
    looked = answering.look(tx, kinds)
    for card in cards.opened(tx):
        warn, louder = _reminders(tx, card, attention)
        if warn is not None and warn <= tx.now and card.due is not None:
            tx.connection.execute(_WARNED, (tx.now, card.id))
            cards.say(tx, card, log.DefaultNear(card.id, card.kind, card.summary, card.default, card.due))
        if louder is not None and louder <= tx.now:
            tx.connection.execute(_ESCALATED, (tx.now, card.id))
            cards.say(tx, card, log.Escalated(card.id, card.kind, card.summary, card.escalated + 1, card.at))
    return Ticked(pending(tx, kinds, attention), by_rule or looked.expired > 0)


def _reminders(tx: Transaction, card: Card, attention: Attention) -> tuple[int | None, int | None]:
    """When a card is to say that its default is near, and when it is to be said louder; None for never again."""
    if card.snoozed_until is not None or card.kind is CardKind.POLICY:  # a proposal can wait for ever
        return None, None
    warned, escalated = tx.connection.execute(_TIMES, (card.id,)).fetchone()
    warn = louder = None
    if attention.warn and card.due is not None and warned is None and card.due - card.at > attention.warn:
        warn = card.due - attention.warn
    if attention.escalate and card.escalated < attention.most:
        louder = max(card.at, escalated or 0) + attention.escalate
    return warn, louder


def snooze(tx: Transaction, wanted: SnoozeCards, until: int | None, by: str) -> Snoozed:
    """Put cards aside until a time, or, without one, take them up again. Their defaults wait as well.

    Raises `NotFoundError`, `RefusedError` for a card that is closed, `UsageError` for a time that is over.
    """
    if until is not None and until <= tx.now:
        raise UsageError("that time is over; write 30m, 2h or a time to come")
    times: dict[int, CardTime] = {}
    done = []
    for number in dict.fromkeys(wanted.cards):
        card = cards.one(tx, number)
        if card is None:
            raise NotFoundError(f"there is no card {number}; `headway inbox` lists them")
        if not card.open:
            raise RefusedError(f"card {card.id} is closed: {card.choice} by {card.by}")
        due = card.due
        if due is not None:
            # What it had left it has left then: nothing is decided while the operator has put it aside.
            left = due - max(tx.now, card.snoozed_until or 0)
            due = max(until or 0, tx.now) + left
        if until == card.snoozed_until:
            continue
        cards.put_aside(tx, card, until, due, by)
        times[number] = CardTime((card.snoozed_until, card.due), (until, due))
        done.append(number)
    action = actions.note(tx, "snooze card", by, (), Inverse(card_times=times)) if done else None
    found = [card for number in done if (card := cards.one(tx, number)) is not None]
    snoozed = Snoozed(cards=found, until=until, action=None if wanted.dry_run else action, dry_run=wanted.dry_run)
    if wanted.dry_run:
        raise RollbackError(snoozed)
    return snoozed
