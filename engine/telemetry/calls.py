"""Which tools an agent calls, as its output tells while it runs: the log does not hold every call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.agents.events import ToolCall, ToolResult

MOST = 256  #: calls that are kept of one attempt; of more, the first are
ATTEMPTS_MOST = 4_096  #: attempts whose calls are kept, in case that some are never asked for
NAME_LENGTH = 100  #: characters of a tool's name, which an agent chooses


@dataclass(slots=True)
class Call:
    """One call of a tool. Milliseconds UTC."""

    id: str
    tool: str
    began: int
    ended: int | None = None
    ok: bool | None = None


class Calls:
    """The calls of the attempts that run, until they are taken."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._of: dict[int, dict[str, Call]] = {}

    def hear(self, attempt: int, event: ToolCall | ToolResult) -> None:
        known = self._of.get(attempt)
        if known is None:
            if len(self._of) >= ATTEMPTS_MOST:
                self._of.pop(next(iter(self._of)))
            known = self._of[attempt] = {}
        call = known.get(event.id)
        if isinstance(event, ToolResult):
            if call is not None and call.ended is None:
                call.ended, call.ok = self._clock(), event.ok
        elif call is None and len(known) < MOST:
            known[event.id] = Call(event.id, event.name[:NAME_LENGTH], self._clock())

    def take(self, attempt: int) -> list[Call]:
        """The calls of an attempt, which has ended. They are kept no longer."""
        return list(self._of.pop(attempt, {}).values())
