"""Each real agent is told who it is to be, beside the user's own file of instructions, which stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.briefing import Part, Place
from engine.config import Settings
from engine.model import JobSpec, State
from engine.serving import serving
from tests.conftest import run_git
from tests.e2e.model_server import Step, model_server
from tests.e2e.real_agents import AGENTS, RealAgent, installed, settings
from tests.runner.living import ended, submit

PERSONA = """\
---
name: pilot
description: Brings ships into Zarnwick harbour.
rules:
  - Name the tide before anything else.
---
You know the brass gauge by heart.
"""
THEIRS = "The house colour is vermilion.\n"
OWN_FILE = {"claude": "CLAUDE.md", "codex": "AGENTS.md", "opencode": "AGENTS.md", "gemini": "GEMINI.md"}
#: Where it is told, with a file of the user's own and without one.
PLACES = {
    "claude": (Place.SYSTEM, Place.SYSTEM),
    "codex": (Place.FILE, Place.FILE),
    "opencode": (Place.SYSTEM, Place.SYSTEM),
    "gemini": (Place.PROMPT, Place.FILE),
}


@pytest.fixture(params=AGENTS, ids=lambda agent: agent.name)
def agent(request: pytest.FixtureRequest) -> RealAgent:
    real: RealAgent = request.param
    installed(real.name)
    return real


@pytest.mark.parametrize("owned", [True, False], ids=["own file", "none"])
async def test_it_is_told_who_it_is(
    agent: RealAgent, owned: bool, home: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "headway" / "personas" / "pilot"
    folder.mkdir(parents=True)
    (folder / "PERSONA.md").write_text(PERSONA)
    if owned:
        (repository / OWN_FILE[agent.name]).write_text(THEIRS)
        run_git(repository, "add", ".")
        run_git(repository, "commit", "--quiet", "--message", "ours")
    async with model_server([Step("High water is at noon.")]) as server:
        configured = Settings(grace=3.0, agents={agent.name: settings(agent, server.url, shell=False)})
        async with serving(home, configured) as engine:
            await engine.memory.set_core("global", "- the lamp is green")
            spec = JobSpec(
                prompt="When is high water?",
                title="Do it",
                agent=agent.name,
                model=agent.model,
                project=str(repository),
                persona="pilot",
            )
            (id_,) = await submit(engine, spec)
            row, (attempt,) = await ended(engine, id_)
            assert row.state is State.SUCCEEDED, attempt.reason
            asked = json.dumps(server.requests[0])
            for words in ("You work as pilot", "Name the tide", "brass gauge", "the lamp is green"):
                assert words in asked, f"{words!r} is not in what its model was sent"
            assert ("vermilion" in asked) is owned
            told = (await engine.contexts.of_job(id_)).context
            places = {one.place for one in told.pieces if one.part in (Part.PERSONA, Part.RULES, Part.CORE)}
            assert places == {PLACES[agent.name][not owned]}
            assert (attempt.diff_files, attempt.unknown_lines) == (0, 0), "nothing of it is in the diff"
    assert not (home / "worktrees" / "1-do-it").exists(), "nothing was left in the workspace"
    assert "headway" not in (repository / ".git" / "info" / "exclude").read_text()
    assert run_git(repository, "status", "--porcelain", "--ignored") == ""
