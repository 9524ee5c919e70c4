"""Sessions in the database: who writes one, what is kept of it, and what an older database brings along."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.agents.base import Outcome
from engine.agents.events import Compacted
from engine.errors import RefusedError
from engine.model import Failure, Verb
from engine.sessions import Session, SessionState
from engine.store import Transaction, attachments, claims, jobs, sessions, verbs
from engine.store.attachments import Attachment
from engine.store.claims import Claim
from engine.store.jobs import Launched, Requeue, Settlement
from engine.store.schema import migrate, migrations, open_writer
from engine.store.sessions import Begun, Heard
from tests.store.samples import NOON, Bench, accepted, first

HEARD = Heard("s-1", "2.1.330", "opus-5", 7, 41_000, 200_000, (Compacted(90_000, 6_000, "auto"),))
BACK = Settlement(
    Outcome(succeeded=False, failure=Failure.CRASHED, reason="it broke", session="s-1"), 1, heard=HEARD,
    requeue=Requeue(),
)  # fmt: skip


async def claim(bench: Bench) -> Claim:
    def one(tx: Transaction) -> list[Claim]:
        return claims.claim(tx, first(tx, 1, "claude"), lambda _: True, "boot")

    (given,) = await bench.store.write(one)
    return given


async def launch(bench: Bench, given: Claim, session: str | None = "s-1", begun: Begun | None = None) -> None:
    facts = Launched(7, session, "/w", None, None, begun)
    await bench.store.write(lambda tx: jobs.launched(tx, given.attempt.id, facts))


async def known(bench: Bench, name: str = "s-1") -> Session:
    found = await bench.store.look(lambda tx: sessions.read(tx, "claude", name))
    assert found is not None
    return found


async def begin(bench: Bench) -> Claim:
    await bench.submit(accepted(agent="claude", model="opus"))
    given = await claim(bench)
    await launch(bench, given)
    return given


async def resumed(bench: Bench) -> Claim:
    given = await claim(bench)
    assert given.session is not None
    await launch(bench, given, given.session.id, Begun(given.session.id, given.session.id))
    return given


async def test_it_lives_from_its_launch_through_its_first_word_to_its_next_attempt(bench: Bench) -> None:
    given = await begin(bench)
    new = await known(bench)
    assert (new.state, new.attempt, new.attempts, new.job) == (SessionState.NEW, given.attempt.id, 1, 1)
    await bench.store.write(lambda tx: jobs.heard(tx, given.attempt.id, Heard("s-1", "2.1.330", "opus-5")))
    assert (await known(bench)).state is SessionState.ACTIVE
    await bench.settle(given.attempt.id, BACK)
    parked = await known(bench)
    assert (parked.state, parked.attempt, parked.turns) == (SessionState.PARKED, None, 7)
    assert (parked.agent_version, parked.model, parked.share) == ("2.1.330", "opus-5", 0.205)
    again = await resumed(bench)
    two = await known(bench)
    assert (two.state, two.attempt, two.attempts) == (SessionState.RESUMED, again.attempt.id, 2)


async def test_a_compaction_is_kept_and_logged_once_however_often_its_output_is_read(bench: Bench) -> None:
    given = await begin(bench)
    for _ in range(3):
        await bench.store.write(lambda tx: jobs.heard(tx, given.attempt.id, HEARD))
    await bench.settle(given.attempt.id, BACK)
    (kept,) = (await known(bench)).compactions
    assert (kept.attempt, kept.trigger, kept.before_tokens, kept.after_tokens) == (1, "auto", 90_000, 6_000)
    assert [event.body.trigger for event in bench.published if hasattr(event.body, "before_tokens")] == ["auto"]


async def test_a_late_word_of_a_settled_attempt_is_refused(bench: Bench) -> None:
    given = await begin(bench)
    await bench.settle(given.attempt.id, BACK)
    with pytest.raises(RefusedError, match="settled already"):
        await bench.store.write(lambda tx: jobs.heard(tx, given.attempt.id, HEARD))
    assert (await known(bench)).state is SessionState.PARKED


async def test_an_agent_that_names_its_session_itself_is_found_by_that_name(bench: Bench) -> None:
    await bench.submit(accepted(agent="claude"))
    given = await claim(bench)
    await launch(bench, given, None)
    await bench.store.write(lambda tx: jobs.heard(tx, given.attempt.id, Heard("thread-9")))
    (tried,) = await bench.store.read.attempts(1)
    one = await known(bench, "thread-9")
    assert (tried.session, one.state, one.attempt) == ("thread-9", SessionState.ACTIVE, given.attempt.id)


async def test_a_session_has_one_writer(bench: Bench) -> None:
    """Two resumes of one session fork it or loop for ever: the claim does not give it away twice."""
    given = await begin(bench)
    await bench.settle(given.attempt.id, BACK)
    await bench.store.write(lambda tx: sessions.take(tx, "claude", "s-1", given.attempt.id))
    again = await claim(bench)
    assert (again.session, again.attempt.resumes) == (None, None)
    assert again.why == "its session is taken: J1 is at work in it"


async def test_two_claims_in_one_transaction_cannot_have_it_both(bench: Bench) -> None:
    given = await begin(bench)
    await bench.settle(given.attempt.id, BACK)
    first_one = await claim(bench)
    assert first_one.attempt.resumes == "s-1"
    who = await bench.store.look(lambda tx: sessions.busy(tx, "claude", "s-1"))
    assert who == "J1 is at work in it", "from the claim on, before anything was started"
    await bench.settle(first_one.attempt.id, BACK)
    assert await bench.store.look(lambda tx: sessions.busy(tx, "claude", "s-1")) == ""


async def test_a_fork_leaves_its_parent_as_it_was(bench: Bench) -> None:
    given = await begin(bench)
    await bench.settle(given.attempt.id, Settlement(Outcome(succeeded=True, session="s-1"), 0, heard=HEARD))
    request = verbs.Request(Verb.RETRY, [1], "tester", fork=True, forks=frozenset({"claude"}))
    await bench.store.write(lambda tx: verbs.act(tx, request))
    again = await claim(bench)
    assert (again.fork, again.attempt.resumes) == (True, "s-1")
    await launch(bench, again, "s-2", Begun("s-2", "s-1", forked=True))
    parent, child = await known(bench, "s-1"), await known(bench, "s-2")
    assert (parent.state, parent.attempt, parent.turns) == (SessionState.FORKED, None, 7)
    assert (child.state, child.parent, child.attempt) == (SessionState.NEW, "s-1", again.attempt.id)
    assert not (await bench.row(1)).fork, "the one after it resumes the fork"


@pytest.mark.parametrize(
    ("forks", "why"), [(frozenset({"codex"}), "claude cannot fork a session"), (frozenset({"claude"}), "")]
)
async def test_a_fork_is_refused_where_there_is_none_to_be_had(bench: Bench, forks: frozenset[str], why: str) -> None:
    given = await begin(bench)
    await bench.settle(given.attempt.id, Settlement(Outcome(succeeded=True, session="s-1"), 0))
    request = verbs.Request(Verb.RETRY, [1], "tester", fork=True, forks=forks)
    result = (await bench.store.write(lambda tx: verbs.act(tx, request))).result
    assert result.skipped == ({why: [1]} if why else {})


async def test_what_a_new_session_replaces_is_retired_with_the_reason(bench: Bench) -> None:
    given = await begin(bench)
    await bench.settle(given.attempt.id, BACK)
    again = await claim(bench)
    await launch(bench, again, "s-2", Begun("s-2", retires="s-1", why="it was full"))
    old = await known(bench)
    assert (old.state, old.why, old.attempt) == (SessionState.RETIRED, "it was full", None)
    (_, tried) = await bench.store.read.attempts(1)
    assert (tried.resumes, tried.handoff) == (None, "it was full")
    kinds = [type(event.body).__name__ for event in bench.published if event.attempt == again.attempt.id]
    assert kinds == ["Claimed", "Launched", "HandedOff"]


async def test_an_account_of_its_own_has_sessions_of_its_own(bench: Bench) -> None:
    given = await begin(bench)
    await bench.settle(given.attempt.id, BACK)
    await bench.store.write(lambda tx: verbs.act(tx, verbs.Request(Verb.REROUTE, [1], "t", target=_target("work"))))
    again = await claim(bench)
    assert (again.session, again.why) == (None, "it ran on claude:opus before")


def _target(account: str) -> object:
    from engine.model import Target

    return Target("claude", "opus", account)


# The operator's takeovers


def attachment(job: int = 1, marker: str = "m") -> Attachment:
    return Attachment(job, "claude", None, marker, "operator", NOON, 4711, 1, "boot")


async def attach(bench: Bench) -> None:
    await bench.store.write(lambda tx: attachments.begin(tx, attachment()))
    await bench.store.write(lambda tx: attachments.enter(tx, 1, "m", "claude", "s-1"))


async def parked(bench: Bench) -> None:
    given = await begin(bench)
    await bench.settle(given.attempt.id, BACK)


async def test_while_the_operator_works_in_it_the_job_is_held_and_goes_on_as_before_afterwards(bench: Bench) -> None:
    await parked(bench)
    await attach(bench)
    row = await bench.row(1)
    assert row.held_by == "operator, who works in its session (pid 4711)"
    assert (await known(bench)).state is SessionState.RESUMED
    assert await bench.store.write(lambda tx: first(tx, 1, "claude")) == []
    await bench.store.write(lambda tx: attachments.end(tx, 1, "m"))
    assert (await bench.row(1)).held_by is None
    after = await known(bench)
    assert (after.state, after.attached_at) == (SessionState.PARKED, bench.clock.now)


@pytest.mark.parametrize("verb", [Verb.RELEASE, Verb.RETRY])
async def test_no_verb_lets_an_attempt_into_a_session_that_the_operator_has(bench: Bench, verb: Verb) -> None:
    await parked(bench)
    await attach(bench)
    if verb is Verb.RETRY:
        await bench.act(Verb.CANCEL, [1])
    result = await bench.act(verb, [1])
    if verb is Verb.RELEASE:
        assert result.skipped == {"operator works in its session (pid 4711): leave that first": [1]}
    assert await bench.store.write(lambda tx: first(tx, 1, "claude")) == []


async def test_even_past_its_hold_an_attempt_does_not_get_it(bench: Bench) -> None:
    await parked(bench)
    row = await bench.row(1)
    await attach(bench)
    (given,) = await bench.store.write(lambda tx: claims.claim(tx, [row], lambda _: True, "boot"))
    assert (given.session, given.why) == (None, "its session is taken: operator works in it (pid 4711)")


async def test_a_job_has_one_takeover_at_a_time(bench: Bench) -> None:
    await parked(bench)
    await attach(bench)
    with pytest.raises(RefusedError, match=r"works in the session of J1 already \(pid 4711\)"):
        await bench.store.write(lambda tx: attachments.begin(tx, attachment(marker="n")))
    assert await bench.store.write(lambda tx: attachments.end(tx, 1, "n")) is None, "another terminal ends nothing"
    assert (await bench.row(1)).held_by is not None


@pytest.mark.parametrize(
    ("hold", "before", "after"), [(None, "me", "me"), ("headway", "me", "headway"), (None, None, None)]
)
async def test_a_hold_of_before_stands_again_afterwards(
    bench: Bench, hold: str | None, before: str | None, after: str | None
) -> None:
    await parked(bench)
    if before is not None:
        await bench.store.write(lambda tx: verbs.act(tx, verbs.Request(Verb.HOLD, [1], before)))
    await attach(bench)
    await bench.store.write(lambda tx: attachments.end(tx, 1, "m", hold=hold))
    assert (await bench.row(1)).held_by == after


async def test_an_attempt_that_is_parked_uses_up_nothing(bench: Bench) -> None:
    given = await begin(bench)
    await bench.store.write(lambda tx: attachments.begin(tx, attachment()))
    killed = Settlement(Outcome(succeeded=False, failure=Failure.CRASHED, reason="ended by SIGTERM"), 143)
    row = await bench.settle(given.attempt.id, killed)
    assert (row.state, row.tries, row.failure) == ("ready", 0, None)
    (tried,) = await bench.store.read.attempts(1)
    assert (tried.failure, tried.reason) == (None, "parked for operator")
    assert (await known(bench)).state is SessionState.PARKED


# Older databases


@pytest.fixture
def older(tmp_path: Path) -> Callable[[str], sqlite3.Connection]:
    """A database of before sessions had a life, with some rows, brought up to this version."""

    def make(rows: str) -> sqlite3.Connection:
        scripts = migrations()
        before = next(n for n, script in enumerate(scripts) if "CREATE TABLE compactions" in script)
        old = sqlite3.connect(tmp_path / "headway.db", isolation_level=None)
        migrate(old, scripts[:before])
        old.executescript(rows)
        old.close()
        return open_writer(tmp_path / "headway.db")

    return make


def test_sessions_of_an_older_database_know_their_jobs_and_who_writes_them(
    older: Callable[[str], sqlite3.Connection],
) -> None:
    job = (
        "INSERT INTO jobs (id, state, title, agent, priority, created_at, spec_seq) "
        "VALUES ({0}, 'ready', 't', 'claude', 5, 1, 1);"
    )
    tried = (
        "INSERT INTO attempts (id, job, number, agent, account, model, marker, engine, created_at, ended_at, session) "
        "VALUES ({0}, {1}, {2}, 'claude', 'work', 'opus', 'm', 'e', 1, {3}, '{4}');"
    )
    session = "INSERT INTO sessions (id, agent, workspace, created_at, used_at) VALUES ('{0}', 'claude', '/w', 1, 2);"
    connection = older(
        job.format(1) + job.format(2)
        + tried.format(1, 1, 1, 9, "s-1") + tried.format(2, 1, 2, "NULL", "s-1") + tried.format(3, 2, 1, 9, "s-2")
        + session.format("s-1") + session.format("s-2") + session.format("s-0")
    )  # fmt: skip
    found = {one.id: one for one in sessions.listed(Transaction(connection, NOON), None, 10)}
    assert (found["s-1"].state, found["s-1"].attempt, found["s-1"].attempts) == (SessionState.RESUMED, 2, 2)
    assert (found["s-2"].state, found["s-2"].attempt, found["s-2"].job) == (SessionState.PARKED, None, 2)
    assert (found["s-2"].account, found["s-2"].model) == ("work", "opus")
    assert (found["s-0"].state, found["s-0"].job) == (SessionState.PARKED, None), "its attempts were pruned"
    connection.close()
