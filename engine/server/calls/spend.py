"""What was used and spent."""

from __future__ import annotations

from engine.budgets import Allow, BudgetLine
from engine.money import By, Reconcile, Reconciled, Spend
from engine.server.link import Link


class SpendCalls(Link):
    """What can be asked of the ledger."""

    async def spend(self, by: By = By.DAY, since: str | None = None) -> Spend:
        """The sums since a time: `today`, `7d`, `2026-11-01` or `all`; by default of the last fourteen days."""
        return await self.get("/v1/spend", Spend, {"by": by} if since is None else {"by": by, "since": since})

    async def reconcile(self, wanted: Reconcile) -> Reconciled:
        """Hold the ledger against what the agents keep themselves, or against an export of a provider."""
        return await self.post("/v1/spend/reconcile", wanted, Reconciled)

    async def budgets(self) -> list[BudgetLine]:
        """Every budget in its present period: the shared ones, then those of jobs that have not ended."""
        return await self.get("/v1/budgets", list[BudgetLine])

    async def allow(self, scope: str, amount: str | None) -> BudgetLine:
        """Let so much more be spent than a budget says; without an amount, whatever it takes in this period."""
        return await self.post("/v1/budgets", Allow(scope=scope, amount=amount), BudgetLine)
