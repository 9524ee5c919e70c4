"""Which skills there are for a job, and which of them it wants."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from engine.config import ProjectSkills, Settings
from engine.documents import nearest
from engine.errors import UsageError
from engine.model import JobSpec
from engine.skills.choosing import Wish
from engine.skills.finding import find_skills, shelves
from engine.skills.matching import Text
from engine.skills.skill import Skill

NAMED = "the job names it"


def config_home(env: Mapping[str, str]) -> Path:
    """Where the user's own configuration is: `$XDG_CONFIG_HOME`, else `~/.config`."""
    return Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or "/") / ".config")


def skills_for(project: str | None, settings: Settings, env: Mapping[str, str] = os.environ) -> list[Skill]:
    """The skills that a job in that directory could be given, and those that it could not, with why."""
    directory = Path(project) if project is not None else None
    return find_skills(shelves(config_home(env), directory, trusted=_own(project, settings).trusted))


def wish_of(spec: JobSpec, project: str | None, settings: Settings) -> Wish:
    """What a job is to be given: what it names, what its project always gives, and what matches where that is on."""
    own, common = _own(project, settings), settings.skills
    named = [(name, NAMED) for name in spec.skills]
    named += [(name, "its project always gives it") for name in own.always]
    return Wish(named, common.match if own.match is None else own.match, common.most, common.tokens)


def text_of(spec: JobSpec, title: str) -> Text:
    return Text(f"{title}\n{spec.prompt}", tuple(spec.tags), spec.kind)


class Known:
    """The skills for each of several projects, looked for once each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._found: dict[str | None, list[Skill]] = {}

    def check(self, spec: JobSpec, project: str | None) -> None:
        """Raise `UsageError` for a name that no skill has which could be given."""
        if not spec.skills:
            return
        if project not in self._found:
            self._found[project] = skills_for(project, self._settings)
        found = self._found[project]
        usable = [one.name for one in found if one.problem is None]
        for name in spec.skills:
            if name not in usable:
                broken = next((one.problem for one in found if one.name == name), None)
                raise UsageError(
                    f"skill {name!r}: {broken}" if broken else f"no skill {name!r}; {nearest(name, usable)}"
                )


def _own(project: str | None, settings: Settings) -> ProjectSkills:
    """What the settings say of skills in the project of a directory."""
    named = (one for one in settings.projects.values() if project is not None and one.directory == project)
    found = next(named, None)
    return found.skills if found is not None else ProjectSkills()
