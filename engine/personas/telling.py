"""A persona as an agent is told it. Pure."""

from __future__ import annotations

from engine.personas.persona import Head


def who(head: Head, text: str) -> str:
    """Who it is and how it speaks, without its rules."""
    lines = [f"You work as {head.name}: {head.description.strip()}"]
    if head.voice.strip():
        lines.append(f"How you speak: {head.voice.strip()}")
    return "\n\n".join([*lines, *([text.strip()] if text.strip() else [])])


def rules(head: Head) -> str:
    """What it always does, or never."""
    listed = [f"- {one.strip()}" for one in head.rules]
    return "\n".join(["Rules that hold in all you do:", *listed]) if listed else ""


def said(head: Head, text: str) -> str:
    """All of it."""
    return "\n\n".join(filter(None, (who(head, text), rules(head))))
