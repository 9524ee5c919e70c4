"""Pipelines and the merge queue from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from engine import events as log
from engine.model import PipelineState
from tests.conftest import Served, run_git, settings_file

APPROVES = '{"verdict": "approve", "why": "it is right", "findings": []}'


def test_a_file_is_checked_without_an_engine(served: Served, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text("kind: pipeline\nsteps: [{name: a, prompt: '{{ what }}'}]\n")
    wrong.write_text(
        "kind: pipeline\nsteps:\n  - {name: a, promt: x}\n  - {name: b, prompt: '{{ whta }}', after: [c]}\n"
    )
    done = served.headway("pipelines", "check", str(right), str(wrong))
    assert done.returncode == 2 and done.stdout == f"{right}: 1 steps, and nothing wrong\n"
    assert "line 3: steps: no key 'promt'; did you mean 'prompt'?" in done.stderr
    assert "line 4: steps.after: there is no step 'c'" in done.stderr


async def test_from_a_plan_to_the_branch_by_the_command_line(served: Served, repository: Path, tmp_path: Path) -> None:
    served.env["HEADWAY_REHEARSAL_SPEED"] = "0"
    settings_file(served.home, f"grace: 1\nprojects: {{it: {{path: {repository}, merge: {{checks: ['true']}}}}}}\n")
    players = {
        "planner": [{"do": "say", "text": "A plan."}],
        "writer": [{"do": "run", "command": "echo two >b.txt"}, {"do": "say", "text": "Written."}],
        "reviewer": [{"do": "say", "text": APPROVES}],
        "judge": [{"do": "say", "text": APPROVES}],
    }
    inputs = []
    for name, steps in players.items():
        (tmp_path / f"{name}.yaml").write_text(json.dumps({"about": name, "steps": steps}))
        inputs += ["--input", f"{name}=rehearsal:{tmp_path}/{name}.yaml"]
    served.start()
    would = served.headway("run", "code", "say two", "-p", "it", *inputs, "--dry-run")
    assert "would: approve (approve, after plan): you read the plan" in would.stdout
    begun = served.headway("run", "code", "say two", "-p", "it", *inputs)
    assert begun.stdout == "1\n", begun.stderr
    await served.until(lambda event: isinstance(event.body, log.Asked))
    assert "plan of pipeline 1, say two: go on with it?" in served.headway("inbox").stdout
    assert served.headway("answer", "1", "approve").stdout.startswith("approved: J1 pipeline")
    await served.until(
        lambda event: isinstance(event.body, log.PipelineMoved) and event.body.state is PipelineState.SUCCEEDED
    )
    status = served.headway("pipelines", "status", "1").stdout
    assert "state     succeeded" in status and "merge 1" in status
    assert "succeeded" in served.headway("pipelines", "runs").stdout
    assert "merged" in served.headway("merges").stdout and "J2  say two" in served.headway("merges", "1").stdout
    assert run_git(repository, "log", "-1", "--format=%s") == "say two"
    assert "step      review (review, after check)" in served.headway("pipelines", "show", "code").stdout
    refused = served.headway("pipelines", "cancel", "1")
    assert (refused.returncode, "is succeeded already" in refused.stderr) == (5, True)
    other = served.headway("submit", "say two", "--pipeline", "docs", "--agent", "shell", "--project", "it")
    assert other.returncode == 2 and "--agent is for a job" in other.stderr
    dropped = served.headway("merges", "drop", "1")
    assert (dropped.returncode, "merge 1 is merged" in dropped.stderr) == (5, True)
