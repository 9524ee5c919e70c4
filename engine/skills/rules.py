"""The rules of the format, as its reference validator holds them: https://agentskills.io/specification. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

from engine.skills.reading import Value
from engine.skills.skill import COMPATIBILITY_LIMIT, DESCRIPTION_LIMIT, NAME_LIMIT

FIELDS = frozenset({"name", "description", "license", "compatibility", "metadata", "allowed-tools"})


def normal(name: str) -> str:
    return unicodedata.normalize("NFKC", name.strip())


def unusable(head: Mapping[str, Value]) -> str | None:
    """Why no agent can be given a skill with this head."""
    name = head.get("name")
    if not isinstance(name, str) or not name.strip():
        return "`name` is missing"
    if wrong := next(_wrong_name(normal(name)), None):
        return wrong
    description = head.get("description")
    if not isinstance(description, str) or not description.strip():
        return "`description` is missing"
    return None


def offences(head: Mapping[str, Value], folder: str) -> Iterator[str]:
    """What the format does not allow, though agents mostly take it."""
    if extra := sorted(set(head) - FIELDS):
        yield f"there is no field {', '.join(map(repr, extra))} in the format: put it under metadata"
    name, description = head.get("name"), head.get("description")
    if isinstance(name, str) and normal(name) != unicodedata.normalize("NFKC", folder):
        yield f"`name` is {name!r}, and its folder {folder!r}"
    if isinstance(description, str) and len(description) > DESCRIPTION_LIMIT:
        yield f"`description` has {len(description)} characters; {DESCRIPTION_LIMIT} are allowed"
    compatibility = head.get("compatibility")
    if compatibility is not None:
        if not isinstance(compatibility, str):
            yield "`compatibility` must be text"
        elif len(compatibility) > COMPATIBILITY_LIMIT:
            yield f"`compatibility` has {len(compatibility)} characters; {COMPATIBILITY_LIMIT} are allowed"
    metadata = head.get("metadata")
    if metadata is not None and not (
        isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    ):
        yield "`metadata` must be names with one text each"


def _wrong_name(name: str) -> Iterator[str]:
    if len(name) > NAME_LIMIT:
        yield f"`name` has {len(name)} characters; {NAME_LIMIT} are allowed"
    if name != name.lower() or not all(letter.isalnum() or letter == "-" for letter in name):
        yield f"`name` must be lowercase letters, digits and hyphens: {name[:NAME_LIMIT]!r}"
    if name.startswith("-") or name.endswith("-") or "--" in name:
        yield f"`name` must have single hyphens within it alone: {name[:NAME_LIMIT]!r}"
