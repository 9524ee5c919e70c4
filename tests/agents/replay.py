"""Recordings of the real CLIs, read by their adapters, against a table that people read: `expected.txt` beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.agents.base import Agent, Exit, Outcome, Parser
from engine.agents.events import (
    AnyAgentEvent,
    Context,
    FileEdit,
    Notice,
    Permission,
    Result,
    Retrying,
    Started,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
)

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"
MODEL = "some/model"  #: what the runs were asked for, where the agent does not tell it itself

#: The words of the table's column of events.
WORDS: dict[type, str] = {
    Started: "started", Text: "text", ToolCall: "call", ToolResult: "result", FileEdit: "edit", Context: "usage",
    Retrying: "retrying", Notice: "notice", Result: "end", Unknown: "unknown",
    Permission: "denied",
}  # fmt: skip


@dataclass(frozen=True)
class Expected:
    case: str
    exit: int
    resumed: bool
    verdict: str
    tokens: str
    events: str
    reason: str


def table(agent: str) -> dict[str, Expected]:
    lines = (TRANSCRIPTS / agent / "expected.txt").read_text().splitlines()
    rows = [[part.strip() for part in line.split(" | ")] for line in lines if line and not line.startswith("#")]
    return {
        row[0]: Expected(row[0], int(row[1]), row[2] == "r", row[3], row[4], row[5], row[6])
        for row in rows[1:]
    }  # fmt: skip


def recorded(agent: str, case: str, kind: str = "jsonl") -> list[bytes]:
    path = TRANSCRIPTS / agent / f"{case}.{kind}"
    return path.read_bytes().splitlines() if path.exists() else []


def play(agent: Agent, expected: Expected) -> tuple[list[AnyAgentEvent], list[AnyAgentEvent], Outcome]:
    """The events of the output, those of the agent's own record, and the verdict."""
    parser = agent.parser(model=MODEL, resumed=expected.resumed)
    events = [event for line in recorded(agent.name, expected.case) for event in parser.line(line)]
    record = [event for line in recorded(agent.name, expected.case, "rollout.jsonl") for event in parser.record(line)]
    stderr = b"\n".join(recorded(agent.name, expected.case, "stderr")).decode()
    return events, record, parser.outcome(Exit(expected.exit), stderr)


def holds(agent: Agent, expected: Expected) -> None:
    """The recording means what the table says."""
    events, record, outcome = play(agent, expected)
    assert (outcome.failure or "succeeded") == expected.verdict, outcome.reason
    assert outcome.succeeded == (expected.verdict == "succeeded")
    assert (outcome.reason is None) == (expected.reason == "-"), outcome.reason
    assert expected.reason == "-" or expected.reason in (outcome.reason or ""), outcome.reason
    assert "\n" not in (outcome.reason or "") and len(outcome.reason or "") < 500
    told = folded([WORDS[type(event)] for event in events]) or "-"
    assert told == expected.events
    assert spent(outcome) == expected.tokens
    assert outcome.session == session(agent.name, expected.case)
    assert outcome.unknown_lines == sum(isinstance(event, Unknown) for event in events)
    assert (outcome.unknown_lines > 0) == ("unknown" in expected.events)
    wire = msgspec.json.encode([*events, *record])
    assert msgspec.json.decode(wire, type=list[AnyAgentEvent]) == [*events, *record]


def spent(outcome: Outcome) -> str:
    if not outcome.usage:
        return "-"
    used = [
        (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
        for usage in outcome.usage
    ]
    *tokens, written = [sum(column) for column in zip(*used, strict=True)]
    assert written == 0
    cost = sum(usage.cost_micros or 0 for usage in outcome.usage)
    return "/".join(map(str, tokens)) + (f" ${cost / 1e6:.4f}" if cost else "")


def session(agent: str, case: str) -> str | None:
    """The session that a recording names, by its own field."""
    field = {"codex": "thread_id", "gemini": "session_id", "opencode": "sessionID"}[agent]
    for line in recorded(agent, case):
        if line.startswith(b'{"type"') and field in (said := json.loads(line)):
            return str(said[field])
    return None


def folded(words: list[str]) -> str:
    """`call result call result text` as `(call result)x2 text`."""
    out, at = [], 0
    while at < len(words):
        length, times = 1, 1
        for width in range(1, 6):
            n = 1
            while words[at + n * width : at + (n + 1) * width] == words[at : at + width]:
                n += 1
            if n > 1 and n * width > length * times:
                length, times = width, n
        unit = " ".join(words[at : at + length])
        out.append(unit if times == 1 else f"{unit}x{times}" if length == 1 else f"({unit})x{times}")
        at += length * times
    return " ".join(out)


def survives(parser: Parser, lines: list[bytes], code: int) -> None:
    """Whatever was read, as output and as record: events that can be sent, and a verdict with a reason."""
    events = [event for line in lines for event in parser.line(line)]
    record = [event for line in lines for event in parser.record(line)]
    msgspec.json.encode([events, record])
    outcome = parser.outcome(Exit(code), "tail")
    msgspec.json.encode(outcome)
    assert outcome.succeeded == (outcome.failure is None)
    assert outcome.succeeded or outcome.reason
    assert outcome.unknown_lines == sum(isinstance(event, Unknown) for event in events)
    assert outcome.retry_at is None or 0 < outcome.retry_at < 10**15
