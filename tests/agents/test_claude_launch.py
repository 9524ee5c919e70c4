"""How claude is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.agents.base import Assignment
from engine.agents.claude import ENVIRONMENT, Claude
from engine.config import AgentSettings
from engine.errors import UsageError
from engine.model import Permission

SESSION = "2b6adb00-2d66-458e-8daf-51ff9089bee7"
START = ["claude", "-p", "--output-format", "stream-json", "--verbose"]


def assignment(
    prompt: str = "go",
    model: str | None = None,
    session: str | None = None,
    resumes: str | None = None,
    settings: AgentSettings | None = None,
    permission: Permission = Permission.PRESET,
) -> Assignment:
    return Assignment(
        prompt=prompt,
        model=model,
        workspace=Path("/workspace"),
        run_dir=Path("/run"),
        settings=settings or AgentSettings(),
        session=session,
        resumes=resumes,
        permission=permission,
    )


def argv(**given: object) -> list[str]:
    return list(Claude().launch(assignment(**given)).argv)  # type: ignore[arg-type]


def test_a_new_conversation_gets_our_session_id() -> None:
    assert argv(session=SESSION) == [*START, "--session-id", SESSION, "--permission-mode", "acceptEdits"]


def test_a_resume_passes_the_permissions_again() -> None:
    settings = AgentSettings(permission_mode="plan", allowed_tools=["Bash(git *)", "Edit"], args=["--effort", "high"])
    assert argv(resumes=SESSION, session=SESSION, model="opus", settings=settings) == [
        "claude", "--effort", "high", *START[1:], "--resume", SESSION, "--model", "opus",
        "--permission-mode", "plan", "--allowedTools", "Bash(git *)", "Edit",
    ]  # fmt: skip


def test_a_fork_goes_on_from_one_session_under_the_name_of_another() -> None:
    other = "00000000-2d66-458e-8daf-51ff9089bee7"
    fork = replace(assignment(resumes=SESSION, session=other), fork=True)
    assert list(Claude().launch(fork).argv) == [
        *START, "--resume", SESSION, "--fork-session", "--session-id", other, "--permission-mode", "acceptEdits",
    ]  # fmt: skip


def test_its_own_screen_has_the_permissions_of_its_attempts_and_none_of_the_stream_options() -> None:
    settings = AgentSettings(permission_mode="plan", allowed_tools=["Edit"], command=["nice", "claude"])
    launch = Claude().interactive(assignment(resumes=SESSION, model="opus", settings=settings))
    assert list(launch.argv) == [
        "nice", "claude", "--resume", SESSION, "--model", "opus", "--permission-mode", "plan", "--allowedTools", "Edit",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="no session to go on with"):
        Claude().interactive(assignment())


def test_its_own_screen_asks_on_that_screen_what_its_attempts_ask_by_cards() -> None:
    launch = Claude().interactive(assignment(resumes=SESSION, permission=Permission.ASK))
    assert launch.argv[-2:] == ["--permission-mode", "default"]
    assert "--permission-prompt-tool" not in launch.argv
    assert not launch.talks


def test_another_command_may_stand_for_claude() -> None:
    assert argv(settings=AgentSettings(command=["nice", "-n", "5", "/opt/claude"]))[:5] == [
        "nice", "-n", "5", "/opt/claude", "-p",
    ]  # fmt: skip


@pytest.mark.parametrize("prompt", ["--dangerously-skip-permissions", "-- x", "ü" * 100_000, "a\nb"])
def test_the_prompt_is_a_file_on_standard_input(prompt: str) -> None:
    launch = Claude().launch(assignment(prompt=prompt))
    assert launch.stdin == "prompt"
    assert launch.files == {"prompt": prompt.encode()}
    assert prompt not in launch.argv
    assert sum(len(word) for word in launch.argv) < 1_000


def test_background_work_and_endless_retries_are_off() -> None:
    launch = Claude().launch(assignment())
    assert launch.env == ENVIRONMENT
    assert launch.env["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] == "1"
    assert launch.env["CLAUDE_CODE_MAX_RETRIES"] == "2"


@pytest.mark.parametrize(
    "settings",
    [
        AgentSettings(permission_mode="bypassPermissions"),
        AgentSettings(args=["--dangerously-skip-permissions"]),
        AgentSettings(args=["--allow-dangerously-skip-permissions"]),
        AgentSettings(args=["--permission-mode", "bypassPermissions"]),
        AgentSettings(args=["--permission-mode=bypassPermissions"]),
        AgentSettings(args=["--settings", '{"permissions":{"defaultMode":"bypassPermissions"}}']),
        AgentSettings(command=["claude", "--dangerously-skip-permissions"]),
    ],
)
def test_skipping_permissions_is_said_for_a_project_and_nowhere_else(settings: AgentSettings) -> None:
    with pytest.raises(UsageError, match="say so for the project: allow_bypass"):
        argv(settings=settings)


def test_a_job_that_may_bypass_says_so_to_claude_and_one_that_asks_talks_to_it() -> None:
    assert "--dangerously-skip-permissions" in argv(permission=Permission.BYPASS)
    launch = Claude().launch(assignment(prompt="do it\nnow", permission=Permission.ASK))
    words = " ".join(launch.argv)
    assert "--input-format stream-json --permission-prompt-tool stdio --permission-mode default" in words
    assert launch.talks
    (first,) = launch.files["prompt"].splitlines()
    assert msgspec.json.decode(first)["message"]["content"] == [{"type": "text", "text": "do it\nnow"}]
    quieter = argv(permission=Permission.ASK, settings=AgentSettings(permission_mode="acceptEdits"))
    assert quieter[quieter.index("--permission-mode") + 1] == "acceptEdits"
    with pytest.raises(UsageError, match="permission: ask"):
        argv(settings=AgentSettings(args=["--permission-prompt-tool", "mine"]))


@pytest.mark.parametrize("arg", ["--", "--resume", "-c", "--output-format=json", "--permission-mode", "--bg"])
def test_options_that_are_ours_are_refused(arg: str) -> None:
    with pytest.raises(UsageError, match=r"agents\.claude\.args: remove"):
        argv(settings=AgentSettings(args=[arg]))


def test_words_that_would_be_options_are_refused() -> None:
    with pytest.raises(UsageError, match="model '-x' would be read as an option"):
        argv(model="-x")
    with pytest.raises(UsageError, match="allowed_tools"):
        argv(settings=AgentSettings(allowed_tools=["--settings"]))
    with pytest.raises(UsageError, match="is not a UUID"):
        argv(resumes="--fork-session")


def test_keys_are_passed_by_name_only() -> None:
    assert {"ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR"} <= set(Claude.pass_env)
    assert not set(Claude.pass_env) & set(Claude().launch(assignment()).env)
