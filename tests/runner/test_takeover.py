"""Takeovers on an engine in this process: what is refused, what is parked, and that the job stands as before."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.config import Settings
from engine.engine import Engine
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model import JobSpec, Order, State, Verb
from engine.runner import spawn
from engine.serving import serving
from engine.sessions import AttachRequest, SessionState
from tests.runner.living import ended, launched, rehearsal, settled, submit, until

Steps = list[dict[str, object]]
HANG: Steps = [{"do": "say", "text": "on it"}, {"do": "fail", "kind": "hang"}]
AUTH: Steps = [{"do": "say", "text": "on it"}, {"do": "fail", "kind": "auth"}]
DONE: Steps = [{"do": "say", "text": "done"}]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")


@pytest.fixture
async def asking() -> AsyncIterator[AttachRequest]:
    """A terminal's command: a process that lives until the test ends it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    pid = spawn.spawn(["sleep", "600"], {"PATH": os.environ["PATH"]}, spawn.Streams(nothing, nothing, nothing))
    os.close(nothing)
    yield AttachRequest(pid, str(uuid.uuid4()))
    if spawn.is_ours(pid):
        os.kill(pid, signal.SIGKILL)
        await spawn.ended(pid)


def job(directory: Path, steps: Steps, **more: object) -> JobSpec:
    return JobSpec(prompt="x", agent="rehearsal", model=rehearsal(directory, steps, DONE), **more)  # type: ignore[arg-type]


async def heard(engine: Engine, number: int = 1) -> None:
    async def holds() -> bool:
        return any(one.state is SessionState.ACTIVE for one in await engine.sessions(number))

    while not await holds():
        await asyncio.sleep(0.01)


async def test_an_unchanged_worktree_is_kept_for_the_session_that_is_in_it(
    engine: Engine, tmp_path: Path, repository: Path, asking: AttachRequest
) -> None:
    await submit(engine, job(tmp_path, HANG, project=str(repository), max_attempts=1))
    await heard(engine)
    taken = await engine.attach(1, asking, "operator")
    assert not await engine.idle(), "an engine that ends when idle does not leave the operator alone"
    assert Path(taken.directory).is_dir()
    (session,) = await engine.sessions(1)
    assert (session.state, session.attempt, session.id) == (SessionState.RESUMED, None, taken.session)
    assert taken.argv[-2:] == ["--resume", taken.session]
    after = await engine.detach(1, asking.marker)
    assert after.state in (State.READY, State.RUNNING) and after.held_by is None, "it may have begun again already"
    row, attempts = await ended(engine, 1)
    assert (row.state, attempts[1].resumes) == (State.SUCCEEDED, taken.session), "its one attempt was not used up"


async def test_what_is_refused_leaves_the_job_as_it_was(engine: Engine, tmp_path: Path, asking: AttachRequest) -> None:
    await submit(engine, job(tmp_path, AUTH))
    row, tried = await settled(engine, 1)
    for wrong, error in (
        ((7, asking), NotFoundError),
        ((1, AttachRequest(2**22 + 1, asking.marker)), UsageError),
    ):
        with pytest.raises(error):
            await engine.attach(*wrong, "operator")
    shutil.rmtree(tried.workspace or "")
    with pytest.raises(RefusedError, match="is not there any more"):
        await engine.attach(1, asking, "operator")
    after = await engine.row(1)
    assert (after.held_by, after.state) == (row.held_by, row.state)


async def test_a_second_terminal_is_refused_and_the_first_keeps_it(
    engine: Engine, tmp_path: Path, asking: AttachRequest
) -> None:
    await submit(engine, job(tmp_path, AUTH))
    await settled(engine, 1)
    await engine.attach(1, asking, "operator")
    with pytest.raises(RefusedError, match=f"already \\(pid {asking.pid}\\)"):
        await engine.attach(1, AttachRequest(asking.pid, str(uuid.uuid4())), "operator")
    await engine.detach(1, str(uuid.uuid4()))
    assert "who works in its session" in ((await engine.row(1)).held_by or "")


async def test_an_agent_without_a_screen_of_its_own_goes_on(
    engine: Engine, tmp_path: Path, asking: AttachRequest
) -> None:
    (number,) = await submit(engine, JobSpec(prompt="trap '' TERM; echo up; sleep 600", agent="shell"))
    await launched(engine, number)
    with pytest.raises(RefusedError, match="no screen that goes on"):
        await engine.attach(number, asking, "operator")
    assert (await engine.row(number)).held_by is None
    await engine.act(Order(verb=Verb.CANCEL, jobs=[number]), "tester")
    await ended(engine, number)


async def test_an_engine_that_dies_while_it_parks_leaves_that_to_the_next_one(
    home: Path, settings: Settings, tmp_path: Path, asking: AttachRequest
) -> None:
    async with serving(home, settings) as first:
        await submit(first, job(tmp_path, HANG))
        await heard(first)
        first._takeovers._runner.stop = lambda number: None  # type: ignore[method-assign] - it dies before that
        begun = asyncio.create_task(first.attach(1, asking, "operator"))

        async def asked() -> bool:
            return (await first.row(1)).held_by is not None

        await until(first, asked)
        begun.cancel()
        await asyncio.gather(begun, return_exceptions=True)
    async with serving(home, settings) as second:
        row, tried = await settled(second, 1)
        assert (row.state, tried.reason) == (State.READY, "parked for operator")
        os.kill(asking.pid, signal.SIGKILL)
        await spawn.ended(asking.pid)

        async def lost() -> bool:
            return "ended without a word" in ((await second.row(1)).held_by or "")

        await until(second, lost)
