"""What follows an attempt: resumed, set back, run again, or held; and what the next one is told and finds."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.config import AccountSettings, AgentSettings, Settings
from engine.dispatch import retry
from engine.dispatch.retry import MOST_WAITS, SHORT_FIRST
from engine.engine import Engine
from engine.model import Failure, JobSpec, Order, State, Verb
from engine.runner import snapshot, spawn, workspace
from engine.runner.launch import Launcher
from engine.runner.run_dir import RunDir, run_dir
from engine.runner.workspace import Placed
from engine.serving import serving
from engine.store import claims
from tests.conftest import run_git
from tests.runner.gitting import Bench
from tests.runner.living import ended, held, rehearsal, settled, submit

Steps = list[dict[str, object]]
CRASH: Steps = [{"do": "say", "text": "on it"}, {"do": "fail", "kind": "crash"}]
DONE: Steps = [{"do": "say", "text": "finished"}]


def shell(command: str, **more: Any) -> JobSpec:
    return JobSpec(prompt=command, agent="shell", **more)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait, and rehearsals do not pause."""
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")


def prompt(engine: Engine, job: int, number: int) -> str:
    return (run_dir(engine.home, job, number).path / "prompt").read_text()


# An agent whose conversation can go on


async def test_a_crashed_agent_is_resumed_in_its_session_up_to_the_limit_of_attempts(
    engine: Engine, tmp_path: Path
) -> None:
    (job,) = await submit(engine, JobSpec(prompt="x", agent="rehearsal", model=rehearsal(tmp_path, CRASH, CRASH)))
    row, attempts = await ended(engine, job)
    assert (row.state, row.failure, len(attempts)) == (State.FAILED, Failure.CRASHED, 3)
    assert (row.reason or "").endswith("(after 3 attempts)")
    assert {one.session for one in attempts} == {attempts[0].session}
    assert [one.resumes for one in attempts] == [None, attempts[0].session, attempts[0].session]


async def test_a_job_may_have_a_limit_of_its_own(engine: Engine, tmp_path: Path) -> None:
    model = rehearsal(tmp_path, CRASH, CRASH)
    (job,) = await submit(engine, JobSpec(prompt="x", agent="rehearsal", model=model, max_attempts=1))
    row, attempts = await ended(engine, job)
    assert (row.state, len(attempts)) == (State.FAILED, 1)


async def test_one_that_died_before_its_first_word_is_resumed_by_the_session_that_it_was_given(
    engine: Engine, tmp_path: Path
) -> None:
    silent = str(tmp_path / "silent.sh")
    Path(silent).write_text("#!/bin/sh\nkill -9 $$\n")
    Path(silent).chmod(0o755)
    settings = replace(engine.settings, agents={"rehearsal": AgentSettings(command=[silent])})
    async with serving(tmp_path / "other", settings) as other:
        (job,) = await submit(other, JobSpec(prompt="x", agent="rehearsal", model="fix-bug"))
        _, attempts = await ended(other, job)
    assert attempts[1].resumes == attempts[0].session is not None


async def test_after_a_limit_it_goes_on_in_its_worktree_though_nothing_was_changed_in_it(
    engine: Engine, tmp_path: Path, repository: Path
) -> None:
    limit: Steps = [{"do": "say", "text": "on it"}, {"do": "fail", "kind": "usage_limit", "resets_in": 1}]
    spec = JobSpec(prompt="x", agent="rehearsal", model=rehearsal(tmp_path, limit, DONE), project=str(repository))
    (job,) = await submit(engine, spec)
    _, first = await settled(engine, job)
    assert first.failure is Failure.RATE_LIMITED
    assert first.workspace is not None
    assert Path(first.workspace).is_dir()
    row, attempts = await ended(engine, job)
    assert (row.state, row.tries) == (State.SUCCEEDED, 1)
    assert attempts[1].workspace == first.workspace
    assert attempts[1].resumes == first.session
    assert not Path(first.workspace).exists(), "now that the job has ended it is tidied"


async def test_a_conversation_that_is_full_is_followed_by_a_new_one_that_is_told_of_it(
    engine: Engine, tmp_path: Path
) -> None:
    full: Steps = [
        {"do": "run", "command": "[ -e half ] && exit 0; echo half >half; exit 1"},
        {"do": "fail", "kind": "context"},
    ]
    spec = JobSpec(prompt="write it", agent="rehearsal", model=rehearsal(tmp_path, full), max_attempts=2)
    (job,) = await submit(engine, spec)
    _, (first, second) = await ended(engine, job)
    assert first.failure is Failure.CONTEXT_OVERFLOW
    assert second.resumes is None
    assert second.session not in (None, first.session)
    assert second.workspace == first.workspace
    assert prompt(engine, job, 1) == "write it"
    told = prompt(engine, job, 2)
    assert told.startswith("An earlier session worked on this task in this working directory")
    assert str(first.reason).split(" (")[0] in told
    assert told.endswith("The task is:\n\nwrite it")


