"""The life of jobs on a real database, against a model: states, counts, and the log that can tell it all again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from engine import events as log
from engine.errors import RefusedError
from engine.model import UNFINISHED, Failure, Grade, State, Usage, Verb
from engine.store import Transaction, claims, jobs, submit
from engine.store.fold import apply, rebuild, record
from engine.store.jobs import Launched
from engine.store.rows import read_job
from engine.store.verbs import Request, act
from engine.transitions import IllegalTransitionError
from tests.store.samples import NOON, accepted, connect, failure, first, success, table, transaction

STEPS = int(os.environ.get("HEADWAY_STEPS", "40"))  #: of each run; a night of them finds more
RUNS = 80

ENDED = frozenset(State) - UNFINISHED


@dataclass
class Known:
    """What the model knows of a job."""

    state: State = State.READY
    held: bool = False
    stopping: bool = False
    not_before: int | None = None
    priority: int = 5
    attempts: int = 0
    attempt: int | None = None
    cost: int | None = None


class Life(RuleBasedStateMachine):
    """Every verb of the operator and every step of the engine, in any order."""

    jobs = Bundle("jobs")
    attempts = Bundle("attempts")

    @initialize()
    def open(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.connection = connect(self.directory / "headway.db")
        self.connection.execute("PRAGMA synchronous = OFF")  # the machine is not switched off during this test
        self.now = NOON
        self.transaction = transaction(self.connection, self.now)
        self.known: dict[int, Known] = {}
        self.of: dict[int, int] = {}  # attempt -> job

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            shutil.rmtree(self.directory)

    def tx(self) -> Transaction:
        self.end_transaction()
        self.now += 10
        self.transaction = transaction(self.connection, self.now)
        return self.transaction

    def end_transaction(self) -> None:
        """As the writer does before it commits."""
        self.transaction.write_counts()

    @rule(
        target=jobs,
        wanted=st.lists(st.tuples(st.integers(0, 9), st.sampled_from([None, 15, 100, 10_000])), min_size=1, max_size=4),
    )
    def submit(self, wanted: list[tuple[int, int | None]]) -> object:
        tx = self.tx()
        times = [None if after is None else tx.now + after for _, after in wanted]
        ids = submit.submit(
            tx, [accepted(priority=one, not_before=at) for (one, _), at in zip(wanted, times, strict=True)]
        )
        assert not set(ids) & set(self.known), "an id was used again"
        for job, (priority, _), at in zip(ids, wanted, times, strict=True):
            self.known[job] = Known(priority=priority, not_before=at)
        return multiple(*ids)

    @rule(target=attempts, count=st.integers(1, 3))
    def claim(self, count: int) -> object:
        queue = sorted(
            (one.priority, job)
            for job, one in self.known.items()
            if one.state is State.READY and not one.held and one.not_before is None
        )
        tx = self.tx()
        given = claims.claim(tx, first(tx, count), lambda _: False, "boot")
        assert [claim.job.id for claim in given] == [job for _, job in queue[:count]]
        for claim in given:
            one = self.known[claim.job.id]
            one.state, one.attempts, one.attempt = State.RUNNING, one.attempts + 1, claim.attempt.id
            assert claim.attempt.number == one.attempts
            self.of[claim.attempt.id] = claim.job.id
        return multiple(*(claim.attempt.id for claim in given))

    def is_live(self, attempt: int) -> bool:
        one = self.known[self.of[attempt]]
        return one.attempt == attempt and one.state is State.RUNNING

    @rule(attempt=attempts)
    def launched(self, attempt: int) -> None:
        facts = Launched(1, None, "/w", None, None)
        if self.is_live(attempt):
            jobs.launched(self.tx(), attempt, facts)
        else:
            with pytest.raises(RefusedError):
                jobs.launched(self.tx(), attempt, facts)

    @rule(
        attempt=attempts,
        ending=st.sampled_from(["success", "failure", "requeue", "requeue later"]),
        cost=st.sampled_from([None, 0, 7]),
    )
    def settle(self, attempt: int, ending: str, cost: int | None) -> None:
        tx = self.tx()
        usage = Usage(model="m", input_tokens=1, cost_micros=cost, grade=Grade.REPORTED)
        later = tx.now + 25
        end = {
            "success": success(usage),
            "failure": failure(usage),
            "requeue": failure(usage, back=0),
            "requeue later": failure(usage, back=later),
        }[ending]
        if not self.is_live(attempt):
            with pytest.raises(RefusedError, match="settled already"):
                jobs.settle(tx, attempt, end)
            return
        jobs.settle(tx, attempt, end)
        one = self.known[self.of[attempt]]
        one.cost = one.cost if cost is None else (one.cost or 0) + cost
        if ending == "success":
            one.state = State.SUCCEEDED
        elif one.stopping:
            one.state, one.not_before = State.CANCELLED, None
        elif ending == "failure":
            one.state = State.FAILED
        else:
            one.state, one.not_before = State.READY, later if ending == "requeue later" else None
        one.stopping = False

    def act(self, verb: Verb, job: int) -> None:
        act(self.tx(), Request(verb, [job], "tester"))

    @rule(job=jobs)
    def hold(self, job: int) -> None:
        self.act(Verb.HOLD, job)
        one = self.known[job]
        one.held |= one.state in UNFINISHED

    @rule(job=jobs)
    def release(self, job: int) -> None:
        self.act(Verb.RELEASE, job)
        self.known[job].held = False

    @rule(job=jobs)
    def cancel(self, job: int) -> None:
        self.act(Verb.CANCEL, job)
        one = self.known[job]
        if one.state is State.READY:
            one.state, one.not_before = State.CANCELLED, None
        one.stopping |= one.state is State.RUNNING

    @rule(job=jobs)
    def retry(self, job: int) -> None:
        self.act(Verb.RETRY, job)
        one = self.known[job]
        if one.state in ENDED:
            one.state, one.not_before = State.READY, None

    @rule(passed=st.sampled_from([0, 20, 120, 20_000]))
    def come_due(self, passed: int) -> None:
        self.now += passed
        tx = self.tx()
        following = jobs.come_due(tx)
        for one in self.known.values():
            if one.state is State.READY and one.not_before is not None and one.not_before <= tx.now:
                one.not_before = None
        left = [one.not_before for one in self.known.values() if one.state is State.READY and one.not_before]
        assert following == min(left, default=None)

    @rule(job=jobs, body=st.sampled_from([log.Claimed(9), log.Requeued(Failure.CRASHED, "x"), log.Due()]))
    def out_of_turn(self, job: int, body: log.AnyBody) -> None:
        """An event that the table has no row for raises and changes nothing."""
        row = read_job(self.connection, job)
        assert row is not None
        allowed = {log.Claimed: {State.READY}, log.Requeued: {State.RUNNING}, log.Due: {State.READY}}[type(body)]
        if row.state in allowed:
            return
        self.connection.execute("SAVEPOINT test")
        before = table(self.connection)
        with pytest.raises(IllegalTransitionError):
            record(self.tx(), row, body)
        assert table(self.connection) == before
        self.connection.execute("ROLLBACK TO test")
        self.connection.execute("RELEASE test")

    @invariant()
    def the_database_is_as_the_model_says(self) -> None:
        if not hasattr(self, "connection"):
            return
        rows = table(self.connection)
        assert rows.keys() == self.known.keys()
        for job, one in self.known.items():
            row = rows[job]
            told = Known(
                row.state,
                row.held_by is not None,
                row.stopping is not None,
                row.not_before,
                row.priority,
                row.attempts,
                row.attempt,
                row.cost_micros,
            )
            assert told == one, job
            assert (row.ended_at is not None) == (row.state in ENDED)
            assert (row.failure is not None) >= (row.state is State.FAILED)

    @invariant()
    def the_counts_are_those_of_a_recount(self) -> None:
        if not hasattr(self, "connection"):
            return
        self.end_transaction()
        kept = dict(self.connection.execute("SELECT name, n FROM counts").fetchall())
        again = Counter(str(one.state) for one in self.known.values())
        held = sum(one.held and one.state in UNFINISHED for one in self.known.values())
        assert {name: n for name, n in kept.items() if n} == {**again, **({"held": held} if held else {})}

    @invariant()
    def the_log_tells_the_same_table(self) -> None:
        if hasattr(self, "connection"):
            assert rebuild(self.connection) == table(self.connection)

    @invariant()
    def the_slots_taken_are_the_jobs_that_run(self) -> None:
        if not hasattr(self, "connection"):
            return
        running = sum(one.state is State.RUNNING for one in self.known.values())
        assert sum(count for _, count in claims.running(transaction(self.connection))) == running


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=RUNS, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_only_a_submission_begins_a_job() -> None:
    for body in (log.Claimed(1), log.Succeeded(), log.Held("x"), log.Due()):
        with pytest.raises(IllegalTransitionError, match="a new job cannot be"):
            apply(None, log.Event(seq=1, at=NOON, body=body, job=1))


def test_a_second_submission_of_the_same_job_is_refused(tmp_path: Path) -> None:
    connection = connect(tmp_path / "headway.db")
    tx = transaction(connection)
    submit.submit(tx, [accepted()])
    row = read_job(connection, 1)
    with pytest.raises(IllegalTransitionError, match="a ready job cannot be submitted"):
        record(tx, row, log.Submitted(accepted().spec, "t", "shell"))  # type: ignore[arg-type]
    connection.close()


def test_a_lost_table_of_jobs_is_rebuilt_from_the_log(tmp_path: Path) -> None:
    connection = connect(tmp_path / "headway.db")
    tx = transaction(connection)
    submit.submit(tx, [accepted(priority=n) for n in range(5)])
    for claim, end in zip(
        claims.claim(tx, first(tx, 3), lambda _: False, "boot"),
        (success(Usage(model="m", cost_micros=3, grade=Grade.REPORTED)), failure(back=NOON + 9), failure()),
        strict=True,
    ):
        jobs.settle(tx, claim.attempt.id, end)
    act(tx, Request(Verb.HOLD, [5], "me"))
    act(tx, Request(Verb.RETRY, [3], "me", fresh=True))
    wanted = table(connection)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("DELETE FROM jobs")
    assert rebuild(connection) == wanted
    assert wanted[3].fresh
    connection.close()


def test_the_counts_follow_even_a_deletion(tmp_path: Path) -> None:
    connection: sqlite3.Connection = connect(tmp_path / "headway.db")
    tx = transaction(connection)
    submit.submit(tx, [accepted(), accepted()])
    act(tx, Request(Verb.HOLD, [1], "me"))
    tx.write_counts()
    connection.execute("DELETE FROM jobs WHERE id = 1")
    assert dict(connection.execute("SELECT name, n FROM counts WHERE n <> 0").fetchall()) == {"ready": 1}
    connection.close()
