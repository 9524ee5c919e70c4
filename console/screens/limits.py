"""Limits: windows of accounts, paused targets and jobs that try again, each with what ends the wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import BindingType

from console.actions import Scope, bindings
from console.ahead import when_text
from console.desk import Desk
from console.fields import Field
from console.format import clean_line, job_name, plural
from console.limits import FIELDS, LimitRow, limit_role, limit_rows, limit_sign
from console.messages import JobsChanged
from console.roles import Part, Role
from console.said import result_line
from console.screens.listing import ListScreen
from console.tabs import Tab
from console.telling import fact, heading
from console.transcript import Entry
from engine.model import Job, Order, Verb
from engine.model.forecast import Burn

if TYPE_CHECKING:
    from console.app import ConsoleApp

#: Jobs that try again, as many as are read.
_RETRIES = 200


class LimitsScreen(ListScreen[LimitRow]):
    """What keeps work from starting, and until when."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABLE, Scope.SORTED, Scope.LIMITS)
    SCOPES = frozenset({Scope.LIMITS})
    OWN = Scope.LIMITS
    FIELDS: ClassVar[Sequence[Field[Any]]] = FIELDS
    NOUN = "limit"
    EVERY = 10.0

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._burns: list[Burn] = []

    async def read(self) -> Sequence[LimitRow]:
        client = self.desk.client
        windows, breakers, retries, ahead = await asyncio.gather(
            client.limits(), client.breakers(), client.jobs("state:ready attempts>0", _RETRIES), client.forecast()
        )
        self._burns = ahead.burns
        return limit_rows(windows, breakers, retries, self.desk.clock())

    def id_of(self, row: LimitRow) -> Hashable:
        return row.id

    def sign_of(self, row: LimitRow, now: int) -> Part:
        return limit_sign(row, now)

    def concerns(self, event: JobsChanged) -> bool:
        return event.reordered

    def title_more(self, now: int) -> Sequence[Part]:
        shut = [row for row in self._all if limit_role(row, now) is Role.FAILED]
        return [(f"{len(shut)} closed", Role.FAILED)] if shut else []

    def line_of(self, row: LimitRow, now: int) -> Sequence[Part]:
        burn = self._burn(row)
        words = [when_text(row.until, now)] if row.until is not None else ["no reset is told"]
        if burn is not None and burn.wall is not None:
            words.append(f"used up {when_text(burn.wall, now)}")
        return [(f"{clean_line(row.who)}  ", Role.MUTED), ("  ".join(words), Role.WAIT)]

    def _burn(self, row: LimitRow) -> Burn | None:
        window = row.window
        if window is None:
            return None
        return next((one for one in self._burns if (one.account, one.window) == (window.account, window.window)), None)

    def told_of(self, row: LimitRow, now: int) -> list[Entry]:
        told = [Entry(((clean_line(row.who), Role.HEADING), (f"   {row.what.replace('_', ' ')}", Role.TEXT)))]
        told += fact("stands", row.stands, limit_role(row, now))
        told += fact("used", None if row.used is None else f"{row.used:.1%}")
        told += fact("until", None if row.until is None else when_text(row.until, now), Role.WAIT)
        told += fact("held", plural(row.waiting, "job") if row.waiting and row.window else None)
        told += fact("said by", row.source)
        told += fact("seen", None if row.seen is None else when_text(row.seen, now).partition(",")[0])
        if row.job is not None:
            told += fact("job", f"{job_name(row.job.id)}, after {plural(row.job.attempts, 'attempt')}")
            told += fact("reason", row.job.reason)
        if row.breaker is not None:
            told += fact("paused", f"{plural(row.breaker.opened, 'time')} in a row")
        return told + self._told_burn(row, now)

    def _told_burn(self, row: LimitRow, now: int) -> list[Entry]:
        burn = self._burn(row)
        if burn is None:
            return []
        wall = when_text(burn.wall, now) if burn.wall is not None else None
        return [
            *heading("at this rate"),
            *fact("used up", wall, Role.WAIT),
            *fact("rate", f"{burn.rate:.1%} of it an hour" if burn.rate is not None else None),
            *fact("", burn.why, Role.MUTED),
        ]

    def nothing(self) -> Sequence[Sequence[Part]]:
        return (
            (("   No agent has told of a limit yet, and nothing waits to try again.", Role.TEXT),),
            (
                ("   What a subscription allows is seen once a job runs on it: ", Role.MUTED),
                ("headway submit", Role.KEY),
            ),
        )

    def open_row(self, row: LimitRow) -> None:
        if row.job is not None:
            cast("ConsoleApp", self.app).open_job(row.job.id, Tab.ATTEMPTS)
        else:
            super().open_row(row)

    # What the keys do

    def _account(self) -> str | None:
        row = self.target()
        if row is None:
            return None
        account = row.account or (_paid_by(row.job) if row.job else None)
        if account is None:
            self.say(f"{row.who} is no account", Role.WAIT)
        return account

    def action_try_limit(self) -> None:
        if (account := self._account()) is not None:
            self.work(self._do(partial(self._tried, account)))

    async def _do(self, call: Callable[[], Awaitable[str]]) -> None:
        await self.done(call)

    async def _tried(self, account: str) -> str:
        windows = await self.desk.client.try_now(account)
        waiting = max((one.waiting for one in windows), default=0)
        return f"{account} is waited for no longer: one job goes first ({plural(waiting, 'job')} waited)"

    def action_hold_account(self) -> None:
        if (account := self._account()) is not None:
            self.work(self._do(partial(self._scoped, Verb.HOLD, account)))

    def action_release_account(self) -> None:
        if (account := self._account()) is not None:
            self.work(self._do(partial(self._scoped, Verb.RELEASE, account)))

    async def _scoped(self, verb: Verb, account: str) -> str:
        scope = f"account:{account}"
        return result_line(await self.desk.client.carry_out(Order(verb=verb, scope=scope)), scope=scope)


def _paid_by(job: Job) -> str:
    """The account that a job's attempts are counted for, as the engine calls it."""
    return f"{job.agent}@{job.account}" if job.account else job.agent
