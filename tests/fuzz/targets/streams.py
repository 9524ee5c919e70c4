"""What agents and providers say: the lines of each format, headers of limits, the bodies of errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import yaml

import engine.rehearsal
from engine.agents.base import Exit, Parser
from engine.agents.events import AnyAgentEvent, Limit, Unknown
from engine.agents.headers import limits_in
from engine.agents.readings import reading_of
from engine.agents.registry import agents
from engine.runner.follow import Lines
from engine.tap.framing import FramingError, HeadReader
from engine.tap.reading import decoded, refused, windows
from engine.tap.usage import UsageReader
from tests.fuzz.contract import told
from tests.fuzz.target import Form, Read, Target, plain

TRANSCRIPTS = Path(__file__).parents[2] / "transcripts"
NOW = 1_790_000_000_000
_SEED = 12_000  #: bytes of a recording: its beginning and its end
_LATEST = 10**15  #: milliseconds: no provider's limit ends later
_REASON = 500  #: characters


def _recordings(agent: str) -> Sequence[bytes]:
    found = []
    for path in sorted((TRANSCRIPTS / agent).glob("*.jsonl")):
        lines = [line for line in path.read_bytes().split(b"\n") if line and len(line) < _SEED // 4]
        if lines:
            found.append(b"\n".join([*lines[:6], *lines[6:][-6:]]))
    return found


def _plays(agent: str) -> Read:
    """The lines as the follower parts them, as output and as the agent's own record; then the verdict, twice."""

    def read(data: bytes) -> None:
        code = (0, 1, 130, 137, 255)[len(data) % 5]
        parser = agents()[agent].parser(model="some/model", resumed=len(data) % 2 == 0)
        lines, cut = Lines(), len(data) // 2
        whole = [line for piece in (data[:cut], data[cut:]) for line, _ in lines.feed(piece)]
        whole += [line for line, _ in lines.rest()]
        events = [event for line in whole for event in parser.line(line)]
        _sent(events)
        _sent([event for line in whole for event in parser.record(line)])
        msgspec.json.encode([parser.asking, parser.spent, parser.errands])
        assert sum(isinstance(event, Unknown) for event in events) <= len(whole)
        _judged(parser, code)

    return read


def _sent(events: list[AnyAgentEvent]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(events), type=list[AnyAgentEvent]) == events
    for event in events:
        if isinstance(event, Limit):
            _limit(event)


def _judged(parser: Parser, code: int) -> None:
    outcome = parser.outcome(Exit(code), "tail")
    assert msgspec.json.encode(parser.outcome(Exit(code), "tail")) == msgspec.json.encode(outcome)
    assert outcome.succeeded == (outcome.failure is None)
    assert outcome.succeeded or outcome.reason
    assert len(outcome.reason or "") < _REASON and "\n" not in (outcome.reason or "")
    assert outcome.retry_at is None or 0 < outcome.retry_at < _LATEST


def _limit(limit: Limit) -> None:
    assert limit.used is None or 0 <= limit.used <= 1
    assert limit.resets_at is None or 0 < limit.resets_at < _LATEST
    msgspec.json.encode(reading_of(limit, "claude", NOW, None))


def _headers(data: bytes) -> None:
    """The first head among the bytes, as the tap reads it, and the body behind it."""
    reader = HeadReader(request=False)
    try:
        head = reader.feed(data)
    except FramingError as error:
        told(str(error))
        return
    if head is None:
        return
    named = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in head.headers}
    found = [*limits_in(named, NOW, refused=head.status == 429), *windows(named, NOW)]
    body = decoded(reader.rest, head.get(b"content-encoding") or b"")
    seen = refused(head, body, NOW)
    for limit in (*found, *seen.limits):
        _limit(limit)
    if seen.refusal is not None:
        told(seen.refusal.line("host", NOW))
        assert seen.refusal.retry_at is None or 0 < seen.refusal.retry_at < _LATEST
    for kind in (b"text/event-stream", b"application/json"):
        usage = UsageReader(kind, head.get(b"content-encoding") or b"")
        for at in range(0, len(reader.rest), 700):
            usage.feed(reader.rest[at : at + 700])
        msgspec.json.encode(usage.finish())


