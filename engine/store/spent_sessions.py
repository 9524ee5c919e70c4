"""What the ledger holds of each session and of each day in UTC, to be held against other books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine import events as log
from engine.model import Target
from engine.money import Drift
from engine.spend.prices import provider_of
from engine.spend.reconcile import Sum
from engine.store.writer import Transaction

_ALL = "l.input_tokens + l.output_tokens + l.cache_read_tokens + l.cache_write_tokens"
_DAY = "strftime('%Y-%m-%d', l.at / 1000, 'unixepoch')"
# All of a session, also what came before: its book is of all of it. One that runs is not told to its end.
_RAN = (
    f"SELECT a.agent, a.account, a.session, {_DAY}, sum({_ALL}), sum(l.cost_micros), "
    "min(l.cost_micros IS NOT NULL AND l.grade = 'reported'), max(a.forked), max(a.ended_at IS NULL) "
    "FROM ledger AS l JOIN attempts AS a ON a.id = l.attempt WHERE a.session IS NOT NULL AND (a.agent, a.session) IN "
    "(SELECT agent, session FROM attempts WHERE id IN (SELECT attempt FROM ledger WHERE at >= ?)) GROUP BY 1, 2, 3, 4"
)
_DAYS = (
    f"SELECT {_DAY}, a.agent, a.model, sum({_ALL}), sum(l.cost_micros) "
    "FROM ledger AS l JOIN attempts AS a ON a.id = l.attempt WHERE l.at >= ? GROUP BY 1, 2, 3"
)


@dataclass(slots=True)
class Ran:
    """A session that Headway ran, and what the ledger holds of it."""

    agent: str
    account: str | None
    session: str
    tokens: dict[str, int] = field(default_factory=dict)
    """By day."""
    micros: int | None = 0
    """None where not all of it was reported by the agent."""


def ran(tx: Transaction, since: int) -> list[Ran]:
    """The sessions in which something was spent since a time, and in which nothing runs."""
    found: dict[tuple[str, str], Ran] = {}
    live = set()
    for agent, account, session, day, tokens, micros, reported, forked, runs in tx.connection.execute(_RAN, (since,)):
        one = found.setdefault((agent, session), Ran(agent, account, session))
        one.tokens[day] = one.tokens.get(day, 0) + tokens
        known = reported and not forked and one.micros is not None
        one.micros = (one.micros or 0) + (micros or 0) if known else None
        if runs:
            live.add((agent, session))
    return [one for name, one in found.items() if name not in live]


def days(tx: Transaction, since: int, provider: str | None) -> dict[str, Sum]:
    """What was spent on each day, at one provider or anywhere."""
    found: dict[str, Sum] = {}
    for day, agent, model, tokens, micros in tx.connection.execute(_DAYS, (since,)):
        if provider is None or provider_of(Target(agent, model)) == provider:
            found.setdefault(day, Sum(0, 0)).add(tokens, micros)
    return found


def keep(tx: Transaction, lines: Sequence[Drift]) -> None:
    """Note the days on which another book differs too much, and forget those on which it does not any more."""
    for one in lines:
        before = tx.connection.execute("SELECT share FROM drifts WHERE day = ? AND book = ?", (one.day, one.book))
        known = before.fetchone()
        if not one.over:
            tx.connection.execute("DELETE FROM drifts WHERE day = ? AND book = ?", (one.day, one.book))
        elif known is None or known[0] != one.share:
            tx.connection.execute(
                "INSERT INTO drifts (day, book, share, at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET share = excluded.share, at = excluded.at",
                (one.day, one.book, one.share, tx.now),
            )
            tx.log(log.Drifted(one.day, one.book, one.share))
