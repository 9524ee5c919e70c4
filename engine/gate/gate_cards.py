"""The card of work that its gate refuses, once nothing gets better by itself. Operations of the one writer.

While it is open the job is held by it, and looked at no more.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from engine.decision import ARGUMENTS_LIMIT, DIFF_LIMIT, Card, CardKind, Choice, Reply
from engine.documents import nearest
from engine.errors import RefusedError, UsageError
from engine.gate import verdict
from engine.gate.book import Gatebook
from engine.model import Finding, GateLook, Severity, Source, Stage, State, Target, Verdict
from engine.store import answering, cards, gatings, moves
from engine.store.actions import Inverse
from engine.store.answering import Answering, Applied, Kind
from engine.store.cards import Asking, Closing, Due
from engine.store.gatings import Opened
from engine.store.moves import Moving
from engine.store.rows import JobRow
from engine.store.writer import Transaction

TOOL = "gate"
GONE = "its job is not looked at any more"


def put_up(tx: Transaction, on: Opened, look: GateLook, why: str, patch: str, others: list[Target]) -> JobRow:
    """Ask the operator what becomes of refused work, and hold its job until he has answered."""
    found = [
        {"by": one.by, "what": one.what, "file": one.file, "line": one.line, "proof": one.proof[-600:]}
        for one in look.findings[:10]
    ]
    told = msgspec.json.encode({"gate": look.gate, "round": look.round, "findings": found}).decode()
    asking = Asking(
        request=f"gate J{on.row.id} look {look.id}",
        kind=CardKind.GATE,
        tool=TOOL,
        subject="",
        shell=False,
        summary=f"gate {look.gate} refuses it: what becomes of it?",
        arguments=told[:ARGUMENTS_LIMIT],
        diff=patch[:DIFF_LIMIT],
        why=f"{why}: {verdict.summary(look)}",
        options=tuple(map(str, others)),
        file=f"{look.folder}/diff.patch" if look.folder else "",
    )
    raised = answering.raise_card(tx, on.row, on.tried.id, asking, Due(None, Choice.STOP))
    gatings.save(tx, replace(look, stage=Stage.ASKING, verdict=Verdict.REFUSED, why=why, card=raised.card))
    return raised.row


class GateCards(Kind):
    """What becomes of it. `book`: who may go on with it."""

    def __init__(self, book: Gatebook) -> None:
        self._book = book

    def closing(self, it: Answering) -> Closing:
        if it.reply.pattern is not None or it.reply.everywhere:
            raise UsageError("a gate's choice makes no rule")
        if it.reply.choice is not Choice.REROUTE:
            return super().closing(it)
        return Closing(it.reply.choice, it.by, str(_chosen(self._book, it)))

    def apply(self, it: Answering, closing: Closing) -> Applied:
        tx, row, by = it.tx, it.row, it.by
        look = gatings.newest(tx, row.id)
        if look is None or row.state is not State.GATING:
            raise RefusedError(f"J{row.id} is not looked at any more: it is {row.state}")
        inverse = Inverse(note=str(look.id))
        match closing.choice:
            case Choice.DONE:
                gatings.save(tx, replace(look, stage=Stage.OVER, verdict=Verdict.ACCEPTED, by=by, ended_at=tx.now))
                after = gatings.done(tx, row, look, f"{by} took it for done, though gate {look.gate} refused it")
                return Applied(after, inverse)
            case Choice.BACK:
                look = _with_words(look, closing.reason, by)
                return Applied(gatings.sent_back(tx, row, look, verdict.summary(look), by=by), inverse)
            case Choice.REROUTE:
                look = _with_words(look, None, by)
                row = gatings.sent_back(tx, row, look, verdict.summary(look), by=by, fresh=True)
                to = Target.parse(closing.reason or "")
                return Applied(moves.move(tx, row, Moving(to, by, reason=verdict.summary(look))), inverse)
            case _:
                reason = f"{verdict.summary(look)} (stopped by {by})"
                return Applied(gatings.failed(tx, row, look, reason), inverse)

    def take_back(self, tx: Transaction, card: Card, row: JobRow, note: str, by: str) -> str:
        """The look is as it was when it asked."""
        look = gatings.newest(tx, row.id)
        if look is None or str(look.id) != note:
            return "it has been looked at again since"
        gatings.save(tx, replace(look, stage=Stage.ASKING, verdict=Verdict.REFUSED, ended_at=None, by="headway"))
        return ""

    def samples(self, card: Card) -> list[Reply]:
        targets = [Reply(choice=Choice.REROUTE, reason=one) for one in card.options]
        return [Reply(choice=Choice.DONE), Reply(choice=Choice.BACK), *targets, Reply(choice=Choice.STOP)]

    def stale(self, tx: Transaction, card: Card, row: JobRow) -> str:
        return GONE if row.held_by != cards.holder(card.id) or row.state is not State.GATING else ""


def _with_words(look: GateLook, words: str | None, by: str) -> GateLook:
    """The operator's own words stand before what was found."""
    if not (words or "").strip():
        return look
    said = Finding(source=Source.JUDGE, what=(words or "").strip(), severity=Severity.BLOCKER, by=by)
    return replace(look, findings=[said, *look.findings])


def _chosen(book: Gatebook, it: Answering) -> Target:
    """The target that an answer names: an option, or its number."""
    options = list(it.card.options)
    if not options:
        raise UsageError("there is no other target: headway.yaml names none that may go on with it")
    said = (it.reply.reason or "").strip()
    if not said or (said.isdecimal() and 1 <= int(said) <= len(options)):
        said = options[int(said) - 1 if said else 0]
    target = Target.parse(said)
    if str(target) not in options:
        raise UsageError(f"{said!r} is none of its targets; {nearest(said, options)}")
    if why := book.privacy.barred(target, it.row.project):
        raise RefusedError(why)
    return target
