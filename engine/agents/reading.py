"""What the parsers of JSON lines share: counting what they do not know, and judging a run that was cut short."""

from __future__ import annotations

from abc import abstractmethod

from engine.agents.base import Exit, Parser
from engine.agents.events import AnyAgentEvent, Unknown
from engine.agents.lines import SUMMARY_LIMIT, reason, signal_name
from engine.model import Failure


class JsonLines(Parser):
    """Reads one JSON object a line. A subclass reads an object and judges a run that came to its end."""

    def __init__(self, name: str, *, resumed: bool = False) -> None:
        self.name = name
        self.resumed = resumed
        self.understood = False
        """A line of the agent's own was read: it has started."""
        self.unknown = 0

    def line(self, line: bytes) -> list[AnyAgentEvent]:
        if not line.strip():
            return []
        events = self.read(line)
        if events is None:
            self.unknown += 1
            return [Unknown(line[: 4 * SUMMARY_LIMIT].decode(errors="replace")[:SUMMARY_LIMIT])]
        self.understood = True
        return events

    @abstractmethod
    def read(self, line: bytes) -> list[AnyAgentEvent] | None:
        """The events in one line, or None where it is not known."""

    def cut_short(self, end: Exit, stderr_tail: str) -> tuple[Failure, str]:
        """The class of a process that ended without saying how its run ended.

        One that printed nothing at all although it was to go on with a session has not found that session: the
        agents say so on standard error alone, in words, and a new session is the only way on.
        """
        if end.code > 128:
            return Failure.CRASHED, f"{self.name} was ended by {signal_name(end.code)} before its end"
        if end.code != 0 and not self.understood:
            lost = self.resumed and end.code not in (126, 127)
            what = "cannot go on with this session" if lost else "refused to start"
            failure = Failure.CONTEXT_LOST if lost else Failure.SPAWN_FAILED
            return failure, reason(f"{self.name} {what} (exit {end.code})", stderr_tail, last=True)
        if end.code != 0:
            return Failure.CRASHED, reason(f"{self.name} exited {end.code} before its end", stderr_tail, last=True)
        return (
            Failure.BAD_OUTPUT,
            f"{self.name} exited 0 without an end: it was interrupted, or prints another format",
        )
