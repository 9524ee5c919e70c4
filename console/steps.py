"""An agent's output as steps: one line each, with what belongs to it folded behind. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from console.format import clean_line, clean_lines, number, tokens
from console.roles import Part, Role
from console.transcript import entries
from engine.agents import events as say
from engine.agents.events import LogLine

SHOWN = 200  #: lines of one step that are unfolded
KEPT = 3_000  #: steps of one attempt; the oldest go first


@dataclass(slots=True)
class Step:
    """One thing that the agent did or said."""

    lead: tuple[Part, ...]
    more: list[tuple[Part, ...]] = field(default_factory=list)
    """What is behind it, line by line."""
    note: str = ""
    """What became of it, at the right end."""
    failed: bool = False
    open: bool = False


class Steps:
    """The steps of one attempt, as its output grows. What a tool answered goes to the step that asked for it."""

    def __init__(self) -> None:
        self.all: list[Step] = []
        self._by_call: dict[str, Step] = {}

    def add(self, line: LogLine) -> bool:
        """Take one event; whether it changed anything that is shown."""
        match line.event:
            case say.ToolCall() as call:
                used = tokens(call.context_tokens) if call.context_tokens else ""
                lead: tuple[Part, ...] = (("» ", Role.TOOL), (f"{clean_line(call.name)} ", Role.TOOL))
                step = self._put(Step((*lead, (clean_line(call.summary), Role.TEXT)), note=used))
                self._by_call[call.id] = step
            case say.ToolResult() as result:
                asked = self._by_call.pop(result.id) if result.id in self._by_call else None
                self._answered(asked or self._put(Step((("  result", Role.MUTED),))), result)
            case say.Text(text) | say.Thinking(text):
                self._spoken(text, Role.TEXT if isinstance(line.event, say.Text) else Role.MUTED)
            case say.Output(text):
                self._printed(text)
            case _:
                shown = entries(line)
                for entry in shown:
                    self._put(Step(entry.parts))
                return bool(shown)
        return True

    def _put(self, step: Step) -> Step:
        self.all.append(step)
        if len(self.all) > KEPT:
            del self.all[: len(self.all) - KEPT]
        return step

    def _answered(self, step: Step, result: say.ToolResult) -> None:
        lines = [line for line in clean_lines(result.output) if line.strip()]
        step.failed = not result.ok
        step.note = f"{number(len(lines))} lines" if len(lines) != 1 else clean_line(lines[0])[:24]
        step.more += [((line, Role.MUTED),) for line in lines[:SHOWN]]
        if len(lines) > SHOWN:
            step.more.append(((f"{number(len(lines) - SHOWN)} more", Role.MUTED),))

    def _spoken(self, text: str, role: Role) -> None:
        lines = [line for line in clean_lines(text) if line.strip()]
        if lines:
            more: list[tuple[Part, ...]] = [((line, role),) for line in lines[1 : SHOWN + 1]]
            self._put(Step((("  ", role), (lines[0].strip(), role)), more, f"+{len(more)}" if more else ""))

    def _printed(self, text: str) -> None:
        """What a program prints runs on: it is one step, whose line is its last."""
        last = self.all[-1] if self.all and self.all[-1].lead[0] == ("$ ", Role.MUTED) else None
        for line in clean_lines(text):
            if line.strip():
                last = last or self._put(Step((("$ ", Role.MUTED), ("", Role.TEXT))))
                last.lead = (last.lead[0], (line.strip(), Role.TEXT))
                last.more.append(((line, Role.MUTED),))
                del last.more[:-SHOWN]
                last.note = f"{number(len(last.more))} lines" if len(last.more) > 1 else ""
