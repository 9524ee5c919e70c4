"""Windows in the store: what is kept and logged of readings, and what the log tells of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from engine import events as log
from engine.dispatch.windows import HOUR, MINUTE
from engine.model import Failure, State
from engine.store import submit, windows
from engine.store.fold import record
from engine.store.rows import read_job
from engine.store.schema import migrate, migrations, open_writer
from engine.store.writer import Transaction
from engine.window import Reading, Standing
from tests.store.samples import NOON, accepted, connect, plan

WORK = "claude@work"


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Transaction]:
    connection = connect(tmp_path / "headway.db")
    yield Transaction(connection, NOON)
    connection.close()


def reading(standing: Standing, at: int = NOON, used: float | None = None, **more: object) -> Reading:
    return Reading(window="five_hour", standing=standing, at=at, source="it", used=used, **more)  # type: ignore[arg-type]


def logged(tx: Transaction) -> list[log.LimitSeen]:
    return [event.body for event in tx.logged if isinstance(event.body, log.LimitSeen)]


def test_a_reading_is_logged_by_account_when_it_says_something_new(tx: Transaction) -> None:
    for at, used in ((0, 0.5), (10, 0.5), (20, 0.504), (30, 0.75)):
        tx.now = NOON + at
        windows.record(tx, WORK, [reading(Standing.OPEN, tx.now, used)])
    assert [(body.account, body.window, body.used) for body in logged(tx)] == [
        (WORK, "five_hour", 0.5),
        (WORK, "five_hour", 0.75),
    ]
    (state,) = windows.states(tx)
    assert (state.used, state.observed_at, state.source) == (0.75, NOON + 30, "it")


def test_what_a_reading_changes_is_said_so_that_who_waits_can_be_woken(tx: Transaction) -> None:
    assert len(windows.record(tx, WORK, [reading(Standing.OPEN, used=0.5), reading(Standing.OPEN, used=0.5)])) == 1
    assert windows.record(tx, WORK, [reading(Standing.OPEN, used=0.5)]) == []


def parked(tx: Transaction, until: int, account: str | None = "work") -> int:
    """A job that has met the limit."""
    (job,) = submit.submit(tx, [accepted(agent="claude", account=account)])
    row = read_job(tx.connection, job)
    assert row is not None
    row = record(tx, row, log.Claimed(1), 1)
    record(tx, row, log.Requeued(Failure.RATE_LIMITED, "limit", until, counted=False), 1)
    return job


def test_who_waits_is_counted_and_comes_back_early_where_the_operator_says_so(tx: Transaction) -> None:
    closed = reading(Standing.CLOSED, resets_at=NOON + HOUR)
    (window,) = windows.record(tx, WORK, [closed], 0.0)
    waits, other = parked(tx, window.until or 0), parked(tx, window.until or 0, None)
    submit.submit(tx, [accepted(agent="claude", account="work") for _ in range(3)])
    submit.submit(tx, [accepted(agent="claude")])
    (state,) = windows.states(tx)
    assert (state.standing, state.until, state.waiting) == (Standing.CLOSED, NOON + HOUR, 4)
    assert windows.end_now(tx, "claude") == []
    windows.end_now(tx, WORK)
    (state,) = windows.states(tx)
    assert (state.standing, state.until, state.probing) == (Standing.UNKNOWN, None, 1)
    free, kept = read_job(tx.connection, waits), read_job(tx.connection, other)
    assert free is not None and kept is not None
    assert (free.state, free.not_before, kept.not_before) == (State.READY, None, window.until)


def test_a_window_that_opens_early_frees_the_jobs_that_met_it(tx: Transaction) -> None:
    (window,) = windows.record(tx, WORK, [reading(Standing.CLOSED, resets_at=NOON + HOUR)], 0.0)
    job = parked(tx, window.until or 0)
    tx.now = NOON + 2 * MINUTE
    windows.record(tx, WORK, [reading(Standing.OPEN, tx.now, 0.0)])
    row = read_job(tx.connection, job)
    assert row is not None and row.not_before is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["five_hour", "seven_day", "requests"]),
            st.sampled_from(Standing),
            st.integers(-MINUTE, HOUR),
            st.none() | st.floats(0, 1),
            st.none() | st.integers(-HOUR, 8 * HOUR),
            st.sampled_from([0, 1_000, 5 * MINUTE, 2 * HOUR]),
        ),
        max_size=20,
    )
)
def test_the_log_tells_the_windows_as_they_are(
    tmp_path: Path, told: list[tuple[str, Standing, int, float | None, int | None, int]]
) -> None:
    connection = open_writer(tmp_path / "headway.db")
    connection.execute("DELETE FROM windows")
    connection.execute("DELETE FROM events")
    now = NOON
    for name, standing, at, used, end, later in told:
        now += later
        tx = Transaction(connection, now)
        resets_at = None if end is None else now + end
        one = Reading(window=name, standing=standing, at=now + at, source="it", used=used, resets_at=resets_at)
        windows.record(tx, WORK, [one])
    assert windows.astray(connection) == []
    assert len(windows.rebuild(connection)) == len({name for name, *_ in told})
    connection.execute("UPDATE windows SET state = json_set(state, '$.until', 5)")
    assert len(windows.astray(connection)) == len({name for name, *_ in told}), "what differs is found"
    connection.close()


def test_what_an_earlier_engine_had_read_is_kept_by_its_account(tmp_path: Path) -> None:
    path = tmp_path / "headway.db"
    old = sqlite3.connect(path, isolation_level=None)
    migrate(old, migrations()[:4])
    rows = [
        ("claude@work", "five_hour", "allowed", 0.5, NOON + HOUR), ("codex", "seven_day", "warning", 0.9, None),
        ("claude", "five_hour", "rejected", 1.0, NOON + HOUR),
    ]  # fmt: skip
    old.executemany("INSERT INTO limits VALUES (?, ?, ?, ?, ?, 'events', ?)", [(*row, NOON - 5) for row in rows])
    old.close()
    connection = open_writer(path)
    states = windows.states(Transaction(connection, NOON))
    assert [(one.account, one.window, one.standing, one.used) for one in states] == [
        ("claude@work", "five_hour", Standing.OPEN, 0.5),
        ("codex", "seven_day", Standing.WARNING, 0.9),
    ], "a closed one is simply tried again"
    connection.close()


def test_live_attempts_are_found_without_looking_at_all_that_there_have_been(tx: Transaction) -> None:
    assert "attempts_live" in plan(tx.connection, windows._PROBES)
    assert "lanes_open" in plan(tx.connection, windows._STARTABLE)
    assert "jobs_waiting_for_time" in plan(tx.connection, windows._PARKED)
    assert "jobs_waiting_for_time" in plan(tx.connection, windows._MET)


def test_an_event_carries_all_that_is_believed(tx: Transaction) -> None:
    (window,) = windows.record(tx, WORK, [reading(Standing.CLOSED, resets_at=NOON + HOUR)], 0.0)
    (body,) = logged(tx)
    assert (body.status, body.until, body.state) == ("closed", NOON + HOUR, window)
    (written,) = tx.connection.execute("SELECT body FROM events WHERE job IS NULL").fetchone()
    assert json.loads(written)["account"] == WORK
