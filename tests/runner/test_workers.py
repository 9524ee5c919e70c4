"""A persistent worker does its jobs one after the other, in one session and one directory, also over restarts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.config import SessionSettings, Settings
from engine.engine import Engine
from engine.errors import EntryError, NotFoundError, RefusedError
from engine.hand_off import Cause
from engine.model import Cause as Why
from engine.model import JobSpec, State, Verb
from engine.orders import Order
from engine.runner.run_dir import run_dir
from engine.serving import serving
from engine.worker import WorkerOrder, WorkerSpec, WorkerVerb
from tests.conftest import run_git
from tests.runner.living import ended, launched, rehearsal, submit, until

Steps = list[dict[str, object]]
WRITE: Steps = [{"do": "write", "path": "one.txt", "text": "one\n"}, {"do": "say", "text": "done"}]
MORE: Steps = [{"do": "run", "command": "cat one.txt && echo two > two.txt"}, {"do": "say", "text": "done too"}]
WAITS: Steps = [{"do": "run", "command": "while [ ! -e {gate} ]; do sleep 0.05; done"}, {"do": "say", "text": "done"}]

PERSONA = """\
---
name: reviewer
description: Reviews what others wrote.
rules:
  - Never praise.
memory: [persona]
---
Begin with the tests.
"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def prompt(engine: Engine, job: int, number: int = 1) -> str:
    return (run_dir(engine.home, job, number).path / "prompt").read_text()


async def hire(engine: Engine, model: str, **spec: object) -> None:
    folder = engine.home / "personas" / "reviewer"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "PERSONA.md").write_text(PERSONA)
    wanted = WorkerSpec(persona="reviewer", agent="rehearsal", model=model, **spec)  # type: ignore[arg-type]
    await engine.staff.act("rev", WorkerOrder(verb=WorkerVerb.ADD, spec=wanted), "tester")


async def test_jobs_share_session_and_directory_and_each_has_its_own_diff(
    engine: Engine, home: Path, settings: Settings, repository: Path, tmp_path: Path
) -> None:
    await hire(engine, rehearsal(tmp_path, WRITE, MORE), project=str(repository))
    jobs = [JobSpec(prompt=words, worker="rev") for words in ("write one", "then")]
    first, second = await submit(engine, *jobs)
    row, (one,) = await ended(engine, first)
    assert row.state is State.SUCCEEDED, row.reason
    row, (two,) = await ended(engine, second)
    assert row.state is State.SUCCEEDED, row.reason
    assert one.session == two.session == two.resumes and one.workspace == two.workspace
    assert str(home / "workers" / "rev" / "tree") == two.workspace
    assert (one.diff_files, two.diff_files) == (1, 1), "what the first one left is no change of the second"
    assert "You work as reviewer" in prompt(engine, first) and "- Never praise." in prompt(engine, first)
    told = prompt(engine, second)
    assert told.startswith("A further task for you in this session.") and told.endswith("The task is:\n\nthen")
    assert "You work as" not in told, "its session was told when it began"
    detail = await engine.staff.worker("rev")
    assert (detail.worker.job, detail.worker.done, detail.last) == (None, 2, [second, first])
    assert run_git(repository, "status", "--porcelain") == ""


async def test_a_worker_goes_on_in_its_session_after_a_restart_and_by_its_policy_in_a_new_one(
    home: Path, settings: Settings, tmp_path: Path
) -> None:
    model = rehearsal(tmp_path, WRITE, MORE)
    async with serving(home, settings) as engine:
        await hire(engine, model)
        (first,) = await submit(engine, JobSpec(prompt="write one", worker="rev"))
        _, (one,) = await ended(engine, first)
    async with serving(home, settings) as engine:
        (second,) = await submit(engine, JobSpec(prompt="then", worker="rev"))
        _, (two,) = await ended(engine, second)
        assert two.resumes == one.session
    worn = Settings(agents=settings.agents, sessions=SessionSettings(max_turns=1))
    async with serving(home, worn) as engine:
        (third,) = await submit(engine, JobSpec(prompt="and then", worker="rev"))
        _, (three,) = await ended(engine, third)
        assert three.resumes is None and three.session != two.session and three.workspace == two.workspace
        told = prompt(engine, third)
        assert "An earlier session of rev" in told and "# Hand-off" in told and "You work as reviewer" in told
        assert "then" in told.partition("## The task")[2]
        (kept,) = await engine.hand_offs.of_job(third)
        assert kept.cause is Cause.ROTATION


