"""Personas and persistent workers."""

from __future__ import annotations

from engine.personas.persona import Persona
from engine.server.link import Link
from engine.worker import Worker, WorkerAnswer, WorkerDetail, WorkerOrder


class StaffCalls(Link):
    """What can be asked of who does the work."""

    async def personas(self, project: str | None = None) -> list[Persona]:
        """Those for a project, a name of the settings or a directory; broken ones among them, with what is wrong."""
        return await self.get("/v1/personas", list[Persona], {} if project is None else {"project": project})

    async def persona(self, name: str, project: str | None = None) -> Persona:
        """One of them, with its text."""
        return await self.get(f"/v1/personas/{name}", Persona, {} if project is None else {"project": project})

    async def workers(self) -> list[Worker]:
        """All of them by name."""
        return await self.get("/v1/workers", list[Worker])

    async def worker(self, name: str) -> WorkerDetail:
        """One of them, with its queue."""
        return await self.get(f"/v1/workers/{name}", WorkerDetail)

    async def act_on_worker(self, name: str, order: WorkerOrder) -> WorkerAnswer:
        """Add, pause, resume or remove one."""
        return await self.post(f"/v1/workers/{name}", order, WorkerAnswer)
