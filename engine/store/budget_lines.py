"""Budgets as the operator sees them, and more of one when he says so. Operations of the one writer."""

from __future__ import annotations

from engine.budgets import Allow, Amount, BudgetLine
from engine.decision import CardKind, Choice, Reply
from engine.documents import nearest
from engine.errors import NotFoundError, UsageError
from engine.spend.budgets import Budget, Budgets, effective, standing
from engine.store import actions, answering, budgets
from engine.store.actions import Inverse
from engine.store.budget_cards import BudgetCards
from engine.store.rows import read_job, read_spec
from engine.store.writer import Transaction

_OF_JOBS = (
    "SELECT CAST(substr(scope, 5) AS INTEGER) FROM budget_spend WHERE scope LIKE 'job:%' "
    "AND CAST(substr(scope, 5) AS INTEGER) IN "
    "(SELECT id FROM jobs WHERE state IN ('ready', 'blocked', 'running', 'gating')) ORDER BY 1 LIMIT 1000"
)


def lines(tx: Transaction, all_: Budgets) -> list[BudgetLine]:
    """Every budget in its present period: the shared ones, then those of jobs that have not ended."""
    jobs = [int(job) for (job,) in tx.connection.execute(_OF_JOBS).fetchall()]
    own = (_own(tx, all_, job) for job in jobs)
    return [_line(tx, one) for one in (*all_.shared, *own) if one is not None]


def allow_more(tx: Transaction, all_: Budgets, wanted: Allow, by: str) -> BudgetLine:
    """Let more be spent than a budget says, as an answer to its card does. `undo` takes it back."""
    budget = _named(tx, all_, wanted.scope)
    try:
        amount = None if wanted.amount is None else Amount.parse(wanted.amount)
    except ValueError as error:
        raise UsageError(f"amount: {error}") from None
    card = budgets.open_card(tx, budget.scope)
    if card is not None:
        choice = Choice.UNCAPPED if amount is None else Choice.MORE
        answering.answer(tx, {CardKind.BUDGET: BudgetCards()}, card, Reply(choice=choice, amount=wanted.amount), by)
        return _line(tx, budget)
    spent, now = budgets.status(tx, budget)
    cap = effective(budget, spent)
    if amount is not None and cap is not None:
        budgets.check(tx, budget.scope, now.since, cap, amount)
    allowed = budgets.allow(tx, budget.scope, now.since, amount, by)
    changes = {}
    job = budgets.job_of(budget.scope)
    for before, after in budgets.let_go(tx, budget.scope, by):
        changes[after.id] = actions.changed(before, after)
    about = dict.fromkeys([*([job] if job is not None else []), *changes])
    actions.note(tx, "allow", by, [*about], Inverse(jobs=changes, allowed=allowed))
    return _line(tx, budget)


def _named(tx: Transaction, all_: Budgets, scope: str) -> Budget:
    found = next((one for one in all_.shared if one.scope == scope), None)
    job = budgets.job_of(scope)
    if found is None and job is not None:
        found = _own(tx, all_, job)
    if found is None or found.cap is None:
        known = [one.scope for one in all_.shared]
        hint = nearest(scope, known) if known else "headway.yaml has none: budgets:"
        raise NotFoundError(f"there is no budget {scope!r} with a cap; {hint}")
    return found


def _own(tx: Transaction, all_: Budgets, job: int) -> Budget | None:
    row = read_job(tx.connection, job)
    return None if row is None else budgets.own_of(tx, row, read_spec(tx.connection, row).budget, all_)


def _line(tx: Transaction, budget: Budget) -> BudgetLine:
    spent, now = budgets.status(tx, budget)
    return BudgetLine(
        scope=budget.scope,
        per=budget.per,
        since=now.since,
        until=now.until,
        warn=budget.warn,
        cap=effective(budget, spent),
        allowed=spent.allowed,
        spent_micros=spent.micros,
        spent_tokens=spent.tokens,
        grade=budgets.grade(tx, budget),
        standing=standing(budget, spent),
        source=budget.source,
    )
