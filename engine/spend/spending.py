"""The engine's door to money: what was used and spent, by whatever is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine.clock import now_ms
from engine.config import Settings
from engine.model import Job, State
from engine.money import By, Spend
from engine.spend import report
from engine.store import Store, spend
from engine.store import windows as windows_kept
from engine.store.fold import paid
from engine.store.rows import JobRow
from engine.store.spend import Span
from engine.store.writer import Transaction


class Spending:
    """One for an engine."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

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

    def _signed_in(self) -> set[str]:
        """The accounts of headway.yaml that have a login and no key."""
        accounts = self._settings.accounts.items()
        return {f"{one.agent}@{name}" for name, one in accounts if one.config_dir is not None and one.key is None}
