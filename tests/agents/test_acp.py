"""The Agent Client Protocol: how a session is opened, what is asked and answered, and what an end means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.agents import events as said
from engine.agents.acp import Acp
from engine.agents.acp_parser import AcpParser
from engine.agents.asking import Change, Told
from engine.agents.base import Assignment, Errand, Exit
from engine.config import AgentSettings
from engine.errors import UsageError
from engine.model import Failure, Permission, Usage

SESSION = "65ec7676-1563-4e3d-ad0d-8e048461ab7a"
OPTIONS = [
    {"optionId": "always", "name": "Always", "kind": "allow_always"},
    {"optionId": "once", "name": "Allow", "kind": "allow_once"},
    {"optionId": "no", "name": "Reject", "kind": "reject_once"},
]


def launch(**more: Any) -> Any:
    given = {
        "prompt": "do it", "model": None, "workspace": Path("/w"), "run_dir": Path("/run"),
        "settings": AgentSettings(), "permission": Permission.ASK,
    }  # fmt: skip
    return Acp().launch(Assignment(**{**given, **more}))


def line(**fields: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **fields}).encode()


def update(kind: str, **fields: Any) -> bytes:
    return line(method="session/update", params={"sessionId": SESSION, "update": {"sessionUpdate": kind, **fields}})


def spoken(text: str, kind: str = "agent_message_chunk") -> bytes:
    return update(kind, content={"type": "text", "text": text})


def asked(name: Any = 0, **call: Any) -> bytes:
    tool = {"toolCallId": "c1", "title": "git push", "kind": "execute", "status": "pending", **call}
    return line(id=name, method="session/request_permission", params={"toolCall": tool, "options": OPTIONS})


def begun() -> AcpParser:
    parser = AcpParser("acp")
    parser.line(line(id=0, result={"agentInfo": {"name": "gemini-cli", "version": "0.61.0"}}))
    assert parser.line(line(id=1, result={"sessionId": SESSION, "models": {"currentModelId": "pro"}})) == [
        said.Started(SESSION, "pro", None, "0.61.0")
    ]
    return parser


def test_a_session_is_opened_at_once_and_the_prompt_follows_with_its_name() -> None:
    launched = launch()
    assert launched.argv == ["gemini", "--acp"]
    assert launched.talks
    first, second = map(json.loads, launched.files["opening"].splitlines())
    assert (first["method"], first["params"]["protocolVersion"]) == ("initialize", 1)
    assert (second["method"], second["params"]) == ("session/new", {"cwd": "/w", "mcpServers": []})
    (errand,) = begun().errands
    assert errand == Errand("prompt", "task", SESSION)
    prompt = json.loads(Acp().errand(errand, launched.files["task"]))
    assert (prompt["method"], prompt["params"]) == (
        "session/prompt", {"sessionId": SESSION, "prompt": [{"type": "text", "text": "do it"}]},
    )  # fmt: skip


def test_a_session_is_loaded_again_and_what_was_said_in_it_is_not_said_anew() -> None:
    launched = launch(resumes=SESSION)
    _, second = map(json.loads, launched.files["opening"].splitlines())
    assert (second["method"], second["params"]["sessionId"]) == ("session/load", SESSION)
    parser = AcpParser("acp")
    assert parser.line(spoken("from before")) == []
    parser.line(line(id=1, result={}))
    parser.line(spoken("told after the answer, as Gemini CLI does"))
    assert parser.errands == (Errand("prompt", "task", SESSION),)
    unnamed = Acp().errand(Errand("prompt", "task", None), launched.files["task"])
    assert json.loads(unnamed)["params"]["sessionId"] == SESSION


@pytest.mark.parametrize("heard", [spoken("hello"), asked()])
def test_a_prompt_that_was_heard_is_no_errand_any_more(heard: bytes) -> None:
    parser = begun()
    parser.line(heard)
    assert parser.errands == ()


def test_what_we_do_not_offer_is_refused() -> None:
    parser = begun()
    assert parser.line(line(id="f1", method="fs/read_text_file", params={})) == []
    parser.line(line(id="f1", method="fs/write_text_file", params={}))
    refusals = parser.errands[1:]
    assert len({errand.name for errand in refusals}) == 2, "it may use a number again"
    for errand in refusals:
        told = json.loads(Acp().errand(errand, b""))
        assert (told["id"], told["error"]["code"]) == ("f1", -32601)


@pytest.mark.parametrize(("name", "allow", "option"), [(0, True, "once"), ("a", False, "no")])
def test_a_request_is_answered_by_the_option_that_says_it_once(name: Any, allow: bool, option: str) -> None:
    parser = begun()
    (event,) = parser.line(asked(name))
    (request,) = parser.asking.values()
    assert event == said.Ask(f"1.{json.dumps(name)}", "execute", "git push")
    assert (request.subject, request.shell, request.path) == ("git push", True, False)
    told = json.loads(Acp().answer(request, Told(allow, "no")))
    assert told["id"] == name
    assert told["result"] == {"outcome": {"outcome": "selected", "optionId": option}}


def test_a_number_that_is_used_again_is_another_request() -> None:
    parser = begun()
    names = []
    for call in ("c1", "c2"):
        parser.line(asked(0, toolCallId=call))
        names += [(name, json.loads(Acp().answer(one, Told(True)))["id"]) for name, one in parser.asking.items()]
        parser.line(update("tool_call_update", toolCallId=call, status="completed"))
    assert names == [("1.0", 0), ("2.0", 0)]


def test_a_choice_that_is_not_offered_is_a_cancellation() -> None:
    parser = begun()
    parser.line(line(id=3, method="session/request_permission", params={"toolCall": {}, "options": OPTIONS[:2]}))
    (request,) = parser.asking.values()
    assert json.loads(Acp().answer(request, Told(False)))["result"] == {"outcome": {"outcome": "cancelled"}}


def test_the_command_is_what_the_agent_gave_the_shell_where_it_says_so() -> None:
    parser = begun()
    parser.line(asked(title="Push the tag", rawInput={"command": "git push; rm x"}))
    (request,) = parser.asking.values()
    assert (request.subject, request.summary) == ("git push; rm x", "Push the tag")


@pytest.mark.parametrize(
    ("old", "change", "edit"),
    [
        ("", Change("/w/a", content="x\ny\n"), said.FileEdit("/w/a", 2, 0)),
        ("x\nz\n", Change("/w/a", (("x\nz\n", "x\ny\n"),)), said.FileEdit("/w/a", 1, 1)),
    ],
)
def test_an_edit_shows_its_change_and_is_asked_until_it_has_ended(
    old: str, change: Change, edit: said.FileEdit
) -> None:
    parser = begun()
    diff = [{"type": "diff", "path": "/w/a", "oldText": old, "newText": "x\ny\n"}]
    parser.line(asked(kind="edit", title="Writing to a", content=diff, locations=[{"path": "/w/a"}]))
    (request,) = parser.asking.values()
    assert (request.change, request.subject, request.path) == (change, "/w/a", True)
    parser.line(update("tool_call_update", toolCallId="c1", status="in_progress"))
    assert parser.asking
    assert parser.line(update("tool_call_update", toolCallId="c1", status="completed", content=diff))[1:] == [edit]
    assert parser.asking == {}


def test_the_end_of_the_turn_is_the_end() -> None:
    parser = begun()
    parser.line(spoken("hmm", "agent_thought_chunk"))
    parser.line(spoken("All "))
    parser.line(spoken("done."))
    counts = {"model_usage": [{"model": "pro", "token_count": {"input_tokens": 9, "output_tokens": 4}}]}
    parser.line(line(id=2, result={"stopReason": "end_turn", "_meta": {"quota": counts}}))
    assert parser.said_done
    told = parser.outcome(Exit(143), "")
    assert (told.succeeded, told.result, told.session) == (True, "All done.", SESSION)
    assert told.usage == (Usage(model="pro", input_tokens=9, output_tokens=4),)


@pytest.mark.parametrize(
    ("last", "failure"),
    [
        (line(id=2, result={"stopReason": "max_tokens"}), Failure.BAD_OUTPUT),
        (line(id=2, result={"stopReason": "cancelled"}), Failure.CRASHED),
        (line(id=2, error={"code": 429, "message": "Rate limit exceeded"}), Failure.RATE_LIMITED),
        (line(id=2, error={"code": 503, "message": "busy"}), Failure.OVERLOADED),
        (line(id=2, error={"code": -32603, "message": "usage limit 429"}), Failure.UNKNOWN),
        (line(id=1, error={"code": -32000, "message": "sign in"}), Failure.AUTH),
        (line(id=1, error={"code": -32602, "message": "no such session"}), Failure.CONTEXT_LOST),
        (b"", Failure.CRASHED),
    ],
)
def test_what_an_end_means_is_said_by_its_fields(last: bytes, failure: Failure) -> None:
    parser = begun()
    parser.line(last)
    told = parser.outcome(Exit(0), "rate limit exceeded")
    assert (told.succeeded, told.failure) == (False, failure)


def test_one_that_never_begins_was_not_started() -> None:
    told = AcpParser("acp").outcome(Exit(41), "no key")
    assert told.failure is Failure.SPAWN_FAILED
    assert "no key" in (told.reason or "")


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_a_line_of_any_form_is_counted_and_never_fatal(data: bytes) -> None:
    parser = begun()
    parser.line(data)
    for method in ("session/update", "session/request_permission"):
        parser.line(line(id=data.hex(), method=method, params=data.hex()))
    assert parser.outcome(Exit(0), "").unknown_lines >= 2


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"permission": Permission.PRESET}, "permission: ask"),
        ({"permission": Permission.BYPASS}, "permission: ask"),
        ({"settings": AgentSettings(args=["--yolo"])}, "do anything"),
        ({"settings": AgentSettings(allowed_tools=["x"])}, "permissions: rules:"),
        ({"model": "x", "settings": AgentSettings(command=["opencode", "acp"])}, "agents.acp.args"),
        ({"model": "-x"}, "read as an option"),
    ],
)
def test_what_cannot_be_put_to_it_is_refused(more: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        launch(**more)
