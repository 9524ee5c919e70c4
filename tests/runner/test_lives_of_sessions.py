"""Sessions of real processes: resumed after a limit, a kill and a new engine; rotated; handed over."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from engine.config import AccountSettings, AgentSettings, SessionSettings, Settings
from engine.engine import Engine
from engine.model import Failure, JobSpec, Order, State, Target, Verb
from engine.runner import procfs
from engine.runner.run_dir import run_dir
from engine.serving import serving
from engine.sessions import SessionState
from engine.store import Transaction
from tests.runner.living import ended, launched, rehearsal, settled, submit

Steps = list[dict[str, object]]
WORK: Steps = [
    {"do": "say", "text": "I will begin the file."},
    {"do": "write", "path": "done.txt", "text": "half\n"},
    {"do": "run", "command": "cat done.txt; exit 3"},
]
DONE: Steps = [{"do": "edit", "path": "done.txt", "find": "half", "replace": "whole"}, {"do": "say", "text": "done"}]
LIMIT: Steps = [*WORK, {"do": "fail", "kind": "usage_limit", "resets_in": 1}]
CRASH: Steps = [*WORK, {"do": "fail", "kind": "crash"}]
HANG: Steps = [*WORK, {"do": "fail", "kind": "hang"}]
FULL: Steps = [*WORK, {"do": "compact", "after": 9_000, "takes": 0}, {"do": "fail", "kind": "context"}]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")


def job(directory: Path, steps: Steps, resumed: Steps = DONE, **more: object) -> JobSpec:
    model = rehearsal(directory, steps, resumed)
    return JobSpec(prompt="write it", agent="rehearsal", model=model, **more)  # type: ignore[arg-type]


def prompt(engine: Engine, number: int) -> str:
    return (run_dir(engine.home, 1, number).path / "prompt").read_text()


async def kinds(engine: Engine) -> list[str]:
    return [event.body.__struct_config__.tag for event in await engine.store.read.events(0, 500, 1)]


async def wrote(engine: Engine, number: int = 1) -> int:
    """The pid of an attempt's agent, once it has written its file and hangs."""
    tried = await launched(engine, 1, number)
    printed = run_dir(engine.home, 1, number).stdout
    while not (printed.exists() and "Exit code 3" in printed.read_text()):
        await engine.follower.grown(tried.id)
    (agent,) = [one.pid for one in procfs.processes().values() if one.parent == tried.pid]
    return agent


async def test_after_a_limit_the_session_that_was_parked_goes_on_in_its_directory_and_finishes_the_file(
    engine: Engine, tmp_path: Path
) -> None:
    await submit(engine, job(tmp_path, LIMIT))
    row, first = await settled(engine, 1)
    assert (first.failure, row.not_before is not None) == (Failure.RATE_LIMITED, True)
    (parked,) = await engine.sessions(1)
    assert (parked.state, parked.id, parked.attempt) == (SessionState.PARKED, first.session, None)
    row, attempts = await ended(engine, 1)
    assert (row.state, attempts[1].session, attempts[1].resumes) == (State.SUCCEEDED, first.session, first.session)
    assert (Path(first.workspace or "") / "done.txt").read_text() == "whole\n"
    (after,) = await engine.sessions(1)
    assert (after.attempts, after.agent_version, after.context_window) == (2, "2.1.330", 200_000)
    assert after.share is not None and 0 < after.share < 1
    assert after.turns >= 4


async def test_after_a_kill_it_goes_on_and_has_one_writer_all_along(engine: Engine, tmp_path: Path) -> None:
    await submit(engine, job(tmp_path, HANG))
    os.kill(await wrote(engine), signal.SIGKILL)
    row, attempts = await ended(engine, 1)
    assert row.state is State.SUCCEEDED
    assert attempts[0].failure is Failure.CRASHED
    (session,) = await engine.sessions(1)
    assert (session.attempts, session.state) == (2, SessionState.PARKED)


