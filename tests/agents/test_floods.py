"""An agent that begins things without end and ends none of them: what is held of it does not grow."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from engine.agents.base import Exit
from engine.agents.registry import agents
from engine.hub import Hub
from engine.model import Target
from engine.runner.watch import WINDOWS_KEPT, Watch
from engine.window import Reading

Line = Callable[[int], dict[str, Any]]

#: Lines of which each has a name of its own, so that none takes the place of another.
FLOODS: dict[str, tuple[str, Line]] = {
    "claude asks": ("claude", lambda n: {"type": "control_request", "request_id": f"r{n}", "request": {
        "subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "x" * 500}, "tool_use_id": f"t{n}"}}),
    "claude ends": ("claude", lambda n: {"type": "result", "subtype": "success", "uuid": f"u{n}", "is_error": False}),
    "claude calls": ("claude", lambda n: {"type": "assistant", "message": {"id": "m", "model": "x", "content": [
        {"type": "tool_use", "id": f"t{n}", "name": "Bash", "input": {"command": "x" * 200}}]}}),
    "claude compacts": ("claude", lambda n: {"type": "system", "subtype": "compact_boundary", "compact_metadata": {
        "trigger": f"auto{n}", "pre_tokens": n, "post_tokens": 1}}),
    "claude's windows": ("claude", lambda n: {"type": "rate_limit_event", "rate_limit_info": {
        "status": "allowed", "rateLimitType": f"window-{n}", "utilization": 0.5}}),
    "codex's items": ("codex", lambda n: {"type": "item.started", "item": {
        "id": f"i{n}", "type": "command_execution", "command": "x" * 200}}),
    "gemini calls": ("gemini", lambda n: {"type": "tool_use", "tool_id": f"t{n}", "tool_name": "x",
                                         "parameters": {"a": "x" * 500}}),
    "opencode's parts": ("opencode", lambda n: {"type": "tool_use", "sessionID": "s", "part": {
        "type": "tool", "callID": f"c{n}", "tool": "bash", "state": {"status": "running", "input": {"a": "x" * 200}}}}),
    "acp speaks": ("acp", lambda n: {"method": "session/update", "params": {"sessionId": "s", "update": {
        "sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": f"{n} " + "x" * 500}}}}),
    "acp asks": ("acp", lambda n: {"jsonrpc": "2.0", "id": n, "method": "session/request_permission", "params": {
        "sessionId": "s", "toolCall": {"toolCallId": f"t{n}", "kind": "edit", "title": "x" * 500}, "options": []}}),
    "acp wants": ("acp", lambda n: {"jsonrpc": "2.0", "id": n, "method": f"fs/read_{n}", "params": {}}),
}  # fmt: skip
BEGIN = b'{"jsonrpc":"2.0","id":1,"result":{"sessionId":"s"}}'


@pytest.mark.parametrize("flood", FLOODS)
def test_nothing_that_an_agent_begins_without_end_takes_memory(flood: str) -> None:
    name, line = FLOODS[flood]
    readings: list[Reading] = []
    parser = agents()[name].parser(model="x")
    watch = Watch(1, 1, Target(name), parser, Hub(), readings.extend)
    if name == "acp":
        watch.sink([BEGIN])

    def print_lines(first: int, count: int) -> None:
        for n in range(first, first + count, 50):
            watch.sink([json.dumps(line(number)).encode() for number in range(n, n + 50)])

    print_lines(0, 3_000)
    told = len({one.window for one in readings})
    readings.clear()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    print_lines(3_000, 3_000)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 200_000, f"{(after - before) / 3_000:.0f} bytes a line"
    assert told <= WINDOWS_KEPT
    assert len(parser.asking) <= 100 and len(parser.errands) <= 100
    outcome = parser.outcome(Exit(0), "")
    assert outcome.succeeded or outcome.reason
