"""Classes of jobs: what they are, why, and the operator's word."""

from __future__ import annotations

from engine.model import Corrected, Correction, RuleLine, Triage, TriageAnswer, TriageRequest
from engine.server.link import Link


class TriageCalls(Link):
    """What can be asked of the triage, and corrected."""

    async def think(self, request: TriageRequest) -> TriageAnswer:
        """What a job would be that nobody has submitted."""
        return await self.post("/v1/triage", request, TriageAnswer)

    async def triage(self, job: int) -> TriageAnswer:
        """What a job is, and why."""
        return await self.get(f"/v1/jobs/{job}/triage", TriageAnswer)

    async def correct(self, job: int, triage: Triage | None, *, dry_run: bool = False) -> Corrected:
        """The operator's word on a job's class; None is no class. It counts for the jobs to come."""
        return await self.post(f"/v1/jobs/{job}/triage", Correction(triage=triage, dry_run=dry_run), Corrected)

    async def triage_rules(self, project: str | None = None) -> list[RuleLine]:
        """The rules, as corrections have left them in a project."""
        return await self.get("/v1/triage/rules", list[RuleLine], {} if project is None else {"project": project})
