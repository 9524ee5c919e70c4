"""The one door of the operator's cards: any room asks through it, and hears the answer in the answer's transaction.

How a room adds a kind of card:

1. A word in `engine.decision.CardKind`, and a line in `CHOICES` there: what may be chosen. A choice that no other kind
   has is a word in `Choice`, and a line in `_PAST` of `console.cards`.
2. A `Kind` of its own, which says what each choice does: `apply` at least. All else that it may say has a default.
3. A line in `engine.card_kinds.all_kinds`, which hands it what it needs to know: settings, a routebook.

It puts a card up by `raise_card`, in the transaction in which it finds that the operator has to say something. From
then on the card is listed, answered by key, command and HTTP, taken by default at its time, and brought back by `undo`.
A dry run carries everything out and takes it back, so what a choice is said to do is what it does.
Operations of the one writer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from engine import events as log
from engine.decision import Answered, Asker, Card, CardKind, Choice, Outlook, Reply, Rule
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.store import actions, cards
from engine.store.actions import Inverse
from engine.store.cards import Asking, Closing, Due
from engine.store.fold import record
from engine.store.queue import Open, waited_for
from engine.store.rows import JobRow, read_job
from engine.store.writer import RollbackError, Transaction

TIME_OUT = "time-out"  #: who answered where nobody did until the card's time
NAMED = 10  #: jobs and cards that are named in what an answer does

_ENDS = log.Cancelled | log.Failed


@dataclass(frozen=True, slots=True)
class Answering:
    """An answer on its way, in the transaction that keeps it."""

    tx: Transaction
    card: Card
    row: JobRow
    """The job of the card, as it stands."""
    reply: Reply
    by: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What an answer came to."""

    row: JobRow
    """The job of the card, as it stands then."""
    inverse: Inverse = field(default_factory=Inverse)
    """What takes back whatever is no field of that job; `note` in it is the kind's own, for `take_back`."""
    rule: Rule | None = None
    also: list[int] = field(default_factory=list)
    """Further cards that it answered."""
    said: str = ""
    """What it did beyond what the card and the job show, in a few words."""


class Kind:
    """What a room says of its cards. One without state serves all of them."""

    def closing(self, it: Answering) -> Closing:
        """How the card is closed. Raises `UsageError` or `RefusedError` for an answer that makes no sense now."""
        return Closing(it.reply.choice, it.by, it.reply.reason)

    def apply(self, it: Answering, closing: Closing) -> Applied:
        """Carry the answer out. The card is closed already, and does not hold the job of `it.row` any more."""
        raise NotImplementedError

    def fallback(self, tx: Transaction, card: Card, row: JobRow) -> Reply:
        """What is answered where nobody does until the card's time."""
        return Reply(choice=card.default)

    def stale(self, tx: Transaction, card: Card, row: JobRow) -> str:
        """Why nobody asks any more; nothing where it is still asked."""
        return ""

    def take_back(self, tx: Transaction, card: Card, row: JobRow, note: str, by: str) -> str:
        """Take back what `undo` does not restore by itself. Why that cannot be; nothing where the card may return."""
        return ""

    def samples(self, card: Card) -> list[Reply]:
        """The answers whose outcome is shown beforehand. Where one needs words, some that stand for them."""
        return [Reply(choice=choice) for choice in card.choices]


Kinds = Mapping[CardKind, Kind]


@dataclass(frozen=True, slots=True)
class Raised:
    """A card that was put up, and its job as it stands then."""

    card: int
    row: JobRow


