"""Each real agent receives a skill that was chosen for its job: in the request that its model saw, and by its tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.config import Settings
from engine.model import JobSpec, State
from engine.serving import serving
from engine.skills.skill import Given, How
from tests.conftest import run_git
from tests.e2e.model_server import Step, model_server
from tests.e2e.real_agents import AGENTS, RealAgent, installed, settings
from tests.runner.living import ended, submit

NAME = "tide-tables"
SAYS = "Reads the tide tables of Zarnwick harbour"
BODY = "High water at Zarnwick is told by the brass gauge."

#: How each agent's model asks for the skill's text. opencode's own tool lists files with ripgrep, which is downloaded.
ASKS = {
    "claude": ("Skill", {"skill": NAME}),
    "codex": ("exec_command", {"cmd": f"cat .agents/skills/{NAME}/SKILL.md"}),
    "opencode": ("read", {"filePath": f".agents/skills/{NAME}/SKILL.md"}),
    "gemini": ("activate_skill", {"name": NAME}),
}


@pytest.fixture(params=AGENTS, ids=lambda agent: agent.name)
def agent(request: pytest.FixtureRequest) -> RealAgent:
    real: RealAgent = request.param
    installed(real.name)
    return real


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A skill in the user's folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "headway" / "skills" / NAME
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(
        f'---\nname: {NAME}\ndescription: "{SAYS}. Use when asked for the tide."\n---\n\n# Tides\n\n{BODY}\n'
    )
    return folder


async def test_it_is_given_a_chosen_skill(agent: RealAgent, home: Path, repository: Path, shelf: Path) -> None:
    steps = [Step("I read the skill.", tool=ASKS[agent.name]), Step("High water is at noon.")]
    async with model_server(steps) as server:
        configured = Settings(grace=3.0, agents={agent.name: settings(agent, server.url, shell=False)})
        async with serving(home, configured) as engine:
            spec = JobSpec(
                prompt="When is high water?",
                title="Do it",
                agent=agent.name,
                model=agent.model,
                project=str(repository),
                skills=[NAME],
            )
            (id_,) = await submit(engine, spec)
            row, (attempt,) = await ended(engine, id_)
            assert row.state is State.SUCCEEDED, attempt.reason
            asked = [json.dumps(body) for body in server.requests]
            assert SAYS in asked[0], "its model was told of the skill"
            assert BODY not in asked[0], "and not of all that is in it"
            assert BODY in asked[1], "until it asked"
            (given,) = (await engine.shelf.of_job(id_)).attempts[1]
            assert isinstance(given, Given)
            assert (given.name, given.how, given.used) == (NAME, How.NATIVE, True)
            assert (attempt.diff_files, attempt.unknown_lines) == (0, 0), "no skill is in the diff"
    assert not (home / "worktrees" / "1-do-it").exists(), "nothing was left in the workspace"
    assert "headway" not in (repository / ".git" / "info" / "exclude").read_text()
    assert run_git(repository, "status", "--porcelain", "--ignored") == ""
