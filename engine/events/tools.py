"""What agents call of Headway while they work."""

from __future__ import annotations

from engine.events.body import Body


class ToolCalled(Body, frozen=True, tag="tool_called"):
    """The attempt's agent called one of Headway's tools, and was answered."""

    tool: str
    call: str
    """Its name: one that comes again under it is answered as it was."""
    ok: bool
    said: str = ""
    """What was asked, in one line; where it failed, why."""


class Reported(Body, frozen=True, tag="reported"):
    """The agent said how far it is."""

    line: str
    share: float | None = None


class Spawned(Body, frozen=True, tag="spawned"):
    """The agent submitted a job, which belongs to its own."""

    child: int
    depth: int


ToolBody = ToolCalled | Reported | Spawned
