"""kill -9 in each step of a pipeline: the next engine goes on from there, and does nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

from engine import events as log
from engine.decision import Choice, Reply
from engine.model import PipelineState, PipelineWanted, StepState
from engine.server.client import Client
from tests.conftest import Served, run_git, settings_file

APPROVES = '{"verdict": "approve", "why": "it is right", "findings": []}'


def player(folder: Path, name: str, steps: list[dict[str, str]]) -> str:
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps({"about": name, "steps": steps, "resumed": steps}))
    return f"rehearsal:{path}"


async def test_a_pipeline_survives_the_death_of_its_engine_in_every_step(
    served: Served, repository: Path, tmp_path: Path
) -> None:
    served.env["HEADWAY_REHEARSAL_SPEED"] = "0"
    settings_file(
        served.home, f"grace: 1\nprojects: {{it: {{path: {repository}, merge: {{checks: ['test -e a.txt']}}}}}}\n"
    )
    count = tmp_path / "count"
    write = [{"do": "run", "command": f"echo two >a.txt; echo x >>{count}"}, {"do": "say", "text": "Written."}]
    inputs = {
        "planner": player(tmp_path, "plans", [{"do": "say", "text": "A plan."}]),
        "writer": player(tmp_path, "writes", write),
        "reviewer": player(tmp_path, "reviews", [{"do": "say", "text": APPROVES}]),
        "judge": player(tmp_path, "judges", [{"do": "say", "text": APPROVES}]),
    }
    served.start()
    async with Client(served.home) as client:
        wanted = PipelineWanted(name="code", what="say two", inputs=inputs, project="it")
        begun = (await client.run_pipeline(wanted)).pipeline
    assert begun is not None

    async def die_once(step: str, state: StepState) -> None:
        def seen(event: log.Event) -> bool:
            return isinstance(event.body, log.StepMoved) and (event.body.step, event.body.state) == (step, state)

        await served.until(seen)
        served.kill()
        served.start()

    await die_once("plan", StepState.RUNNING)
    await die_once("approve", StepState.ASKING)
    async with Client(served.home) as client:
        (card,) = await client.inbox()
        await client.reply(card.id, Reply(choice=Choice.APPROVE))
    for step in ("write", "check", "review", "judge", "merge"):
        await die_once(step, StepState.RUNNING)
    await served.until(
        lambda event: isinstance(event.body, log.PipelineMoved) and event.body.state is not PipelineState.RUNNING
    )
    async with Client(served.home) as client:
        ended = await client.pipeline(begun.id)
        jobs = await client.jobs(f"batch:{ended.batch}", 50)
        merges = await client.merges()
    assert (ended.state, ended.why) == (PipelineState.SUCCEEDED, "")
    assert {step.state for step in ended.steps} == {StepState.DONE}
    assert len(jobs) == 4 and len(merges) == 1
    assert count.read_text() == "x\n"
    assert run_git(repository, "log", "--reverse", "--format=%s").split("\n") == ["first", "say two"]
