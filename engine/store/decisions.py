"""What an agent asks, and what rules and the operator say to it. Operations of the one writer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from engine.decision import Asker, Card, CardKind, Choice, Effect, Past, Reply, Rule, RuleMade
from engine.errors import UsageError
from engine.permission import Policy, Use, matches, verdict
from engine.store import actions, answering, cards, jobs, rules
from engine.store.actions import Inverse
from engine.store.answering import Answering, Applied, Kind, Kinds
from engine.store.cards import Asking, Closing, Due
from engine.store.rows import JobRow
from engine.store.writer import RollbackError, Transaction
from engine.units import milliseconds, span

REFUSED = "The operator refused this. Do not try it in another way; go on without it, or say what you need it for."

WORDS = "..."  #: what stands for the operator's own words, where an answer is shown beforehand

NEVER = "never"  #: how it is said that a rule does not end

_TOLD = {
    Choice.ALLOW: "it does what it asked for",
    Choice.JOB: "it does what it asked for",
    Choice.RULE: "it does what it asked for",
    Choice.DENY: "it is told no, and why",
    Choice.ANSWER: "it is told the answer",
}

_MATTERS = "SELECT subject, shell FROM decisions WHERE id = ?"


def ask(tx: Transaction, attempt: int, asking: Asking, configured: Sequence[Rule], policy: Policy) -> bool:
    """Put up a card for a request, unless it has one; a rule may answer it at once. True where it is answered.

    Raises `RefusedError` for a late writer: an attempt that has ended asks nothing any more.
    """
    row, _ = jobs.fenced(tx, attempt)
    there = cards.known(tx, attempt)
    if asking.request in there:
        return there[asking.request] is not None
    asking = dataclasses.replace(asking, asker=Asker.AGENT)
    standing = [*rules.rules_for(tx, row.id, row.project), *configured]
    found = verdict(_use(row, asking.tool, asking.subject, shell=asking.shell), standing)
    if asking.kind is CardKind.QUESTION:
        found = None
    if found is None:
        answering.raise_card(tx, row, attempt, asking, _due(asking.kind, policy, tx.now), holds=False)
        return False
    card = cards.put_up(tx, row, attempt, asking, Due(None, _default(asking.kind, policy)))
    cards.close(tx, row, attempt, card, _by_rule(found))
    if found.id:
        rules.used(tx, found.id)
    return True


class AgentCards(Kind):
    """Permissions and questions: the agent is told the answer. One that refuses without a reason gets one."""

    def closing(self, it: Answering) -> Closing:
        _check(it.reply)
        rule = rules.keep(it.tx, _rule(it.tx, it.card, it.reply), it.by) if _keeps_rule(it.reply) else None
        reason = it.reply.reason or (REFUSED if it.reply.choice is Choice.DENY else None)
        return Closing(it.reply.choice, it.by, reason, rule.id if rule is not None else None)

    def apply(self, it: Answering, closing: Closing) -> Applied:
        said = f"its agent goes on: {_TOLD[closing.choice]}"
        if closing.rule is None or not _keeps_rule(it.reply):
            return Applied(it.row, said=said)
        rule = rules.one(it.tx, closing.rule)
        also = _answer_others(it.tx, rule)
        said += f"; from now on: {rule.effect} {rule.tool} `{rule.pattern}`"
        return Applied(cards.job_of(it.tx, it.card), Inverse(kept=rule), rule, also, said)

    def samples(self, card: Card) -> list[Reply]:
        words = card.options or (WORDS,)
        answers = [Reply(choice=Choice.ANSWER, reason=one) for one in words] if Choice.ANSWER in card.choices else []
        return answers + [one for one in super().samples(card) if one.choice is not Choice.ANSWER]

    def fallback(self, tx: Transaction, card: Card, row: JobRow) -> Reply:
        after = span((card.due or card.at) - card.at)
        return Reply(
            choice=card.default,
            reason=f"Nobody answered within {after}. Go on without it." if card.default is Choice.DENY else None,
        )


#: What an attempt's own cards are answered by, where nobody does until their time.
OF_AGENTS: Kinds = {CardKind.PERMISSION: AgentCards(), CardKind.QUESTION: AgentCards()}


def expire(tx: Transaction, attempt: int) -> int:
    """Take the default of an attempt's cards whose time is over. Returns how many there were."""
    jobs.fenced(tx, attempt)
    return answering.look(tx, OF_AGENTS, attempt).expired