_ERROR = json.dumps({
    "type": "error", "error": {"type": "rate_limit_error", "message": "later", "code": 429,
    "status": "RESOURCE_EXHAUSTED",
    "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"},
    {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay",
    "quotaValue": "5"}]}]},
}).encode()  # fmt: skip
_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"model":"m","usage":{"input_tokens":5}}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":7}}\n\n'
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
)
_HEADS = (
    b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\nanthropic-ratelimit-unified-status: rejected\r\n"
    b"anthropic-ratelimit-unified-5h-utilization: 1.0\r\nanthropic-ratelimit-unified-5h-reset: 1790000000\r\n"
    b"anthropic-ratelimit-unified-representative-claim: five_hour\r\ncontent-type: application/json\r\n\r\n" + _ERROR,
    b"HTTP/1.1 200 OK\r\nanthropic-ratelimit-requests-limit: 50\r\nanthropic-ratelimit-requests-remaining: 0\r\n"
    b"anthropic-ratelimit-requests-reset: 2026-09-21T14:00:00Z\r\ndate: Mon, 21 Sep 2026 13:00:00 GMT\r\n\r\n"
    + _STREAM,
    b"HTTP/1.1 429 Slow\r\nx-ratelimit-limit-tokens: 100\r\nx-ratelimit-remaining-tokens: 0\r\n"
    b"x-ratelimit-reset-tokens: 6m0s\r\nretry-after-ms: 1500\r\nx-should-retry: true\r\n\r\n" + _ERROR,
    b"HTTP/1.1 200 OK\r\nx-codex-primary-used-percent: 99.5\r\nx-codex-primary-window-minutes: 300\r\n"
    b"x-codex-primary-reset-after-seconds: 17\r\nx-codex-credits-has-credits: true\r\n\r\n" + _STREAM,
)


def _llm() -> Sequence[bytes]:
    said = [
        {"type": "start", "format": 1, "provider": "p", "model": "m", "client": "c"}, {"type": "text", "text": "hello"},
        {"type": "thinking", "text": "hm"}, {"type": "usage", "usage": {"model": "m", "input_tokens": 5}},
        {"type": "limits", "windows": [{"name": "requests", "limit": 5, "remaining": 0, "resets_at": NOW}]},
        {"type": "retry", "attempt": 1, "delay_ms": 5, "status": 529, "error": "overloaded"},
        {"type": "error", "failure": "rate_limited", "message": "later", "status": 429, "retry_at": NOW},
        {"type": "result", "text": "hello", "stop": "end", "file": "answer.txt", "chars": 5},
    ]  # fmt: skip
    return [b"\n".join(json.dumps(one).encode() for one in said), *_recordings("claude")[:1]]


def _acp() -> Sequence[bytes]:
    """The protocol as an agent of it speaks, from its first line to its answer."""
    update = {"jsonrpc": "2.0", "method": "session/update"}
    call = {"toolCallId": "c", "kind": "edit", "title": "Edit a", "status": "completed",
    "locations": [{"path": "/p/a"}],
            "content": [{"type": "diff", "path": "/p/a", "oldText": "a\nb", "newText": "a\nc"},
                        {"type": "content", "content": {"type": "text", "text": "done"}}],
            "rawInput": {"command": "ls"}}  # fmt: skip
    lines: list[dict[str, object]] = [
        {"jsonrpc": "2.0", "id": 0, "result": {"agentInfo": {"name": "a", "version": "1"}}},
        {"jsonrpc": "2.0", "id": 1, "result": {"sessionId": "s", "models": {"currentModelId": "m"}}},
        {**update, "params": {"sessionId": "s", "update": {"sessionUpdate": "agent_message_chunk",
                                                           "content": {"type": "text", "text": "hello"}}}},
        {**update, "params": {"sessionId": "s", "update": {"sessionUpdate": "tool_call", **call}}},
        {"jsonrpc": "2.0", "id": 9, "method": "session/request_permission",
         "params": {"sessionId": "s", "toolCall": call, "options": [{"optionId": "o", "kind": "allow_once",
         "name": "n"}]}},
        {"jsonrpc": "2.0", "id": 10, "method": "fs/read_text_file", "params": {"path": "/p"}},
        {**update, "params": {"sessionId": "s", "update": {"sessionUpdate": "tool_call_update", **call}}},
        {"jsonrpc": "2.0", "id": 2, "result": {"stopReason": "end_turn", "_meta": {"quota": {"model_usage": [
            {"model": "m", "token_count": {"input_tokens": 3, "output_tokens": 4}}]}}}},
        {"jsonrpc": "2.0", "id": 2, "error": {"code": 429, "message": "later"}},
    ]  # fmt: skip
    return [b"\n".join(json.dumps(one).encode() for one in lines)]


def _rehearsals() -> Sequence[bytes]:
    """What the stand-ins print that no recording has: windows, refusals."""
    folder = Path(engine.rehearsal.__file__).parent / "streams"
    found = []
    for path in sorted(folder.glob("*.yaml")):
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        found.append(b"\n".join(json.dumps(one).encode() for one in said.values()))
    return found


TARGETS = (
    Target("claude", Form.LINES, lambda: [*_recordings("claude"), *_rehearsals()], plain(_plays("claude"))),
    Target("codex", Form.LINES, lambda: _recordings("codex"), plain(_plays("codex"))),
    Target("opencode", Form.LINES, lambda: _recordings("opencode"), plain(_plays("opencode"))),
    Target("gemini", Form.LINES, lambda: _recordings("gemini"), plain(_plays("gemini"))),
    Target("acp", Form.LINES, _acp, plain(_plays("acp"))),
    Target("llm", Form.LINES, _llm, plain(_plays("llm"))),
    Target("shell", Form.LINES, lambda: [b"one\ntwo\n", *_recordings("claude")[:1]], plain(_plays("shell"))),
    Target("limits", Form.HTTP, lambda: _HEADS, plain(_headers)),
)
