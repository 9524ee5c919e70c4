"""Scopes as people write them, and as they are kept."""

from __future__ import annotations

from engine.config import Settings
from engine.documents import nearest
from engine.errors import UsageError
from engine.memory.item import GLOBAL, PERSONA, PROJECT
from engine.paths import expanded


def scope_of(word: str, settings: Settings) -> str:
    """A scope as a person writes it, with a project's name as its directory. Raises `UsageError`."""
    kind, colon, name = word.partition(":")
    if word == GLOBAL:
        return word
    if colon and name and kind == "persona":
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or not name[0].isalnum():
            raise UsageError(f"{name!r} is no name of a persona: letters, digits and . _ -")
        return PERSONA + name
    if colon and name and kind == "project":
        return PROJECT + _directory(name, settings)
    raise UsageError(f"{word!r} is no scope; write global, project:NAME, project:DIRECTORY or persona:NAME")


def _directory(name: str, settings: Settings) -> str:
    if name in settings.projects:
        return settings.projects[name].directory
    if name.startswith(("/", "~")):
        return str(expanded(name))
    hint = nearest(name, settings.projects) if settings.projects else "give its directory"
    raise UsageError(f"there is no project {name!r} in headway.yaml; {hint}")
