"""Whatever happens in whatever order: a session has one writer, and the log tells the jobs as they are."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections import Counter
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.agents.base import Outcome
from engine.errors import RefusedError
from engine.model import Failure, State, Verb
from engine.sessions import WRITTEN, SessionState
from engine.store import Transaction, attachments, claims, jobs, sessions, submit
from engine.store.attachments import Attachment
from engine.store.claims import Claim
from engine.store.fold import rebuild
from engine.store.jobs import Launched, Requeue, Settlement
from engine.store.sessions import Begun, Heard
from engine.store.verbs import Request, act
from tests.store.samples import NOON, accepted, connect, first, table, transaction

JOBS = st.integers(1, 2)


class Writers(RuleBasedStateMachine):
    """Attempts that resume, fork and begin anew, and an operator who takes sessions over."""

    @initialize()
    def open(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.connection = connect(self.directory / "headway.db")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.now = NOON
        self.live: dict[int, Claim] = {}
        self.begun: set[int] = set()
        tx = self.tx()
        submit.submit(tx, [accepted(agent="claude") for _ in range(2)])
        tx.write_counts()

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            shutil.rmtree(self.directory)

    def tx(self) -> Transaction:
        self.now += 10
        return transaction(self.connection, self.now)

    @rule(count=st.integers(1, 2), launched=st.booleans(), anew=st.booleans())
    def claim(self, count: int, launched: bool, anew: bool) -> None:
        tx = self.tx()
        for given in claims.claim(tx, first(tx, count, "claude"), lambda _: True, "boot"):
            self.live[given.job.id] = given
            if launched:
                self._launch(tx, given, anew)
        tx.write_counts()

    @rule(job=JOBS, anew=st.booleans())
    def launch(self, job: int, anew: bool) -> None:
        given = self.live.get(job)
        if given is None or given.attempt.id in self.begun:
            return
        tx = self.tx()
        self._launch(tx, given, anew)
        tx.write_counts()

    def _launch(self, tx: Transaction, given: Claim, anew: bool) -> None:
        self.begun.add(given.attempt.id)
        name, old = str(uuid.uuid4()), given.session
        if old is None or anew or old.state is not SessionState.PARKED:
            begun = Begun(name, retires=old.id if old else None, why="anew" if old else "")
        else:
            begun = Begun(name if given.fork else old.id, old.id, given.fork)
        jobs.launched(tx, given.attempt.id, Launched(7, begun.session, "/w", None, None, begun))

    @rule(job=JOBS, succeeded=st.booleans(), renamed=st.booleans(), back=st.booleans())
    def settle(self, job: int, succeeded: bool, renamed: bool, back: bool) -> None:
        given = self.live.pop(job, None)
        if given is None:
            return
        tx = self.tx()
        heard = Heard(str(uuid.uuid4()) if renamed and given.attempt.id in self.begun else None, turns=1)
        failure = None if succeeded else Failure.CRASHED
        outcome = Outcome(succeeded=succeeded, failure=failure, reason="r", session=heard.session)
        jobs.settle(tx, given.attempt.id, Settlement(outcome, 0, heard=heard, requeue=Requeue() if back else None))
        tx.write_counts()

    @rule()
    def try_all(self) -> None:
        """An attempt of whatever may start, which breaks: so there is mostly a session to go on in."""
        self.claim(count=2, launched=True, anew=False)
        for job in tuple(self.live):
            self.settle(job=job, succeeded=False, renamed=False, back=True)

    @rule()
    def release_all(self) -> None:
        for job in (1, 2):
            self.operate(job=job, verb=Verb.RELEASE, fork=False)

    @rule(job=JOBS, verb=st.sampled_from([Verb.HOLD, Verb.RELEASE, Verb.CANCEL, Verb.RETRY]), fork=st.booleans())
    def operate(self, job: int, verb: Verb, fork: bool) -> None:
        tx = self.tx()
        act(tx, Request(verb, [job], "operator", fork=fork, forks=frozenset({"claude"})))
        tx.write_counts()

    @rule(job=JOBS)
    def attach(self, job: int) -> None:
        tx = self.tx()
        try:
            attachments.begin(tx, Attachment(job, "claude", None, f"m-{job}", "operator", self.now, 9, 1, "boot"))
        except RefusedError:
            return
        finally:
            tx.write_counts()
        self._enter(tx, job)

    @rule(job=JOBS)
    def enter(self, job: int) -> None:
        self._enter(self.tx(), job)

    def _enter(self, tx: Transaction, job: int) -> None:
        """As the engine does it: once nothing of the job runs."""
        row = table(self.connection)[job]
        tried = claims.newest_launched(tx, row)
        held = attachments.of(tx, job)
        if row.state is State.RUNNING or tried is None or tried.session is None or held is None or held.session:
            return
        attachments.enter(tx, job, held.marker, "claude", tried.session)

    @precondition(lambda self: attachments.all_of(self.tx()))
    @rule(job=JOBS, lost=st.booleans())
    def leave(self, job: int, lost: bool) -> None:
        tx = self.tx()
        (attachments.lose if lost else attachments.end)(tx, job, f"m-{job}")
        tx.write_counts()

    @invariant()
    def a_session_has_one_writer(self) -> None:
        if not hasattr(self, "connection"):
            return
        writers = Counter(
            session
            for (session,) in self.connection.execute(
                "SELECT iif(started_at IS NULL, iif(forked, NULL, resumes), session) FROM attempts "
                "WHERE ended_at IS NULL UNION ALL SELECT session FROM attachments"
            )
            if session is not None
        )
        assert all(count == 1 for count in writers.values()), writers

    @invariant()
    def a_session_is_written_where_somebody_writes_it(self) -> None:
        if not hasattr(self, "connection"):
            return
        tx = self.tx()
        for one in sessions.listed(tx, None, 100):
            if one.state in WRITTEN:
                assert sessions.busy(tx, one.agent, one.id), one

    @invariant()
    def the_log_tells_the_jobs(self) -> None:
        if hasattr(self, "connection"):
            assert rebuild(self.connection) == table(self.connection)


TestWriters = Writers.TestCase
TestWriters.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
