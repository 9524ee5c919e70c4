"""What the recordings say themselves that they used, read without any of the adapters."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.agents.base import Agent
from engine.agents.registry import agents
from engine.money import Entry

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"

Sums = dict[str, tuple[int, int, int, int]]
"""By model: fresh input, output, read from the cache, written to it."""


def cases(agent: str) -> list[str]:
    found = (TRANSCRIPTS / agent).glob("*.jsonl")
    return sorted(path.stem for path in found if not path.stem.endswith(".rollout"))


def raw(agent: str, case: str, kind: str = "jsonl") -> list[bytes]:
    path = TRANSCRIPTS / agent / f"{case}.{kind}"
    return path.read_bytes().splitlines() if path.exists() else []


def objects(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    found = []
    for line in lines:
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def entries(agent: str, case: str, *, resumed: bool, times: int = 1, cut: int | None = None) -> tuple[Entry, ...]:
    """What its adapter makes of a recording, each line read so many times, and no further than `cut`."""
    parser = _agent(agent).parser(model="some/model" if agent == "opencode" else None, resumed=resumed)
    for line in raw(agent, case)[:cut]:
        for _ in range(times):
            parser.line(line)
    for line in raw(agent, case, "rollout.jsonl") if cut is None else ():
        for _ in range(times):
            parser.record(line)
    return tuple(parser.spent)


def _agent(name: str) -> Agent:
    return agents()[name]


def own_totals(agent: str, case: str) -> Sums:
    """The agent's own total of a run."""
    return {"claude": _claude, "codex": _codex, "opencode": _opencode, "gemini": _gemini}[agent](case)


def add(sums: Sums, model: str, part: tuple[int, int, int, int]) -> None:
    if any(part):
        before = sums.get(model, (0, 0, 0, 0))
        sums[model] = tuple(a + b for a, b in zip(before, part, strict=True))  # type: ignore[assignment]


def _claude(case: str) -> Sums:
    """Its results where it printed them; of what no result counted, each message once."""
    sums: Sums = {}
    open_: dict[str, tuple[str, tuple[int, int, int, int]]] = {}
    for line in objects(raw("claude", case)):
        message = line.get("message")
        if line.get("type") == "assistant" and message and message["model"] != "<synthetic>":
            used = message["usage"]
            open_[message["id"]] = message["model"], (
                used["input_tokens"], used["output_tokens"], used["cache_read_input_tokens"],
                used["cache_creation_input_tokens"],
            )  # fmt: skip
        if line.get("type") == "result":
            told = line.get("model_usage_since_last_result", line.get("modelUsage")) or {}
            for model, part in told.items():
                add(sums, model, (
                    part["inputTokens"], part["outputTokens"], part["cacheReadInputTokens"],
                    part["cacheCreationInputTokens"],
                ))  # fmt: skip
            open_.clear()
    for model, part in open_.values():
        add(sums, model, part)
    return sums


def _split(used: dict[str, int]) -> tuple[int, int, int, int]:
    read, written = used["cached_input_tokens"], used["cache_write_input_tokens"]
    return used["input_tokens"] - read - written, used["output_tokens"], read, written


def thread_total(case: str) -> tuple[str, tuple[int, int, int, int]] | None:
    """The thread of a run of codex, and what that has used in all its runs, as the stream says at its end."""
    thread, total = None, None
    for line in objects(raw("codex", case)):
        thread = line.get("thread_id", thread)
        if line.get("type") == "turn.completed":
            total = _split(line["usage"])
    return (str(thread), total) if total is not None else None


def _codex(case: str) -> Sums:
    """The turn by its rollout, else the thread by its stream."""
    model, turn = "unknown", None
    for line in objects(raw("codex", case, "rollout.jsonl")):
        model = line["payload"].get("model") or model if line["type"] == "turn_context" else model
        if line["type"] == "token_usage_record":
            turn = _split(line["payload"]["turn_token_usage"])
    found = thread_total(case)
    used = turn or (found[1] if found else None)
    return {model: used} if used and any(used) else {}


def _opencode(case: str) -> Sums:
    sums: Sums = {}
    steps = {line["part"]["id"]: line["part"] for line in objects(raw("opencode", case)) if _finishes(line)}
    for part in steps.values():
        used = part["tokens"]
        add(sums, "some/model", (
            used["input"], used["output"] + used["reasoning"], used["cache"]["read"], used["cache"]["write"],
        ))  # fmt: skip
    return sums


def _finishes(line: dict[str, Any]) -> bool:
    return line.get("type") == "step_finish"


def _gemini(case: str) -> Sums:
    sums: Sums = {}
    for line in objects(raw("gemini", case)):
        if line.get("type") == "result":
            sums = {}
            for model, used in line["stats"]["models"].items():
                fresh = used["input_tokens"] - used["cached"]
                add(sums, model, (fresh, used["total_tokens"] - used["input_tokens"], used["cached"], 0))
    return sums
