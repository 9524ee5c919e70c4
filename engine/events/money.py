"""What the usage of an attempt comes to, and what happens to budgets."""

from __future__ import annotations

from engine.budgets import Amount
from engine.events.body import Body
from engine.model import Grade, Usage


def total_cost(usage: tuple[Usage, ...]) -> tuple[int | None, Grade]:
    """The money in some usages: the sum of what is known, under the worst grade of its parts.

    Returns micro-dollars (None where no part is known) and the grade.
    """
    known = [u.cost_micros for u in usage if u.cost_micros is not None]
    if not usage or not known:
        return None, Grade.UNKNOWN
    order = list(Grade)
    worst = max((u.grade if u.cost_micros is not None else Grade.UNKNOWN for u in usage), key=order.index)
    return sum(known), worst


class BudgetWarned(Body, frozen=True, tag="budget_warned"):
    """So much of a budget is spent that the operator wants to know."""

    scope: str
    spent: Amount
    warn: Amount
    cap: Amount | None = None


class BudgetReached(Body, frozen=True, tag="budget_reached"):
    """A budget is used up: nothing of its scope starts any more, and what runs is parked."""

    scope: str
    spent: Amount
    cap: Amount
    until: int | None = None
    """When it begins anew."""
    card: int | None = None


class BudgetAllowed(Body, frozen=True, tag="budget_allowed"):
    """The operator allows more than a budget says."""

    scope: str
    by: str
    amount: Amount | None = None
    """None: without a cap, in this period."""
    back: bool = False
    """That was taken back."""


class BudgetStopped(Body, frozen=True, tag="budget_stopped"):
    """The operator leaves it at a budget that is used up."""

    scope: str
    by: str


class Drifted(Body, frozen=True, tag="drifted"):
    """Another book differs from the ledger by more than the alarm."""

    day: str
    book: str
    share: float
    """Of 1."""


MoneyBody = Drifted | BudgetWarned | BudgetReached | BudgetAllowed | BudgetStopped
