"""What follows now that a budget is used up: more of it, no cap, or an end. Operations of the one writer."""

from __future__ import annotations

from engine import events as log
from engine.budgets import Amount
from engine.decision import Card, Choice
from engine.errors import UsageError
from engine.model import Failure, State
from engine.spend.budgets import title
from engine.store import actions, budgets, dependencies, kin
from engine.store.actions import Inverse
from engine.store.answering import Answering, Applied, Kind
from engine.store.cards import Closing
from engine.store.fold import record
from engine.store.rows import JobRow, read_job
from engine.store.writer import Transaction


class BudgetCards(Kind):
    """The cards of `engine.store.budgets`, whose tool is the scope of the budget."""

    def apply(self, it: Answering, closing: Closing) -> Applied:
        tx, card, row = it.tx, it.card, it.row
        scope, own = card.tool, budgets.job_of(card.tool) is not None
        allowed, said = None, "it stays used up"
        others: dict[int, dict[str, tuple[object, object]]] = {}
        if closing.choice is Choice.STOP:
            row = _stop(tx, row, scope, it.by, own=own)
            for before, after in budgets.let_go(tx, scope, it.by, besides=row.id):
                ended = _stop(tx, after, scope, it.by, own=own, said=True)
                others[ended.id] = actions.changed(before, ended)
                dependencies.after_end(tx, [ended] if ended.ended_at is not None else [])
        else:
            allowed, more = _allow(it, scope)
            for before, after in budgets.let_go(tx, scope, it.by, besides=row.id):
                others[after.id] = actions.changed(before, after)
            said = f"{title(scope)} has {more} more" if more is not None else f"{title(scope)} has no cap any more"
        if own and row.held_by == budgets.HOLD:
            row = record(tx, row, log.Released(by=it.by))
        if row.ended_at is not None:
            dependencies.after_end(tx, [row])
        return Applied(read_job(tx.connection, row.id) or row, Inverse(allowed=allowed, jobs=others), said=said)

    def stale(self, tx: Transaction, card: Card, row: JobRow) -> str:
        root = budgets.job_of(card.tool)
        return "" if root is None or kin.goes_on(tx, root) else "the jobs that spend of it have ended"

    def take_back(self, tx: Transaction, card: Card, row: JobRow, note: str, by: str) -> str:
        """The budget is used up again, and that has been told: by this very card."""
        since, _ = _asked(tx, card)
        budgets.told(tx, card.tool, since)
        return ""


def _allow(it: Answering, scope: str) -> tuple[int, Amount | None]:
    since, cap = _asked(it.tx, it.card)
    amount = None
    if it.reply.choice is Choice.MORE:
        amount = _amount(it.card, it.reply.amount)
        if it.reply.amount is None:
            amount = amount.plus(budgets.overspent(it.tx, scope, since, cap))
        budgets.check(it.tx, scope, since, cap, amount)
    return budgets.allow(it.tx, scope, since, amount, it.by, it.card.id), amount


def _stop(tx: Transaction, row: JobRow, scope: str, by: str, *, own: bool, said: bool = False) -> JobRow:
    """Leave it at a budget. A job that still runs ends as soon as it has been parked. `said`: that is logged."""
    if not said:
        tx.log(log.BudgetStopped(scope, by))
    if not own or row.state not in (State.READY, State.BLOCKED):
        return row
    reason = f"its budget is used up, and {by} left it at that"
    return record(tx, row, log.Failed(failure=Failure.BUDGET_EXCEEDED, reason=reason))


def _amount(card: Card, said: str | None) -> Amount:
    """How much more: what the reply says, else as much as the budget had."""
    try:
        return Amount.parse(said or card.options[0].removeprefix(f"{Choice.MORE} "))
    except (ValueError, IndexError) as error:
        raise UsageError(f"amount: {error}") from None


def _asked(tx: Transaction, card: Card) -> tuple[int, Amount]:
    """The period that a card for a budget is about, and the cap that was used up."""
    (request,) = tx.connection.execute("SELECT request FROM decisions WHERE id = ?", (card.id,)).fetchone()
    _, since, cap = request.rsplit(" ", 2)
    in_tokens = card.options[0].endswith("tokens")
    return int(since), Amount(tokens=int(cap)) if in_tokens else Amount(micros=int(cap))
