"""What is spent, as lines above a list and as its rows: burn, budgets with when they run out, hills of days. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.ahead import when_text
from console.fields import Field
from console.format import age, clean_line, clock, money, plural, tokens
from console.meter import meter, spark
from console.money import named
from console.roles import Part, Role
from console.telling import fact, heading, lines
from console.transcript import Entry
from engine.budgets import BudgetLine, Per, Standing
from engine.model import Grade
from engine.model.forecast import Forecast
from engine.model.tax import Tax
from engine.money import By, Spend, SpendLine, worst

HOUR = 3_600_000

#: Cells of a budget's bar; days in a row of hills; budgets that are shown above the list.
_BAR, _DAYS, _BUDGETS = 20, 14, 4

#: A tax above this is drawn as one to look at.
_MUCH = 0.2

#: From what to what a report goes, as the engine reads it and as it is called.
SPANS = (("today", "today"), ("7d", "7 days"), ("30d", "30 days"))

GROUPS = (By.MODEL, By.PROJECT, By.JOB, By.KIND, By.ACCOUNT, By.TARGET, By.DAY)


@dataclass(frozen=True, slots=True)
class SpendRow:
    """A line of a report, with the share that it is of the whole."""

    by: By
    line: SpendLine
    share: float

    @property
    def name(self) -> str:
        return named(self.by, self.line)


def rows_of(found: Spend) -> list[SpendRow]:
    """The lines of a report, the dearest first; days in their order."""
    whole = found.total.cost_micros or 0
    rows = [SpendRow(found.by, one, (one.cost_micros or 0) / whole if whole else 0.0) for one in found.lines]
    return rows if found.by is By.DAY else sorted(rows, key=lambda row: -(row.line.cost_micros or 0))


FIELDS: tuple[Field[SpendRow], ...] = (
    Field("NAME", 0, lambda row, now: row.name, role=Role.TEXT),
    Field("SHARE", 16, lambda row, now: meter(row.share, 16), key=lambda row: row.share, role=Role.ACCENT, drop=1),
    Field("COST", 11, lambda row, now: money(row.line.cost_micros, row.line.grade),
          key=lambda row: row.line.cost_micros, to_right=True, role=Role.TEXT),
    Field("TRIES", 6, lambda row, now: f"{row.line.attempts:,}", key=lambda row: row.line.attempts, to_right=True),
    Field("IN", 6, lambda row, now: tokens(row.line.input_tokens), key=lambda row: row.line.input_tokens,
          to_right=True),
    Field("CACHED", 6, lambda row, now: tokens(row.line.cache_read_tokens),
          key=lambda row: row.line.cache_read_tokens, to_right=True),
    Field("OUT", 6, lambda row, now: tokens(row.line.output_tokens), key=lambda row: row.line.output_tokens,
          to_right=True),
    Field("A TRY", 9, lambda row, now: money((row.line.cost_micros or 0) // row.line.attempts, row.line.grade)
          if row.line.attempts else "-", to_right=True, drop=2),
    Field("GRADE", 9, lambda row, now: str(row.line.grade), drop=3),
)  # fmt: skip


def burn(ahead: Forecast) -> tuple[float, Grade] | None:
    """Micro-dollars an hour, of late, and how surely that is known; None where nothing is."""
    known = [one for one in ahead.paces if one.cost_micros is not None and one.hours > 0]
    if not known:
        return None
    return sum((one.cost_micros or 0) / one.hours for one in known), worst(one.grade for one in known)


def head_lines(ahead: Forecast, budgets: Sequence[BudgetLine], days: Spend, tax: Tax, now: int) -> list[Sequence[Part]]:
    """What stands above the list."""
    rate = burn(ahead)
    through = ahead.through
    said: list[Part] = [(" burn ", Role.MUTED)]
    said.append((f"{money(int(rate[0]), rate[1])}/h" if rate else "not known", Role.HEADING))
    if through.jobs and through.cost_micros is not None:
        late = f" to {money(through.cost_late_micros, Grade.ESTIMATED)}" if through.cost_late_micros else ""
        said += [
            ("   the queue costs ", Role.MUTED),
            (f"{money(through.cost_micros, Grade.ESTIMATED)}{late}", Role.TEXT),
        ]
    if through.finish is not None and through.jobs:
        said.append((f", through in {age(max(0, through.finish - now))}", Role.MUTED))
    if tax.all.tokens:
        share = tax.tax.tokens / tax.all.tokens
        said += [("   tax ", Role.MUTED), (f"{share:.0%} of tokens", Role.WAIT if share > _MUCH else Role.TEXT)]
    shown: list[Sequence[Part]] = [said, _hills(days)]
    shown += [budget_parts(one, rate[0] if rate else 0.0, now) for one in budgets[:_BUDGETS]]
    if len(budgets) > _BUDGETS:
        shown.append([(f" and {plural(len(budgets) - _BUDGETS, 'budget')} more", Role.MUTED)])
    return [*shown, []]


def _hills(days: Spend) -> Sequence[Part]:
    """Money and tokens of the newest days, as hills."""
    costs = [float(one.cost_micros or 0) for one in days.lines]
    told = [float(one.told_tokens + one.output_tokens) for one in days.lines]
    newest = days.lines[-1] if days.lines else None
    return [
        (f" {plural(len(days.lines[-_DAYS:]), 'day')}  $ ", Role.MUTED), (spark(costs, _DAYS), Role.ACCENT),
        (f" {money(newest.cost_micros, newest.grade) if newest else '-'}", Role.TEXT),
        ("   tokens ", Role.MUTED), (spark(told, _DAYS), Role.ACCENT),
        (f" {tokens(int(told[-1])) if told else '-'}", Role.TEXT),
    ]  # fmt: skip


def budget_parts(one: BudgetLine, rate: float, now: int) -> list[Part]:
    """A budget as a bar: what is spent, what is left, and when it runs out at this rate."""
    bound = one.cap or one.warn
    used = bound.of(one.spent_micros, one.spent_tokens) / bound.value if bound is not None and bound.value else None
    role = {Standing.USED_UP: Role.FAILED, Standing.WARNED: Role.WAIT, Standing.OPEN: Role.DONE}.get(
        one.standing, Role.HELD
    )
    spent = money(one.spent_micros, one.grade) if bound is None or bound.tokens is None else tokens(one.spent_tokens)
    scope = clean_line(one.scope if one.per in (Per.EVER, Per.DAY) else f"{one.scope} {one.per}")
    parts: list[Part] = [(f" {scope[:14]:<14} ", Role.TEXT), (meter(used, _BAR), role)]
    parts.append((f" {spent} of {bound or 'no cap'}", Role.TEXT))
    return [*parts, (f"  {_runs_out(one, rate, now)}", role)]


def _runs_out(one: BudgetLine, rate: float, now: int) -> str:
    if one.standing is Standing.USED_UP:
        return "! used up"
    if one.standing is Standing.UNCAPPED:
        return "uncapped"
    cap = one.cap
    if cap is None or cap.micros is None or rate <= 0 or one.per is Per.EVER:
        return str(one.standing).replace("_", " ")
    at = now + int((cap.micros - one.spent_micros) / rate * HOUR)
    if one.until is not None and at >= one.until:
        return "ok"
    return f"! runs out {clock(at) if at - now < 20 * HOUR else age(at - now)}"


def told(row: SpendRow, ahead: Forecast, budgets: Sequence[BudgetLine], tax: Tax, now: int) -> list[Entry]:
    """What is known of a line, and of all money beside it."""
    line = row.line
    found = [Entry(((clean_line(row.name), Role.HEADING), (f"   by {row.by}", Role.MUTED)))]
    found += fact("cost", f"{money(line.cost_micros, line.grade, 4)}, {line.grade}")
    found += fact("", "a subscription pays: by the API it would have cost that" if line.subscription else None)
    found += fact("share", f"{row.share:.1%} of the whole")
    found += fact(
        "told", f"{line.input_tokens:,} new, {line.cache_read_tokens:,} cached, {line.cache_write_tokens:,} written"
    )
    found += fact("answered", f"{line.output_tokens:,}, {line.reasoning_tokens:,} of them thought")
    found += fact("unpriced", f"{line.unpriced_tokens:,} tokens" if line.unpriced_tokens else None, Role.WAIT)
    found += fact("windows", ", ".join(f"{one.window} {one.used:.0%}" for one in line.quota if one.used is not None))
    found += _told_tax(tax) + _told_ahead(ahead, now)
    if budgets:
        found += heading("budgets") + [
            Entry(tuple(budget_parts(one, (burn(ahead) or (0.0, Grade.UNKNOWN))[0], now))) for one in budgets
        ]
    return found


def _told_tax(tax: Tax) -> list[Entry]:
    if not tax.all.tokens:
        return []
    found = heading("the tax: what went into the system's own dealings")
    for part, one in tax.parts.items():
        share = f"{one.tokens / tax.all.tokens:.0%} of tokens"
        found += fact(str(part).replace("_", "-"), f"{share}, {money(one.cost_micros, one.grade)}, {age(one.ms)}")
    return found


def _told_ahead(ahead: Forecast, now: int) -> list[Entry]:
    through = ahead.through
    found = heading("ahead")
    found += fact("queue", f"{plural(through.jobs, 'job')} left" if through.jobs else "nothing left to do")
    found += fact("through", when_text(through.finish, now) if through.finish is not None else through.why)
    found += fact("costs", money(through.cost_micros, Grade.ESTIMATED) if through.cost_micros is not None else None)
    found += fact("unpriced", plural(through.unpriced, "job") if through.unpriced else None, Role.WAIT)
    return found + lines(
        (f"{one.account}: {tokens(one.tokens)} tokens in {one.hours:.0f}h" for one in ahead.paces), Role.MUTED
    )