# What cannot be resumed


async def test_a_crashed_command_waits_for_the_operator(engine: Engine) -> None:
    (job,) = await submit(engine, shell("kill -9 $$"))
    row = await held(engine, job)
    assert (row.state, row.held_by, row.failure, row.attempts) == (State.READY, "headway", Failure.CRASHED, 1)
    assert "can neither be resumed nor set back" in (row.reason or "")
    await engine.act(Order(verb=Verb.RELEASE, jobs=[job]), "tester")
    await settled(engine, job, 2)


async def test_one_that_may_be_repeated_is_run_again(engine: Engine, tmp_path: Path) -> None:
    script = f"echo x >>{tmp_path}/runs; [ $(wc -l <{tmp_path}/runs) = 3 ] || kill -9 $$"
    (job,) = await submit(engine, shell(script, repeatable=True))
    row, attempts = await ended(engine, job)
    assert (row.state, len(attempts)) == (State.SUCCEEDED, 3)


async def test_a_command_in_a_worktree_begins_again_where_the_first_one_began(
    engine: Engine, tmp_path: Path, repository: Path
) -> None:
    once = f"[ -e {tmp_path}/once ] && cat a.txt && ls && exit 0; touch {tmp_path}/once"
    commit = "git -c user.name=x -c user.email=x@localhost commit --quiet --all --message mine"
    script = f"{once}; echo two >a.txt; {commit}; echo left >left.txt; kill -9 $$"
    (job,) = await submit(engine, shell(script, project=str(repository), title="Try it"))
    row, (first, second) = await ended(engine, job)
    assert row.state is State.SUCCEEDED
    assert (first.workspace, first.base) == (second.workspace, second.base)
    assert second.result == "one\na.txt", "neither the commit nor the file of the first one is there"
    ref = f"refs/headway/{job}-try-it/1"
    assert run_git(repository, "show", f"{ref}:left.txt") == "left"
    assert run_git(repository, "show", f"{ref}:a.txt") == "two"
    assert run_git(repository, "log", "--format=%s", f"{ref}^", "-1") == "mine"
    assert run_git(repository, "status", "--porcelain") == ""
    assert run_git(repository, "log", "--format=%s") == "first"


async def test_one_that_fails_for_good_leaves_no_worktree_in_which_nothing_was_done(
    engine: Engine, repository: Path
) -> None:
    (job,) = await submit(engine, shell("exit 3", project=str(repository)))
    row, (tried,) = await ended(engine, job)
    assert row.state is State.FAILED
    assert tried.workspace is not None
    assert not Path(tried.workspace).exists()


async def test_one_that_is_held_keeps_its_worktree(engine: Engine, repository: Path, tmp_path: Path) -> None:
    auth: Steps = [{"do": "say", "text": "on it"}, {"do": "fail", "kind": "auth"}]
    spec = JobSpec(prompt="x", agent="rehearsal", model=rehearsal(tmp_path, auth), project=str(repository))
    (job,) = await submit(engine, spec)
    row = await held(engine, job)
    assert row.failure is Failure.AUTH
    (tried,) = await engine.store.read.attempts(job)
    assert tried.workspace is not None
    assert Path(tried.workspace).is_dir()


# Accounts

ACCOUNTS = Settings(
    grace=1.0,
    agents={"shell": AgentSettings(env={"WHO": "nobody", "KEEP": "kept"})},
    accounts={"work": AccountSettings(agent="shell", env={"WHO": "work"}, pass_env=["WORK_KEY"])},
)
WHO = 'echo "$WHO $KEEP $WORK_KEY"'


async def test_an_account_has_variables_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORK_KEY", "secret")
    async with serving(home, ACCOUNTS) as engine:
        jobs = await submit(engine, shell(WHO, account="work"), shell(WHO))
        said = [(await ended(engine, job))[1][0].result for job in jobs]
    assert said == ["work kept secret", "nobody kept "]


@pytest.mark.parametrize(
    ("accounts", "reason"),
    [
        ({}, "headway.yaml has no account 'work' any more"),
        ({"work": AccountSettings(agent="claude")}, "'work' is one of claude in headway.yaml, and not of shell"),
    ],
)
async def test_an_account_that_is_gone_from_the_settings_starts_nothing(
    home: Path, accounts: Mapping[str, AccountSettings], reason: str
) -> None:
    async with serving(home, replace(ACCOUNTS, max_running=0)) as first:
        (job,) = await submit(first, shell(WHO, account="work"))
    async with serving(home, replace(ACCOUNTS, accounts=dict(accounts))) as second:
        row, (tried,) = await ended(second, job)
    assert (row.state, row.failure) == (State.FAILED, Failure.SPAWN_FAILED)
    assert reason in (row.reason or "")
    assert tried.started_at is None


# The machine


