"""`report_progress` and `hand_off`: what an agent says of its own work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from engine.hand_off import Done, HandOff, Stored
from engine.mcp.caller import Caller
from engine.mcp.tools import ReportProgress
from engine.plain import plain, plain_line
from engine.redact import Secrets
from engine.store import Store, tools

Keep = Callable[[int, HandOff, str, int | None], Awaitable[Stored]]  #: of a job, by whom, about which attempt
LINE = 200  #: characters of a report


class Reports:
    """One for an engine. `show` tells the console at once."""

    def __init__(self, store: Store, secrets: Secrets, show: Callable[[int, int, str], None], keep: Keep) -> None:
        self._store = store
        self._secrets = secrets
        self._show = show
        self._keep = keep

    async def report(self, caller: Caller, given: ReportProgress) -> str:
        share = None if given.percent is None else given.percent / 100
        line = plain_line(self._secrets.out_of(plain(given.message)), LINE) or "at work"
        if share is not None:
            line = f"{share:.0%} {line}"
        await self._store.write(lambda tx: tools.report(tx, caller.attempt, line, share))
        self._show(caller.job, caller.attempt, line)
        return "noted"

    async def hand_off(self, caller: Caller, given: HandOff) -> str:
        tried = caller.grant.claim.attempt
        note = replace(
            given,
            goal=plain(given.goal).strip(),
            state=plain(given.state).strip(),
            done=[Done(plain(one.what).strip() or "?", plain(one.proof).strip()) for one in given.done],
            next=list(filter(None, (plain(one).strip() for one in given.next))),
            traps=list(filter(None, (plain(one).strip() for one in given.traps))),
        )
        await self._keep(caller.job, note, tried.agent, tried.number)
        return "kept: whoever goes on with this job is told it"