def raise_card(
    tx: Transaction, row: JobRow, attempt: int, asking: Asking, due: Due, *, holds: bool = True
) -> Raised:  # fmt: skip
    """Ask the operator. `attempt`: 0 where none is concerned. `holds`: the job does not go on until it is answered.
    What is no affair of the job's own (`asking.of_job`) neither holds it nor stands in its log.

    `asking.request` is the room's own name for what it asks, once for each attempt.
    """
    card = cards.put_up(tx, row, attempt, asking, due)
    if asking.asker is Asker.HEADWAY:
        cards.sent(tx, card)  # nobody waits to be told
    body = log.Asked(card=card, what=asking.kind, tool=asking.tool, summary=asking.summary, due=due.at)
    if not asking.of_job:
        tx.log(body)
        return Raised(card, row)
    row = record(tx, row, body, attempt or None)
    if holds:
        row = record(tx, row, log.Held(by=cards.holder(card)))
    return Raised(card, row)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """Answers, and how the jobs stand after them. `needs`: what each blocked job waits for then."""

    answered: list[Answered]
    rows: Mapping[int, JobRow]
    needs: Mapping[int, Open] = field(default_factory=dict)


def answer(tx: Transaction, kinds: Kinds, number: int, reply: Reply, by: str) -> Answered:
    """The operator's answer, as an action that `undo` takes back. A dry run does the same and takes it back itself.

    Raises `NotFoundError`, `RefusedError` for a card that is closed already or an answer that is not allowed, and
    `UsageError` for what it does not offer.
    """
    answered = _answer(tx, kinds, [number], reply, by).answered[0]
    if reply.dry_run:
        raise RollbackError(answered)
    return answered


def answer_all(tx: Transaction, kinds: Kinds, numbers: Sequence[int], reply: Reply, by: str) -> list[Answered]:
    """The same answer to several cards, all or none, as one action. Raises as `answer` does."""
    answered = _answer(tx, kinds, [*dict.fromkeys(numbers)], reply, by).answered
    if reply.dry_run:
        raise RollbackError(answered)
    return answered


def rehearse(tx: Transaction, kinds: Kinds, numbers: Sequence[int], reply: Reply, by: str) -> Rehearsed:
    """What the answer would do. It is carried out, and taken back."""
    done = _answer(tx, kinds, [*dict.fromkeys(numbers)], replace(reply, dry_run=True), by)
    raise RollbackError(Rehearsed(done.answered, done.rows, waited_for(tx)))


def _answer(tx: Transaction, kinds: Kinds, numbers: Sequence[int], reply: Reply, by: str) -> Rehearsed:
    parts: list[Inverse] = []
    jobs: dict[int, dict[str, tuple[object, object]]] = {}
    done: dict[int, Applied] = {}
    outlooks: dict[int, Outlook] = {}
    rows: dict[int, JobRow] = {}
    for number in numbers:
        if any(number in one.also for one in done.values()):
            continue  # the rule that an earlier one made has answered it
        card = _open_card(tx, number, reply)
        first = len(tx.logged)
        before = cards.job_of(tx, card)
        applied = done[number] = _carry_out(kinds, Answering(tx, card, before, reply, by))
        for name, (was, now) in actions.changed(before, applied.row).items():
            job = jobs.setdefault(card.job, {})
            job[name] = (job.get(name, (was, now))[0], now)
        parts.append(replace(applied.inverse, cards=[number, *applied.also]))
        outlooks[number], changed = _outlook(tx, before, applied, first)
        rows |= changed
    whole = parts[0] if len(parts) == 1 else Inverse(parts=parts)
    about = [*dict.fromkeys(one.row.id for one in done.values())]
    action = actions.note(tx, "answer", by, about, replace(whole, jobs={**whole.jobs, **jobs}))
    answered = [
        Answered(
            card=closed, rule=one.rule, also=one.also, action=action, dry_run=reply.dry_run, outlook=outlooks[number]
        )
        for number, one in done.items()
        if (closed := cards.one(tx, number)) is not None
    ]
    return Rehearsed(answered, rows)


