"""`recall` and `remember`: the memory of an attempt's own project and persona, and no other."""

from __future__ import annotations

import asyncio

from engine.context.known import block
from engine.context.personas import Personas, scopes_of
from engine.errors import RefusedError
from engine.mcp.caller import Caller
from engine.mcp.tools import Recall, Remember
from engine.memory.answers import Remember as Wanted
from engine.memory.item import GLOBAL, Draft, Kind, Source
from engine.memory.memory import Memory
from engine.plain import plain


class Knowledge:
    """One for an engine. `proposes`: what agents remember is told to nobody before the operator accepts it."""

    def __init__(self, memory: Memory, personas: Personas, *, proposes: bool) -> None:
        self._memory = memory
        self._personas = personas
        self._proposes = proposes

    async def recall(self, caller: Caller, given: Recall) -> str:
        found = await self._memory.recall(plain(given.query).strip(), await self._scopes(caller), given.tokens)
        return block(found) or found.without or "Nothing is known of this."

    async def remember(self, caller: Caller, given: Remember) -> str:
        """In its project, else as its persona's. It has no subject, so that it takes the place of nothing."""
        tried = caller.grant.claim.attempt
        own = [one for one in await self._scopes(caller) if one != GLOBAL]
        text = plain(given.text).strip()
        if not own or not text:
            raise RefusedError("this job has no memory of its own" if text else "there is nothing in it to remember")
        source = Source(
            by=tried.agent,
            job=caller.job,
            attempt=tried.number,
            evidence=[plain(one).strip() for one in given.evidence],
        )
        draft = Draft(text=text, kind=Kind(given.kind), scope=own[0], source=source, proposed=self._proposes)
        (written,) = await self._memory.remember(Wanted(drafts=[draft]))
        waits = "; it counts once the operator has accepted it" if self._proposes else ""
        return f"{written.what} as [{written.item.id}]{waits}"

    async def _scopes(self, caller: Caller) -> list[str]:
        """Those that its job is told of when it begins."""
        claim = caller.grant.claim
        persona = await asyncio.to_thread(self._personas.of_job, claim.spec, claim.job.project)
        return scopes_of(claim.job.project, persona)
