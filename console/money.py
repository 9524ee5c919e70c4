"""Sums of tokens and money as lines. Pure."""

from __future__ import annotations

import csv
import io

from console.format import clean_line, moment, money, number
from engine.budgets import BudgetLine, Per
from engine.money import By, Drift, Spend, SpendLine

_COLUMNS = (
    "attempts", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens",
)  # fmt: skip
_MILLION = 1_000_000


def heads(found: Spend) -> tuple[str, ...]:
    """The heads of a report's columns."""
    quota = ("QUOTA",) if found.by is By.ACCOUNT else ()
    return (found.by.upper(), "ATTEMPTS", "IN", "OUT", "CACHED", "WRITTEN", "COST", "GRADE", *quota)


def row(found: Spend, line: SpendLine) -> tuple[str, ...]:
    """The cells of a line. What a subscription pays is marked: it is what the API would have asked for the same."""
    cost = money(line.cost_micros, line.grade, 4) if line.cost_micros is not None else "?"
    used = [f"{one.window} {one.used:.0%}" for one in line.quota if one.used is not None]
    quota = (", ".join(used) or "-",) if found.by is By.ACCOUNT else ()
    return (
        named(found.by, line),
        number(line.attempts),
        number(line.input_tokens),
        number(line.output_tokens),
        number(line.cache_read_tokens),
        number(line.cache_write_tokens),
        f"{cost} API-equivalent" if line.subscription else cost,
        str(line.grade),
        *quota,
    )


def named(by: By, line: SpendLine) -> str:
    """What a line is about, as a person calls it."""
    name = clean_line(line.name)
    if by is By.JOB and name.isdigit():
        return f"J{name}"
    return name or {By.PROJECT: "(no project)", By.KIND: "(no kind)"}.get(by, "-")


def remarks(found: Spend) -> list[str]:
    """What has to be known of the sums."""
    said = []
    if found.unpriced:
        models = ", ".join(map(clean_line, found.unpriced))
        tokens = number(found.total.unpriced_tokens)
        said.append(
            f"no price is known of {models}: {tokens} tokens are not in these sums; say it in headway.yaml, prices:"
        )
    if any(one.subscription for one in found.lines):
        said.append("API-equivalent: a subscription pays; by the API the same would have cost so much")
    if found.tables:
        said.append(f"computed by {', '.join(found.tables)}")
    return said


def csv_lines(found: Spend) -> list[str]:
    """The report for a spreadsheet: a head, and a line for each of its lines. Money in dollars, empty where unknown."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow((found.by, *_COLUMNS, "cost_usd", "grade", "unpriced_tokens", "subscription"))
    for line in found.lines:
        cost = "" if line.cost_micros is None else f"{line.cost_micros / _MILLION:.6f}"
        counts = [getattr(line, name) for name in _COLUMNS]
        table.writerow((line.name, *counts, cost, line.grade, line.unpriced_tokens, str(line.subscription).lower()))
    return out.getvalue().splitlines()


BUDGET_HEADS = ("SCOPE", "PER", "SPENT", "TOKENS", "WARNS", "CAP", "STANDS", "ANEW", "BY")


def budget_row(line: BudgetLine) -> tuple[str, ...]:
    """The cells of a budget."""
    kind, _, name = line.scope.partition(":")
    return (
        f"J{name}" if kind == "job" else clean_line(line.scope),
        "-" if line.per is Per.EVER else line.per,
        money(line.spent_micros, line.grade, 4),
        number(line.spent_tokens),
        str(line.warn or "-"),
        str(line.cap or "-"),
        line.standing.replace("_", " "),
        moment(line.until) if line.until is not None else "-",
        line.source,
    )


DRIFT_HEADS = ("DAY (UTC)", "BOOK", "LEDGER", "BOOK SAYS", "LEDGER $", "BOOK $", "DRIFT", "")


def drift_row(one: Drift) -> tuple[str, ...]:
    """The cells of a comparison with another book."""
    return (
        one.day,
        clean_line(one.book),
        number(one.ledger_tokens),
        number(one.book_tokens),
        money(one.ledger_micros, digits=4),
        money(one.book_micros, digits=4),
        f"{one.share:.2%}",
        "over" if one.over else "",
    )
