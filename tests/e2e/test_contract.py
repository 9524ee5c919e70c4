"""The same cases through every adapter: the real programs, a real engine, and a model server that plays its part."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from engine.agents import registry
from engine.config import Settings
from engine.engine import Engine
from engine.model import Failure, JobSpec, State, Verb
from engine.money import Reconcile
from engine.orders import Order
from engine.runner.tree import MARKER
from engine.serving import serving
from engine.store.rows import AttemptRow
from tests.conftest import run_git
from tests.e2e.dialects import CACHED, FRESH, OUTPUT, WRITTEN
from tests.e2e.model_server import ModelServer, Step, model_server
from tests.e2e.real_agents import AGENTS, RealAgent, installed, settings
from tests.runner.living import ended, launched, settled, submit

GRACE = 3.0
#: The part of every delay that is waited: enough to see a job parked, and not to wait for it.
JITTER = 0.02


@pytest.fixture(params=AGENTS, ids=lambda agent: agent.name)
def agent(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RealAgent:
    real: RealAgent = request.param
    installed(real.name)
    monkeypatch.setattr(random, "random", lambda: JITTER)
    return real


@contextlib.asynccontextmanager
async def at_work(
    agent: RealAgent, home: Path, steps: list[Step], *, shell: bool = True, **more: object
) -> AsyncIterator[tuple[Engine, ModelServer]]:
    async with model_server(steps) as server:
        own = {agent.name: settings(agent, server.url, shell=shell, **more)}
        configured = Settings(grace=GRACE, agents=own, default_agent=agent.name)
        assert not list(registry.complaints(configured))
        async with serving(home, configured) as engine:
            yield engine, server


def job(agent: RealAgent, repository: Path) -> JobSpec:
    return JobSpec(prompt="do it", title="Do it", agent=agent.name, model=agent.model, project=str(repository))


def worktree(home: Path) -> Path:
    return home / "worktrees" / "1-do-it"


async def used(engine: Engine, job: int, number: int) -> tuple[int, int, int, int]:
    usage = (await engine.job(job)).attempts[number - 1].usage
    assert len(usage) == 1
    one = usage[0]
    return one.input_tokens, one.output_tokens, one.cache_read_tokens, one.cache_write_tokens


def calls(agent: RealAgent, count: int) -> tuple[int, int, int, int]:
    """The tokens of so many model calls."""
    return FRESH * count, OUTPUT * count, CACHED * count, (WRITTEN * count if agent.name == "claude" else 0)


async def agrees(engine: Engine) -> None:
    """What the agent keeps of its sessions says the same as the ledger."""
    done = await engine.spend.reconcile(Reconcile(threshold=0))
    assert (done.sessions, done.missing) == (1, 0)
    assert [one.over for one in done.lines] == [False] * len(done.lines), done


def goes_on(first: AttemptRow, second: AttemptRow) -> None:
    """The second attempt is in the session and the directory of the first."""
    assert second.resumes == first.session == second.session is not None
    assert second.workspace == first.workspace is not None


async def test_edits_a_file_in_a_worktree_with_exact_tokens(agent: RealAgent, home: Path, repository: Path) -> None:
    steps = [
        Step("I will write the file.", write=(str(worktree(home) / "b.txt"), "two\nlines\n")),
        Step("Done: wrote b.txt."),
    ]
    async with at_work(agent, home, steps) as (engine, server):
        (id_,) = await submit(engine, job(agent, repository))
        row, (attempt,) = await ended(engine, id_)
        assert row.state is State.SUCCEEDED, attempt.reason
        assert (attempt.result, attempt.unknown_lines) == ("Done: wrote b.txt.", 0)
        assert (attempt.diff_files, attempt.diff_added, attempt.diff_removed) == (1, 2, 0)
        assert await used(engine, id_, 1) == calls(agent, 2)
        assert len(server.requests) == 2
        await agrees(engine)
    assert (worktree(home) / "b.txt").read_text() == "two\nlines\n"
    assert run_git(repository, "branch", "--list", "headway/1-do-it")
    assert not (repository / "b.txt").exists(), "the project's own checkout is untouched"


async def test_killed_it_goes_on_where_it_was(agent: RealAgent, home: Path, repository: Path) -> None:
    steps = [
        Step("Beginning.", write=(str(worktree(home) / "begun.txt"), "begun\n")),
        Step(wait=asyncio.Event()),
        Step("Finishing.", write=(str(worktree(home) / "end.txt"), "end\n")),
        Step("Finished what I had begun."),
    ]
    async with at_work(agent, home, steps) as (engine, server):
        (id_,) = await submit(engine, job(agent, repository))
        await asyncio.wait_for(server.met.wait(), 60)
        running = await launched(engine, id_)
        assert running.pid is not None
        for process in psutil.Process(running.pid).children():  # the shim's child: the agent
            process.kill()
        _, first = await settled(engine, id_)
        assert first.failure is Failure.CRASHED
        row, (first, second) = await ended(engine, id_)
        assert row.state is State.SUCCEEDED, second.reason
        goes_on(first, second)
        assert "begun.txt" in json.dumps(server.requests[-1]), "the model was told what it had done before"
        assert await used(engine, id_, 2) == calls(agent, 2), "and only this run's part is paid"
        assert await used(engine, id_, 1) == calls(agent, 1), "what the killed run had used is paid too"
        await agrees(engine)
    assert (worktree(home) / "begun.txt").read_text() == "begun\n"
    assert (worktree(home) / "end.txt").read_text() == "end\n", "the permissions were given again"


async def test_a_limit_parks_it_until_its_reset(agent: RealAgent, home: Path, repository: Path) -> None:
    file, rest = worktree(home) / "work.txt", worktree(home) / "rest.txt"
    steps = [
        Step("Beginning.", write=(str(file), "one\n")),
        Step(limit=True),
        Step("Finishing.", write=(str(rest), "two\n")),
        Step("Finished what I had begun."),
    ]
    async with at_work(agent, home, steps) as (engine, server):
        (id_,) = await submit(engine, job(agent, repository))
        parked, first = await settled(engine, id_)
        assert (first.failure, parked.state) == (Failure.RATE_LIMITED, State.READY), first.reason
        assert file.read_text() == "one\n"
        assert server.resets_at is not None and parked.not_before is not None
        if agent.name == "gemini":
            server.resets_at = 0  # it tells no reset, and is asked again after a minute: the operator knows better
            await engine.weather.try_now("gemini")
        else:
            assert parked.not_before >= server.resets_at * 1_000
        row, (first, second) = await ended(engine, id_)
        assert (row.state, row.tries) == (State.SUCCEEDED, 1), second.reason
        goes_on(first, second)
        if agent.name in ("claude", "codex"):
            windows = {(one.account, one.window) for one in await engine.weather.windows()}
            assert (agent.name, "five_hour") in windows
    assert (file.read_text(), rest.read_text()) == ("one\n", "two\n")


@pytest.mark.parametrize(("status", "failure"), [(429, Failure.RATE_LIMITED), (401, Failure.AUTH)], ids=["429", "401"])
async def test_it_is_refused_by_its_provider(
    agent: RealAgent, home: Path, repository: Path, status: int, failure: Failure
) -> None:
    async with at_work(agent, home, [Step(status=status)]) as (engine, _):
        (id_,) = await submit(engine, job(agent, repository))
        row, first = await settled(engine, id_)
        assert (first.failure, row.state) == (failure, State.READY), first.reason
        assert row.held_by is not None if failure is Failure.AUTH else row.held_by is None
        assert row.tries == 0, "neither a limit nor a login that has run out uses up an attempt"


async def test_cancel_in_a_tool_call_leaves_no_process(agent: RealAgent, home: Path, repository: Path) -> None:
    """Its tool is in a session of its own, and has a child that has left that too."""
    length = f"6{uuid.uuid4().int % 10**8}"
    command = f"setsid sleep {length} & tail -f /dev/null"
    async with at_work(agent, home, [Step("Starting.", run=command), Step("ok")]) as (engine, _):
        (id_,) = await submit(engine, job(agent, repository))
        async with asyncio.timeout(60):
            while not _sleeping(length):
                await asyncio.sleep(0.05)
        marker = (await launched(engine, id_)).marker
        await engine.act(Order(verb=Verb.CANCEL, jobs=[id_]), "tester")
        row, _ = await ended(engine, id_)
        assert row.state is State.CANCELLED
        assert not _sleeping(length)
        assert not _marked(marker)


def _sleeping(length: str) -> list[int]:
    return [
        one.pid for one in psutil.process_iter(["cmdline"]) if (one.info["cmdline"] or [])[-2:] == ["sleep", length]
    ]


def _marked(marker: str) -> list[int]:
    wanted, found = f"{MARKER}={marker}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


async def test_a_tool_that_is_not_allowed_does_nothing(agent: RealAgent, home: Path, repository: Path) -> None:
    """And a run that could do nothing is no success, wherever the agent tells of the refusal at all."""
    steps = [Step("I will run it.", run="touch made"), Step("All done!")]
    async with at_work(agent, home, steps, shell=False, **agent.denying) as (engine, _):
        (id_,) = await submit(engine, job(agent, repository))
        row, (attempt,) = await ended(engine, id_)
        if agent.name == "codex":  # its sandbox lets the command run and fail
            assert (row.state, attempt.diff_files) == (State.SUCCEEDED, 0)
        else:
            assert (row.state, row.failure) == (State.FAILED, Failure.BAD_OUTPUT), attempt.reason
            assert "denied" in (row.reason or "")
    assert not (worktree(home) / "made").exists()
