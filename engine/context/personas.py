"""Which personas there are for a job, and what one means for it: where it runs, as whom, what it is told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from engine.config import Settings
from engine.context.skills import config_home
from engine.documents import nearest
from engine.errors import RefusedError, UsageError
from engine.memory.item import GLOBAL, PERSONA, PROJECT
from engine.model import JobSpec
from engine.personas.finding import find_personas, shelves
from engine.personas.persona import Head, Persona, Remembers


@dataclass(frozen=True, slots=True)
class Personas:
    """The personas of a home, read anew each time: they are files that people edit."""

    home: Path
    settings: Settings
    env: Mapping[str, str]

    @classmethod
    def of(cls, home: Path, settings: Settings) -> Personas:
        return cls(home, settings, os.environ)

    def every(self, project: str | None = None) -> list[Persona]:
        """Those that a job in that directory could have, and those that it could not, with why. Blocks."""
        directory = Path(project) if project is not None else None
        trusted = any(one.directory == project and one.skills.trusted for one in self.settings.projects.values())
        return find_personas(shelves(self.home, config_home(self.env), directory, trusted=trusted))

    def named(self, name: str, project: str | None) -> Persona:
        """One of them. Raises `UsageError` where no job can have it."""
        found = self.every(project)
        for one in found:
            if one.name == name and one.problem is None:
                return one
        broken = next((one.problem for one in found if one.name == name), None)
        if broken is not None:
            raise UsageError(f"persona {name!r}: {broken}")
        known = [one.name for one in found if one.problem is None]
        hint = nearest(name, known) if known else f"there are none; put one into {self.home}/personas/{name}/PERSONA.md"
        raise UsageError(f"there is no persona {name!r}; {hint}")

    def of_job(self, spec: JobSpec, project: str | None) -> Persona | None:
        """That of a job which is about to start. Raises `RefusedError` where it cannot be had any more. Blocks."""
        if spec.persona is None:
            return None
        try:
            return self.named(spec.persona, project)
        except UsageError as error:
            raise RefusedError(f"the job's persona cannot be told: {error.message}") from None


def dressed(spec: JobSpec, head: Head) -> JobSpec:
    """A job with what its persona says of where it runs, where the job itself says nothing."""
    placed = spec.route is not None or spec.agent is not None or spec.model is not None or spec.account is not None
    if not placed:
        spec = replace(spec, route=head.route, agent=head.agent, model=head.model, account=head.account)
    skills = [*spec.skills, *(one for one in head.skills if one not in spec.skills)]
    return replace(spec, permission=spec.permission or head.permission, skills=skills)


def scopes_of(project: str | None, persona: Persona | None) -> list[str]:
    """The scopes of memory that a job is told."""
    told = persona.head.memory if persona is not None and persona.head is not None else None
    if told == "off":
        return []
    wanted = set(Remembers) if told is None else set(told)
    found = [GLOBAL] if Remembers.GLOBAL in wanted else []
    if project and Remembers.PROJECT in wanted:
        found.append(PROJECT + project)
    if persona is not None and Remembers.PERSONA in wanted:
        found.append(PERSONA + persona.name)
    return found
