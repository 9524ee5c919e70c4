"""The cards of a route's policy `ask`: put up, answered, expired, withdrawn. Operations of the one writer.

While its card is open a job is held by it, with what `wait` would come to already written: so `wait` only releases it.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from engine import events as log
from engine.decision import Answered, Card, CardKind, Choice, Reply
from engine.dispatch.rerouting import Turn
from engine.dispatch.routebook import Routebook, Station
from engine.dispatch.routing import Ask
from engine.dispatch.standings import Facts
from engine.documents import nearest
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model import Failure, State, Target
from engine.model.route import CAUSES, Standing
from engine.store import actions, cards, dependencies, moves
from engine.store.actions import Inverse
from engine.store.cards import Asking, Closing, Due
from engine.store.fold import record
from engine.store.moves import Moving
from engine.store.rows import JobRow, read_job
from engine.store.writer import RollbackError, Transaction

TOOL = "route"
STAYED = "its job is not held by it any more"

_OPEN = "SELECT id, due FROM decisions INDEXED BY decisions_open WHERE answered_at IS NULL AND kind = 'route'"


def put_up(tx: Transaction, row: JobRow, attempt: int, ask: Ask, turn: Turn) -> JobRow:
    """Ask the operator where a job goes on, and hold it until he has answered."""
    case, trouble = turn.case, turn.trouble
    due = tx.now + case.route.timeout if case.route.timeout else None
    told = {str(one.target): told_of(one.standing) for one in case.candidates if one.target != case.target}
    told["wait"] = f"stay with {case.target}"
    told["stop"] = "the job fails"
    asking = Asking(
        request=f"route J{row.id} {tx.newest('events')}",
        kind=CardKind.ROUTE,
        tool=TOOL,
        subject="",
        shell=False,
        summary=f"{case.target} cannot be used ({trouble.cause}): where does it go on?",
        arguments=msgspec.json.encode(told).decode(),
        why="; ".join(filter(None, (trouble.reason, ask.why))),
        options=tuple(str(one.target) for one in ask.choices),
    )
    card = cards.put_up(tx, row, attempt, asking, Due(due, Choice(case.route.default)))
    cards.sent(tx, card)  # no agent waits for it
    asked = log.Asked(card=card, what=CardKind.ROUTE, tool=TOOL, summary=asking.summary, due=due)
    row = record(tx, row, asked, attempt)
    return record(tx, row, log.Held(by=cards.holder(card)))


def told_of(one: Standing) -> str:
    """A target in a few words: `open, 40 % used; about $0.12 more (from 8 jobs); 7 of 8 went well`."""
    said = [one.lacks or one.left or one.closed or f"{one.window}"]
    if one.used is not None and not one.closed:
        said[0] += f", {one.used:.0%} used"
    if one.breaker and not one.closed:
        said.append(one.breaker)
    if one.expected is not None:
        what = f"about ${one.expected.micros / 1_000_000:.2f}"
        if one.added is not None:
            what += f", ${one.added / 1_000_000:.2f} more"
        said.append(f"{what} (from {one.expected.basis} attempts)" if one.expected.basis else f"{what} (as configured)")
    else:
        said.append("its cost is not known")
    if one.record.ended:
        said.append(f"{one.record.succeeded} of {one.record.ended} went well")
    return "; ".join(said)


def answer(tx: Transaction, book: Routebook, number: int, reply: Reply, by: str) -> Answered:
    """The operator's answer to a card of a route. A dry run does the same and takes it back.

    Raises `NotFoundError`, `RefusedError` for a card that is closed or a target that may not be used, and
    `UsageError` for what it does not offer.
    """
    card = cards.one(tx, number)
    if card is None:
        raise NotFoundError(f"there is no card {number}; `headway inbox` lists them")
    if not card.open:
        raise RefusedError(f"card {card.id} is closed: {card.choice} by {card.by}")
    if reply.choice not in card.choices:
        raise UsageError(f"a {card.kind} cannot be answered with {reply.choice}; choose {', '.join(card.choices)}")
    if reply.pattern is not None or reply.everywhere:
        raise UsageError("a route choice makes no rule")
    before = cards.job_of(tx, card)
    to = _chosen(book, card, before, reply) if reply.choice is Choice.REROUTE else None
    after = _carry_out(tx, book, card, Closing(reply.choice, by, str(to) if to is not None else reply.reason), to)
    inverse = Inverse({card.job: fields} if (fields := actions.changed(before, after)) else {})
    action = actions.note(tx, "answer", by, [card.job], inverse)
    done = cards.one(tx, number)
    assert done is not None, "it was there a moment ago"
    answered = Answered(card=done, action=action, dry_run=reply.dry_run)
    if reply.dry_run:
        raise RollbackError(answered)
    return answered


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the open cards came to. `due`: when the next one is answered by itself."""

    left: bool
    due: int | None = None


