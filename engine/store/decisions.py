"""What happens to decisions: an agent asks, the operator answers, time passes. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine import events as log
from engine.budgets import JOB, Amount
from engine.decision import Answered, Card, CardKind, Choice, Effect, Reply, Rule
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model import Failure, State
from engine.permission import Policy, Use, matches, verdict
from engine.store import actions, budgets, cards, dependencies, jobs, rules
from engine.store.actions import Inverse
from engine.store.cards import Asking, Closing, Due
from engine.store.fold import record
from engine.store.rows import JobRow, read_spec
from engine.store.writer import RollbackError, Transaction

REFUSED = "The operator refused this. Do not try it in another way; go on without it, or say what you need it for."

_MATTERS = "SELECT subject, shell FROM decisions WHERE id = ?"
_DUE = "SELECT id, fallback FROM decisions WHERE attempt = ? AND answered_at IS NULL AND due <= ? ORDER BY id"


def ask(tx: Transaction, attempt: int, asking: Asking, configured: Sequence[Rule], policy: Policy) -> bool:
    """Put up a card for a request, unless it has one; a rule may answer it at once. True where it is answered.

    Raises `RefusedError` for a late writer: an attempt that has ended asks nothing any more.
    """
    row, _ = jobs.fenced(tx, attempt)
    there = cards.known(tx, attempt)
    if asking.request in there:
        return there[asking.request] is not None
    standing = [*rules.rules_for(tx, row.id, row.project), *configured]
    found = verdict(_use(row, asking.tool, asking.subject, shell=asking.shell), standing)
    if asking.kind is CardKind.QUESTION:
        found = None
    due = Due(None if found is not None else policy.due(tx.now), _default(asking.kind, policy))
    card = cards.put_up(tx, row, attempt, asking, due)
    if found is None:
        body = log.Asked(card=card, what=asking.kind, tool=asking.tool, summary=asking.summary, due=due.at)
        record(tx, row, body, attempt)
        return False
    cards.close(tx, row, attempt, card, _by_rule(found))
    if found.id:
        rules.used(tx, found.id)
    return True


def answer(tx: Transaction, number: int, reply: Reply, by: str) -> Answered:
    """The operator's answer. A dry run does the same and takes it back.

    Raises `NotFoundError`, `RefusedError` for a card that is closed already, and `UsageError` for a choice that it
    does not offer.
    """
    card = cards.one(tx, number)
    if card is None:
        raise NotFoundError(f"there is no card {number}; `headway inbox` lists them")
    _check(card, reply)
    if card.kind is CardKind.CLARIFY:
        return _clarify(tx, card, reply, by)
    if card.kind is CardKind.BUDGET:
        return _answer_budget(tx, card, reply, by)
    rule = rules.keep(tx, _rule(tx, card, reply), by) if _keeps_rule(reply) else None
    row = cards.job_of(tx, card)
    reason = reply.reason or (REFUSED if reply.choice is Choice.DENY else None)
    closing = Closing(reply.choice, by, reason, rule.id if rule is not None else None)
    row = cards.close(tx, row, card.attempt, number, closing)
    also = _answer_others(tx, rule) if rule is not None else []
    inverse = Inverse(kept=rule, told=[card.job])
    action = actions.note(tx, "answer", by, [card.job], inverse)
    done = cards.one(tx, number)
    assert done is not None, "it was there a moment ago"
    answered = Answered(card=done, rule=rule, also=also, action=action, dry_run=reply.dry_run)
    if reply.dry_run:
        raise RollbackError(answered)
    return answered


def _clarify(tx: Transaction, card: Card, reply: Reply, by: str) -> Answered:
    """The operator's word. `undo` holds the job again. Raises `UsageError` for `edit` without words."""
    words = (reply.reason or "").strip()
    if reply.choice is Choice.EDIT and not words:
        raise UsageError("edit needs the words that the prompt lacks: --reason TEXT")
    row = before = cards.job_of(tx, card)
    row = cards.close(tx, row, None, card.id, Closing(reply.choice, by, reply.reason))
    if reply.choice is Choice.CANCEL:
        row = record(tx, row, log.Cancelled(by=by))
        dependencies.after_end(tx, [row])
    else:
        if reply.choice is Choice.EDIT:
            spec = read_spec(tx.connection, row)
            spec = replace(spec, prompt=f"{spec.prompt.rstrip()}\n\n{words}")
            row = record(tx, row, log.Edited(by=by, spec=spec, title=row.title))
        if row.held_by == cards.holder(card.id):
            row = record(tx, row, log.Released(by=by))
    inverse = Inverse(jobs={row.id: actions.changed(before, row)})
    action = actions.note(tx, "answer", by, [row.id], inverse)
    done = cards.one(tx, card.id)
    assert done is not None, "it was there a moment ago"
    answered = Answered(card=done, action=action, dry_run=reply.dry_run)
    if reply.dry_run:
        raise RollbackError(answered)
    return answered


