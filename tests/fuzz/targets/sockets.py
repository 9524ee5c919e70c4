"""What speaks to a running engine: requests to its API, calls on the agents' socket, and an agent to its shim."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import h11
import msgspec

from engine.home import AGENTS, SOCKET
from engine.mcp import shim
from engine.mcp.tools import TAKES, described
from engine.mcp.wire import Frame, Reply
from engine.model import Tool
from engine.server.agents import LINE_BYTES
from tests.fuzz.contract import BrokenError, told
from tests.fuzz.stage import TOKEN, Stage, staged
from tests.fuzz.target import Form, Read, Target

CUT = b"\xff\xfe"  #: in a request: here it is cut, and sent in another piece
_HEAD_BYTES = 1 << 16
_ANSWER_BYTES = 8 << 20  #: of one answer that are read

_NAMES = {"job": "1", "card": "1", "rule": "1", "race": "1", "merge": "1", "pipeline": "1", "worker": "w", "name": "n"}
#: Bodies that a call understands, by its path. All that changes more than a row is a dry run here.
_BODIES: dict[str, list[dict[str, Any]]] = {
    "/v1/jobs": [
        {"jobs": [{"prompt": "p", "title": "t", "agent": "shell", "after": [1], "tags": ["a"], "timeout": "5m"}],
         "dry_run": True, "token": "t", "batch": "b", "then": {"prompt": "q"}},
        {"jobs": [{"prompt": "p", "name": "a"}, {"prompt": "q", "after": ["a"], "deadline": "2h", "budget": "$1"}]},
    ],
    "/v1/jobs/{job}/attach": [{"pid": 1, "dry_run": True}, {"by": "me", "host": "h", "marker": "m"}],
    "/v1/jobs/{job}/detach": [{"marker": "m"}],
    "/v1/jobs/{job}/triage": [{"kind": "bug", "dry_run": True}],
    "/v1/jobs/{job}/hand-offs": [{"goal": "g", "state": "s", "done": [{"what": "w", "proof": "p"}], "next": ["n"]}],
    "/v1/actions": [
        {"verb": "hold", "jobs": [1, 2], "dry_run": True, "preview": True},
        {"verb": "reroute", "filter": "st:ready", "to": "claude:opus", "dry_run": True},
        {"verb": "snooze", "jobs": [2], "until": "2h"}, {"verb": "cap", "scope": "agent:shell", "limit": 3},
        {"verb": "edit", "jobs": [2], "prompt": "p"}, {"verb": "move", "jobs": [2], "place": "before:3"},
        {"verb": "priority", "jobs": [2], "priority": 3}, {"verb": "cancel", "jobs": [3], "dry_run": True},
    ],
    "/v1/undo": [{"action": 1, "dry_run": True}],
    "/v1/prune": [{"older_than": "30d", "dry_run": True}],
    "/v1/tokens": [{"name": "n", "role": "viewer"}],
    "/v1/decisions": [{"replies": [{"card": 1, "choice": "allow"}]}],
    "/v1/decisions/snooze": [{"cards": [1], "until": "2h"}],
    "/v1/decisions/{card}": [{"choice": "allow", "reason": "r"}],
    "/v1/rules": [{"tool": "Bash", "pattern": "git *", "effect": "allow", "expires": "7d", "dry_run": True}],
    "/v1/proposals": [{"proposal": 1, "accept": True}],
    "/v1/routes/explain": [{"spec": {"prompt": "p", "route": "large"}}],
    "/v1/limits": [{"account": "claude@work", "window": "five_hour", "used": 0.5}],
    "/v1/races": [{"prompt": "p", "on": ["claude:a", "claude:b"], "checks": ["true"], "dry_run": True}],
    "/v1/races/{race}/pick": [{"winner": 1, "dry_run": True}],
    "/v1/merges": [{"jobs": [1], "into": "main", "dry_run": True}],
    "/v1/merges/{merge}/drop": [{"dry_run": True}],
    "/v1/pipelines": [{"name": "research", "what": "w", "inputs": {"a": "b"}, "dry_run": True}],
    "/v1/pipelines/{pipeline}": [{"verb": "cancel", "dry_run": True}],
    "/v1/triage": [{"dry_run": True}],
    "/v1/schedules/{name:path}": [
        {"verb": "add", "spec": {"cron": "0 3 * * *", "job": {"prompt": "p"}, "jitter": "5m"}, "dry_run": True},
        {"verb": "pause"},
    ],
    "/v1/spend/reconcile": [{"reported": [{"day": "2026-01-01", "tokens": 5, "micros": 6}]}],
    "/v1/budgets": [{"scope": "day", "amount": "$5"}],
    "/v1/memory": [{"drafts": [{"text": "t", "kind": "fact", "scope": "global", "subject": "s", "tags": ["a"]}]}],
    "/v1/memory/core": [{"scope": "global", "text": "t"}],
    "/v1/memory/change": [{"ids": [1], "text": "t", "dry_run": True}],
    "/v1/memory/forget": [{"ids": [1], "dry_run": True}],
    "/v1/memory/import": [{"items": [{"id": 1, "scope": "global", "kind": "fact", "text": "a", "created_at": 1,
                                      "updated_at": 2}]}],
    "/v1/workers/{name}": [{"verb": "rest", "dry_run": True}],
}  # fmt: skip
_QUERIES = (
    "", "?limit=5", "?filter=st:ready+age%3E1h+!title&sort=-cost&limit=3", "?ids=1,2,3", "?job=1&after=0&limit=9",
    "?q=how+is+it&scope=project:/p&limit=3", "?since=7d&by=model&job=1", "?attempt=1&tail=5", "?name=claude",
    "?count=3",
)  # fmt: skip
#: What is not asked of it here: it would move an archive to another backend, or send a notice to the outside.
_LEFT_OUT = frozenset({"/v1/memory/migrate", "/v1/notify/test"})


def _seeds(routes: Sequence[tuple[str, str]]) -> list[bytes]:
    found = []
    for method, path in routes:
        if path in _LEFT_OUT:
            continue
        for name, value in _NAMES.items():
            path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
        bare = next((route for there, route in routes if there == method and _fits(route, path)), path)
        if method == "GET":
            found += [
                f"GET {path}{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for query in _QUERIES[:: 3 - len(path) % 2]
            ]
        for body in _BODIES.get(bare, [{}]) if method != "GET" else ():
            data = json.dumps(body).encode()
            head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
            found.append(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    whole = b'{"jobs":[{"prompt":"p"}],"dry_run":true}'
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (whole[:7], whole[7:])) + b"0\r\n\r\n"
    odd = b"POST /v1/jobs HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    found += [odd + parts, odd.replace(b"\r\n\r\n", b"\r\n" + CUT + b"\r\n") + parts.replace(b"{", b"{" + CUT)]
    found.append(b"GET /v1/events?follow=1&after=0 HTTP/1.1\r\nHost: h\r\nLast-Event-ID: 3\r\n\r\n")
    found.append(b"GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
    return found


def _fits(route: str, path: str) -> bool:
    theirs, ours = route.split("/"), path.split("/")
    return len(theirs) == len(ours) and all(a == b or a.startswith("{") for a, b in zip(theirs, ours, strict=True))


def _asked(data: bytes) -> bool | None:
    """Whether the server has a whole request to answer; None where it is none. As the server's own grammar reads it."""
    ours = h11.Connection(h11.SERVER, _HEAD_BYTES)
    if not data:
        return False
    try:
        ours.receive_data(data)
        while True:
            event = ours.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return False
            if isinstance(event, h11.EndOfMessage):
                return True
    except h11.ProtocolError:
        return None


