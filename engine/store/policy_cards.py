"""The answer to a proposed rule, and the cards that standing rules answer by themselves. Of the one writer."""

from __future__ import annotations

from msgspec.structs import replace

from engine.decision import Card, CardKind, Choice, Effect, ProposalState, Reply, Rule
from engine.errors import HeadwayError, UsageError
from engine.permission import Use, matches
from engine.store import answering, cards, proposals, rules
from engine.store.actions import Inverse
from engine.store.answering import Answering, Applied, Kind, Kinds
from engine.store.cards import Closing
from engine.store.decisions import ending
from engine.store.rows import JobRow, read_job
from engine.store.writer import Transaction

_MATTERS = "SELECT subject, shell, rule FROM decisions WHERE id = ?"
_TRIED = "UPDATE decisions SET rule = ? WHERE id = ?"


class PolicyCards(Kind):
    """A rule is kept, or not proposed again."""

    def closing(self, it: Answering) -> Closing:
        if it.reply.expires is not None and it.reply.choice is not Choice.ACCEPT:
            raise UsageError("what is dismissed does not end: expires is for accept")
        ending(it.reply.expires, it.tx.now)
        return super().closing(it)

    def apply(self, it: Answering, closing: Closing) -> Applied:
        number = proposals.asked_by(it.card)
        found = proposals.one(it.tx, number)
        if found is None or closing.choice is Choice.DISMISS:
            proposals.decide(it.tx, number, ProposalState.DISMISSED, it.by)
            return Applied(it.row, said="it is not proposed again")
        rule = found.rule
        if it.reply.expires is not None:
            rule = replace(rule, expires_at=ending(it.reply.expires, it.tx.now))
        kept = rules.keep(it.tx, replace(rule, card=it.card.id), it.by)
        proposals.decide(it.tx, number, ProposalState.ACCEPTED, it.by, kept.id)
        return Applied(it.row, Inverse(kept=kept), kept, said=f"rule {kept.id} holds")

    def take_back(self, tx: Transaction, card: Card, row: JobRow, note: str, by: str) -> str:
        proposals.decide(tx, proposals.asked_by(card), ProposalState.OPEN, None)
        return ""

    def stale(self, tx: Transaction, card: Card, row: JobRow) -> str:
        found = proposals.one(tx, proposals.asked_by(card))
        return "" if found is not None and found.card == card.id else "it is proposed in another way by now"


def waiting(tx: Transaction) -> list[tuple[Card, Rule]]:
    """The open cards that a standing rule answers, and which."""
    standing = [one for one in rules.rules(tx) if one.expires_at is None or one.expires_at > tx.now]
    found = []
    for card in cards.opened(tx) if standing else ():
        rule = _decides(tx, card, standing)
        if rule is not None:
            found.append((card, rule))
    return found


def answer_waiting(tx: Transaction, kinds: Kinds) -> bool:
    """Answer them. One whose rule cannot be carried out stays for the operator. True where any was answered."""
    done = False
    for card, rule in waiting(tx):
        row = cards.job_of(tx, card)
        choice = Choice(rule.effect) if rule.kind is CardKind.PERMISSION else rule.choice
        tx.connection.execute(_TRIED, (rule.id, card.id))
        if choice is None or choice not in card.choices:
            continue
        refuses = rule.kind is CardKind.PERMISSION and rule.effect is Effect.DENY
        reason = f"A rule refuses {rule.tool}: {rule.pattern}" if refuses else rule.words
        try:
            answering.by_rule(tx, kinds, card, row, Reply(choice=choice, reason=reason), rule.id)
        except HeadwayError:
            continue  # it says so before it does anything
        rules.used(tx, rule.id)
        done = True
    return done


def _decides(tx: Transaction, card: Card, standing: list[Rule]) -> Rule | None:
    subject, shell, tried = tx.connection.execute(_MATTERS, (card.id,)).fetchone()
    if tried is not None:
        return None
    row = read_job(tx.connection, card.job)
    use = Use(card.tool, subject, card.job, card.project, shell=bool(shell), job_kind=row.kind if row else None)
    fits = [one for one in standing if one.kind is card.kind and matches(one, use)]
    return next((one for one in fits if one.effect is Effect.DENY), fits[0] if fits else None)
