"""The scoreboard's sums: what a job says of its targets, and that the sums are those of all jobs at any time."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import defaultdict
from dataclasses import astuple
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from engine import events as log
from engine.agents.base import Outcome
from engine.model import Failure, Grade, JobSpec, State, Target, Usage, Verb
from engine.model.route import RouteCause
from engine.store import Transaction, board, claims, jobs, scores, submit
from engine.store.fold import record
from engine.store.jobs import Requeue, Settlement
from engine.store.reader import DAY_MS
from engine.store.rows import SELECT_JOB, job_row
from engine.store.scores import Cell, Score, Sums
from engine.store.submit import Accepted
from engine.store.verbs import Request, act
from engine.upkeep.prune import Wanted, prune
from tests.store.samples import NOON, connect, plan, transaction

FIRST = Target("claude", "opus")
SECOND = Target("codex")
KINDS = (None, "docs", "fix")


def wanted(target: Target = FIRST, kind: str | None = "docs", project: str | None = "/src/api") -> Accepted:
    spec = JobSpec(prompt="do it", kind=kind)
    return Accepted(spec, "do it", target.agent, target.model, project, None, target.account)


class Books:
    """A database, and what tests do to it."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.connection: sqlite3.Connection = connect(self.directory / "headway.db")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.now = NOON

    def close(self) -> None:
        self.connection.close()
        shutil.rmtree(self.directory)

    def tx(self, later: int = 10) -> Transaction:
        self.now += later
        return transaction(self.connection, self.now)

    def submit(self, *jobs_: Accepted) -> list[int]:
        return submit.submit(self.tx(), jobs_)

    def claim(self, job: int) -> int | None:
        tx = self.tx()
        row = job_row(self.connection.execute(f"{SELECT_JOB} WHERE id = ?", (job,)).fetchone())
        if not row.startable:
            return None
        (claim,) = claims.claim(tx, [row], lambda _: False, "boot")
        jobs.launched(self.tx(), claim.attempt.id, jobs.Launched(1, None, "/w", None, None))
        return claim.attempt.id

    def end(
        self,
        attempt: int,
        failure: Failure | None = None,
        *,
        back: bool = False,
        took: int = 1_000,
        cost: int | None = 500,
    ) -> None:
        usage = () if cost is None else (Usage(model="m", cost_micros=cost, grade=Grade.REPORTED),)
        outcome = Outcome(succeeded=failure is None, failure=failure, reason="so", usage=usage)
        jobs.settle(self.tx(took), attempt, Settlement(outcome, 0, requeue=Requeue() if back else None))

    def do(self, verb: Verb, job: int, target: Target | None = None) -> None:
        edit = (JobSpec(prompt="another"), "another") if verb is Verb.EDIT else None
        act(self.tx(), Request(verb, [job], "me", target=target, edit=edit))

    def scores(self) -> list[Score]:
        tx = self.tx(0)
        return scores.scores_of(tx, [row[0] for row in self.connection.execute("SELECT id FROM jobs")])

    def sums(self) -> dict[Cell, Sums]:
        found = self.connection.execute("SELECT * FROM scoreboard").fetchall()
        return {tuple(row[:7]): Sums(*row[7:]) for row in found}

    def fold(self) -> None:
        while scores.fold(self.tx(0)):
            pass


@pytest.fixture
def books() -> object:
    made = Books()
    yield made
    made.close()


def test_a_job_that_was_right_at_once_counts_as_that(books: Books) -> None:
    (job,) = books.submit(wanted())
    attempt = books.claim(job)
    assert attempt is not None
    books.end(attempt, took=90_000, cost=1_250)
    day = books.now - books.now % DAY_MS
    (score,) = books.scores()
    expected = Score(job, "claude", "opus", "", day, "/src/api", "docs", 1, 1, 0, 1, 1, 0, 0, 0, 90_000, 1_250)
    assert score == expected


