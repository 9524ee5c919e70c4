"""Which file has which commands: a command loads its own family, and not the eighty others.

To build them all takes four times as long as most commands take to do what they are for.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Files of this package, in the order of the help, and the commands that each adds.
FAMILIES = {
    "submit": "submit",
    "jobs": "jobs show logs diff events",
    "inbox": "inbox answer",
    "rules": "rules",
    "notify": "notify",
    "memory": "memory",
    "routes": "routes",
    "triage": "triage",
    "pipelines": "run pipelines",
    "merge": "merge merges",
    "race": "race",
    "gates": "gates gate",
    "scores": "scoreboard compare",
    "sessions": "sessions attach",
    "foresight": "explain forecast batches breakers",
    "spend": "spend budgets",
    "verbs": "hold release cancel retry",
    "steer": "reroute priority snooze edit move cap drain undo",
    "serve": "serve shutdown reload",
    "service": "service metrics",
    "access": "token audit",
    "server": "server",
    "opening": "proxy",
    "web": "web",
    "picture": "picture",
    "attention": "doctor themes",
    "limits": "limits",
    "agents": "agents",
    "skills": "skills",
    "personas": "personas",
    "workers": "workers",
    "nodes": "nodes node cluster",
    "schedules": "schedules",
    "config": "config",
    "tap": "tap",
    "mcp": "mcp",
    "tax": "tax",
    "upkeep": "prune backup restore export",
    "demo": "demo",
    "drill": "drill",
    "simulate": "simulate",
}

#: Options before a command that take a word of their own.
_WITH_WORD = ("--home", "--link", "--painter", "--token-file", "--fingerprint", "--ca-file")


def needed(words: Sequence[str]) -> tuple[str, ...]:
    """The families that a command line needs: one where it names a command, all for help, mistakes and completion."""
    command = _first(words)
    found = tuple(name for name, commands in FAMILIES.items() if command in commands.split())
    return found or tuple(FAMILIES)


def _first(words: Sequence[str]) -> str:
    """The first word that is neither an option nor what belongs to one."""
    rest = iter(words)
    for word in rest:
        if word in _WITH_WORD:
            next(rest, "")
        elif word in ("-h", "--help"):
            return ""
        elif not word.startswith("-"):
            return word
    return ""
