"""An answer against its schema."""

from __future__ import annotations

from typing import Any

import pytest

from engine.agents.llm.answer import Schema, SchemaError, is_closed
from engine.agents.llm.messages import _taken

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}


def test_only_what_is_valid_has_no_problem() -> None:
    schema = Schema(PERSON)
    assert schema.problem('{"name": "Ada", "age": 36}') is None
    assert "not JSON" in (schema.problem("Here you are: {}") or "")
    assert "name" in (schema.problem("{}") or "")
    assert (schema.problem('{"name": "Ada", "age": -1}') or "").startswith("age:")


def test_a_schema_that_is_none_says_where() -> None:
    with pytest.raises(SchemaError, match="properties/a/type"):
        Schema({"type": "object", "properties": {"a": {"type": "text"}}})


def test_nothing_is_fetched_for_a_schema() -> None:
    problem = Schema({"$ref": "http://127.0.0.1:1/other.json"}).problem("{}")
    assert problem is not None
    assert "refers to what is not in it" in problem


def test_anthropic_gets_closed_objects_and_nothing_that_would_change_the_answer() -> None:
    sent = _taken(PERSON)
    assert sent["additionalProperties"] is False
    assert "minimum" not in sent["properties"]["age"]
    free = {"type": "object", "properties": {"any": {"type": "object"}}}
    assert _taken(free) == free
    odd = {"type": ["string", "null"]}
    assert _taken(odd) == odd


def test_strict_is_only_a_schema_that_leaves_nothing_open() -> None:
    closed = {**PERSON, "additionalProperties": False, "required": ["name", "age"]}
    assert is_closed(closed)
    assert is_closed({"type": "array", "items": closed})
    assert not is_closed(PERSON)
    assert not is_closed({**closed, "required": ["name"]})
    assert not is_closed({**closed, "properties": {"name": PERSON, "age": {"type": "integer"}}})
    assert is_closed({"enum": [{"a": 1}]}), "a value is no schema"