def _open_card(tx: Transaction, number: int, reply: Reply) -> Card:
    card = cards.one(tx, number)
    if card is None:
        raise NotFoundError(f"there is no card {number}; `headway inbox` lists them")
    if not card.open:
        raise RefusedError(f"card {card.id} is closed: {card.choice} by {card.by}")
    if reply.choice not in card.choices:
        raise UsageError(f"a {card.kind} cannot be answered with {reply.choice}; choose {', '.join(card.choices)}")
    return card


def _outlook(tx: Transaction, before: JobRow, applied: Applied, first: int) -> tuple[Outlook, dict[int, JobRow]]:
    """What an answer has done, and the jobs that stand otherwise since. `first`: of the events that came of it."""
    touched = dict.fromkeys(event.job for event in tx.logged[first:] if event.job is not None)
    rows = {job: row for job in touched if (row := read_job(tx.connection, job)) is not None}
    after = rows.get(before.id, before)
    says = [_became(before, after)]
    ended = [event.job for event in tx.logged[first:] if isinstance(event.body, _ENDS) and event.job != before.id]
    if ended:
        says.append(f"{', '.join(f'J{job}' for job in ended[:NAMED])} ended with it" + _more(ended))
    says.append(applied.said)
    if applied.also:
        says.append(f"{', '.join(f'card {card}' for card in applied.also[:NAMED])} answered too" + _more(applied.also))
    rows = {job: row for job, row in rows.items() if job != before.id or row.standing != before.standing}
    return Outlook(says=[one for one in says if one]), rows


def _became(before: JobRow, after: JobRow) -> str:
    name = f"J{after.id}"
    if after.ended_at is not None and before.ended_at is None:
        return f"{name} is {after.state}"
    if str(after.target) != str(before.target):
        return f"{name} goes on at {after.target}"
    if after.state is not before.state:
        return f"{name} is {after.state}"
    return f"{name} is let go" if before.held_by is not None and after.held_by is None else ""


def _more(named: Sequence[object]) -> str:
    return f" ({len(named)} in all)" if len(named) > NAMED else ""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the open cards came to. `due`: when the next one is answered by itself."""

    left: bool
    due: int | None = None
    expired: int = 0


def look(tx: Transaction, kinds: Kinds, attempt: int | None = None) -> Looked:
    """Take the defaults of cards whose time is over, and withdraw what nobody asks any more.

    Cards of other kinds are left alone, and with `attempt` those of other attempts.
    """
    following: int | None = None
    left = expired = 0
    for card in cards.opened(tx):
        kind = kinds.get(card.kind)
        if kind is None or (attempt is not None and card.attempt != attempt):
            continue
        row = cards.job_of(tx, card)
        if why := kind.stale(tx, card, row):
            cards.close(tx, row, card.attempt or None, card.id, Closing(Choice.WITHDRAWN, "headway", why))
            continue
        if card.due is None or card.due > tx.now:
            left += 1
            if card.due is not None:
                following = card.due if following is None else min(following, card.due)
            continue
        _carry_out(kinds, Answering(tx, card, row, kind.fallback(tx, card, row), TIME_OUT))
        expired += 1
    return Looked(bool(left), following, expired)


def by_rule(tx: Transaction, kinds: Kinds, card: Card, row: JobRow, reply: Reply, rule: int) -> None:
    """Let a standing rule answer a card. Raises before anything is done where the answer makes no sense now."""
    _carry_out(kinds, Answering(tx, card, row, reply, f"rule {rule}"), rule)


def _carry_out(kinds: Kinds, it: Answering, rule: int | None = None) -> Applied:
    """Close a card, let its job go, and do what the answer says."""
    tx, card = it.tx, it.card
    kind = kinds[card.kind]
    closing = kind.closing(it)
    if rule is not None:
        closing = dataclasses.replace(closing, rule=rule)
    row = cards.close(tx, it.row, card.attempt or None, card.id, closing)
    if row.held_by == cards.holder(card.id):
        row = record(tx, row, log.Released(by=it.by))
    return kind.apply(Answering(tx, card, row, it.reply, it.by), closing)
