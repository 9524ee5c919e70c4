"""What claude asks on its standard streams, and what it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.agents import events as said
from engine.agents.asking import Change, Request, Told
from engine.agents.claude import Claude
from engine.agents.claude_parser import ClaudeParser
from engine.decision import CardKind

RECORDED = Path(__file__).parents[1] / "transcripts" / "claude" / "stream_input_permission_prompt.jsonl"


def control(tool: str, given: dict[str, Any], name: str = "r1", call: str = "t1", **more: object) -> bytes:
    request = {"subtype": "can_use_tool", "tool_name": tool, "input": given, "tool_use_id": call, **more}
    return json.dumps({"type": "control_request", "request_id": name, "request": request}).encode()


def result_of(call: str) -> bytes:
    block = {"type": "tool_result", "tool_use_id": call, "content": "ok"}
    return json.dumps({"type": "user", "message": {"role": "user", "content": [block]}}).encode()


def asked(tool: str, given: dict[str, Any], **more: object) -> Request:
    parser = ClaudeParser()
    parser.line(control(tool, given, **more))
    (request,) = parser.asking.values()
    return request


def response(request: Request, told: Told) -> Any:
    line = Claude().answer(request, told)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    read = json.loads(line)
    assert (read["type"], read["response"]["subtype"]) == ("control_response", "success")
    assert read["response"]["request_id"] == request.id
    return read["response"]["response"]


def test_a_recorded_request_is_open_until_its_tools_result() -> None:
    parser = ClaudeParser()
    seen: list[tuple[int, list[str]]] = []
    for line in RECORDED.read_bytes().splitlines():
        events = parser.line(line)
        seen.append((len(parser.asking), [type(event).__name__ for event in events]))
    opened = next(index for index, (count, _) in enumerate(seen) if count)
    assert seen[opened] == (1, ["Ask"])
    assert seen[opened + 1][0] == 0


def test_a_permission_says_what_matters_of_it() -> None:
    given = {"command": "git push", "description": "Push"}
    parser = ClaudeParser()
    (event,) = parser.line(control("Bash", given, decision_reason="Permission rule"))
    assert event == said.Ask("r1", "Bash", "git push")
    request = parser.asking["r1"]
    assert (request.kind, request.subject, request.shell) == (CardKind.PERMISSION, "git push", True)
    assert request.why == "Permission rule"
    assert json.loads(request.arguments) == given


@pytest.mark.parametrize(
    ("tool", "given", "subject", "shell", "path"),
    [
        ("Write", {"file_path": "/w/a", "content": "x"}, "/w/a", False, True),
        ("NotebookEdit", {"notebook_path": "/w/n", "new_source": "x"}, "/w/n", False, True),
        ("WebFetch", {"url": "https://a", "prompt": "x"}, "https://a", False, False),
        ("mcp__db__run", {"command": "drop", "all": True}, '{"all":true,"command":"drop"}', False, False),
        (
            "Bash", {"command": "ls", "dangerouslyDisableSandbox": True},
            '{"command":"ls","dangerouslyDisableSandbox":true}', False, False,
        ),
        ("Bash", {"command": 3}, '{"command":3}', False, False),
    ],
)  # fmt: skip
def test_what_rules_are_held_against(tool: str, given: dict[str, Any], subject: str, shell: bool, path: bool) -> None:
    request = asked(tool, given)
    assert (request.subject, request.shell, request.path) == (subject, shell, path)


@pytest.mark.parametrize(
    ("given", "change"),
    [
        ({"file_path": "a", "content": "x\n"}, Change("a", content="x\n")),
        ({"file_path": "a", "old_string": "x", "new_string": "y"}, Change("a", (("x", "y"),))),
        (
            {"file_path": "a", "edits": [{"old_string": "x", "new_string": "y"}, {"old_string": "z"}]},
            Change("a", (("x", "y"), ("z", ""))),
        ),
        ({"file_path": "a"}, None),
        ({"command": "ls"}, None),
    ],
)
def test_the_change_that_a_file_tool_would_make(given: dict[str, Any], change: Change | None) -> None:
    assert asked("Edit", given).change == change


def test_a_request_that_is_cancelled_or_whose_run_is_over_is_asked_no_more() -> None:
    parser = ClaudeParser()
    for name in ("a", "b", "c"):
        parser.line(control("Bash", {"command": name}, name, f"call-{name}"))
    parser.line(b'{"type":"control_cancel_request","request_id":"b"}')
    parser.line(result_of("call-c"))
    assert list(parser.asking) == ["a"]
    parser.line(b'{"type":"result","subtype":"success","is_error":false,"uuid":"u"}')
    assert parser.asking == {}


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"control_request"}',
        b'{"type":"control_request","request_id":"x","request":{"subtype":"mcp_message"}}',
        b'{"type":"control_request","request":{"subtype":"can_use_tool"}}',
        b'{"type":"control_request","request_id":7,"request":[]}',
        b'{"type":"control_cancel_request"}',
    ],
)
def test_other_lines_of_the_protocol_ask_nothing(line: bytes) -> None:
    parser = ClaudeParser()
    assert parser.line(line) == []
    assert parser.asking == {}


def test_an_answer_gives_the_input_back_or_says_why_not() -> None:
    given = {"command": "echo 'ü\n'"}
    request = asked("Bash", given)
    assert response(request, Told(True)) == {"behavior": "allow", "updatedInput": given}
    assert response(request, Told(False, "no\nnever")) == {"behavior": "deny", "message": "no\nnever"}


def test_a_question_is_answered_in_its_own_input() -> None:
    options = [{"label": "SQLite", "description": "d"}, {"label": "Postgres", "description": "d"}]
    given = {"questions": [{"question": "Which?", "header": "DB", "multiSelect": False, "options": options}]}
    request = asked("AskUserQuestion", given)
    assert (request.kind, request.summary, request.options) == (CardKind.QUESTION, "Which?", ("SQLite", "Postgres"))
    told = response(request, Told(True, "SQLite, in WAL mode"))
    assert told["updatedInput"] == {**given, "answers": {"Which?": "SQLite, in WAL mode"}}
    assert response(request, Told(False, "choose yourself"))["behavior"] == "deny"
    assert asked("AskUserQuestion", {"questions": "?"}).summary == "a question"


def test_a_line_of_ten_megabytes_is_given_back_whole() -> None:
    text = "x" * 10_000_000
    request = asked("Write", {"file_path": "a", "content": text})
    assert (
        msgspec.json.decode(Claude().answer(request, Told(True)))["response"]["response"]["updatedInput"]["content"]
        == text
    )