def _request(stage: Stage, data: bytes) -> None:
    whole = _asked(data.replace(CUT, b""))
    with contextlib.closing(stage.connected(SOCKET)) as line:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in data.split(CUT):
                line.sendall(piece)
        if whole is not False:
            _answered(line)
    stage.check()


def _answered(line: Any) -> None:
    """The first answer, which is no defect and says something."""
    theirs = h11.Connection(h11.CLIENT)
    theirs.send(h11.Request(method="GET", target="/", headers=[("host", "h")]))
    theirs.send(h11.EndOfMessage())
    status, body, stream = 0, bytearray(), False
    while True:
        event = theirs.next_event()
        if event is h11.NEED_DATA:
            try:
                data = line.recv(1 << 16)
            except ConnectionResetError:
                return
            except TimeoutError:
                raise BrokenError("there is no answer to a whole request") from None
            theirs.receive_data(data)
            if not data and not status:
                return  # it was no request, and the connection is over
        elif isinstance(event, h11.Response):
            status = event.status_code
            stream = any(b"event-stream" in value for _, value in event.headers)
            if stream:
                break
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _ANSWER_BYTES:
                break
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            break
    if status >= 500 and status not in (503, 507):
        raise BrokenError(f"status {status}: {bytes(body[:300])!r}")
    if status >= 400 and body[:1] == b"{":
        said = msgspec.json.decode(body)
        told(str(said.get("message") or said.get("error") or ""))


@contextlib.contextmanager
def _http() -> Iterator[Read]:
    with staged() as stage:
        yield lambda data: _request(stage, data)


def _requests() -> Sequence[bytes]:
    with staged() as stage:
        return _seeds(stage.routes)


