"""Pipelines: their files, and those that were begun."""

from __future__ import annotations

from urllib.parse import quote

from engine.model import (
    Pipeline,
    PipelineActed,
    PipelineBegun,
    PipelineFile,
    PipelineOrder,
    PipelineVerb,
    PipelineWanted,
)
from engine.server.link import Link


class PipelineCalls(Link):
    """What can be asked of pipelines, and begun."""

    async def run_pipeline(self, wanted: PipelineWanted) -> PipelineBegun:
        """Begin one, or see what it would be."""
        return await self.post("/v1/pipelines", wanted, PipelineBegun)

    async def pipelines(self, limit: int = 20) -> list[Pipeline]:
        """The newest that were begun, without their steps."""
        return await self.get("/v1/pipelines", list[Pipeline], {"limit": limit})

    async def pipeline(self, number: int) -> Pipeline:
        """One with its steps."""
        return await self.get(f"/v1/pipelines/{number}", Pipeline)

    async def pipeline_files(self, project: str | None = None) -> list[PipelineFile]:
        """Those that can be begun, for a project of the settings or a directory."""
        return await self.get("/v1/pipelines/files", list[PipelineFile], {"project": project} if project else None)

    async def pipeline_file(self, name: str, project: str | None = None) -> PipelineFile:
        """One of them, with its text."""
        params = {"project": project} if project else None
        return await self.get(f"/v1/pipelines/files/{quote(name, safe='')}", PipelineFile, params)

    async def act_on_pipeline(self, number: int, verb: PipelineVerb, *, dry_run: bool = False) -> PipelineActed:
        """Hold, release, cancel or retry it with all its jobs."""
        return await self.post(f"/v1/pipelines/{number}", PipelineOrder(verb=verb, dry_run=dry_run), PipelineActed)
