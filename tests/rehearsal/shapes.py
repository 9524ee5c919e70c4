"""What the real agents print, learned from their recordings: kinds of lines, their fields, types and order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"
#: Maps whose keys are names and not fields.
NAMED = {"models"}
#: What a tool is told is its own affair; only tools that were recorded are held to it.
GIVEN = {"opencode": {"edit"}, "gemini": {"replace"}, "codex": set[str]()}


@dataclass
class Shape:
    """Types that were seen in a place, and for objects the fields: those of every one of them are required."""

    types: set[str] = field(default_factory=set)
    objects: int = 0
    fields: dict[str, Shape] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def learn(self, value: Any, name: str = "") -> None:
        self.types.add(kind(value))
        if isinstance(value, dict):
            self.objects += 1
            for key, inner in value.items():
                at = "*" if name in NAMED else key
                self.seen[at] = self.seen.get(at, 0) + 1
                self.fields.setdefault(at, Shape()).learn(inner, key)
        elif isinstance(value, list):
            for inner in value:
                self.fields.setdefault("[]", Shape()).learn(inner)

    def problems(self, value: Any, where: str, name: str = "") -> Iterator[str]:
        """Where a value is not of this shape."""
        if kind(value) not in self.types:
            yield f"{where} is {kind(value)} and was {' or '.join(sorted(self.types))}"
        elif isinstance(value, dict):
            if name not in NAMED:
                required = {key for key, count in self.seen.items() if count == self.objects}
                yield from (f"{where} lacks {key}" for key in sorted(required - set(value)))
            for key, inner in value.items():
                at = "*" if name in NAMED else key
                if at not in self.fields:
                    yield f"{where} has the made-up {key}"
                else:
                    yield from self.fields[at].problems(inner, f"{where}.{key}", key)
        elif isinstance(value, list):
            for inner in value:
                yield from self.fields["[]"].problems(inner, f"{where}[]") if "[]" in self.fields else ()


def kind(value: Any) -> str:
    names = {
        bool: "bool",
        int: "number",
        float: "number",
        str: "text",
        dict: "object",
        list: "list",
        type(None): "null",
    }
    return names[type(value)]


def lines(path: Path) -> Iterator[Json]:
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            value = json.loads(text)
        except ValueError:
            continue
        if isinstance(value, dict) and "type" in value:
            yield value


def recordings(agent: str, *, record: bool = False) -> Iterator[tuple[str, list[Json]]]:
    for path in sorted((TRANSCRIPTS / agent).rglob("*.jsonl")):
        if (path.stem.endswith("rollout")) is record:
            yield str(path.relative_to(TRANSCRIPTS)), list(lines(path))


def name_of(agent: str, line: Json) -> str:
    """The kind of a line: lines of a kind have the same fields."""
    if "payload" in line:
        payload = line["payload"]
        return " ".join(filter(None, (line["type"], payload.get("type"), (payload.get("item") or {}).get("type"))))
    words: list[Any] = [line["type"]]
    if agent == "codex" and "item" in line:
        words += [line["item"]["type"], line["item"].get("status")]
    elif agent == "opencode":
        part = line.get("part", {})
        words += [part.get("tool"), part.get("state", {}).get("status"), part.get("synthetic")]
        words += [line.get("error", {}).get("name")]
    elif agent == "gemini":
        words += [line.get("role"), line.get("status")]
    return " ".join(str(word) for word in words if word)


@cache
def learned(agent: str, *, record: bool = False) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    for _, told in recordings(agent, record=record):
        for line in told:
            found.setdefault(name_of(agent, line), Shape()).learn(line)
    if "tool_use" in found:  # gemini's: one tool's arguments are another's neither in name nor in number
        found["tool_use"].fields["parameters"] = Shape({"object"}, 2, _arguments(agent), {})
    return found


def _arguments(agent: str) -> dict[str, Shape]:
    shape = Shape()
    for _, told in recordings(agent):
        for line in told:
            if line["type"] == "tool_use":
                shape.learn(line["parameters"])
    for key in ("old_string", "new_string"):  # of `replace`, which no recording has
        shape.fields[key] = Shape({"text"})
    return shape.fields


#: A letter for each kind of line, the first that fits, and the order of the letters that a run may print, however
#: early it was cut off.
LETTERS = {
    "codex": [
        ("T", r"thread\.started"), ("U", r"turn\.started"), ("W", r"item\.completed error"), ("s", r"item\.started"),
        ("c", r"item\.completed (command|file)"), ("m", r"item\.completed agent"), ("e", r"error"),
        ("D", r"turn\.completed"), ("F", r"turn\.failed"),
    ],
    "opencode": [
        ("S", "step_start"), ("y", "text True"), ("x", "text"), ("u", "tool_use"), ("F", "step_finish"), ("E", "error"),
    ],
    "gemini": [
        ("I", "init"), ("P", "message user"), ("a", "message assistant"), ("c", "tool_use"), ("r", "tool_result"),
        ("e", "error"), ("D", "result"),
    ],
}  # fmt: skip
GRAMMAR = {
    "codex": r"(T(W?U(m|sc?|e)*(D|(?<=e)F)?)?)?",
    "opencode": r"(S+[xu]*F|y|E)*(S+[xu]*)?",
    "gemini": r"(I(P(a|cr)*c?e?D?)?)?",
}


def order(agent: str, told: list[Json]) -> str:
    names = [name_of(agent, line) for line in told]
    return "".join(next(letter for letter, kind in LETTERS[agent] if re.match(kind, name)) for name in names)


def in_order(agent: str, told: list[Json]) -> bool:
    return re.fullmatch(GRAMMAR[agent], order(agent, told)) is not None