_CALLS: dict[Tool, dict[str, Any]] = {
    Tool.ASK_OPERATOR: {"question": 5},  # a right one would wait for a person
    Tool.REPORT_PROGRESS: {"message": "m", "percent": 40},
    Tool.SUBMIT_JOB: {"prompt": "p", "title": "t", "agent": "claude", "after": [2]},
    Tool.JOB_STATUS: {"job": 1},
    Tool.RECALL: {"query": "q", "tokens": 500},
    Tool.REMEMBER: {"text": "t", "kind": "decision", "evidence": ["a:1"]},
    Tool.HAND_OFF: {"goal": "g", "state": "s", "done": [{"what": "w", "proof": "p"}], "next": ["n"], "traps": ["t"]},
    Tool.CLAIM_DONE: {"summary": 3},
}


def _frames() -> Sequence[bytes]:
    return [
        msgspec.json.encode({"token": TOKEN, "call": "c", "tool": tool, "arguments": given})
        for tool, given in _CALLS.items()
    ]


def _call(stage: Stage, data: bytes) -> None:
    """One line of a shim. What is no frame ends the connection; a frame is answered, and so is the next connection."""
    if _waits(data):
        return
    number = str(len(data))
    frame = data.replace(b"\n", b" ").replace(b'"call":"c"', b'"call":"%x"' % (hash(data) & (2**64 - 1)))
    with contextlib.closing(stage.connected(AGENTS)) as line, contextlib.closing(line.makefile("rb")) as reader:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(frame + b"\n")
        try:
            answer = reader.readline()
        except ConnectionResetError:
            answer = b""
        except TimeoutError:
            raise BrokenError("there is no answer") from None
        is_frame = _is_frame(frame)
        if is_frame and not answer:
            raise BrokenError("a frame was not answered")
        if answer:
            told(msgspec.json.decode(answer, type=Reply).text)
    with contextlib.closing(stage.connected(AGENTS)) as line, contextlib.closing(line.makefile("rb")) as reader:
        line.sendall(msgspec.json.encode(Frame("no token", number)) + b"\n")
        if msgspec.json.decode(reader.readline(), type=Reply).call != number:
            raise BrokenError("another call was answered")
    stage.check()


def _waits(data: bytes) -> bool:
    """Whether it asks the operator something: that is answered when there is one."""
    try:
        frame = msgspec.json.decode(data, type=Frame)
        msgspec.json.decode(frame.arguments, type=TAKES[Tool.ASK_OPERATOR])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return frame.tool == Tool.ASK_OPERATOR


def _is_frame(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=Frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return len(data) < LINE_BYTES


@contextlib.contextmanager
def _tools() -> Iterator[Read]:
    with staged() as stage:
        yield lambda data: _call(stage, data)


def _messages() -> Sequence[bytes]:
    """An agent's side of MCP, of either age."""
    meta = {"io.modelcontextprotocol/protocolVersion": shim.MODERN[0], "progressToken": 7}
    calls = [
        {"jsonrpc": "2.0", "id": 3 + number, "method": "tools/call",
         "params": {"name": tool.value, "arguments": given, **({"_meta": meta} if number % 2 else {})}}
        for number, (tool, given) in enumerate(_CALLS.items())
    ]  # fmt: skip
    lines: list[dict[str, Any]] = [
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {}},
        },
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"cursor": "c"}},
        *calls,
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 4}},
        {"jsonrpc": "2.0", "id": 20, "method": "server/discover", "params": {"_meta": meta}},
        {"jsonrpc": "2.0", "id": 21, "method": "ping"},
    ]
    return [b"\n".join(json.dumps(one).encode() for one in part) for part in (lines[:4], lines[4:], lines)]


def _shim(data: bytes) -> None:
    """A shim without an engine: all that it says is JSON-RPC, and all that it would send on is a frame."""
    said: list[object] = []
    write, shim._write = shim._write, said.append
    try:
        one = shim.Shim({"home": "/", "socket": "none", "token": TOKEN, "tools": [described(tool) for tool in Tool],
                         "waits": [Tool.ASK_OPERATOR.value]})  # fmt: skip
        for line in data.split(b"\n"):
            if line.strip():
                one._take(line)
    finally:
        shim._write = write
    for message in said:
        again = json.loads(json.dumps(message))
        assert again["jsonrpc"] == "2.0" and ("result" in again or "error" in again or "method" in again)
        json.dumps(message, allow_nan=False)  # a client that takes JSON at its word reads it
    for call in one.calls.values():
        msgspec.json.decode(call.frame, type=Frame)
    for frame in one.farewells.values():
        msgspec.json.decode(frame, type=Frame)


@contextlib.contextmanager
def _alone() -> Iterator[Read]:
    yield _shim


TARGETS = (
    Target("http", Form.HTTP, _requests, _http, (CUT, b"Transfer-Encoding: chunked\r\n", b"%2e%2e%2f", b"?", b"&")),
    Target("tools", Form.TREE, _frames, _tools, (b'"cancel":true,', b"J1", b"project:/")),
    Target("shim", Form.LINES, _messages, _alone, (b"[]", b'"id":null', b'"params":[]')),
)
