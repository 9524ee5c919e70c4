"""kill -9 of the engine while a gate looks: checks run again, and reviewers are asked once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import yaml

from engine import events as log
from engine.model import JobSpec, State, Verdict
from engine.runner import procfs
from engine.server.client import Client
from engine.store.fold import rebuild
from engine.store.rows import read_job
from tests.conftest import ENDS, PATIENCE, Served, settings_file

APPROVES = '{"verdict": "approve", "why": "right", "findings": []}'


async def test_a_gate_survives_the_death_of_its_engine(served: Served, repository: Path, tmp_path: Path) -> None:
    runs, go, read = tmp_path / "runs", tmp_path / "go", tmp_path / "read"
    check = f"echo $$ >>{runs}; until [ -e {go} ]; do sleep 0.05; done"
    script = tmp_path / "reviewer.yaml"
    wait = {"do": "run", "command": f"until [ -e {read} ]; do sleep 0.05; done"}
    script.write_text(json.dumps({"about": "reads", "steps": [wait, {"do": "say", "text": APPROVES}]}))
    gate = {"checks": [check], "reviewers": [f"rehearsal:{script}"]}
    agents = {"rehearsal": {"env": {"HEADWAY_REHEARSAL_SPEED": "0"}}}
    settings_file(served.home, yaml.safe_dump({"grace": 1, "gates": {"g": gate}, "agents": agents}))
    served.start()
    async with Client(served.home) as client:
        spec = JobSpec(prompt="echo two >a.txt", agent="shell", project=str(repository), gate="g")
        (job,) = await client.submit([spec])
    async with asyncio.timeout(PATIENCE):
        while not runs.exists() or not runs.read_text().strip():
            await asyncio.sleep(0.02)
    (left,) = map(int, runs.read_text().split())
    served.kill()
    served.start()
    async with asyncio.timeout(PATIENCE):
        while len(runs.read_text().split()) < 2:
            await asyncio.sleep(0.02)
    before = procfs.process(left)
    assert before is None or before.is_gone
    go.touch()
    await served.until(lambda event: event.job == job + 1 and isinstance(event.body, log.Launched))
    served.kill()
    read.touch()
    served.start()
    await served.until(lambda event: event.job == job and isinstance(event.body, ENDS))
    async with Client(served.home) as client:
        detail = await client.job(job)
        assert detail.job.state is State.SUCCEEDED
        (look,) = detail.looks
        assert (look.verdict, [one.job for one in look.reviews]) == (Verdict.PASSED, [job + 1])
        assert len(await client.jobs("", 50)) == 2
    served.stop()
    import sqlite3

    with sqlite3.connect(served.home / "headway.db") as database:
        assert rebuild(database)[job] == read_job(database, job)
