"""Skills: which there are, what jobs were given, how they do."""

from __future__ import annotations

from engine.server.link import Link
from engine.skills.skill import Skill
from engine.skills.stats import SkillCount, SkillsOfJob


class SkillCalls(Link):
    """What can be asked of skills."""

    async def skills(self, project: str | None = None) -> list[Skill]:
        """Those for a project, a name of the settings or a directory; broken ones among them, with what is wrong."""
        return await self.get("/v1/skills", list[Skill], {} if project is None else {"project": project})

    async def skill_counts(self) -> list[SkillCount]:
        """How often each was given and read, and how that ended."""
        return await self.get("/v1/skills/stats", list[SkillCount])

    async def skills_of(self, job: int) -> SkillsOfJob:
        """What each attempt of a job was given and why, and what the next one would be."""
        return await self.get(f"/v1/jobs/{job}/skills", SkillsOfJob)
