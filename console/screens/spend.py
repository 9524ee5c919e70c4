"""Spend: what is burnt, what budgets have left and until when, who spends it, and what of it is tax."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import BindingType

from console.actions import Scope, bindings
from console.desk import Desk
from console.fields import Field
from console.format import clean_line, money
from console.money import remarks
from console.outlay import FIELDS, GROUPS, SPANS, SpendRow, head_lines, rows_of, told
from console.roles import Part, Role
from console.screens.listing import ListScreen
from console.tabs import Tab
from console.transcript import Entry
from engine.budgets import Amount, BudgetLine
from engine.model.forecast import Forecast
from engine.model.tax import Tax
from engine.money import By, Spend

if TYPE_CHECKING:
    from console.app import ConsoleApp

#: Days of the hills.
_DAYS = "14d"

#: What a report is put together by, as the filter of the queue calls it.
_FILTER = {By.MODEL: "model", By.PROJECT: "project", By.KIND: "kind", By.ACCOUNT: "account", By.TARGET: "worker"}


class SpendScreen(ListScreen[SpendRow]):
    """Sums since a time, put together by what the operator chooses."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TABLE, Scope.SORTED, Scope.SPEND)
    SCOPES = frozenset({Scope.SPEND})
    OWN = Scope.SPEND
    FIELDS: ClassVar[Sequence[Field[Any]]] = FIELDS
    NOUN = "line"
    EVERY = 20.0

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.span = 0
        self.by = By.MODEL
        self._spend: Spend | None = None
        self._days: Spend | None = None
        self._ahead: Forecast | None = None
        self._tax: Tax | None = None
        self._budgets: list[BudgetLine] = []

    async def read(self) -> Sequence[SpendRow]:
        client, since = self.desk.client, SPANS[self.span][0]
        found, self._days, self._budgets, self._ahead, self._tax = await asyncio.gather(
            client.spend(self.by, since), client.spend(By.DAY, _DAYS), client.budgets(), client.forecast(),
            client.tax(since),
        )  # fmt: skip
        self._spend = found
        return rows_of(found)

    def id_of(self, row: SpendRow) -> Hashable:
        return row.by, row.line.name

    def sign_of(self, row: SpendRow, now: int) -> Part:
        return ("?", Role.WAIT) if row.line.unpriced_tokens else (" ", Role.MUTED)

    def above_lines(self, now: int) -> Sequence[Sequence[Part]]:
        if self._ahead is None or self._days is None or self._tax is None:
            return ()
        return head_lines(self._ahead, self._budgets, self._days, self._tax, now)

    def title_more(self, now: int) -> Sequence[Part]:
        found = self._spend
        if found is None:
            return []
        return [
            (f"{SPANS[self.span][1]}  {money(found.total.cost_micros, found.total.grade)}", Role.HEADING),
            (f"by {self.by}", Role.ACCENT),
        ]

    def line_of(self, row: SpendRow, now: int) -> Sequence[Part]:
        said = remarks(self._spend) if self._spend is not None else []
        return [(f"{clean_line(row.name)}  ", Role.TEXT), ("; ".join(said) or str(row.line.grade), Role.MUTED)]

    def told_of(self, row: SpendRow, now: int) -> list[Entry]:
        if self._ahead is None or self._tax is None:
            return []
        return told(row, self._ahead, self._budgets, self._tax, now)

    def nothing(self) -> Sequence[Sequence[Part]]:
        return (
            ((f"   Nothing spent: {SPANS[self.span][1]}. ", Role.TEXT), ("]", Role.KEY), (" goes back.", Role.MUTED)),
            (("   A cap for it: budgets: in headway.yaml, docs/money.md.", Role.MUTED),),
        )  # fmt: skip

    # What the keys do

    def action_longer(self) -> None:
        self._span(1)

    def action_shorter(self) -> None:
        self._span(-1)

    def _span(self, step: int) -> None:
        self.span = (self.span + step) % len(SPANS)
        self.reload()

    def action_group(self, by: str = "") -> None:
        if by and by not in list(By):
            self.say(f"by what? {', '.join(GROUPS)}", Role.FAILED)
            return
        self.by = By(by) if by else GROUPS[(GROUPS.index(self.by) + 1) % len(GROUPS)]
        self.reload()

    def open_row(self, row: SpendRow) -> None:
        app, name = cast("ConsoleApp", self.app), row.line.name
        if row.by is By.JOB and name.isdigit():
            app.open_job(int(name), Tab.ATTEMPTS)
        elif row.by in _FILTER and name:
            value = name.rpartition("@")[2] if row.by is By.ACCOUNT else name
            self.work(app.show_jobs(f'{_FILTER[row.by]}:"{value}"' if " " in value else f"{_FILTER[row.by]}:{value}"))
        else:
            super().open_row(row)

    def action_read_spend(self) -> None:
        if self.table.row is not None:
            self.zoom(self.text)

    def action_allow_budget(self, text: str = "") -> None:
        if text:
            self._allow(text)
        else:
            scopes = (
                ", ".join(dict.fromkeys(clean_line(one.scope) for one in self._budgets)) or "there is no budget yet"
            )
            self.ask_for(f"allow more, as day $5 ({scopes}):", "", self._allow)

    def _allow(self, text: str) -> None:
        if not text:
            return
        scope, _, amount = text.partition(" ")
        try:
            if amount.strip():
                Amount.parse(amount)
        except ValueError as error:
            self.say(str(error), Role.FAILED)
        else:
            self.work(self._allowed(scope, amount.strip() or None))

    async def _allowed(self, scope: str, amount: str | None) -> None:
        known = [one.scope for one in self._budgets]
        if scope not in known:
            self.say(f"there is no budget {scope!r}; there are {', '.join(known) or 'none'}", Role.FAILED)
            return
        what = f"{amount} more for {scope}" if amount else f"whatever {scope} takes until its period ends"
        if not await self.ask.confirm(f"allow {what}?"):
            self.say("nothing was allowed")
            return

        async def call() -> str:
            line = await self.desk.client.allow(scope, amount)
            return f"{line.scope}: {line.cap or 'no cap'}, {str(line.standing).replace('_', ' ')}"

        await self.done(call)
