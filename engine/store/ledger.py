"""The ledger as the database keeps it: a row for each message, and `usage`, their sums by attempt and model.

Operations of the one writer. The same entries may come any number of times: as they are read, once more by an engine
that adopts the attempt, and at the end. A message that another attempt has told belongs to that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engine.model import Grade, Usage
from engine.money import TOKENS, Entry, less
from engine.store.rows import SELECT_USAGE, AttemptRow, usage_row
from engine.store.writer import Transaction

_COLUMNS = ("agent", "message", "attempt", "at", "model", *TOKENS, "cost_micros", "grade", "price", "final")
_TOKENS_AT, _MONEY_AT = _COLUMNS.index(TOKENS[0]), _COLUMNS.index("cost_micros")
_NEW = ("model", *TOKENS, "cost_micros", "grade", "price", "final")
# What was told in full is not taken back by the beginning of the same message, read anew.
_PUT = (
    f"INSERT INTO ledger ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "
    f"ON CONFLICT (agent, message) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _NEW)} "
    "WHERE ledger.attempt = excluded.attempt AND excluded.final >= ledger.final"
)
_CORRECT = (
    f"UPDATE ledger SET {', '.join(f'{name} = ?' for name in _NEW)} WHERE agent = ? AND message = ? AND attempt = ?"
)


def worst_of(alias: str) -> str:
    """SQL: the worst grade of the rows of a group. Money that nobody knows is unknown whatever its row says."""
    ranks = ("reported", "computed", "estimated")
    places = " ".join(f"WHEN {alias}.grade = '{grade}' THEN {n}" for n, grade in enumerate(ranks))
    back = " ".join(f"WHEN {n} THEN '{grade}'" for n, grade in enumerate(ranks))
    return f"CASE max(CASE WHEN {alias}.cost_micros IS NULL THEN 3 {places} ELSE 3 END) {back} ELSE 'unknown' END"


_SUMS = ", ".join(f"sum({name})" for name in TOKENS)
_SUM_UP = (
    f"INSERT INTO usage (attempt, model, at, {', '.join(TOKENS)}, cost_micros, grade) "
    f"SELECT attempt, model, max(at), {_SUMS}, sum(cost_micros), {worst_of('ledger')} "
    "FROM ledger WHERE attempt = ? GROUP BY model "
    f"HAVING {' OR '.join(f'sum({name}) <> 0' for name in (*TOKENS, 'cost_micros'))}"
)
# The same for messages that were not there before: however long an attempt is, it costs what these cost. More rows only
# worsen a grade, and the worst of all is the worse of the sum's and the row's.
_RANK = "CASE {}.grade WHEN 'reported' THEN 0 WHEN 'computed' THEN 1 WHEN 'estimated' THEN 2 ELSE 3 END"
_ADD = (
    f"INSERT INTO usage (attempt, model, at, {', '.join(TOKENS)}, cost_micros, grade) "
    f"VALUES (?, ?, ?, {', '.join('?' * len(TOKENS))}, ?, ?) ON CONFLICT (attempt, model) DO UPDATE SET "
    f"at = max(usage.at, excluded.at), {', '.join(f'{name} = usage.{name} + excluded.{name}' for name in TOKENS)}, "
    "cost_micros = coalesce(usage.cost_micros + excluded.cost_micros, usage.cost_micros, excluded.cost_micros), "
    f"grade = CASE WHEN {_RANK.format('usage')} >= {_RANK.format('excluded')} THEN usage.grade ELSE excluded.grade END"
)
_SUMMED = (
    "SELECT model FROM usage WHERE attempt = ? AND ifnull(cost_micros, 0) >= 0 "
    f"AND {' AND '.join(f'{name} >= 0' for name in TOKENS)}"
)
_KNOWN = "SELECT 1 FROM ledger WHERE agent = ? AND message IN (SELECT value FROM json_each(?)) LIMIT 1"
_OF_SESSION = (
    f"SELECT {', '.join(f'ifnull(sum({name}), 0)' for name in TOKENS)} FROM ledger WHERE agent = ? AND message <> ? "
    "AND attempt IN (SELECT id FROM attempts WHERE job = ? AND (session = ? OR id = ?))"
)


def note(tx: Transaction, tried: AttemptRow, entries: Iterable[Entry]) -> None:
    """Bring the ledger up to what an attempt has told, and the sums with it."""
    put, corrected = [], []
    for entry in entries:
        name = f"{tried.id}{entry.message}" if entry.message.startswith("/") else entry.message
        usage = _rest_of_session(tx, tried, name, entry) if entry.of_session else entry.usage
        told = [usage.model, *_tokens(usage), usage.cost_micros, usage.grade, entry.price, entry.final]
        if usage.cost_micros or any(_tokens(usage)):
            put.append([tried.agent, name, tried.id, _when(tx, tried, entry), *told])
        else:
            corrected.append([*told, tried.agent, name, tried.id])
    only_more = not corrected and _only_more(tx, tried, put)
    tx.connection.executemany(_PUT, put)
    if only_more:
        tx.connection.executemany(_ADD, [_sum_of(values) for values in put])
        return
    tx.connection.executemany(_CORRECT, corrected)
    tx.connection.execute("DELETE FROM usage WHERE attempt = ?", (tried.id,))
    tx.connection.execute(_SUM_UP, (tried.id,))


def _only_more(tx: Transaction, tried: AttemptRow, put: Sequence[Sequence[Any]]) -> bool:
    """Whether rows only add to sums that are there: they are new, and take nothing back."""
    names = [values[1] for values in put]
    counts = [count for values in put for count in (*values[_TOKENS_AT:_MONEY_AT], values[_MONEY_AT] or 0)]
    if len(set(names)) < len(names) or min(counts, default=0) < 0:
        return False
    summed = {model for (model,) in tx.connection.execute(_SUMMED, (tried.id,))}
    if not {values[4] for values in put} <= summed:
        return False
    return tx.connection.execute(_KNOWN, (tried.agent, msgspec.json.encode(names).decode())).fetchone() is None


def _sum_of(values: Sequence[Any]) -> list[Any]:
    """A row of the ledger as it counts in the sums."""
    _, _, attempt, at, model, *tokens, cost, grade, _, _ = values
    return [attempt, model, at, *tokens, cost, grade if cost is not None else Grade.UNKNOWN]


def counted(tx: Transaction, attempt: int) -> tuple[Usage, ...]:
    """What the ledger holds of an attempt, by model."""
    return tuple(usage_row(values) for values in tx.connection.execute(SELECT_USAGE, (attempt,)))


def whole(usages: Sequence[Usage]) -> list[Entry]:
    """The entries of an attempt of which no more than its sums is known."""
    return [Entry(message=f"/whole/{one.model}", usage=one) for one in usages]


def _when(tx: Transaction, tried: AttemptRow, entry: Entry) -> int:
    """The agent's own clock is believed as far as it can be."""
    return tx.now if entry.at is None else max(tried.created_at, min(entry.at, tx.now))


def _tokens(usage: Usage) -> list[int]:
    return [getattr(usage, name) for name in TOKENS]


def _rest_of_session(tx: Transaction, tried: AttemptRow, name: str, entry: Entry) -> Usage:
    """What the total of a session has beyond what the ledger knows of it."""
    of = (tried.agent, name, tried.job, entry.of_session, tried.id)
    found: Sequence[Any] = tx.connection.execute(_OF_SESSION, of).fetchone()
    rest = less(entry.usage, Usage(model="", **dict(zip(TOKENS, found, strict=True))))
    if any(tokens < 0 for tokens in _tokens(rest)):
        return Usage(model=entry.usage.model)  # it is the total of something else: it says nothing of this attempt
    return rest
