"""The engine's skills: which there are for a project, what a job was given, how they do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from engine.agents.base import Agent
from engine.config import Settings
from engine.context.skills import skills_for, text_of, wish_of
from engine.documents import nearest
from engine.errors import NotFoundError
from engine.model import JobSpec
from engine.skills.choosing import choose
from engine.skills.finding import read_text
from engine.skills.reading import BadSkillError
from engine.skills.skill import Given, How, Skill
from engine.skills.stats import SkillCount, SkillsOfJob, SkillUse
from engine.store import Store, given
from engine.store.rows import JobRow


class Shelf:
    """One for an engine."""

    def __init__(self, store: Store, settings: Settings, agents: Mapping[str, Agent]) -> None:
        self._store = store
        self._settings = settings
        self._agents = agents

    async def skills(self, project: str | None = None) -> list[Skill]:
        """Those for a project of the settings or a directory, or for jobs without one."""
        return await asyncio.to_thread(skills_for, self._directory(project), self._settings)

    async def counts(self) -> list[SkillCount]:
        return await self._store.look(given.counts)

    async def uses(self, name: str, limit: int) -> list[SkillUse]:
        """The newest attempts that it was chosen for."""
        return await self._store.look(lambda tx: given.uses(tx, name, limit))

    async def text(self, name: str, project: str | None = None) -> str:
        """The SKILL.md of the one that stands. Raises `NotFoundError`, naming the nearest."""
        found = await self.skills(project)
        chosen = next((skill for skill in found if skill.name == name), None)
        if chosen is None:
            raise NotFoundError(f"there is no skill {name!r}; {nearest(name, (skill.name for skill in found))}")
        directory = self._directory(project)
        try:
            return await asyncio.to_thread(read_text, chosen, Path(directory) if directory else None)
        except (OSError, BadSkillError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise NotFoundError(f"{chosen.path} cannot be read: {why}") from None

    def _directory(self, project: str | None) -> str | None:
        named = self._settings.projects.get(project or "")
        return named.directory if named is not None else project

    async def of_job(self, job: int) -> SkillsOfJob:
        """Raises `NotFoundError`."""
        found = await self._store.read.rows([job])
        if not found:
            raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
        row = found[0]
        attempts = await self._store.look(lambda tx: given.of_job(tx, job))
        ahead = await self._ahead(row) if row.ended_at is None else []
        return SkillsOfJob(job=job, attempts=attempts, ahead=ahead)

    async def _ahead(self, row: JobRow) -> list[Given]:
        """By the function that chooses them when it starts. Where they will lie is known only then."""
        spec: JobSpec = await self._store.read.spec(row)
        wish = wish_of(spec, row.project, self._settings)
        agent = self._agents.get(row.agent)
        if agent is None or not agent.takes_skills or not (wish.named or wish.match):
            return []
        choice = choose(wish, text_of(spec, row.title), await self.skills(row.project))
        how = How.NATIVE if agent.skill_folders else How.PROMPT
        told = [(one, how, "") for one in choice.chosen]
        told += [(one, How.LEFT_OUT, why) for one, why in choice.left_out]
        listed = [
            Given(
                name=one.skill.name,
                how=how,
                reason=one.reason,
                source=one.skill.source,
                sha256=one.skill.sha256,
                tokens=one.skill.tokens,
                score=one.score,
                note=why,
            )
            for one, how, why in told
        ]
        missing = [Given(name=name, how=How.LEFT_OUT, reason="it was named", note=why) for name, why in choice.missing]
        return [*listed, *missing]