async def test_another_job_waits_for_it_and_is_told_so(engine: Engine, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    steps = [{**WAITS[0], "command": str(WAITS[0]["command"]).format(gate=gate)}, WAITS[1]]
    await hire(engine, rehearsal(tmp_path, steps, MORE))
    (running,) = await submit(engine, JobSpec(prompt="a", worker="rev"))
    await launched(engine, running)
    (waiting,) = await submit(engine, JobSpec(prompt="b", worker="rev", priority=0))
    (reason,) = (await engine.explain(waiting)).waiting
    assert (reason.cause, reason.jobs) == (Why.WORKER, [running])
    assert reason.text == f"waits for worker rev: J{running} runs in it"
    worker = (await engine.staff.worker("rev")).worker
    assert (worker.job, worker.waiting, worker.workspace) == (running, 1, str(engine.home / "workers" / "rev" / "work"))
    with pytest.raises(RefusedError, match="has unfinished jobs"):
        await engine.staff.act("rev", WorkerOrder(verb=WorkerVerb.REMOVE), "tester")
    await engine.staff.act("rev", WorkerOrder(verb=WorkerVerb.PAUSE), "tester")
    gate.touch()
    await ended(engine, running)
    (reason,) = (await engine.explain(waiting)).waiting
    assert reason.text == "worker:rev is held by tester"
    await engine.undo(None, "tester", dry_run=False)
    await ended(engine, waiting)


async def test_one_that_is_parked_keeps_its_worker_and_one_that_is_cancelled_frees_it(
    engine: Engine, tmp_path: Path
) -> None:
    limit: Steps = [{"do": "say", "text": "on it"}, {"do": "fail", "kind": "usage_limit", "resets_in": 3_600}]
    await hire(engine, rehearsal(tmp_path, limit, MORE))
    (first,) = await submit(engine, JobSpec(prompt="a", worker="rev"))

    async def parked() -> bool:
        return (await engine.row(first)).not_before is not None

    await until(engine, parked)
    (second,) = await submit(engine, JobSpec(prompt="true", agent="shell", worker="rev"))
    (reason, *_) = (await engine.explain(second)).waiting
    assert reason.text == f"waits for worker rev: J{first} is in it, and ready"
    await engine.act(Order(verb=Verb.CANCEL, jobs=[first]), "tester")
    row, _ = await ended(engine, second)
    assert row.state is State.SUCCEEDED


async def test_what_is_wrong_is_refused_at_the_door_and_removal_is_taken_back(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EntryError, match="there is no worker 'rev'"):
        await submit(engine, JobSpec(prompt="a", worker="rev"))
    with pytest.raises(EntryError, match="there is no persona 'nobody'"):
        await submit(engine, JobSpec(prompt="a", persona="nobody"))
    await hire(engine, rehearsal(tmp_path, WRITE, MORE))
    with pytest.raises(EntryError, match="leave project out"):
        await submit(engine, JobSpec(prompt="a", worker="rev", project=str(tmp_path)))
    (first,) = await submit(engine, JobSpec(prompt="a", worker="rev"))
    _, (tried,) = await ended(engine, first)
    with pytest.raises(NotFoundError, match="there is no worker 'rve'; did you mean 'rev'"):
        await engine.staff.worker("rve")
    await engine.staff.act("rev", WorkerOrder(verb=WorkerVerb.REMOVE), "tester")
    with pytest.raises(NotFoundError, match="there are none: `headway workers add NAME`"):
        await engine.staff.worker("rev")
    await engine.undo(None, "tester", dry_run=False)
    assert (await engine.staff.worker("rev")).worker.session == tried.session