def _answer_budget(tx: Transaction, card: Card, reply: Reply, by: str) -> Answered:
    """What follows now that a budget is used up: more of it, no cap, or an end."""
    scope, own = card.tool, card.tool == f"{JOB}:{card.job}"
    row = before = cards.job_of(tx, card)
    allowed = None
    if reply.choice is Choice.STOP:
        row = _stop(tx, row, scope, by, own=own)
    else:
        since, cap = _asked(tx, card)
        amount = None
        if reply.choice is Choice.MORE:
            amount = _amount(card, reply)
            if reply.amount is None:
                amount = amount.plus(budgets.overspent(tx, scope, since, cap))
            budgets.check(tx, scope, since, cap, amount)
        allowed = budgets.allow(tx, scope, since, amount, by, card.id)
    row = cards.close(tx, row, card.attempt, card.id, Closing(reply.choice, by, reply.reason))
    if own and row.held_by == budgets.HOLD:
        row = record(tx, row, log.Released(by=by))
    cards.sent(tx, card.id)
    if row.ended_at is not None:
        dependencies.after_end(tx, [row])
    inverse = Inverse(jobs={row.id: fields} if (fields := actions.changed(before, row)) else {}, allowed=allowed)
    action = actions.note(tx, "answer", by, [card.job], inverse)
    done = cards.one(tx, card.id)
    assert done is not None, "it was there a moment ago"
    answered = Answered(card=done, action=action, dry_run=reply.dry_run)
    if reply.dry_run:
        raise RollbackError(answered)
    return answered


def _stop(tx: Transaction, row: JobRow, scope: str, by: str, *, own: bool) -> JobRow:
    """Leave it at a budget. A job that still runs ends as soon as it has been parked."""
    tx.log(log.BudgetStopped(scope, by))
    if not own or row.state not in (State.READY, State.BLOCKED):
        return row
    reason = f"its budget is used up, and {by} left it at that"
    return record(tx, row, log.Failed(failure=Failure.BUDGET_EXCEEDED, reason=reason))


def _amount(card: Card, reply: Reply) -> Amount:
    """How much more: what the reply says, else as much as the budget had."""
    try:
        return Amount.parse(reply.amount or card.options[0].removeprefix(f"{Choice.MORE} "))
    except (ValueError, IndexError) as error:
        raise UsageError(f"amount: {error}") from None


def _asked(tx: Transaction, card: Card) -> tuple[int, Amount]:
    """The period that a card for a budget is about, and the cap that was used up."""
    (request,) = tx.connection.execute("SELECT request FROM decisions WHERE id = ?", (card.id,)).fetchone()
    _, since, cap = request.rsplit(" ", 2)
    in_tokens = card.options[0].endswith("tokens")
    return int(since), Amount(tokens=int(cap)) if in_tokens else Amount(micros=int(cap))


def expire(tx: Transaction, attempt: int, after: str) -> int:
    """Take the default of an attempt's cards whose time is over. Returns how many there were."""
    row, _ = jobs.fenced(tx, attempt)
    late = tx.connection.execute(_DUE, (attempt, tx.now)).fetchall()
    for card, fallback in late:
        choice = Choice(fallback)
        reason = f"Nobody answered within {after}. Go on without it." if choice is Choice.DENY else None
        row = cards.close(tx, row, attempt, card, Closing(choice, "time-out", reason))
    return len(late)


def drop_rule(tx: Transaction, number: int, by: str) -> Rule:
    """Take a standing answer back. `undo` brings it back."""
    dropped = rules.drop(tx, number, by)
    actions.note(tx, "drop rule", by, (), Inverse(dropped=dropped))
    return dropped


def _check(card: Card, reply: Reply) -> None:
    if not card.open:
        raise RefusedError(f"card {card.id} is closed: {card.choice} by {card.by}")
    if reply.choice not in card.choices:
        raise UsageError(f"a {card.kind} cannot be answered with {reply.choice}; choose {', '.join(card.choices)}")
    if reply.choice is Choice.ANSWER and not (reply.reason or "").strip():
        raise UsageError("an answer needs words: --reason TEXT")
    if reply.amount is not None and reply.choice is not Choice.MORE:
        raise UsageError(f"an amount is for more, and not for {reply.choice}")
    if reply.pattern is not None and reply.choice not in (Choice.JOB, Choice.RULE, Choice.DENY):
        raise UsageError(f"a pattern makes a rule, and {reply.choice} makes none; choose job, rule or deny")
    if reply.everywhere and not _keeps_rule(reply):
        raise UsageError("only a rule can hold everywhere; choose rule, or deny with a pattern")
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
    return Use(card.tool, subject, card.job, card.project, shell=bool(shell))


def _use(row: JobRow, tool: str, subject: str, *, shell: bool) -> Use:
    return Use(tool, subject, row.id, row.project, shell)


def _default(kind: CardKind, policy: Policy) -> Choice:
    """A question has no answer by default: the agent is told to go on without one."""
    return Choice.DENY if kind is CardKind.QUESTION else policy.default
