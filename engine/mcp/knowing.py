"""`recall` and `remember`: the memory of an attempt's own project, and no other."""

from __future__ import annotations

from engine.context.known import block
from engine.errors import RefusedError
from engine.mcp.caller import Caller
from engine.mcp.cleaning import clean
from engine.mcp.tools import Recall, Remember
from engine.memory.answers import Remember as Wanted
from engine.memory.item import GLOBAL, PROJECT, Draft, Kind, Source
from engine.memory.memory import Memory


class Knowledge:
    """One for an engine. `proposes`: what agents remember is told to nobody before the operator accepts it."""

    def __init__(self, memory: Memory, *, proposes: bool) -> None:
        self._memory = memory
        self._proposes = proposes

    async def recall(self, caller: Caller, given: Recall) -> str:
        scopes = [GLOBAL, PROJECT + _project(caller)]
        found = await self._memory.recall(clean(given.query), scopes, given.tokens)
        return block(found) or found.without or "Nothing is known of this."

    async def remember(self, caller: Caller, given: Remember) -> str:
        """What its subject is, nobody asks: so it takes the place of nothing that somebody else knows."""
        tried = caller.grant.claim.attempt
        source = Source(by=tried.agent, job=caller.job, attempt=tried.number, evidence=list(map(clean, given.evidence)))
        scope = PROJECT + _project(caller)
        text = clean(given.text)
        if not text:
            raise RefusedError("there is nothing in it to remember")
        draft = Draft(text=text, kind=Kind(given.kind), scope=scope, source=source, proposed=self._proposes)
        (written,) = await self._memory.remember(Wanted(drafts=[draft]))
        waits = "; it counts once the operator has accepted it" if self._proposes else ""
        return f"{written.what} as [{written.item.id}]{waits}"


def _project(caller: Caller) -> str:
    project = caller.grant.claim.job.project
    if project is None:
        raise RefusedError("this job has no project, and so no memory of its own")
    return project
