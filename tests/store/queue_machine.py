"""The machine under the state machine: it keeps a real queue and a plain one beside each other, and compares them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.agents.base import Outcome
from engine.config import AgentSettings, Settings
from engine.dispatch import settling
from engine.dispatch.budget import Budget
from engine.dispatch.dispatcher import Dispatcher
from engine.dispatch.forecast import REACH, forecast
from engine.dispatch.preview import Change, changed
from engine.dispatch.settling import Ending, Rules
from engine.errors import HeadwayError, RefusedError
from engine.foresight import change_of
from engine.model import ActionResult, Failure, JobSpec, OnFailure, State, Verb
from engine.store import jobs, submit, verbs
from engine.store.fold import rebuild
from engine.store.jobs import Launched
from engine.store.queue import history, queue
from engine.store.rows import JobRow
from engine.store.submit import Accepted, Admitted, Needs, Submission
from engine.store.verbs import Acted, Request
from engine.store.writer import RollbackError, Transaction
from tests.store.plain_queue import GIVEN_UP, NOT_WELL, PlainJob, PlainQueue
from tests.store.plain_verbs import Done
from tests.store.samples import NOON, connect, table

T = TypeVar("T")

MOST = 12  #: jobs, or not many more, so that verbs often meet on one
SLOTS = 3
AGENTS = {"shell": AgentSettings(), "claude": AgentSettings(max_running=2)}
SETTINGS = Settings(max_running=SLOTS, agents=AGENTS, caps={"tag:gpu": 1})
RULES = Rules(max_attempts=3, budget=Budget.of(SETTINGS))

LATER = st.sampled_from([None, 1, 60_000, 4_000_000])
_FEW = st.lists(st.integers(0, 30), max_size=2)
_FAILURES = st.sampled_from([*Failure, *[Failure.RATE_LIMITED, Failure.CRASHED, Failure.UNKNOWN] * 3])
_ENDS = st.tuples(st.none() | _FAILURES, st.booleans(), st.booleans(), st.booleans())
_WANTED = st.builds(
    dict,
    agent=st.sampled_from(["shell", "claude"]),
    account=st.sampled_from([None, "work"]),
    project=st.sampled_from([None, "/a"]),
    tags=st.sampled_from([(), ("gpu",), ("x",)]),
    priority=st.sampled_from([5, 5, 0, 9]),
    key=st.sampled_from([None, None, None, "k"]),
    not_before=LATER,
    deadline=st.sampled_from([None, None, 60_000, 4_000_000]),
    on_failure=st.sampled_from([None, *OnFailure]),
    repeatable=st.booleans(),
    after=_FEW,
    after_any=_FEW,
    entries=st.lists(st.integers(0, 2), max_size=1),
)


#: Nothing happens to a job without an event, nor to the rest without a row more or fewer here.
_TRACES = (
    "SELECT (SELECT max(seq) FROM events), (SELECT total(n * n) FROM counts), (SELECT count(*) FROM lanes), "
    "(SELECT count(*) || ' ' || count(outcome) FROM dependencies), (SELECT count(*) FROM submissions), "
    "(SELECT count(*) || ' ' || count(undone_at) FROM actions), (SELECT total(n) FROM caps), (SELECT total(open) "
    "FROM lanes), (SELECT count(*) FROM holds), (SELECT count(*) FROM attempts)"
)


class TwoQueues(RuleBasedStateMachine):
    """Jobs come, run and end, and every answer and all that can be seen has to be the same in both queues."""

    template: Path
    foresees = False

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(dir=self.template.parent))
        shutil.copy(self.template, self.home / "headway.db")
        self.connection = connect(self.home / "headway.db")
        self.connection.execute("PRAGMA synchronous = OFF")  # no power fails here
        self.plain = PlainQueue(NOON, SLOTS, {"all": SLOTS, "agent:claude": 2, "tag:gpu": 1})
        self.dispatcher = Dispatcher(None, SETTINGS, {}, "boot", lambda claim: None)  # type: ignore[arg-type]
        self.attempts: dict[int, int] = {}
        self.sent: list[tuple[Submission, Admitted]] = []
        self.edits = 0
        self.rows: dict[int, JobRow] = {}
        self.foreseen = set[int]()
        self.traces = self.connection.execute(_TRACES).fetchone()

    def teardown(self) -> None:
        self.connection.close()
        shutil.rmtree(self.home)

    def perform(self, operation: Callable[[Transaction], T]) -> T:
        """Run an operation as the writer does."""
        tx = Transaction(self.connection, self.plain.now)
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            found = operation(tx)
        except RollbackError as back:
            self.connection.execute("ROLLBACK")
            return back.value  # type: ignore[return-value]
        except HeadwayError:
            self.connection.execute("ROLLBACK")
            raise
        tx.write_counts()
        self.connection.execute("COMMIT")
        self.rows = table(self.connection)
        self.traces = self.connection.execute(_TRACES).fetchone()
        return found

    def named(self, numbers: Sequence[int]) -> list[int]:
        """Jobs that there are, by whatever numbers."""
        known = sorted(self.plain.jobs)
        return list(dict.fromkeys(known[number % len(known)] for number in numbers))

    # ---- jobs come

    @precondition(lambda self: len(self.plain.jobs) < MOST)
    @rule(
        wanted=st.lists(_WANTED, min_size=1, max_size=3),
        token=st.sampled_from([None, "t", "u"]),
        batch=st.booleans(),
    )
    def submit(self, wanted: list[dict[str, Any]], token: str | None, batch: bool) -> None:
        there = sorted(self.plain.jobs)
        accepted = [self._accepted(one, place, there) for place, one in enumerate(wanted)]
        then = self._accepted(dict(wanted[0], after=[], after_any=[], entries=[], key=None), 0, there)
        if token is not None:
            token = f"{token}{len(self.sent)}"
        asked = Submission(accepted, token, "d", "b" if batch else None, then if batch else None)
        rehearsed, needs = self.perform(lambda tx: submit.rehearse(tx, asked))
        self.left_no_trace()
        self.foresee(Change(rehearsed, needs))
        admitted = self.perform(lambda tx: submit.admit(tx, asked))
        assert set(rehearsed) == {*admitted.ids, *([admitted.follow_up] if batch else [])} - {*admitted.existing}
        if token is not None:
            self.sent.append((asked, admitted))
        for place, (one, accept) in enumerate(zip(wanted, accepted, strict=True)):
            self._admit(admitted.ids[place], one, accept, admitted.ids, batch=admitted.batch)
        if admitted.follow_up is not None:
            assert admitted.batch is not None
            self.plain.follows[admitted.follow_up] = admitted.batch
            self._admit(admitted.follow_up, dict(wanted[0], key=None), then, [], follows=admitted.ids)
        self.comes_true()

    def _accepted(self, one: dict[str, Any], place: int, there: list[int]) -> Accepted:
        now = self.plain.now
        ids = [[there[n % len(there)] for n in one[which]] if there else [] for which in ("after", "after_any")]
        spec = JobSpec(
            prompt="x", priority=one["priority"], tags=list(one["tags"]), key=one["key"],
            on_failure=one["on_failure"], repeatable=one["repeatable"],
        )  # fmt: skip
        return Accepted(
            spec, "x", one["agent"], None, one["project"],
            now + one["not_before"] if one["not_before"] else None, one["account"],
            now + one["deadline"] if one["deadline"] else None,
            Needs(tuple(ids[0]), tuple(entry for entry in one["entries"] if entry < place)), Needs(tuple(ids[1])),
        )  # fmt: skip

    def _admit(
        self,
        number: int,
        one: dict[str, Any],
        accept: Accepted,
        ids: Sequence[int],
        follows: Sequence[int] = (),
        batch: int | None = None,
    ) -> None:
        """The same in plain Python: a key that is taken gives the job that has it."""
        queue = self.plain
        if number in queue.jobs:
            assert accept.spec.key is not None
            assert number in (queue.holder(accept.spec.key), *ids)
            return
        assert queue.holder(accept.spec.key) is None
        rank = self.rows[number].rank
        assert rank > max((job.rank for job in queue.jobs.values()), default=0), "who comes last stands last"
        job = PlainJob(
            number, agent=accept.agent, account=accept.account, project=accept.project, tags=one["tags"],
            priority=accept.spec.priority, rank=rank, created=queue.now, not_before=accept.not_before,
            deadline=accept.deadline, key=accept.spec.key, on_failure=accept.spec.on_failure or OnFailure.SKIP,
            repeatable=one["repeatable"], batch=batch,
        )  # fmt: skip
        queue.add(job, [*accept.all_of.ids, *(ids[entry] for entry in accept.all_of.entries), *follows],
                  accept.any_of.ids)  # fmt: skip

    @precondition(lambda self: self.sent)
    @rule(which=st.integers(0, 9))
    def submit_again(self, which: int) -> None:
        asked, before = self.sent[which % len(self.sent)]
        again = self.perform(lambda tx: submit.admit(tx, asked))
        assert (again.ids, again.existing, again.follow_up) == (before.ids, before.ids, before.follow_up)
        other = Submission(asked.jobs, asked.token, "other")
        with pytest.raises(RefusedError):
            self.perform(lambda tx: submit.admit(tx, other))

    # ---- jobs run

    @rule(seconds=st.sampled_from([0, 1, 1, 60, 60, 600, 4_000, 40_000]))
    def time_passes(self, seconds: int) -> None:
        self.plain.now += seconds * 1000 + 1

    @rule()
    def claim(self) -> None:
        found = self.perform(self.dispatcher.round)
        expected = self.plain.claim()
        assert [claim.job.id for claim in found.claims] == expected
        for claim in found.claims:
            self.attempts[claim.job.id] = claim.attempt.id
            for scope in self.plain.running[claim.job.id]:
                cap = self.plain.cap(scope)
                assert cap is None or self.plain.count(scope) <= cap, scope
        times = [job.not_before for job in self.plain.jobs.values() if job.state is State.READY]
        times += [job.deadline for job in self.plain.jobs.values() if job.waits_in_line]
        assert (found.due or 0) <= min((at for at in times if at is not None), default=found.due or 0)
        assert found.due is not None or not any(times), "it would sleep for ever"

    @precondition(lambda self: self.attempts)
    @rule(
        which=st.integers(0, 9),
        failure=st.none() | _FAILURES,
        began=st.booleans() | st.just(True),
        resumable=st.booleans(),
        restorable=st.booleans(),
    )
    def settle(self, which: int, failure: Failure | None, began: bool, resumable: bool, restorable: bool) -> None:
        job = sorted(self.attempts)[which % len(self.attempts)]
        attempt = self.attempts.pop(job)
        outcome = Outcome(succeeded=failure is None, failure=failure, reason="it broke" if failure else None)
        began = began or failure is None
        ending = Ending(outcome, began=began, resumable=resumable, restorable=restorable)

        def end(tx: Transaction) -> JobRow:
            if began:
                jobs.launched(tx, attempt, Launched(1, None, "/w", None, None))
            return settling.settle(tx, attempt, ending, RULES)

        self.perform(end)
        self.plain.settle(job, failure, began=began, resumable=resumable, restorable=restorable)
        with pytest.raises(RefusedError):
            self.perform(lambda tx: settling.settle(tx, attempt, ending, RULES))

    @rule(ends=st.lists(_ENDS, min_size=1, max_size=4))
    def work(self, ends: list[tuple[Failure | None, bool, bool, bool]]) -> None:
        """What a queue does all day."""
        self.claim()
        for number, (failure, began, resumable, restorable) in enumerate(ends):
            if self.attempts:
                self.settle(number, failure, began, resumable, restorable)

    # ---- what verbs have in common

    def act(self, verb: Verb, ids: Sequence[int], change: Callable[[], Done], **what: Any) -> ActionResult:
        """A dry run, the verb, and the same on the plain queue: they say the same, and the first leaves no trace."""
        request = {"verb": verb, "jobs": ids, "by": "ann", **what}
        acted = self.perform(lambda tx: verbs.act(tx, Request(dry_run=True, foresee=True, **request)))
        dry = acted.result
        self.left_no_trace()
        self.foresee_verb(verb, acted)
        result = self.perform(lambda tx: verbs.act(tx, Request(**request))).result
        before = self.plain.snapshot()
        done = change()
        self.follow_causes()
        skipped = sorted(number for numbers in result.skipped.values() for number in numbers)
        assert (result.done, result.stopping, skipped) == (done.done, done.stopping, sorted(done.skipped))
        assert (dry.done, dry.stopping, dry.skipped) == (result.done, result.stopping, result.skipped)
        known = len(self.plain.actions)
        self.plain.note(before, stopped=done.stopped, overruled=done.overruled)
        assert result.action == (len(self.plain.actions) if len(self.plain.actions) > known else None)
        self.comes_true(result.stopping)
        return result

    def follow_causes(self) -> None:
        """Which of several failures is told of is the engine's to say."""
        for job in self.plain.jobs.values():
            row = self.rows[job.id]
            if job.cause is not None and row.cause is not None and job.why in (GIVEN_UP, row.reason):
                assert row.cause in self.plain.needs[job.id]
                assert self.plain.outcome(job.id, row.cause) in NOT_WELL or job.cause == row.cause
                job.cause, job.why = row.cause, row.reason

    # ---- what a preview says

    def foresee_verb(self, verb: Verb, acted: Acted, limit: int | None = None) -> None:
        if self.foresees:
            world = self.dispatcher.world(Transaction(self.connection, self.plain.now))
            self.foresee(change_of(verb, acted, limit, world, self.dispatcher.configured_cap))

    def foresee(self, change: Change) -> None:
        """What would start at once, by the forecast of the queue as it would be."""
        if not self.foresees:
            return
        tx = Transaction(self.connection, self.plain.now)
        then, world = changed(queue(tx, REACH), self.dispatcher.world(tx), change)
        found = forecast(then, world, history(tx))
        waits = {job for job in found if job in then.waiting}
        self.foreseen = {job for job in waits if found[job].start == self.plain.now}

    def comes_true(self, stopping: Sequence[int] = ()) -> None:
        """The dispatcher starts these now, and no others. It is tried, and taken back."""
        if not self.foresees:
            return
        if any(job.waits_in_line and (job.deadline or 1 << 62) <= self.plain.now for job in self.plain.jobs.values()):
            return  # the engine fails them the moment that they are late: no preview is asked for in between
        tx = Transaction(self.connection, self.plain.now)
        self.connection.execute("BEGIN")
        for job in stopping:
            gone = Ending(Outcome(succeeded=False, failure=Failure.CRASHED))
            settling.settle(tx, self.attempts[job], gone, RULES)
        started = {claim.job.id for claim in self.dispatcher.round(tx).claims}
        self.connection.execute("ROLLBACK")
        assert self.foreseen == started

    # ---- what always holds

    def left_no_trace(self) -> None:
        assert self.connection.execute(_TRACES).fetchone() == self.traces

    @invariant()
    def check(self) -> None:
        rows = self.rows
        self.follow_causes()
        assert {number: _as_row(row) for number, row in rows.items()} == {
            number: _as_job(job) for number, job in self.plain.jobs.items()
        }
        for job, needs, outcome in self.connection.execute("SELECT job, needs, outcome FROM dependencies"):
            if rows[job].state is State.BLOCKED:
                assert outcome == self.plain.outcome(job, needs)
        assert rebuild(self.connection) == rows
        self._check_counts(list(rows.values()))
        shut = self.connection.execute(
            "SELECT jobs.id FROM jobs JOIN lanes ON lanes.id = jobs.lane WHERE jobs.state = 'ready' "
            "AND held_by IS NULL AND not_before IS NULL AND NOT open"
        ).fetchall()
        assert shut == [], "nobody would look there"

    def _check_counts(self, rows: Sequence[JobRow]) -> None:
        counts = dict(self.connection.execute("SELECT name, n FROM counts"))
        for state in State:
            assert counts[state] == sum(row.state is state for row in rows)
        assert counts["held"] == sum(row.held_by is not None and row.ended_at is None for row in rows)


def _as_row(row: JobRow) -> tuple[object, ...]:
    return (
        row.state, row.agent, row.account, row.priority, row.rank, row.started_at, row.ended_at, row.not_before,
        row.held_by, row.stopping is not None, row.failure, row.cause, row.fresh, row.anew, row.tries, row.waits,
        row.attempts,
    )  # fmt: skip


def _as_job(job: PlainJob) -> tuple[object, ...]:
    return (
        job.state, job.agent, job.account, job.priority, job.rank, job.started, job.ended, job.not_before,
        job.held_by, job.stopping, job.failure, job.cause, job.fresh, job.anew, job.tries, job.waits, job.attempts,
    )  # fmt: skip
