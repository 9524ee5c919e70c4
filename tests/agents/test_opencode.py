"""opencode: how it is started, and what its events mean without one for the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.agents.base import Assignment, Exit
from engine.agents.events import Context, FileEdit, Notice, Started, ToolCall, ToolResult
from engine.agents.opencode import Opencode, permission
from engine.config import AgentSettings
from engine.errors import UsageError
from engine.model import Failure, Grade, Usage
from tests.agents import replay

SESSION = "ses_dfdaa4af6ffeL5FBJI4f62SJM4"
CASES = replay.table("opencode")
OPENCODE = Opencode()


def assignment(**given: object) -> Assignment:
    told = {"prompt": "go", "model": None, "settings": AgentSettings(), **given}
    return Assignment(workspace=Path("/workspace"), run_dir=Path("/run"), **told)  # type: ignore[arg-type]


def argv(**given: object) -> list[str]:
    return list(OPENCODE.launch(assignment(**given)).argv)


def test_a_new_conversation_and_a_resumed_one() -> None:
    assert argv() == ["opencode", "run", "--format", "json"]
    assert argv(resumes=SESSION, model="openai/gpt-5.5", settings=AgentSettings(args=["--pure"])) == [
        "opencode", "run", "--pure", "--format", "json", "--session", SESSION, "--model", "openai/gpt-5.5",
    ]  # fmt: skip
    launch = OPENCODE.launch(assignment(prompt="--auto"))
    assert (launch.stdin, launch.files) == ("prompt", {"prompt": b"--auto"})


CLOSED = dict.fromkeys(("bash", "webfetch", "websearch", "external_directory", "doom_loop"), "deny")


def test_it_may_edit_and_nothing_else_until_more_is_allowed() -> None:
    env = OPENCODE.launch(assignment()).env
    assert json.loads(env["OPENCODE_PERMISSION"]) == {**CLOSED, "edit": "allow"}
    assert permission(AgentSettings(permission_mode="plan"))["edit"] == "deny"
    allowed = AgentSettings(allowed_tools=["bash(git *)", "bash(make test)", "webfetch", "mcp_x"])
    assert permission(allowed) == {
        **CLOSED,
        "edit": "allow",
        "bash": {"*": "deny", "git *": "allow", "make test": "allow"},
        "webfetch": "allow",
        "mcp_x": "allow",
    }
    assert permission(AgentSettings(allowed_tools=["bash", "bash(git *)"]))["bash"] == "allow"


def test_nothing_is_left_to_ask() -> None:
    """A question ends a headless run, with exit 0."""
    for settings in (AgentSettings(), AgentSettings(allowed_tools=["bash(git *)"])):
        assert "ask" not in json.dumps(permission(settings))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (AgentSettings(args=["--auto"]), "needs a sandbox"),
        (AgentSettings(args=["--auto=true"]), "needs a sandbox"),
        (AgentSettings(command=["opencode", "--auto"]), "needs a sandbox"),
        (AgentSettings(allowed_tools=["*"]), "needs a sandbox"),
        (AgentSettings(allowed_tools=["bash(git"]), "neither a tool nor"),
        (AgentSettings(permission_mode="yolo"), "none of edit, plan"),
        (AgentSettings(env={"OPENCODE_PERMISSION": "{}"}), "remove OPENCODE_PERMISSION"),
    ],
)
def test_what_goes_past_the_permissions_is_refused(settings: AgentSettings, why: str) -> None:
    for call in (lambda: argv(settings=settings), lambda: OPENCODE.check(settings)):
        with pytest.raises(UsageError, match=why):
            call()


@pytest.mark.parametrize("arg", ["--", "-s", "--session=x", "-c", "--format", "--dir", "--attach", "--fork", "-m"])
def test_options_that_are_ours_are_refused(arg: str) -> None:
    with pytest.raises(UsageError, match=r"agents\.opencode\.args: remove"):
        OPENCODE.check(AgentSettings(args=[arg]))


def test_a_run_with_tools_becomes_events() -> None:
    events, _, outcome = replay.play(OPENCODE, CASES["tool_edit"])
    assert events[0] == Started(outcome.session)
    call = "call_75abc0b462384c198695"
    assert events[2:5] == [
        ToolCall(call, "write", "/workspace/hello.txt"),
        ToolResult(call, True, "Wrote file successfully."),
        FileEdit("hello.txt", 1, 0),
    ]
    assert Context(10_500, 40) in events
    assert outcome.usage == (
        Usage(
            model=replay.MODEL,
            input_tokens=4_500,
            output_tokens=120,
            cache_read_tokens=27_000,
            cost_micros=23_400,
            grade=Grade.REPORTED,
        ),
    )


def test_an_edit_counts_its_lines_and_a_command_its_exit() -> None:
    parser = OPENCODE.parser()
    diff = {"filediff": {"additions": 2, "deletions": 1}}
    edit = {"status": "completed", "input": {"filePath": "/w/a.txt"}, "title": "a.txt", "metadata": diff}
    bash = {"status": "completed", "input": {"command": "false"}, "output": "", "metadata": {"exit": 1}}
    told = [*_tool(parser, "edit", edit), *_tool(parser, "bash", bash)]
    assert FileEdit("a.txt", 2, 1) in told
    assert ToolResult("c", False, "") in told


def _tool(parser: replay.Parser, name: str, state: dict[str, object]) -> list[object]:
    part = {"tool": name, "callID": "c", "state": state}
    return list(parser.line(json.dumps({"type": "tool_use", "sessionID": "s", "part": part}).encode()))


def test_a_question_that_nobody_answers_is_no_success() -> None:
    """Exit 0, no error, and the model was never told: its last step had asked for a tool."""
    _, _, outcome = replay.play(OPENCODE, CASES["tool_permission_ask"])
    assert (outcome.failure, outcome.denied) == (Failure.BAD_OUTPUT, ())


def test_a_tool_that_was_not_offered_is_named_as_denied() -> None:
    _, _, outcome = replay.play(OPENCODE, CASES["tool_permission_deny"])
    assert (outcome.succeeded, outcome.denied) == (True, ("write", "bash"))


def test_its_own_words_in_the_users_place_are_no_answer() -> None:
    events, _, outcome = replay.play(OPENCODE, CASES["compact_auto"])
    assert any(isinstance(event, Notice) and event.text.startswith("Continue if you have") for event in events)
    assert outcome.result == "done"


def _error(**data: object) -> bytes:
    error = {"name": "APIError", "data": {"message": "m", **data}}
    return json.dumps({"type": "error", "timestamp": 1_000_000, "sessionID": "s", "error": error}).encode()


@pytest.mark.parametrize(
    ("data", "failure", "retry_at"),
    [
        ({"statusCode": 429, "responseHeaders": {"retry-after": "30"}}, Failure.RATE_LIMITED, 1_030_000),
        ({"statusCode": 429, "responseHeaders": {"Retry-After-Ms": "1500"}}, Failure.RATE_LIMITED, 1_001_500),
        ({"statusCode": 429, "responseHeaders": {"retry-after": "soon"}}, Failure.RATE_LIMITED, None),
        (
            {"statusCode": 429, "responseBody": '{"error":{"type":"usage_limit_reached","resets_at":1795340281}}'},
            Failure.RATE_LIMITED,
            1_795_340_281_000,
        ),
        ({"statusCode": 429, "responseBody": '{"error":{"code":"insufficient_quota"}}'}, Failure.BILLING, None),
        ({"statusCode": 529, "isRetryable": True}, Failure.OVERLOADED, None),
        ({"isRetryable": True}, Failure.OVERLOADED, None),
        ({"isRetryable": False}, Failure.UNKNOWN, None),
    ],
)
def test_an_error_is_classed_by_its_fields(data: dict[str, object], failure: Failure, retry_at: int | None) -> None:
    parser = OPENCODE.parser()
    parser.line(_error(**data))
    outcome = parser.outcome(Exit(1), "")
    assert (outcome.failure, outcome.retry_at) == (failure, retry_at)


STEP = b'{"type":"step_finish","sessionID":"s","part":{"reason":"%s","tokens":{"input":1,"output":2,"reasoning":3}}}'
OVERFLOW = b'{"type":"error","sessionID":"s","error":{"name":"ContextOverflowError","data":{"message":"too long"}}}'


def test_an_error_that_it_got_over_is_a_success_though_it_exits_1() -> None:
    """Seen where a full context was shortened and the run went on to its end."""
    parser = OPENCODE.parser()
    for line in (OVERFLOW, STEP % b"stop"):
        parser.line(line)
    outcome = parser.outcome(Exit(1), "")
    assert (outcome.succeeded, outcome.reason) == (True, "opencode met an error, got over it, and exited 1")
    assert (outcome.usage[0].output_tokens, outcome.usage[0].cost_micros) == (5, None)


def test_a_context_that_never_fits_and_two_runs_in_one_session_are_ended_by_us() -> None:
    """Both would go on for ever: it says that it is done, so that the engine ends what lingers."""
    parser = OPENCODE.parser()
    for n in range(3):
        assert not parser.said_done
        parser.line(OVERFLOW)
        assert parser.said_done == (n == 2)
    assert parser.outcome(Exit(143), "").failure is Failure.CONTEXT_OVERFLOW
    circling = OPENCODE.parser()
    start = b'{"type":"step_start","sessionID":"s","part":{}}'
    for _ in range(3):
        circling.line(start)
        assert not circling.said_done
        circling.line(STEP % b"stop")
    circling.line(start)
    assert circling.said_done
    assert circling.outcome(Exit(143), "").failure is Failure.CONTEXT_LOST


def test_a_run_that_lives_on_after_its_last_step_has_succeeded() -> None:
    """npm in one of its configuration folders may hang and swallow SIGTERM: what was said stands."""
    parser = OPENCODE.parser()
    parser.line(STEP % b"stop")
    assert parser.said_done
    assert parser.outcome(Exit(137), "").succeeded
    parser.line(b'{"type":"step_start","sessionID":"s","part":{}}')
    assert not parser.said_done
    assert parser.outcome(Exit(137), "").failure is Failure.CRASHED
