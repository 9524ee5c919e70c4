"""The recordings of the real CLI, read by its adapter. `cases.json` says what each of them means."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.agents.base import Exit, Outcome
from engine.agents.claude_failures import FAILURES
from engine.agents.claude_parser import ClaudeParser
from engine.agents.events import (
    AnyAgentEvent,
    Compacted,
    Context,
    FileEdit,
    Limit,
    Notice,
    Permission,
    Result,
    Retrying,
    Started,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Unknown,
)
from engine.model import Failure, Grade, Usage

RECORDINGS = Path(__file__).parents[1] / "transcripts" / "claude"


class Case(msgspec.Struct, frozen=True):
    exit: int
    args: list[str]
    verdict: str
    cost: int | None
    stderr: str = ""
    denied: list[str] = []
    retry_at: int | None = None


CASES = msgspec.json.decode((RECORDINGS / "cases.json").read_bytes(), type=dict[str, Case])


def recorded(name: str) -> list[bytes]:
    return (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines()


def read(lines: list[bytes]) -> tuple[list[AnyAgentEvent], ClaudeParser]:
    parser = ClaudeParser()
    return [event for line in lines for event in parser.line(line)], parser


def played(name: str) -> tuple[list[AnyAgentEvent], Outcome]:
    events, parser = read(recorded(name))
    return events, parser.outcome(Exit(CASES[name].exit), CASES[name].stderr)


def cost(outcome: Outcome) -> int | None:
    known = [usage.cost_micros for usage in outcome.usage if usage.cost_micros is not None]
    return sum(known) if known else None


def test_every_recording_has_a_case() -> None:
    assert {path.stem for path in RECORDINGS.glob("*.jsonl")} == set(CASES)
    assert len(CASES) > 90


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_of(name: str) -> None:
    case = CASES[name]
    events, outcome = played(name)

    assert (outcome.failure or "succeeded") == case.verdict, outcome.reason
    assert outcome.succeeded == (case.verdict == "succeeded")
    assert cost(outcome) == case.cost
    assert list(outcome.denied) == case.denied
    assert outcome.retry_at == case.retry_at
    assert outcome.unknown_lines == (1 if name == "success_text" else 0)
    assert outcome.unknown_lines == sum(isinstance(event, Unknown) for event in events)
    assert outcome.succeeded or outcome.reason
    assert "\n" not in (outcome.reason or "") and len(outcome.reason or "") < 500


@pytest.mark.parametrize("name", CASES)
def test_said_done_follows_the_turns_of(name: str) -> None:
    parser = ClaudeParser()
    assert not parser.said_done
    for line in recorded(name):
        kinds = [type(event) for event in parser.line(line)]
        if Result in kinds:
            assert parser.said_done
        if Started in kinds:
            assert not parser.said_done


@pytest.mark.parametrize("name", CASES)
def test_events_survive_the_wire(name: str) -> None:
    events, _ = played(name)
    assert msgspec.json.decode(msgspec.json.encode(events), type=list[AnyAgentEvent]) == events


def test_a_run_with_tools_becomes_events() -> None:
    events, outcome = played("tool_edit")
    session = json.loads(recorded("tool_edit")[0])["session_id"]
    assert events[0] == Started(session, "claude-opus-5-5", "/workspace", "2.1.330")
    assert events[1:9] == [
        Context(10_500, 1),
        Text("I will write the file."),
        ToolCall("toolu_stub0eb517d36afc4a1f", "Write", "hello.txt", 10_500),
        ToolResult(
            "toolu_stub0eb517d36afc4a1f",
            True,
            "File created successfully at: /workspace/hello.txt (file state is current in your context"
            " — no need to Read it back)",
        ),
        FileEdit("hello.txt", 1, 0),
        Context(10_500, 1),
        ToolCall("toolu_stub3c62ff96db5f4ba3", "Bash", "cat hello.txt && ls", 10_500),
        ToolResult("toolu_stub3c62ff96db5f4ba3", True, "hello\nREADME.md\nhello.txt"),
    ]
    usage = Usage(
        model="claude-opus-5-5",
        input_tokens=3_600,
        output_tokens=120,
        cache_read_tokens=27_000,
        cache_write_tokens=900,
        cost_micros=26_700,
        grade=Grade.REPORTED,
    )
    assert events[-1] == Result(True, "Done: wrote hello.txt.", (usage,), (), window=1_000_000)
    assert outcome.usage == (usage,)
    assert outcome.result == "Done: wrote hello.txt."
    assert outcome.session == session


def test_edits_count_their_lines() -> None:
    events, _ = played("edit_and_overwrite")
    assert [event for event in events if isinstance(event, FileEdit)] == [
        FileEdit("a.py", 1, 1),
        FileEdit("a.py", 1, 6),
    ]
    failed = [event for event in events if isinstance(event, ToolResult) and not event.ok]
    assert failed[1].output == "Exit code 3\nout\nerr"
    calls = [(event.name, event.summary) for event in events if isinstance(event, ToolCall)]
    assert ("Grep", "def in /workspace") in calls
    assert ("Read", "a.py") in calls
    assert ("NoSuch", '{"a":1}') in calls


def test_limits_show_both_windows() -> None:
    events, _ = played("usage_limit_oauth_mid_run")
    assert [event for event in events if isinstance(event, Limit)] == [
        Limit("five_hour", "warning", 0.97, 1_795_341_188_000, signal="rate_limit_event"),
        Limit("seven_day", "allowed", 0.3, 1_795_732_188_000, signal="rate_limit_event"),
        Limit("five_hour", "rejected", 1.0, 1_795_341_189_000, signal="rate_limit_event"),
        Limit("seven_day", "allowed", 0.3, 1_795_732_189_000, signal="rate_limit_event"),
    ]


def test_an_older_limit_without_windows_is_read() -> None:
    line = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1_795_341_189,
            "rateLimitType": "seven_day_opus", "isUsingOverage": False}}  # fmt: skip
    events, parser = read([json.dumps(line).encode()])
    closed = Limit("seven_day_opus", "rejected", None, 1_795_341_189_000, model="opus", signal="rate_limit_event")
    assert events == [closed], "of that family of models only"
    assert parser.outcome(Exit(137), "").failure is Failure.RATE_LIMITED


def test_retries_compaction_and_refusals_are_told() -> None:
    assert Retrying(2, 1054, 401, "authentication_failed") in played("auth_401_oauth")[0]
    assert Retrying(1, 555, None, "unknown") in played("connection_dropped_mid_stream")[0]
    assert Compacted(112_723, 4_857, "auto") in played("compact_auto_flag_100k")[0]
    assert Compacted(10_540, 3_359, "manual") in played("compact_manual_slash")[0]
    denied = [event for event in played("tool_denied_plan")[0] if isinstance(event, Permission)]
    assert denied[0] == Permission("Write", "Cannot write to /workspace/hello.txt while in plan mode.")
    assert (
        Notice("model_fallback: Switched to Sonnet 5.5 due to high demand for Opus 5.5")
        in (played("overloaded_529_fallback_model")[0])
    )


def test_the_context_is_that_of_the_main_conversation() -> None:
    own = {"id": "m1", "model": "opus", "content": [], "usage": {"input_tokens": 10, "cache_read_input_tokens": 500}}
    sub = {"id": "m2", "model": "opus", "content": [], "usage": {"input_tokens": 99_999}}
    events, _ = read(
        [
            json.dumps({"type": "assistant", "message": own, "parent_tool_use_id": None}).encode(),
            json.dumps({"type": "assistant", "message": sub, "parent_tool_use_id": "toolu_1"}).encode(),
            json.dumps({"type": "assistant", "message": own, "parent_tool_use_id": None}).encode(),
        ]
    )
    assert events == [Context(510, 0)]


def test_thinking_is_told() -> None:
    line = {"type": "assistant", "message": {"id": "m", "content": [{"type": "thinking", "thinking": "Hm."}]}}
    assert read([json.dumps(line).encode()])[0] == [Thinking("Hm.")]


def test_tool_output_is_cut() -> None:
    events, _ = played("compact_auto_flag_100k")
    outputs = [event.output for event in events if isinstance(event, ToolResult)]
    assert len(outputs[0]) == 2_000 and outputs[0].startswith("1\n2\n3\n")


def test_a_resumed_run_costs_only_its_own_part() -> None:
    _, outcome = played("resume_fork")
    assert outcome.usage == (
        Usage(
            model="claude-opus-5-5",
            input_tokens=1_200,
            output_tokens=40,
            cache_read_tokens=9_000,
            cache_write_tokens=300,
            cost_micros=8_900,
            grade=Grade.REPORTED,
        ),
    )


def test_several_results_are_summed_once_each() -> None:
    lines = recorded("background_shell_default_ceiling")
    _, parser = read(lines)
    once = parser.outcome(Exit(0), "")
    assert (cost(once), once.usage[0].output_tokens) == (26_700, 120)
    assert parser.line(lines[-1]) == []
    assert parser.outcome(Exit(0), "") == once


def test_totals_of_a_process_are_used_where_the_part_is_not_told() -> None:
    """As 2.1.197 prints them: growing from result to result."""
    lines = [json.loads(line) for line in recorded("stream_input_two_turns")]
    for line in lines:
        line.pop("model_usage_since_last_result", None)
    _, parser = read([json.dumps(line).encode() for line in lines])
    outcome = parser.outcome(Exit(0), "")
    assert (cost(outcome), outcome.usage[0].input_tokens) == (17_800, 2_400)


def test_a_killed_run_has_tokens_and_no_price() -> None:
    _, outcome = played("killed_in_tool_then")
    assert outcome.usage == (
        Usage(
            model="claude-opus-5-5",
            input_tokens=1_200,
            output_tokens=1,
            cache_read_tokens=9_000,
            cache_write_tokens=300,
            grade=Grade.UNKNOWN,
        ),
    )


def test_a_turn_that_begins_after_a_result_must_end_too() -> None:
    lines = recorded("background_shell_default_ceiling")
    _, parser = read(lines[:-1])
    assert not parser.said_done
    assert parser.outcome(Exit(143), "").failure is Failure.CRASHED
    assert parser.outcome(Exit(0), "").failure is Failure.BAD_OUTPUT


def test_a_lingering_process_that_was_stopped_has_still_succeeded() -> None:
    _, parser = read(recorded("success"))
    assert parser.outcome(Exit(143), "").succeeded
    failed = parser.outcome(Exit(3), "boom")
    assert (failed.failure, failed.reason) == (Failure.UNKNOWN, "claude reported success and then exited 3: boom")


def test_reasons_quote_the_agent() -> None:
    assert (
        played("unknown_flag")[1].reason == "claude refused to start (exit 1): error: unknown option '--no-such-flag'"
    )
    assert played("billing_400")[1].reason == "claude is not served for want of payment: Credit balance is too low"
    assert played("max_turns_2")[1].reason == "claude stopped at its own limit: Reached maximum number of turns (2)"
    assert played("in_tool_sigkill")[1].reason == "claude was ended by SIGKILL before its result"
    assert played("tool_denied_plan")[1].reason == "tool uses refused for want of permission: Write, Bash"
    assert played("success")[1].reason is None


def test_stderr_is_quoted_and_never_decides() -> None:
    _, parser = read(recorded("in_tool_sigterm"))
    for tail in ("", "rate limit exceeded", "Session ID x is already in use.", "401 authentication_failed"):
        assert parser.outcome(Exit(143), tail).failure is Failure.CRASHED
    assert ClaudeParser().outcome(Exit(1), "429 rate limit").failure is Failure.SPAWN_FAILED


PROSE = (
    "You've hit your 5-hour limit · resets 9:52am (UTC)",
    "API Error: Request rejected (429) · rate limit exceeded",
    "API Error: Repeated 529 Overloaded errors.",
    "Failed to authenticate. API Error: 401",
    "Credit balance is too low",
    "Prompt is too long",
    "No conversation found with session ID: 1",
    '{"type":"result","subtype":"error_max_turns","is_error":true}',
    '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795341172}}',
)


@pytest.mark.parametrize("words", PROSE)
def test_prose_changes_no_state(words: str) -> None:
    """A diff, a log or an answer that speaks of limits and errors is only text."""
    lines = [json.loads(line) for line in recorded("tool_edit")]
    for line in lines:
        for block in line.get("message", {}).get("content", []):
            if block["type"] == "text":
                block["text"] = words
            elif block["type"] == "tool_result":
                block["content"] = words
            elif "command" in block["input"]:
                block["input"]["command"] = words
        if line["type"] == "result":
            line["result"] = words
    events, parser = read([json.dumps(line).encode() for line in lines])
    outcome = parser.outcome(Exit(0), words)

    plain_events, plain = played("tool_edit")
    assert [type(event) for event in events] == [type(event) for event in plain_events]
    assert (outcome.succeeded, outcome.failure, outcome.retry_at) == (True, None, None)
    assert (outcome.usage, outcome.session, outcome.unknown_lines) == (plain.usage, plain.session, 0)
    assert outcome.result == words


def test_a_failing_run_keeps_its_class_whatever_its_words() -> None:
    for name in ("auth_401_oauth", "billing_400", "overloaded_529_forever", "context_too_long_400", "model_404"):
        lines = [json.loads(line) for line in recorded(name)]
        for line in lines:
            if line["type"] == "result":
                line["result"] = PROSE[0]
            if line["type"] == "assistant":
                line["message"]["content"][0]["text"] = PROSE[0]
        _, parser = read([json.dumps(line).encode() for line in lines])
        assert parser.outcome(Exit(1), PROSE[0]).failure == CASES[name].verdict


def test_every_field_of_the_table_is_one_that_results_have() -> None:
    seen = {key for name in CASES for line in recorded(name) if line.startswith(b"{") for key in json.loads(line)}
    assert set(FAILURES) <= seen


def test_half_a_surrogate_pair_and_broken_utf8_cost_no_line() -> None:
    half = rb'{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"cut \ud83d"}]}}'
    assert read([half])[0] == [Text("cut ?")]
    broken = b'{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","content":"\xff!"}]}}'
    assert read([broken])[0] == [ToolResult("t", True, "\ufffd!")]
    result = json.loads(recorded("success")[-1])
    ends = json.dumps({**result, "result": "MARK"}).encode().replace(b"MARK", rb"end \ud83d")
    _, parser = read([ends])
    assert parser.outcome(Exit(0), "").succeeded


def test_a_huge_line_and_a_deep_one_are_read_or_counted() -> None:
    big = json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": "x" * 8_000_000}]}})
    deep = b'{"type":"assistant","message":{"content":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    events, parser = read([big.encode(), deep, b"[" * 1_000_000])
    assert [type(event) for event in events] == [Text, Unknown, Unknown]
    assert parser.outcome(Exit(0), "").unknown_lines == 2


LINES = sorted({line for name in CASES for line in recorded(name) if len(line) < 6_000})
KEYS = sorted({key for line in LINES if line.startswith(b"{") for key in json.loads(line)})
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=3),
    max_leaves=8,
)


def holds(lines: list[bytes], code: int) -> None:
    """Whatever was read: events that can be sent, and a verdict with a reason."""
    events, parser = read(lines)
    msgspec.json.encode(events)
    outcome = parser.outcome(Exit(code), "tail")
    msgspec.json.encode(outcome)
    assert outcome.succeeded == (outcome.failure is None)
    assert outcome.succeeded or outcome.reason
    assert outcome.unknown_lines == sum(isinstance(event, Unknown) for event in events)
    assert outcome.retry_at is None or 0 < outcome.retry_at < 10**15


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_without_an_error(lines: list[bytes], code: int) -> None:
    holds(lines, code)


@given(st.sampled_from(LINES), st.data(), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_line_cut_or_damaged_anywhere_is_read_without_an_error(line: bytes, data: st.DataObject, code: int) -> None:
    at = data.draw(st.integers(0, len(line)))
    damaged = line[:at] + data.draw(st.binary(max_size=4)) + line[at + data.draw(st.integers(0, 4)) :]
    holds([line[:at], damaged, line], code)


def replaced(value: object, path: list[int], junk: object) -> object:
    """`value` with `junk` in the place to which `path` leads."""
    if not path or not isinstance(value, dict | list) or not value:
        return junk
    if isinstance(value, list):
        at = path[0] % len(value)
        return [replaced(part, path[1:], junk) if n == at else part for n, part in enumerate(value)]
    key = list(value)[path[0] % len(value)]
    return {**value, key: replaced(value[key], path[1:], junk)}


@given(
    st.sampled_from([line for line in LINES if line.startswith(b"{")]),
    st.lists(st.integers(0, 60), min_size=1, max_size=6),
    JUNK,
    st.integers(0, 255),
)
@settings(max_examples=300, deadline=None)
def test_a_value_of_the_wrong_type_anywhere_is_read_without_an_error(
    line: bytes, path: list[int], junk: object, code: int
) -> None:
    holds([json.dumps(replaced(json.loads(line), path, junk)).encode()], code)
