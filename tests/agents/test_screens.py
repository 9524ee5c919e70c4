"""How each agent's own screen is opened on a session, and its version asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.agents.base import Agent, Assignment
from engine.agents.codex_parser import CodexParser
from engine.agents.events import Context
from engine.agents.registry import agents
from engine.config import AgentSettings
from engine.errors import UsageError

SESSION = "2b6adb00-2d66-458e-8daf-51ff9089bee7"
WITH_SCREENS = ("claude", "codex", "gemini", "opencode", "rehearsal")


def assignment(settings: AgentSettings | None = None, session: str | None = SESSION) -> Assignment:
    return Assignment(
        prompt="", model="m", workspace=Path("/w"), run_dir=Path("/run"), settings=settings or AgentSettings(),
        session=session, resumes=session,
    )  # fmt: skip


def argv(name: str, settings: AgentSettings | None = None) -> list[str]:
    launch = agents()[name].interactive(assignment(settings))
    assert launch is not None
    return list(launch.argv)


def test_codex_is_given_its_sandbox_again() -> None:
    settings = AgentSettings(command=["nice", "codex"], args=["-c", "a=b"])
    assert argv("codex", settings) == [
        "nice", "codex", "-c", "a=b", "resume", "-s", "workspace-write", "-m", "m", SESSION,
    ]  # fmt: skip


def test_opencode_is_given_its_permissions_again() -> None:
    assert argv("opencode") == ["opencode", "--session", SESSION, "--model", "m"]
    launch = agents()["opencode"].interactive(assignment(AgentSettings(allowed_tools=["bash"])))
    assert launch is not None
    assert json.loads(launch.env["OPENCODE_PERMISSION"])["bash"] == "allow"


def test_gemini_is_given_its_mode_and_its_tools_again() -> None:
    settings = AgentSettings(permission_mode="default", allowed_tools=["run_shell_command(git)"])
    assert argv("gemini", settings) == [
        "gemini", "--resume", SESSION, "-m", "m", "--approval-mode", "default",
        "--allowed-tools=run_shell_command(git)",
    ]  # fmt: skip


@pytest.mark.parametrize("name", WITH_SCREENS)
def test_without_a_session_there_is_no_screen(name: str) -> None:
    with pytest.raises(UsageError, match="no session to go on with"):
        agents()[name].interactive(assignment(session=None))


def test_an_agent_that_converses_has_a_screen_and_a_version_and_the_others_have_none() -> None:
    for name, agent in agents().items():
        assert (type(agent).interactive is not Agent.interactive) is (name in WITH_SCREENS)
        command = agent.version_command(AgentSettings(command=["/opt/it", "-x"]))
        assert command == (["/opt/it", "-x", "--version"] if name in WITH_SCREENS else None)


@pytest.mark.parametrize("name", ["codex", "gemini", "opencode"])
def test_what_would_lift_every_bound_is_refused_at_a_screen_too(name: str) -> None:
    word = {"codex": "--dangerously-bypass-approvals-and-sandbox", "gemini": "--yolo", "opencode": "--auto"}[name]
    with pytest.raises(UsageError, match="needs a sandbox"):
        argv(name, AgentSettings(args=[word]))


def test_codex_tells_how_much_its_models_window_holds() -> None:
    tokens = {"input_tokens": 25_000, "output_tokens": 500}
    info = {"last_token_usage": tokens, "model_context_window": 258_400}
    line = {"type": "event_msg", "payload": {"type": "token_count", "info": info}}
    assert CodexParser().record(json.dumps(line).encode()) == [Context(25_000, 500, 258_400)]