def add_rule(tx: Transaction, rule: Rule, past: Past, by: str, *, dry_run: bool) -> RuleMade:
    """Keep a standing answer of the operator's own words. `undo` takes it back."""
    kept = rules.keep(tx, rule, by)
    action = actions.note(tx, "add rule", by, (), Inverse(kept=kept))
    made = RuleMade(rule=kept, past=past, action=None if dry_run else action, dry_run=dry_run)
    if dry_run:
        raise RollbackError(made)
    return made


def drop_rule(tx: Transaction, number: int, by: str) -> Rule:
    """Take a standing answer back. `undo` brings it back."""
    dropped = rules.drop(tx, number, by)
    actions.note(tx, "drop rule", by, (), Inverse(dropped=dropped))
    return dropped


def ending(within: str | None, now: int) -> int | None:
    """When a rule ends that holds for a span. Raises `UsageError`."""
    if within is None or within == NEVER:
        return None
    try:
        ms = milliseconds(within)
    except ValueError as error:
        raise UsageError(f"expires: {error}, or {NEVER}") from None
    if not ms:
        raise UsageError("expires: it would be over at once; write 7d, or never")
    return now + ms


def _check(reply: Reply) -> None:
    if reply.choice is Choice.ANSWER and not (reply.reason or "").strip():
        raise UsageError("an answer needs words: --reason TEXT")
    if reply.pattern is not None and reply.choice not in (Choice.JOB, Choice.RULE, Choice.DENY):
        raise UsageError(f"a pattern makes a rule, and {reply.choice} makes none; choose job, rule or deny")
    if reply.everywhere and not _keeps_rule(reply):
        raise UsageError("only a rule can hold everywhere; choose rule, or deny with a pattern")
    if reply.expires is not None and not _keeps_rule(reply):
        raise UsageError("only a rule ends; choose rule, or deny with a pattern")
    if reply.everywhere and reply.choice is Choice.JOB:
        raise UsageError("what is allowed for this job holds nowhere else; choose rule")


def _keeps_rule(reply: Reply) -> bool:
    return reply.choice in (Choice.JOB, Choice.RULE) or (reply.choice is Choice.DENY and reply.pattern is not None)


def _rule(tx: Transaction, card: Card, reply: Reply) -> Rule:
    subject, _ = tx.connection.execute(_MATTERS, (card.id,)).fetchone()
    of_job = reply.choice is Choice.JOB
    if reply.choice is Choice.RULE and not (reply.pattern or subject):
        raise UsageError(f"nothing of this can be matched; `--rule '*'` means every use of {card.tool}")
    rule = Rule(
        tool=card.tool,
        pattern=reply.pattern or ("*" if of_job else subject),
        effect=Effect.DENY if reply.choice is Choice.DENY else Effect.ALLOW,
        project=None if reply.everywhere or of_job else card.project,
        job=card.job if of_job or (card.project is None and not reply.everywhere) else None,
        card=card.id,
        expires_at=ending(reply.expires, tx.now),
    )
    if reply.pattern is not None and not matches(rule, _use_of(tx, card)):
        raise UsageError(f"the pattern {reply.pattern!r} does not match what is asked: {subject or card.tool}")
    return rule


def _answer_others(tx: Transaction, rule: Rule) -> list[int]:
    """Answer the open cards that a new rule is about."""
    also = []
    for card in cards.opened(tx):
        if card.kind is CardKind.PERMISSION and matches(rule, _use_of(tx, card)):
            cards.close(tx, cards.job_of(tx, card), card.attempt, card.id, _by_rule(rule))
            rules.used(tx, rule.id)
            also.append(card.id)
    return also


def _by_rule(rule: Rule) -> Closing:
    by = f"rule {rule.id}" if rule.id else rule.by
    if rule.effect is Effect.ALLOW:
        return Closing(Choice.ALLOW, by, rule=rule.id or None)
    return Closing(Choice.DENY, by, f"A rule refuses {rule.tool}: {rule.pattern}", rule.id or None)


def _use_of(tx: Transaction, card: Card) -> Use:
    subject, shell = tx.connection.execute(_MATTERS, (card.id,)).fetchone()
    row = cards.job_of(tx, card)
    return Use(card.tool, subject, card.job, card.project, shell=bool(shell), job_kind=row.kind)


def _use(row: JobRow, tool: str, subject: str, *, shell: bool) -> Use:
    return Use(tool, subject, row.id, row.project, shell, row.kind)


def _due(kind: CardKind, policy: Policy, now: int) -> Due:
    return Due(policy.due(now), _default(kind, policy))


def _default(kind: CardKind, policy: Policy) -> Choice:
    """A question has no answer by default: the agent is told to go on without one."""
    return Choice.DENY if kind is CardKind.QUESTION else policy.default