def test_weather_is_no_round(books: Books) -> None:
    (job,) = books.submit(wanted())
    for failure in (Failure.RATE_LIMITED, Failure.OVERLOADED, Failure.ENGINE_LOST, Failure.AUTH):
        attempt = books.claim(job)
        assert attempt is not None
        books.end(attempt, failure, back=True)
    attempt = books.claim(job)
    assert attempt is not None
    books.end(attempt)
    (score,) = books.scores()
    assert (score.first, score.rounds, score.cost, score.took_ms) == (1, 1, 2_500, 5_000)


def test_each_target_has_its_own_part_in_a_job(books: Books) -> None:
    (job,) = books.submit(wanted())
    attempt = books.claim(job)
    assert attempt is not None
    books.end(attempt, Failure.CRASHED, back=True)
    books.do(Verb.REROUTE, job, SECOND)
    attempt = books.claim(job)
    assert attempt is not None
    books.end(attempt)
    claude, codex = books.scores()
    assert (claude.began, claude.first, claude.succeeded, claude.rounds, claude.follow_ups) == (1, 0, 0, 1, 1)
    assert (codex.began, codex.first, codex.succeeded, codex.rounds, codex.follow_ups) == (0, 0, 1, 1, 0)


def test_a_move_because_of_a_limit_is_nobody_coming_back(books: Books) -> None:
    (job,) = books.submit(wanted())
    attempt = books.claim(job)
    assert attempt is not None
    books.end(attempt, Failure.RATE_LIMITED, back=True)
    tx = books.tx()
    row = job_row(books.connection.execute(f"{SELECT_JOB} WHERE id = ?", (job,)).fetchone())
    record(tx, row, log.Rerouted("route large", "codex", cause=RouteCause.LIMIT))
    attempt = books.claim(job)
    assert attempt is not None
    books.end(attempt)
    (codex,) = books.scores()
    assert (codex.agent, codex.began, codex.first, codex.follow_ups) == ("codex", 1, 1, 0)


@pytest.mark.parametrize("verb", [Verb.RETRY, Verb.EDIT])
def test_who_comes_back_to_a_job_says_that_it_was_not_right(books: Books, verb: Verb) -> None:
    (job,) = books.submit(wanted())
    attempt = books.claim(job)
    assert attempt is not None
    books.end(attempt)
    books.fold()
    (sums,) = books.sums().values()
    assert sums.first == 1
    books.do(verb, job)
    books.fold()
    if verb is Verb.RETRY:
        assert books.sums() == {}  # it has not ended any more
        attempt = books.claim(job)
        assert attempt is not None
        books.end(attempt)
        books.fold()
    (sums,) = books.sums().values()
    assert (sums.first, sums.follow_ups, sums.succeeded) == (0, 1, 1)


def test_what_the_operator_stopped_says_nothing(books: Books) -> None:
    started, waited = books.submit(wanted(), wanted())
    attempt = books.claim(started)
    assert attempt is not None
    books.do(Verb.CANCEL, started)
    books.do(Verb.CANCEL, waited)
    jobs.settle(books.tx(), attempt, Settlement(Outcome(succeeded=False), 143))
    assert books.scores() == []
    books.fold()
    assert books.sums() == {}


def test_no_look_at_the_board_reads_all_jobs(books: Books) -> None:
    """By plan: the board reads its days, and the fold reads the jobs that are due by their keys."""
    connection = books.connection
    for sql in (board.BOARD, board.HABITS):
        told = plan(connection, sql, [0, None, None][: 3 if "?3" in sql else 1])
        assert "scoreboard USING PRIMARY KEY (day>?)" in told, told
    for name in ("_JOBS", "_ATTEMPTS", "_HAPPENED", "_RACED"):
        told = plan(connection, getattr(scores, name), ["[1]"])
        scans = [line for line in told.splitlines() if line.startswith("SCAN") and "json_each" not in line]
        assert not scans, told


