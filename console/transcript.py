"""An agent's events as lines to read: one line a tool call, results folded to their first line, prose as it is."""

from __future__ import annotations

from dataclasses import dataclass

from console.format import clean_line, clean_lines, clock, number, tokens, wrap
from console.roles import Part, Role
from engine.agents import events as say
from engine.agents.events import LogLine


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a transcript before it is laid out. Prose wraps; all else is cut at the right edge."""

    parts: tuple[Part, ...]
    wraps: bool = False
    indent: int = 0

    def rows(self, width: int) -> list[tuple[Part, ...]]:
        """The entry in rows of at most `width` cells where it wraps, as one row where it does not."""
        if not self.wraps:
            return [self.parts]
        lead = self.parts[:-1]
        text, role = self.parts[-1]
        start = "".join(part[0] for part in lead)
        first, *rest = wrap(start + text, width, self.indent)
        if not first.startswith(start):  # it was broken in the lead, or right behind it
            whole = first.rstrip() == start.rstrip()
            return [lead if whole else ((first, role),), *(((piece, role),) for piece in rest)]
        return [(*lead, (first[len(start) :], role)), *(((piece, role),) for piece in rest)]


def entries(line: LogLine) -> list[Entry]:
    """The lines that one event adds to a transcript; none for what only changes the numbers in a header."""
    event = line.event
    match event:
        case say.Text(text):
            return _prose(text, Role.TEXT)
        case say.Thinking(text):
            return _folded((("  ", Role.MUTED),), text, Role.MUTED)
        case say.ToolCall():
            return [_line(("» ", Role.TOOL), (f"{clean_line(event.name)} ", Role.TOOL), (event.summary, Role.TEXT))]
        case say.ToolResult(ok=ok, output=output):
            return _folded((("  ", Role.MUTED),) if ok else (("  ✗ ", Role.FAILED),), output, Role.MUTED)
        case say.FileEdit(path=path, added=added, removed=removed):
            counts = ((f"+{added} ", Role.ADDED), (f"−{removed}", Role.REMOVED))
            return [
                _line(("✎ ", Role.TOOL), (f"{clean_line(path)} ", Role.TEXT), *(counts if added is not None else ()))
            ]
        case say.Result(ok=ok, text=text):
            lead: Part = ("✓ ", Role.DONE) if ok else ("✗ ", Role.FAILED)
            return [Entry((lead, (clean_line(text) or ("done" if ok else "failed"), Role.TEXT)), True, 2)]
        case say.Output(text):
            return _prose(text, Role.MUTED if line.stream == "stderr" else Role.TEXT)
        case _:
            return _about_the_run(event)


def _about_the_run(event: say.AnyAgentEvent) -> list[Entry]:
    match event:
        case say.Started():
            said = " ".join(filter(None, (event.model, event.agent_version and f"v{event.agent_version}")))
            return [_line(("⋯ ", Role.MUTED), (f"session starts  {clean_line(said)}".rstrip(), Role.MUTED))]
        case say.Limit(status=status) if status != "allowed":
            used = "" if event.used is None else f" {event.used:.0%}"
            until = "" if event.resets_at is None else f", resets {clock(event.resets_at)}"
            return [_line(("◔ ", Role.WAIT), (f"limit {clean_line(event.window)}{used} {status}{until}", Role.WAIT))]
        case say.Retrying():
            code = "" if event.status is None else f" {event.status}"
            text = f"try {event.attempt} in {event.delay_ms / 1000:.0f}s:{code} {clean_line(event.error)}"
            return [_line(("↻ ", Role.WAIT), (text, Role.WAIT))]
        case say.Compacted():
            before, after = ("?" if n is None else tokens(n) for n in (event.before_tokens, event.after_tokens))
            return [_line(("⋯ ", Role.WAIT), (f"context shortened from {before} to {after}", Role.WAIT))]
        case say.Permission():
            return [_line(("! ", Role.FAILED), (f"denied {event.tool}: {event.message}", Role.TEXT))]
        case say.Notice(text):
            return [_line(("⋯ ", Role.MUTED), (text, Role.MUTED))]
        case say.Unknown(text):
            return [_line(("? ", Role.MUTED), (text, Role.MUTED))]
        case _:
            return []


def _line(*parts: Part) -> Entry:
    *lead, (text, role) = parts
    return Entry((*lead, (clean_line(text), role)))


def _prose(text: str, role: Role) -> list[Entry]:
    lines = [line.rstrip() for line in clean_lines(text)]
    return [Entry(((line, role),), True, len(line) - len(line.lstrip())) for line in lines if line]


def _folded(lead: tuple[Part, ...], text: str, role: Role) -> list[Entry]:
    lines = [line.strip() for line in clean_lines(text) if line.strip()]
    if not lines:
        return []
    more = len(lines) - 1
    rest: tuple[Part, ...] = ((f"  +{number(more)} line{'s' if more > 1 else ''}", Role.MUTED),) if more else ()
    return [Entry((*lead, (lines[0], role), *rest))]
