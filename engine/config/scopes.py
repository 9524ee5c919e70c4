"""What a scope of headway.yaml stands for: caps, limits and verbs name the same things by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.config.settings import Settings


def scope_of(text: str, settings: Settings) -> str:
    """A scope as it counts: a project's name in the settings stands for its directory, an account's for its agent's."""
    kind, _, name = text.partition(":")
    if kind == "project" and name in settings.projects:
        return f"project:{settings.projects[name].directory}"
    if kind == "account" and name in settings.accounts:
        return f"account:{settings.accounts[name].agent}@{name}"
    return text
