"""The engine's door to money: what was used and spent, by whatever is asked for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from engine.agents import books
from engine.agents.logins import config_variables
from engine.budgets import Allow, BudgetLine
from engine.clock import now_ms
from engine.config import Settings
from engine.model import Job, State
from engine.money import By, Reconcile, Reconciled, Spend
from engine.spend import report
from engine.spend.budgets import Budgets
from engine.spend.reconcile import Session, day_of, with_books, with_export
from engine.store import Store, spend
from engine.store import budget_lines as budgets
from engine.store import spent_sessions as sessions
from engine.store import windows as windows_kept
from engine.store.fold import paid
from engine.store.rows import JobRow
from engine.store.spend import Span
from engine.store.spent_sessions import Ran
from engine.store.writer import Transaction


class Spending:
    """One for an engine."""

    def __init__(self, store: Store, settings: Settings, allowed: Callable[[], None]) -> None:
        """`allowed` is called when more may be spent than before."""
        self._store = store
        self._settings = settings
        self._budgets = Budgets.of(settings)
        self._allowed = allowed

    async def jobs(self, rows: Sequence[JobRow]) -> list[Job]:
        """Jobs as a list shows them: of those that run, with what their attempt has used so far."""
        if not any(row.state is State.RUNNING for row in rows):
            return [row.as_job() for row in rows]
        used = await self._store.look(spend.running)
        return [paid(row, tuple(used.get(row.id, ()))).as_job() for row in rows]

    async def report(self, by: By, since: str | None = None) -> Spend:
        """What was used and spent since a time, put together. Raises `UsageError` for what is no time."""
        now = now_ms()
        start = report.midnight(now, report.DAYS - 1) if since is None else report.since_of(since, now)
        span = Span(start, now + 1)

        def look(tx: Transaction) -> Spend:
            lines = report.ordered(spend.lines(tx, by, span), by)
            return Spend(
                by=by,
                since=start,
                until=now,
                lines=lines,
                total=spend.joined(lines, "total"),
                unpriced=spend.unpriced(tx, span),
                tables=spend.tables(tx, span),
            )

        found = await self._store.look(look)
        windows = report.quotas(await self._store.look(windows_kept.states))
        labelled = report.labelled(found.lines, by, windows, self._signed_in())
        return replace(found, lines=labelled, total=spend.joined(labelled, "total"))

    async def reconcile(self, wanted: Reconcile) -> Reconciled:
        """Hold the ledger against what the agents keep themselves, or against an export of a provider.

        Raises `UsageError` for what is no time.
        """
        now = now_ms()
        start = report.midnight(now, report.DAYS - 1) if wanted.since is None else report.since_of(wanted.since, now)
        alarm = self._settings.spend.alarm if wanted.threshold is None else wanted.threshold
        if wanted.export:
            days = await self._store.look(lambda tx: sessions.days(tx, start, wanted.provider))
            asked = [one for one in wanted.export if one.day >= day_of(start)]
            lines, there, missing = with_export(days, asked, wanted.name, alarm), 0, 0
        else:
            ran = await self._store.look(lambda tx: sessions.ran(tx, start))
            found = await asyncio.to_thread(self._with_books, ran)
            lines = [one for one in with_books(found, alarm) if one.day >= day_of(start)]
            there, missing = len(found), len(ran) - len(found)
        if lines:
            await self._store.write(lambda tx: sessions.keep(tx, lines))
        return Reconciled(lines=lines, alarm=alarm, sessions=there, missing=missing)

    def _with_books(self, ran: Sequence[Ran]) -> list[Session]:
        """The sessions of which the agent still has a book of its own. Reads files."""
        found = []
        for one in ran:
            book = books.read(one.agent, one.session, self._environment(one.agent, one.account))
            if book is not None:
                found.append(
                    Session(
                        agent=one.agent,
                        ledger=one.tokens,
                        book=book.entries,
                        whole=one.agent in books.WHOLE,
                        ledger_micros=one.micros,
                        book_micros=book.micros,
                        last=max(one.tokens),
                    )
                )
        return found

    def _environment(self, agent: str, account: str | None) -> dict[str, str]:
        """What of its environment says where an agent keeps its files."""
        env = {**os.environ, **self._settings.agent(agent).env}
        own = self._settings.accounts.get(account or "")
        if own is not None:
            env |= own.env
            if own.config_dir is not None:
                env |= config_variables(own, str(Path(own.config_dir).expanduser()))
        return env

    async def budgets(self) -> list[BudgetLine]:
        """Every budget in its present period: the shared ones, then those of jobs that have not ended."""
        return await self._store.look(lambda tx: budgets.lines(tx, self._budgets))

    async def allow(self, wanted: Allow, by: str) -> BudgetLine:
        """Let more be spent than a budget says. Raises `NotFoundError` and `UsageError`."""
        line = await self._store.write(lambda tx: budgets.allow_more(tx, self._budgets, wanted, by))
        self._allowed()
        return line

    def _signed_in(self) -> set[str]:
        """The accounts of headway.yaml that have a login and no key."""
        accounts = self._settings.accounts.items()
        return {f"{one.agent}@{name}" for name, one in accounts if one.config_dir is not None and one.key is None}