async def test_after_an_engine_has_gone_the_next_one_knows_and_resumes_the_session(
    home: Path, settings: Settings, tmp_path: Path
) -> None:
    async with serving(home, settings) as first:
        await submit(first, job(tmp_path, HANG))
        pid = await wrote(first)
        (before,) = await first.sessions(1)
    async with serving(home, settings) as second:
        (adopted,) = await second.sessions(1)
        assert (adopted.id, adopted.state, adopted.attempt) == (before.id, SessionState.ACTIVE, before.attempt)
        os.kill(pid, signal.SIGKILL)
        row, attempts = await ended(second, 1)
    assert (row.state, attempts[1].resumes) == (State.SUCCEEDED, before.id)


async def test_a_full_conversation_is_handed_over_in_writing_and_the_job_says_so(
    engine: Engine, tmp_path: Path
) -> None:
    (number,) = await submit(engine, job(tmp_path, FULL, max_attempts=2))
    _, (_first, second) = await ended(engine, number)
    old, new = await engine.sessions(1)
    assert (old.state, old.why) == (SessionState.RETIRED, "the attempt before failed as context overflow")
    assert (new.id, new.state) == (second.session, SessionState.PARKED)
    (compaction,) = old.compactions
    assert (compaction.after_tokens, compaction.trigger) == (9_000, "auto")
    assert (compaction.before_tokens or 0) > 9_000
    text = (run_dir(engine.home, 1, 2).path / "handoff.md").read_text()
    assert text in prompt(engine, 2)
    for words in ("done.txt +1 -0", "cat done.txt; exit 3: failed", "I will begin the file.", "context overflow"):
        assert words in text, text
    assert {"compacted", "handed_off"} <= set(await kinds(engine))
    notes = (await engine.explain(1)).notes
    assert "its attempt 2 began a new session: the attempt before failed as context overflow" in notes


async def test_a_session_that_is_past_the_policy_is_rotated_instead_of_resumed(home: Path, tmp_path: Path) -> None:
    settings = Settings(grace=1.0, sessions=SessionSettings(max_turns=2))
    async with serving(home, settings) as engine:
        await submit(engine, job(tmp_path, CRASH, max_attempts=2))
        _, (first, second) = await ended(engine, 1)
        old, _ = await engine.sessions(1)
    assert (second.resumes, second.session != first.session) == (None, True)
    assert second.handoff == old.why == f"its session had {old.turns} turns, and may have 2"
    assert "ended by SIGKILL" in prompt(engine, 2)


async def test_how_full_it_is_ends_it_as_well_and_an_agent_may_have_its_own_word(home: Path, tmp_path: Path) -> None:
    own = AgentSettings(sessions=SessionSettings(max_context=0.05))
    settings = Settings(grace=1.0, agents={"rehearsal": own})
    once: Steps = [{"do": "say", "text": "x"}, {"do": "limit", "used": 0.1}, {"do": "fail", "kind": "auth"}]
    async with serving(home, settings) as engine:
        await submit(engine, job(tmp_path, once, once))
        await settled(engine, 1)
        await engine.act(Order(verb=Verb.RELEASE, jobs=[1]), "tester")
        _, second = await settled(engine, 1, 2)
    assert second.handoff == "its context was 7% full, and may be 5%"


async def test_a_changed_version_is_told_and_a_changed_major_begins_a_new_session(
    engine: Engine, tmp_path: Path
) -> None:
    auth: Steps = [*WORK, {"do": "fail", "kind": "auth"}]
    await submit(engine, job(tmp_path, auth, auth, max_attempts=5))

    async def again(version: str, number: int) -> tuple[str | None, str | None, str | None]:
        await settled(engine, 1, number - 1)

        def older(tx: Transaction) -> None:
            tx.connection.execute("UPDATE sessions SET agent_version = ?", (version,))

        await engine.store.write(older)
        await engine.act(Order(verb=Verb.RELEASE, jobs=[1]), "tester")
        _, tried = await settled(engine, 1, number)
        return tried.resumes, tried.note, tried.handoff

    first = (await launched(engine, 1)).session
    assert await again("2.1.330", 2) == (first, None, None)
    told = "rehearsal was 2.0.9 in this session before, and is 2.1.330 now"
    assert await again("2.0.9", 3) == (first, told, None)
    assert f"its attempt 3 went on in its session: {told}" in (await engine.explain(1)).notes
    assert await again("1.9.0", 4) == (None, None, "rehearsal was 1.9.0 in its session, and is 2.1.330 now")


