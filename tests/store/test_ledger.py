"""The sums of an attempt, kept up message by message, are those that all of its messages come to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from engine.model import Grade, Usage
from engine.money import TOKENS, Entry
from engine.store import claims, ledger, submit
from engine.store.rows import AttemptRow
from engine.store.writer import Transaction
from tests.store.samples import accepted, connect, first, transaction

_COUNT = st.integers(-3, 6)
_MONEY = st.sampled_from([None, 0, 5, 7, -2])
_USAGE = st.builds(
    Usage, model=st.sampled_from(["opus", "haiku"]), cost_micros=_MONEY, grade=st.sampled_from(list(Grade)),
    **dict.fromkeys(TOKENS, _COUNT),
)  # fmt: skip
_ENTRY = st.builds(
    Entry, message=st.sampled_from([*"abcdefgh", "/rest/0/opus"]), usage=_USAGE, final=st.booleans(),
    at=st.none() | st.integers(0, 9),
)  # fmt: skip
_SUMS = f"SELECT model, at, {', '.join(TOKENS)}, cost_micros, grade FROM usage WHERE attempt = ? ORDER BY model"


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Transaction]:
    connection = connect(tmp_path / "headway.db")
    connection.execute("BEGIN")
    yield transaction(connection)
    connection.close()


@pytest.fixture
def running(tx: Transaction) -> list[AttemptRow]:
    """Two attempts."""
    submit.submit(tx, [accepted(), accepted()])
    return [claim.attempt for claim in claims.claim(tx, first(tx, 2), lambda _: False, "boot")]


@given(st.lists(st.tuples(st.integers(0, 1), st.lists(_ENTRY, min_size=1, max_size=3)), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sums_that_are_added_to_are_those_of_all_messages(
    tx: Transaction, running: list[AttemptRow], told: list[tuple[int, list[Entry]]]
) -> None:
    tx.connection.execute("SAVEPOINT example")
    for which, entries in told:
        attempt = running[which]
        ledger.note(tx, attempt, entries)
        kept = tx.connection.execute(_SUMS, (attempt.id,)).fetchall()
        tx.connection.execute("DELETE FROM usage WHERE attempt = ?", (attempt.id,))
        tx.connection.execute(ledger._SUM_UP, (attempt.id,))
        assert kept == tx.connection.execute(_SUMS, (attempt.id,)).fetchall()
    tx.connection.execute("ROLLBACK TO example")


def test_one_more_message_costs_no_look_at_those_before_it(tx: Transaction, running: list[AttemptRow]) -> None:
    """A day's conversation has thousands."""

    def told(first: int, count: int) -> list[Entry]:
        return [
            Entry(message=f"msg {number}", usage=Usage(model="opus", input_tokens=1, cost_micros=2))
            for number in range(first, first + count)
        ]

    def steps(entries: list[Entry]) -> int:
        """Thousands of steps of SQLite's machine."""
        taken = 0

        def step() -> None:
            nonlocal taken
            taken += 1

        tx.connection.set_progress_handler(step, 1_000)
        ledger.note(tx, running[0], entries)
        tx.connection.set_progress_handler(None, 0)
        return taken

    ledger.note(tx, running[0], told(0, 1))
    few = steps(told(1, 10))
    ledger.note(tx, running[0], told(11, 5_000))
    assert steps(told(6_000, 10)) <= few + 1
    (usage,) = ledger.counted(tx, running[0].id)
    assert (usage.input_tokens, usage.cost_micros) == (5_021, 10_042)
