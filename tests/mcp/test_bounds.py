"""What bounds the tools: pace, the settings, and the table that all of it is told from."""

from __future__ import annotations

import hypothesis.strategies as st
import jsonschema
import msgspec
import pytest
from hypothesis import given

from engine.config import AgentSettings, McpSettings, ProjectSettings, Settings
from engine.config.complaints import complaints
from engine.config.mcp import offered
from engine.mcp.pace import Pace
from engine.mcp.tools import TAKES, described
from engine.model import Tool

ALL = frozenset(Tool)


@given(st.integers(1, 100), st.lists(st.floats(0, 30), max_size=300))
def test_no_more_calls_pass_than_the_pace_allows(calls: int, pauses: list[float]) -> None:
    pace, now, passed = Pace.of(calls, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        wait = pace.take(now)
        if not wait:
            passed += 1
        else:
            later = Pace(pace.calls, pace.left, pace.at)
            assert later.take(now + wait + 1e-6) == 0.0, "what it says to wait is enough"
    assert passed <= calls + now * calls / 60 + 1


def test_the_schemas_say_what_is_taken() -> None:
    examples = {
        Tool.ASK_OPERATOR: {"question": "?", "options": ["a"], "why": "b"},
        Tool.REPORT_PROGRESS: {"message": "m", "percent": 40},
        Tool.SUBMIT_JOB: {
            "prompt": "p",
            "title": "t",
            "agent": "a",
            "model": "m",
            "route": "r",
            "after": [3],
        },
        Tool.JOB_STATUS: {"job": 3, "wait_seconds": 5},
        Tool.RECALL: {"query": "q", "tokens": 500},
        Tool.REMEMBER: {"text": "t", "kind": "decision", "evidence": ["a:1"]},
        Tool.HAND_OFF: {
            "goal": "g",
            "state": "s",
            "done": [{"what": "w", "proof": "p"}],
            "next": ["n"],
            "traps": ["t"],
        },
        Tool.CLAIM_DONE: {"summary": "s"},
    }
    for tool in Tool:
        schema = described(tool)["inputSchema"]
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(examples[tool], schema)
        assert set(examples[tool]) == set(schema["properties"]) == set(TAKES[tool].__struct_fields__)
        msgspec.convert(examples[tool], TAKES[tool])
        least = {key: examples[tool][key] for key in schema.get("required", [])}
        msgspec.convert(least, TAKES[tool])
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**examples[tool], "more": 1}, TAKES[tool])


def test_the_words_of_the_tools_stay_few() -> None:
    """They stand in every prompt."""
    assert len(msgspec.json.encode([described(tool) for tool in Tool])) < 4_600


@pytest.mark.parametrize(
    ("settings", "job", "tools"),
    [
        (Settings(), None, ALL),
        (Settings(), False, frozenset()),
        (Settings(), [Tool.RECALL], {Tool.RECALL}),
        (Settings(mcp=McpSettings(enabled=False)), True, frozenset()),
        (Settings(mcp=McpSettings(tools=[Tool.RECALL])), True, {Tool.RECALL}),
        (Settings(mcp=McpSettings(tools=[Tool.RECALL])), [Tool.REMEMBER], frozenset()),
        (Settings(agents={"claude": AgentSettings(mcp=False)}), True, frozenset()),
        (Settings(projects={"p": ProjectSettings(path="/p", mcp=False)}), True, frozenset()),
        (Settings(projects={"p": ProjectSettings(path="/other", mcp=False)}), None, ALL),
    ],
)
def test_each_word_can_only_take_away(settings: Settings, job: bool | list[Tool] | None, tools: set[Tool]) -> None:
    assert offered(settings, "claude", "/p", job) == tools


def test_an_agent_that_is_not_there_is_told_with_the_nearest_one() -> None:
    (found,) = complaints(Settings(mcp=McpSettings(agents=["claud"])), ["claude", "shell"])
    assert found[0] == ("mcp", "agents", 0) and "claude" in found[1]