async def test_another_directory_begins_a_new_session(engine: Engine, tmp_path: Path) -> None:
    auth: Steps = [*WORK, {"do": "fail", "kind": "auth"}]
    await submit(engine, job(tmp_path, auth, auth))
    _, first = await settled(engine, 1)

    def move(tx: Transaction) -> None:
        tx.connection.execute("UPDATE sessions SET workspace = '/elsewhere'")

    await engine.store.write(move)
    await engine.act(Order(verb=Verb.RELEASE, jobs=[1]), "tester")
    _, second = await settled(engine, 1, 2)
    assert second.resumes is None
    assert second.handoff == f"its directory was /elsewhere, and is {first.workspace} now"


async def test_another_account_is_handed_what_the_first_one_did(home: Path, tmp_path: Path) -> None:
    settings = Settings(grace=1.0, accounts={"work": AccountSettings(agent="rehearsal")})
    auth: Steps = [*WORK, {"do": "fail", "kind": "auth"}]
    async with serving(home, settings) as engine:
        (number,) = await submit(engine, job(tmp_path, auth, max_attempts=2))
        _, first = await settled(engine, number)
        to = str(Target("rehearsal", first.model, "work"))
        await engine.act(Order(verb=Verb.REROUTE, jobs=[number], to=to), "tester")
        await engine.act(Order(verb=Verb.RELEASE, jobs=[number]), "tester")
        _, second = await settled(engine, number, 2)
    assert (second.resumes, second.account) == (None, "work")
    assert (second.handoff or "").startswith("it ran on rehearsal:")
    assert "done.txt +1 -0" in prompt(engine, 2)


async def test_a_fork_goes_on_in_a_copy_and_the_next_attempt_in_the_fork(engine: Engine, tmp_path: Path) -> None:
    (number,) = await submit(engine, job(tmp_path, [*WORK, {"do": "say", "text": "enough"}], CRASH, max_attempts=2))
    _, (first,) = await ended(engine, number)
    result = await engine.act(Order(verb=Verb.RETRY, jobs=[number], fork=True), "tester")
    assert result.done == [number]
    await settled(engine, number, 3)
    _, (_, second, third) = await ended(engine, number)
    assert (second.resumes, second.forked) == (first.session, True)
    assert second.session not in (None, first.session)
    assert (third.resumes, third.forked) == (second.session, False)
    parent, child = await engine.sessions(number)
    assert (parent.state, child.parent, child.attempts) == (SessionState.FORKED, parent.id, 2)


async def test_a_new_session_that_was_asked_for_after_a_success_is_handed_nothing(
    engine: Engine, tmp_path: Path
) -> None:
    await submit(engine, job(tmp_path, DONE, max_attempts=1))
    await ended(engine, 1)
    await engine.act(Order(verb=Verb.RETRY, jobs=[1], fresh=True), "tester")
    _, second = await settled(engine, 1, 2)
    old, _ = await engine.sessions(1)
    assert (old.state, old.why) == (SessionState.RETIRED, "a new session was asked for")
    assert (second.handoff, second.resumes, prompt(engine, 2)) == (None, None, "write it")
    assert "handed_off" not in await kinds(engine)


async def test_fresh_and_fork_together_are_refused(engine: Engine) -> None:
    from engine.errors import UsageError

    with pytest.raises(UsageError, match="give one of them"):
        await engine.act(Order(verb=Verb.RETRY, jobs=[1], fork=True, fresh=True), "tester")


async def test_without_a_budget_nothing_is_handed_over(home: Path, tmp_path: Path) -> None:
    settings = Settings(grace=1.0, sessions=SessionSettings(handoff_tokens=0))
    async with serving(home, settings) as engine:
        await submit(engine, job(tmp_path, FULL, max_attempts=2))
        await ended(engine, 1)
    assert "# Hand-off" not in prompt(engine, 2)
    assert not (run_dir(home, 1, 2).path / "handoff.md").exists()