async def test_agents_are_ended_before_the_engine_when_memory_runs_out(engine: Engine) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    (job,) = await submit(engine, shell("cat /proc/self/oom_score_adj; sh -c 'cat /proc/self/oom_score_adj'"))
    _, (tried,) = await ended(engine, job)
    wanted = str(max(own, 500))
    assert tried.result == f"{wanted}\n{wanted}"
    assert run_dir(engine.home, job, 1).stderr_tail() == ""


def test_an_engine_that_may_not_be_spared_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def refuse(self: Path, text: str) -> int:
        written.append(f"{self} {text}")
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    spawn.be_spared()
    assert written == [f"/proc/self/oom_score_adj {spawn.OOM_SCORE}"]


async def test_only_so_many_working_trees_are_measured_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, most, go = 0, 0, asyncio.Event()

    async def measure(root: Path, base: str, run: RunDir) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        if at_work == workspace.MEASURED_AT_ONCE:
            go.set()
        await go.wait()
        await asyncio.sleep(0)
        at_work -= 1

    monkeypatch.setattr(snapshot, "measure", measure)
    placed = await bench.prepare()
    async with asyncio.timeout(30):
        await asyncio.gather(*(bench.measure(placed) for _ in range(3 * workspace.MEASURED_AT_ONCE)))
    assert (most, at_work) == (workspace.MEASURED_AT_ONCE, 0)


async def test_only_so_many_working_trees_are_looked_through_at_once_before_they_are_removed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is of a repository of its own, so that nothing else keeps them apart."""
    at_work, most, go = 0, 0, asyncio.Event()

    async def git(*given: object, **more: object) -> str:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        if at_work == workspace.MEASURED_AT_ONCE:
            go.set()
        await go.wait()
        await asyncio.sleep(0)
        at_work -= 1
        return "something is there"

    monkeypatch.setattr(workspace, "git", git)
    count = 3 * workspace.MEASURED_AT_ONCE
    placed = [Placed(Path(f"/{n}"), Path(f"/{n}"), Path(f"/project-{n}"), "headway/1-x", "base") for n in range(count)]
    async with asyncio.timeout(30):
        assert not any(await asyncio.gather(*map(bench.workspaces.tidy, placed)))
    assert (most, at_work) == (workspace.MEASURED_AT_ONCE, 0)


async def test_what_this_machine_was_short_of_is_waited_for_and_uses_up_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Launcher, "start", full)
    (job,) = await submit(engine, shell("true", max_attempts=1))
    row, tried = await settled(engine, job)
    assert (row.state, row.tries, row.held_by) == (State.READY, 0, None)
    assert (row.not_before or 0) - (tried.ended_at or 0) == pytest.approx(SHORT_FIRST * 1000, abs=5_000)
    assert row.reason == "this machine was short of something: No space left on device"


async def test_what_this_machine_is_short_of_for_ever_is_shown_to_the_operator(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Launcher, "start", full)
    (job,) = await submit(engine, shell("true", max_attempts=1))
    waited = []
    for number in range(1, MOST_WAITS + 1):
        row, tried = await settled(engine, job, number)
        waited.append((row.not_before or 0) - (tried.ended_at or 0))
        await engine.act(Order(verb=Verb.SNOOZE, jobs=[job]), "tester")
    row = await held(engine, job)
    assert waited == sorted(waited)
    assert 600_000 <= waited[-1] < 605_000
    assert (row.tries, row.reason) == (
        0,
        f"this machine was short of something: Too many open files (after {MOST_WAITS} waits)",
    )


async def test_one_that_is_given_back_again_and_again_is_given_up(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be what takes the engine down."""
    monkeypatch.setattr(retry, "MOST_WAITS", 3)
    none = replace(settings, max_running=0)
    async with serving(home, none) as first:
        (job,) = await submit(first, shell("echo ran"))
    for _ in range(4):
        async with serving(home, none) as lost:
            row = await lost.row(job)
            assert row.state is State.READY
            await lost.store.write(lambda tx, row=row: claims.claim(tx, [row], lambda agent: False, "boot"))
    async with serving(home, none) as last:
        row = await last.row(job)
    assert (row.state, row.failure) == (State.FAILED, Failure.ENGINE_LOST)
    assert row.reason == "the engine ended before it could start (after 3 waits)"


async def test_one_that_an_engine_had_only_claimed_is_given_back_and_used_up_nothing(
    home: Path, settings: Settings
) -> None:
    async with serving(home, replace(settings, max_running=0)) as first:
        (job,) = await submit(first, shell("echo ran", max_attempts=1))
        row = await first.row(job)
        await first.store.write(lambda tx: claims.claim(tx, [row], lambda agent: False, "boot"))
    async with serving(home, settings) as second:
        row, (lost, tried) = await ended(second, job)
    assert (lost.failure, lost.started_at) == (Failure.ENGINE_LOST, None)
    assert (row.state, row.tries, tried.result) == (State.SUCCEEDED, 1, "ran")