def look(tx: Transaction, book: Routebook) -> Looked:
    """Take the defaults of cards whose time is over, and withdraw those whose job has moved on."""
    following: int | None = None
    opened = tx.connection.execute(_OPEN).fetchall()
    for number, due in opened:
        card = cards.one(tx, number)
        assert card is not None, "it was selected a moment ago"
        row = cards.job_of(tx, card)
        if row.held_by != cards.holder(card.id) or row.state is not State.READY:
            _close(tx, row, card, Closing(Choice.WITHDRAWN, "headway", STAYED))
        elif due is not None and due <= tx.now:
            to = _first(tx, book, card, row) if card.default is Choice.REROUTE else None
            choice = Choice.WAIT if card.default is Choice.REROUTE and to is None else card.default
            _carry_out(tx, book, card, Closing(choice, "time-out", str(to) if to is not None else None), to)
        elif due is not None:
            following = due if following is None else min(following, due)
    return Looked(bool(opened), following)


def _chosen(book: Routebook, card: Card, row: JobRow, reply: Reply) -> Target:
    """The target that an answer names: an option or its number, or any other that exists and may be used."""
    said = (reply.reason or "").strip()
    if not said and not card.options:
        raise UsageError("no target of the route is open: name one, with --reason TARGET")
    if not said or (said.isdecimal() and 1 <= int(said) <= len(card.options)):
        said = card.options[int(said) - 1 if said else 0]
    target = Target.parse(said)
    route = book.routes.get(row.route or "")
    known = [str(one) for one in route.targets] if route is not None else list(card.options)
    if str(target) not in known:
        raise UsageError(f"{said!r} is no target of the route; {nearest(said, known)}")
    if why := book.privacy.barred(target, row.project):
        raise RefusedError(why)
    return target


def _first(tx: Transaction, book: Routebook, card: Card, row: JobRow) -> Target | None:
    """The first option that can still be used."""
    facts = Facts.read(tx, book)
    for option in card.options:
        target = Target.parse(option)
        if not facts.closed(target)[0] and not book.privacy.barred(target, row.project):
            return target
    return None


def _carry_out(tx: Transaction, book: Routebook, card: Card, closing: Closing, to: Target | None) -> JobRow:
    row = _close(tx, cards.job_of(tx, card), card, closing)
    if row.held_by == cards.holder(card.id):
        row = record(tx, row, log.Released(by=closing.by))
    if to is not None:
        return moves.move(tx, row, _moving(tx, book, row, to, closing.by))
    if closing.choice is Choice.STOP and row.state is State.READY:
        failed = log.Failed(
            failure=row.failure or Failure.UNKNOWN, reason=f"{row.reason or ''} (stopped by {closing.by})"
        )
        ended = record(tx, row, failed)
        dependencies.after_end(tx, [ended])
        return read_job(tx.connection, row.id) or ended
    return row


def _moving(tx: Transaction, book: Routebook, row: JobRow, to: Target, by: str) -> Moving:
    route = book.routes.get(row.route or "")
    station = next((one for one in route.stations if one.target == to), Station(to)) if route else Station(to)
    standing = Facts.read(tx, book).standing(station, route, row.kind)
    cause = CAUSES.get(row.failure or Failure.UNKNOWN)
    until = row.not_before if moves.waits_for_limit(tx, row) else None
    return Moving(to, by, cause, row.reason or "", until, standing.added, at_once=row.not_before is not None)


def _close(tx: Transaction, row: JobRow, card: Card, closing: Closing) -> JobRow:
    return cards.close(tx, row, card.attempt, card.id, closing)
