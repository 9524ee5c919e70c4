"""Skills: which there are, what jobs were given, how they do."""

from __future__ import annotations

from urllib.parse import quote

from engine.server.link import Link
from engine.skills.skill import Skill
from engine.skills.stats import SkillCount, SkillsOfJob, SkillUse


class SkillCalls(Link):
    """What can be asked of skills."""

    async def skills(self, project: str | None = None) -> list[Skill]:
        """Those for a project, a name of the settings or a directory; broken ones among them, with what is wrong."""
        return await self.get("/v1/skills", list[Skill], {} if project is None else {"project": project})

    async def skill_counts(self) -> list[SkillCount]:
        """How often each was given and read, and how that ended."""
        return await self.get("/v1/skills/stats", list[SkillCount])

    async def skill_text(self, name: str, project: str | None = None) -> str:
        """The SKILL.md of one, of those that `skills` lists."""
        params = {} if project is None else {"project": project}
        return await self.get(f"/v1/skills/{quote(name, safe='')}/text", str, params)

    async def skill_uses(self, name: str, limit: int = 50) -> list[SkillUse]:
        """The newest attempts that it was chosen for, the newest first."""
        return await self.get(f"/v1/skills/{quote(name, safe='')}/uses", list[SkillUse], {"limit": limit})

    async def skills_of(self, job: int) -> SkillsOfJob:
        """What each attempt of a job was given and why, and what the next one would be."""
        return await self.get(f"/v1/jobs/{job}/skills", SkillsOfJob)
