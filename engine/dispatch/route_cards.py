"""The cards of a route's policy `ask`: put up, answered, expired, withdrawn. Operations of the one writer.

While its card is open a job is held by it, with what `wait` would come to already written: so `wait` only releases it.
"""

from __future__ import annotations

import msgspec

from engine import events as log
from engine.decision import Card, CardKind, Choice, Reply
from engine.dispatch.routebook import Routebook, Station
from engine.dispatch.routing import Ask, Turn
from engine.dispatch.standings import Facts
from engine.documents import nearest
from engine.errors import RefusedError, UsageError
from engine.model import Failure, State, Target
from engine.model.route import CAUSES, Standing
from engine.store import answering, cards, dependencies, moves
from engine.store.answering import Answering, Applied, Kind
from engine.store.cards import Asking, Closing, Due
from engine.store.fold import record
from engine.store.moves import Moving
from engine.store.rows import JobRow, read_job
from engine.store.writer import Transaction

TOOL = "route"
STAYED = "its job is not held by it any more"


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
        subject=f"{case.target} {trouble.cause}",
        shell=False,
        summary=f"{case.target} cannot be used ({trouble.cause}): where does it go on?",
        arguments=msgspec.json.encode(told).decode(),
        why="; ".join(filter(None, (trouble.reason, ask.why))),
        options=tuple(str(one.target) for one in ask.choices),
    )
    return answering.raise_card(tx, row, attempt, asking, Due(due, Choice(case.route.default))).row


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


class RouteCards(Kind):
    """Where a job goes on whose target cannot be used. `book`: what may be used now."""

    def __init__(self, book: Routebook) -> None:
        self._book = book

    def closing(self, it: Answering) -> Closing:
        reply = it.reply
        if reply.pattern is not None or reply.everywhere:
            raise UsageError("a route choice makes no rule")
        if reply.choice is not Choice.REROUTE:
            return super().closing(it)
        return Closing(reply.choice, it.by, str(_chosen(self._book, it.card, it.row, reply)))

    def apply(self, it: Answering, closing: Closing) -> Applied:
        tx, row = it.tx, it.row
        if closing.choice is Choice.REROUTE:
            moving = _moving(tx, self._book, row, Target.parse(closing.reason or ""), it.by)
            added = "" if moving.added is None else f"about ${moving.added / 1_000_000:.2f} more"
            return Applied(moves.move(tx, row, moving), said=added)
        if closing.choice is Choice.STOP and row.state is State.READY:
            reason = f"{row.reason or ''} (stopped by {it.by})"
            row = record(tx, row, log.Failed(failure=row.failure or Failure.UNKNOWN, reason=reason))
            dependencies.after_end(tx, [row])
            row = read_job(tx.connection, row.id) or row
        return Applied(row, said=f"it stays with {row.target}" if closing.choice is Choice.WAIT else "")

    def samples(self, card: Card) -> list[Reply]:
        targets = [Reply(choice=Choice.REROUTE, reason=one) for one in card.options]
        return [*targets, Reply(choice=Choice.WAIT), Reply(choice=Choice.STOP)]

    def fallback(self, tx: Transaction, card: Card, row: JobRow) -> Reply:
        """The first option that can still be used; where none can, the job stays where it is."""
        if card.default is not Choice.REROUTE:
            return super().fallback(tx, card, row)
        to = _first(tx, self._book, card, row)
        return Reply(choice=Choice.WAIT) if to is None else Reply(choice=Choice.REROUTE, reason=str(to))

    def stale(self, tx: Transaction, card: Card, row: JobRow) -> str:
        return STAYED if row.held_by != cards.holder(card.id) or row.state is not State.READY else ""


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


def _moving(tx: Transaction, book: Routebook, row: JobRow, to: Target, by: str) -> Moving:
    route = book.routes.get(row.route or "")
    station = next((one for one in route.stations if one.target == to), Station(to)) if route else Station(to)
    standing = Facts.read(tx, book).standing(station, route, row.kind)
    cause = CAUSES.get(row.failure or Failure.UNKNOWN)
    until = row.not_before if moves.waits_for_limit(tx, row) else None
    return Moving(to, by, cause, row.reason or "", until, standing.added, at_once=row.not_before is not None)
