"""What was spent, summed up: of the ledger, and of what was pruned. Questions to one moment of the database.

A day is one of the machine's own zone. Of what was pruned only days in UTC are known: each counts where most of it
lies.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.model import Grade, Target, Usage
from engine.money import TOKENS, By, SpendLine, worst
from engine.store.ledger import worst_of
from engine.store.reader import DAY_MS
from engine.store.writer import Transaction

PRUNED = "pruned"  #: what jobs that are not there any more are called

_TARGET = "{agent} || iif({model} = '', '', ':' || {model}) || iif({account} = '', '', '@' || {account})"
_LIVE_TARGET = _TARGET.format(agent="a.agent", model="ifnull(a.model, '')", account="ifnull(a.account, '')")
_ACCOUNT = "iif({account} = '', agent, agent || '@' || {account})"
_DAY = "strftime('%Y-%m-%d', {at} / 1000, 'unixepoch'{zone})"

_LEDGER: Mapping[By, str] = {
    By.DAY: _DAY.format(at="l.at", zone=", 'localtime'"),
    By.PROJECT: "ifnull(j.project, '')",
    By.ACCOUNT: "iif(a.account IS NULL, a.agent, a.agent || '@' || a.account)",
    By.TARGET: _LIVE_TARGET,
    By.MODEL: "l.model",
    By.KIND: "ifnull(j.kind, '')",
    By.JOB: "j.id",
}
_GONE: Mapping[By, str] = {
    By.DAY: _DAY.format(at="day", zone=""),
    By.PROJECT: "project",
    By.ACCOUNT: _ACCOUNT.format(account="account"),
    By.TARGET: _TARGET.format(agent="agent", model="model", account="account"),
    By.MODEL: "model",
    By.KIND: "kind",
    By.JOB: f"'{PRUNED}'",
}
_SUMS = ", ".join(f"sum({{0}}.{name})" for name in TOKENS)
_ALL = "input_tokens + {0}.output_tokens + {0}.cache_read_tokens + {0}.cache_write_tokens"
_UNPRICED = f"sum(iif({{0}}.cost_micros IS NULL, {{0}}.{_ALL}, 0))"

_OF_LEDGER = (
    f"SELECT {{key}}, count(DISTINCT l.attempt), {_SUMS.format('l')}, sum(l.cost_micros), {worst_of('l')}, "
    f"{_UNPRICED.format('l')} "
    "FROM ledger AS l JOIN attempts AS a ON a.id = l.attempt JOIN jobs AS j ON j.id = a.job "
    "WHERE l.at >= ? AND l.at < ? GROUP BY 1"
)
_OF_PRUNED = (
    f"SELECT {{key}}, sum(attempts), {_SUMS.format('p')}, sum(p.cost_micros), {worst_of('p')}, {_UNPRICED.format('p')} "
    "FROM pruned_usage AS p WHERE day >= ? AND day < ? GROUP BY 1"
)
_TABLES = "SELECT DISTINCT price FROM ledger WHERE at >= ? AND at < ? AND price IS NOT NULL ORDER BY 1"
_UNKNOWN = (
    "SELECT model FROM ledger WHERE at >= ?1 AND at < ?2 AND cost_micros IS NULL "
    "UNION SELECT model FROM pruned_usage WHERE day >= ?3 AND day < ?4 AND cost_micros IS NULL ORDER BY 1"
)
_RUNNING = (
    "SELECT attempts.job, usage.model, {tokens}, usage.cost_micros, usage.grade FROM attempts "
    "INDEXED BY attempts_live JOIN usage ON usage.attempt = attempts.id WHERE attempts.ended_at IS NULL"
).format(tokens=", ".join(f"usage.{name}" for name in TOKENS))


@dataclass(frozen=True, slots=True)
class Span:
    """From a time up to another, milliseconds UTC."""

    since: int
    until: int

    @property
    def days(self) -> tuple[int, int]:
        """The days in UTC most of which lie in it, as bounds of their beginnings."""
        return self.since - DAY_MS // 2, self.until - DAY_MS // 2


def lines(tx: Transaction, by: By, span: Span) -> list[SpendLine]:
    """The sums of a span, put together; what was pruned is among them."""
    found: dict[str, SpendLine] = {}
    for one in _read(tx, by, span):
        before = found.get(one.name)
        found[one.name] = one if before is None else joined([before, one], one.name)
    return list(found.values())


def _read(tx: Transaction, by: By, span: Span) -> Iterator[SpendLine]:
    for values in tx.connection.execute(_OF_LEDGER.format(key=_LEDGER[by]), (span.since, span.until)):
        yield _line(values)
    for values in tx.connection.execute(_OF_PRUNED.format(key=_GONE[by]), span.days):
        yield _line(values)


def _line(values: Any) -> SpendLine:
    name, attempts, *tokens, cost, grade, unpriced = values
    sums = dict(zip(TOKENS, tokens, strict=True))
    return SpendLine(
        name=str(name), attempts=attempts, **sums, cost_micros=cost, grade=Grade(grade), unpriced_tokens=unpriced
    )


def joined(parts: list[SpendLine], name: str) -> SpendLine:
    """The sum of lines, under the worst grade of their money."""
    known = [one.cost_micros for one in parts if one.cost_micros is not None]
    tokens = {kind: sum(getattr(one, kind) for one in parts) for kind in TOKENS}
    return SpendLine(
        name=name,
        attempts=sum(one.attempts for one in parts),
        **tokens,
        cost_micros=sum(known) if known else None,
        grade=worst(one.grade for one in parts),
        unpriced_tokens=sum(one.unpriced_tokens for one in parts),
        subscription=bool(parts) and all(one.subscription for one in parts),
    )


def tables(tx: Transaction, span: Span) -> list[str]:
    """The price tables that sums of a span were computed by."""
    return [str(name) for (name,) in tx.connection.execute(_TABLES, (span.since, span.until))]


def unpriced(tx: Transaction, span: Span) -> list[str]:
    """The models whose price nobody knows."""
    return [str(model) for (model,) in tx.connection.execute(_UNKNOWN, (span.since, span.until, *span.days))]


def running(tx: Transaction) -> dict[int, list[Usage]]:
    """What the attempts that run have used so far, by job."""
    found: dict[int, list[Usage]] = {}
    for job, model, *tokens, cost, grade in tx.connection.execute(_RUNNING):
        sums = dict(zip(TOKENS, tokens, strict=True))
        found.setdefault(job, []).append(Usage(model=model, **sums, cost_micros=cost, grade=Grade(grade)))
    return found


@dataclass(frozen=True, slots=True)
class Usual:
    """What jobs of one sort have cost: their median in micro-dollars, and how many that is known of."""

    median: int
    count: int


_RECENT = (
    "SELECT cost_micros FROM (SELECT kind, agent, model, account, state, cost_micros FROM jobs "
    f"WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, id DESC LIMIT {5_000}) "
    "WHERE kind = ?1 AND state = 'succeeded' AND cost_micros IS NOT NULL "
    f"AND (?2 IS NULL OR (agent = ?2 AND model IS ?3 AND account IS ?4)) LIMIT {50}"
)


def usual(tx: Transaction, kind: str, target: Target | None = None) -> Usual | None:
    """What jobs of a kind have cost of late, on any target or on one; None where none has succeeded."""
    on = (target.agent, target.model, target.account) if target is not None else (None, None, None)
    costs = [int(cost) for (cost,) in tx.connection.execute(_RECENT, (kind, *on))]
    return Usual(round(statistics.median(costs)), len(costs)) if costs else None