class Any(RuleBasedStateMachine):
    """Whatever happens to jobs, the sums are those that a scan of all of them would make."""

    ids = Bundle("ids")

    @initialize()
    def open(self) -> None:
        self.books = Books()
        self.pruned: defaultdict[Cell, Sums] = defaultdict(Sums)

    def teardown(self) -> None:
        if hasattr(self, "books"):
            self.books.close()

    @rule(
        target=ids,
        many=st.lists(st.tuples(st.sampled_from([FIRST, SECOND]), st.sampled_from(KINDS)), min_size=1, max_size=3),
    )
    def submit(self, many: list[tuple[Target, str | None]]) -> object:
        return multiple(*self.books.submit(*(wanted(target, kind) for target, kind in many)))

    def there(self, job: int) -> State | None:
        found = self.books.connection.execute("SELECT state FROM jobs WHERE id = ?", (job,)).fetchone()
        return State(found[0]) if found else None

    @rule(
        job=ids,
        failure=st.sampled_from([None, None, *Failure]),
        back=st.booleans(),
        took=st.integers(0, 10**7),
        cost=st.none() | st.integers(0, 10**7),
    )
    def work(self, job: int, failure: Failure | None, back: bool, took: int, cost: int | None) -> None:
        if self.there(job) is State.READY and (attempt := self.books.claim(job)) is not None:
            self.books.end(attempt, failure, back=back and failure is not None, took=took, cost=cost)

    @rule(job=ids, verb=st.sampled_from([Verb.RETRY, Verb.EDIT, Verb.CANCEL, Verb.REROUTE]), second=st.booleans())
    def steer(self, job: int, verb: Verb, second: bool) -> None:
        if self.there(job) is not None:
            self.books.do(verb, job, SECOND if second else FIRST)

    @rule()
    def fold(self) -> None:
        self.books.fold()

    @rule(limit=st.integers(1, 3))
    def fold_some(self, limit: int) -> None:
        scores.fold(self.books.tx(0), limit)

    @rule()
    def rebuild(self) -> None:
        scores.rebuild(self.books.tx(0))

    @rule(limit=st.integers(1, 3))
    def prune(self, limit: int) -> None:
        """Their sums stay, though they are gone."""
        tx = self.books.tx(3 * DAY_MS)
        before = self.books.scores()
        gone = {one.job for one in prune(tx, Wanted(before=tx.now, limit=limit), "me").gone}
        for one in before:
            if one.job in gone:
                self.pruned[one.day, one.agent, one.model, one.account, one.project, one.kind, 1].add(one)

    @invariant()
    def the_sums_are_those_of_a_scan(self) -> None:
        if not hasattr(self, "books"):
            return
        connection = self.books.connection
        connection.execute("SAVEPOINT looking")
        try:
            self.books.fold()
            expected: defaultdict[Cell, Sums] = defaultdict(Sums)
            for one in self.books.scores():
                expected[one.day, one.agent, one.model, one.account, one.project, one.kind, 0].add(one)
            found = {cell: sums for cell, sums in self.books.sums().items() if not cell[-1]}
            assert found == dict(expected)
            kept = {cell: sums for cell, sums in self.books.sums().items() if cell[-1]}
            assert kept == {cell: sums for cell, sums in self.pruned.items() if sums.jobs}
            stored = connection.execute("SELECT count(*) FROM scores").fetchone()[0]
            assert stored == sum(sums.jobs for sums in found.values())
        finally:
            connection.execute("ROLLBACK TO looking")
            connection.execute("RELEASE looking")


Any.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAny = Any.TestCase


def test_a_database_from_before_counts_what_had_ended(books: Books) -> None:
    (job,) = books.submit(wanted())
    attempt = books.claim(job)
    assert attempt is not None
    books.end(attempt)
    books.fold()
    before = {cell: astuple(sums) for cell, sums in books.sums().items()}
    scores.rebuild(books.tx())
    assert books.sums() == {}
    assert scores.waiting(books.tx()) == 1
    books.fold()
    assert {cell: astuple(sums) for cell, sums in books.sums().items()} == before
