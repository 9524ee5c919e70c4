"""The record of an ended job as a short text, for a model that reads it. Pure."""

from __future__ import annotations

from engine.context.handoff import Deeds

TASK_CHARACTERS = 3_000
SAID_CHARACTERS = 3_000
MOST = 30  #: commands, and files, the newest
OUTPUT_LINES = 6  #: of a command that failed


def retold(title: str, task: str, end: str, deeds: Deeds, words: str) -> str:
    """What was asked, what was done, how it ended."""
    lines = [f"Task: {title}", task[:TASK_CHARACTERS], "", f"How it ended: {end}"]
    files = list(dict.fromkeys(one.path for one in deeds.edited))[-MOST:]
    if files:
        lines.append(f"Files changed: {', '.join(files)}")
    if deeds.ran:
        lines.append("Commands, in their order:")
    for one in deeds.ran[-MOST:]:
        lines.append(
            f"- {' '.join(one.what.split())[:300]}: {'ok' if one.ok else 'failed' if one.ok is False else '?'}"
        )
        if one.ok is False:
            lines += [f"    {line[:200]}" for line in one.output.strip().splitlines()[-OUTPUT_LINES:]]
    said = words.strip() or (deeds.said[-1].strip() if deeds.said else "")
    if said:
        lines += ["Its last words:", said[-SAID_CHARACTERS:]]
    return "\n".join(lines).replace("</record", "< /record")
