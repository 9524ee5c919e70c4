"""The answer against the schema that was asked for, and its place on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.agents.llm.lines import ANSWERS

VALUES = ("enum", "const", "default", "examples")  #: keys of a schema under which there are values, and no schemas
PROBLEM_LIMIT = 200  #: characters of what a validator says


class SchemaError(Exception):
    """The schema itself is none."""


class Schema:
    """A JSON Schema, checked. What it refers to elsewhere is not fetched."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        import jsonschema
        from jsonschema.validators import validator_for
        from referencing.jsonschema import EMPTY_REGISTRY

        kind = validator_for(schema, default=jsonschema.Draft202012Validator)
        try:
            kind.check_schema(dict(schema))
        except jsonschema.SchemaError as error:
            raise SchemaError(f"{_at(error.path)}: {error.message[:PROBLEM_LIMIT]}") from None
        self._validator = kind(dict(schema), registry=EMPTY_REGISTRY, format_checker=kind.FORMAT_CHECKER)

    def problem(self, text: str) -> str | None:
        """What is wrong with an answer; None where it is valid."""
        import jsonschema
        from referencing.exceptions import Unresolvable

        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            return f"it is not JSON: {error}"
        try:
            errors = self._validator.iter_errors(value)
            worst = jsonschema.exceptions.best_match(errors)
        except Unresolvable as error:
            return f"the schema refers to what is not in it: {error}"
        return None if worst is None else f"{_at(worst.absolute_path)}: {worst.message[:PROBLEM_LIMIT]}"


def is_closed(schema: object) -> bool:
    """Whether every object in a schema names all its properties and takes no others: what OpenAI calls strict."""
    if isinstance(schema, list):
        return all(map(is_closed, schema))
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, Mapping):
        named = properties if isinstance(properties, Mapping) else {}
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != set(named):
            return False
        return all(
            map(is_closed, [*named.values(), *(v for k, v in schema.items() if k not in ("properties", "enum"))])
        )
    return all(is_closed(value) for key, value in schema.items() if key not in VALUES)


def has_free_object(schema: object) -> bool:
    """Whether some object in a schema names none of its properties, so that it may hold anything."""
    if isinstance(schema, list):
        return any(map(has_free_object, schema))
    if not isinstance(schema, Mapping):
        return False
    if schema.get("type") == "object" and not schema.get("properties"):
        return True
    return any(has_free_object(value) for key, value in schema.items() if key not in VALUES)


def keep(directory: Path, text: str, *, structured: bool) -> str:
    """Write the whole answer beside its assignment. Returns the file's name."""
    name = ANSWERS[0] if structured else ANSWERS[1]
    (directory / name).write_text(text, encoding="utf-8", errors="replace")
    return name


def _at(path: Any) -> str:
    return "/".join(map(str, path)) or "at its top"
