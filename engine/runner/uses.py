"""Which of its skills an attempt has read, as its events show it: by the agent's own tool, or by their files."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.agents import events as said
from engine.runner.kit import Kit
from engine.skills.skill import How

#: Claude's tool, opencode's and gemini's: each is called with the name.
TOOLS = frozenset({"skill", "activate_skill"})
_FILE = re.compile(r"(?:^|[\s/'\"=])skills/(?P<name>[^/\s'\"]+)/")


class Uses:
    """Watches for some names. A call counts once it has succeeded."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(names)
        self._open: dict[str, frozenset[str]] = {}
        self.seen: set[str] = set()

    @classmethod
    def of(cls, kit: Kit | None) -> Uses:
        """Those whose use can be seen: what was told in the prompt was read with it."""
        return cls(one.name for one in kit.given if one.how in (How.NATIVE, How.OWN)) if kit is not None else cls()

    def take(self, event: said.AnyAgentEvent) -> None:
        if not self._names:
            return
        match event:
            case said.ToolCall(id=call, name=tool, summary=summary):
                if names := self._meant(tool, summary):
                    self._open[call] = names
            case said.ToolResult(id=call, ok=ok):
                names = self._open.pop(call, frozenset())
                if ok:
                    self.seen |= names
            case _:
                pass

    def _meant(self, tool: str, summary: str) -> frozenset[str]:
        if tool.lower() in TOOLS:
            return self._names & {summary.strip().rpartition(":")[2]}
        return self._names & {found["name"] for found in _FILE.finditer(summary)}
