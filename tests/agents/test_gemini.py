"""Gemini CLI: how it is started, and what its events mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.agents.base import Assignment, Exit
from engine.agents.events import FileEdit, Result, Started, ToolCall, ToolResult
from engine.agents.gemini import ENVIRONMENT, Gemini
from engine.config import AgentSettings
from engine.errors import UsageError
from engine.model import Failure
from tests.agents import replay

SESSION = "a06f3720-1153-45f9-812c-9fe76a89b002"
CASES = replay.table("gemini")
GEMINI = Gemini()


def assignment(**given: object) -> Assignment:
    told = {"prompt": "go", "model": None, "settings": AgentSettings(), **given}
    return Assignment(workspace=Path("/workspace"), run_dir=Path("/run"), **told)  # type: ignore[arg-type]


def argv(**given: object) -> list[str]:
    return list(GEMINI.launch(assignment(**given)).argv)


def test_a_new_conversation_gets_our_session_id() -> None:
    assert argv(session=SESSION, model="gemini-2.5-pro") == [
        "gemini", "-o", "stream-json", "--session-id", SESSION, "-m", "gemini-2.5-pro", "--approval-mode", "auto_edit",
    ]  # fmt: skip


def test_a_resume_passes_the_permissions_again() -> None:
    settings = AgentSettings(permission_mode="plan", allowed_tools=["run_shell_command(git)", "web_fetch"])
    assert argv(session=SESSION, resumes=SESSION, settings=settings) == [
        "gemini", "-o", "stream-json", "--resume", SESSION, "--approval-mode", "plan",
        "--allowed-tools=run_shell_command(git)", "--allowed-tools=web_fetch",
    ]  # fmt: skip


def test_only_a_uuid_is_resumed() -> None:
    """`latest` begins a new session without saying so where there is none."""
    with pytest.raises(UsageError, match="is not a UUID"):
        argv(resumes="latest")


def test_no_parent_stands_before_it_and_the_workspace_is_trusted() -> None:
    launch = GEMINI.launch(assignment(prompt="-p"))
    assert launch.env == ENVIRONMENT
    assert launch.env["GEMINI_CLI_NO_RELAUNCH"] == "true"
    assert launch.env["GEMINI_CLI_TRUST_WORKSPACE"] == "true"
    assert (launch.stdin, launch.files) == ("prompt", {"prompt": b"-p"})
    assert not set(GEMINI.pass_env) & set(launch.env)


@pytest.mark.parametrize(
    "settings",
    [
        AgentSettings(permission_mode="yolo"),
        AgentSettings(args=["--yolo"]),
        AgentSettings(args=["-y"]),
        AgentSettings(args=["-dy"]),
        AgentSettings(args=["--approval-mode", "yolo"]),
        AgentSettings(args=["--approval-mode=yolo"]),
        AgentSettings(args=["--admin-policy", "x"]),
        AgentSettings(command=["gemini", "--approval-mode=yolo"]),
    ],
)
def test_allowing_everything_is_refused(settings: AgentSettings) -> None:
    for call in (lambda: argv(settings=settings), lambda: GEMINI.check(settings)):
        with pytest.raises(UsageError, match="needs a sandbox around it first"):
            call()


@pytest.mark.parametrize(
    "arg",
    ["--", "-p", "-do", "--outputFormat=text", "--output-format", "--sessionId=x", "--allowedTools=x", "-w"],
)  # fmt: skip
def test_options_that_are_ours_are_refused_in_every_spelling(arg: str) -> None:
    with pytest.raises(UsageError, match=r"agents\.gemini\.args: remove"):
        GEMINI.check(AgentSettings(args=[arg]))


def test_other_modes_and_words_are_refused() -> None:
    with pytest.raises(UsageError, match="none of auto_edit, default, plan"):
        GEMINI.check(AgentSettings(permission_mode="acceptEdits"))
    with pytest.raises(UsageError, match="would be read as an option"):
        argv(model="--yolo=x")
    GEMINI.check(AgentSettings(args=["--include-directories", "/data", "-d"]))


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (173, Failure.RATE_LIMITED),  # 429
        (144, Failure.UNKNOWN),  # 400
        (145, Failure.AUTH),  # 401
        (147, Failure.AUTH),  # 403
        (152, Failure.OVERLOADED),  # 408
        (244, Failure.OVERLOADED),  # 500
        (247, Failure.OVERLOADED),  # 503
        (1, Failure.UNKNOWN),  # what else there is, and 404
        (0, Failure.UNKNOWN),  # 512
    ],
)
def test_the_exit_of_an_error_is_a_status_that_wraps_at_256(code: int, failure: Failure) -> None:
    """It counts only where a result says that there was an error: else 144 and the like are signals."""
    result = b'{"type":"result","status":"error","error":{"type":"unknown","message":"x"}}'
    parser = GEMINI.parser()
    parser.line(result)
    assert parser.outcome(Exit(code), "").failure is failure
    unsaid = GEMINI.parser()
    unsaid.line(b'{"type":"init","session_id":"s"}')
    assert unsaid.outcome(Exit(code), "").failure is Failure.CRASHED


def test_sigterm_is_an_exit_of_0_and_no_success() -> None:
    _, _, outcome = replay.play(GEMINI, CASES["hang_sigterm_no_relaunch"])
    assert (outcome.succeeded, outcome.failure) == (False, Failure.CRASHED)
    nothing = GEMINI.parser().outcome(Exit(0), "")
    assert nothing.failure is Failure.BAD_OUTPUT


def test_a_run_with_tools_becomes_events() -> None:
    events, _, outcome = replay.play(GEMINI, CASES["tool_edit_yolo"])
    assert events[0] == Started(outcome.session, "gemini-2.5-pro")
    assert ToolCall("write_file__7b0f0180da1a", "write_file", "/workspace/hello.txt") in events
    assert FileEdit("/workspace/hello.txt", 1, 0) in events
    assert ToolResult("run_shell_command__2a86765f0a70", True, "hello\nREADME.md\nhello.txt") in events
    assert isinstance(events[-1], Result) and events[-1].ok
    assert outcome.result == "Done: wrote hello.txt."


def test_refused_tools_are_named() -> None:
    _, _, outcome = replay.play(GEMINI, CASES["tool_edit_default"])
    assert outcome.denied == ("write_file", "run_shell_command")
    forbidden = GEMINI.parser()
    forbidden.line(b'{"type":"tool_use","tool_name":"run_shell_command","tool_id":"a","parameters":{}}')
    forbidden.line(b'{"type":"tool_result","tool_id":"a","status":"error","error":{"type":"policy_violation"}}')
    forbidden.line(b'{"type":"tool_use","tool_name":"read_file","tool_id":"b","parameters":{}}')
    forbidden.line(b'{"type":"tool_result","tool_id":"b","status":"error","error":{"type":"file_not_found"}}')
    assert forbidden.outcome(Exit(0), "").denied == ("run_shell_command",)


def test_a_warning_that_the_run_goes_on_after_is_not_its_end() -> None:
    parser = GEMINI.parser()
    for line in (
        b'{"type":"error","severity":"warning","message":"something"}',
        b'{"type":"message","role":"assistant","content":"done","delta":true}',
        b'{"type":"result","status":"success","stats":{}}',
    ):
        parser.line(line)
    assert parser.outcome(Exit(0), "").succeeded


def test_thoughts_are_paid_as_output() -> None:
    parser = GEMINI.parser()
    parser.line(
        b'{"type":"result","status":"success","stats":{"models":{"m":{"total_tokens":4075,"input_tokens":4000,'
        b'"output_tokens":50,"cached":3000,"input":1000}}}}'
    )
    (usage,) = parser.outcome(Exit(0), "").usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (1_000, 75, 3_000)


def test_an_answer_in_pieces_is_one_result() -> None:
    _, _, outcome = replay.play(GEMINI, CASES["stalled_mid_stream"])
    assert outcome.result and len(outcome.result) <= 4_000
