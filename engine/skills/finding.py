"""Finds skills: in the project, in the user's folder, and those that ship. The first of a name stands."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec.structs import replace

from engine.skills.contents import digest, read_files
from engine.skills.reading import BadSkillError, Document, read_document
from engine.skills.rules import normal, offences, unusable
from engine.skills.skill import FILE, Skill, Source, tokens

#: Below a project, the first before the others: ours, and those where agents look.
PROJECT_FOLDERS = (".headway/skills", ".agents/skills", ".claude/skills")
TEXT_LIMIT = 200_000  #: characters of a skill's text that are shown
SKILLS_LIMIT = 500  #: folders of one place that are looked at
UNTRUSTED = "its project is not trusted with skills: projects: NAME: skills: trusted: true in headway.yaml"


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of skills. What is found on one that is not trusted is shown, and given to nobody."""

    source: Source
    folder: Path
    trusted: bool = True
    root: Path | None = None
    """What its skills must not lead out of."""


def shipped_folder() -> Path:
    """Where ours are: in an installed copy beside this module, in a source tree beside the package."""
    beside = Path(__file__).parent / "shipped"
    return beside if beside.is_dir() else Path(__file__).parents[2] / "skills"


def user_folder(config_home: Path) -> Path:
    """`$XDG_CONFIG_HOME/headway/skills`."""
    return config_home / "headway" / "skills"


def shelves(config_home: Path, project: Path | None = None, *, trusted: bool = False) -> list[Shelf]:
    """The places for a project, in the order of their precedence."""
    found = []
    if project is not None:
        found += [Shelf(Source.PROJECT, project / below, trusted, project) for below in PROJECT_FOLDERS]
    return [*found, Shelf(Source.USER, user_folder(config_home)), Shelf(Source.SHIPPED, shipped_folder())]


class Found(Protocol):
    """Something that is a file in one of several places, and may be wrong."""

    @property
    def name(self) -> str: ...
    @property
    def problem(self) -> str | None: ...


F = TypeVar("F", bound=Found)


def standing(found: Iterable[F], hides: Callable[[F, F], F]) -> list[F]:
    """Those that count, by name, the nearest place first; and each that has a problem, which hides no other.

    `hides` gives one that counts with another of its name, from further away, noted in it.
    """
    counts: dict[str, F] = {}
    broken: list[F] = []
    for one in found:
        before = counts.get(one.name)
        if one.problem is not None:
            broken.append(one)
        else:
            counts[one.name] = one if before is None else hides(before, one)
    return sorted([*counts.values(), *broken], key=lambda one: (one.name, one.problem is not None))


def find_skills(places: Iterable[Shelf]) -> list[Skill]:
    """The skills of several places, by name. One that cannot be given is among them, with its problem.

    It stands before no other: a broken or untrusted one never hides one that works.
    """
    found = (skill for shelf in places for skill in _on(shelf))
    return standing(found, lambda one, other: replace(one, shadows=[*one.shadows, other.path]))


def read_skill(folder: Path, source: Source = Source.USER, root: Path | None = None) -> Skill:
    """The skill in a folder, or its problem."""
    path = folder / FILE
    try:
        if root is not None and not folder.resolve().is_relative_to(root.resolve()):
            raise BadSkillError("it is a link that leads out of the project")
        document, size, sha256, count = _read(folder)
    except BadSkillError as error:
        return Skill(name=folder.name, description="", path=str(path), source=source, problem=str(error))
    except (OSError, RuntimeError) as error:
        said = getattr(error, "strerror", None) or "a link that leads to itself"
        problem = f"{FILE} cannot be read: {said}"
        return Skill(name=folder.name, description="", path=str(path), source=source, problem=problem)
    head = document.head
    name, description = head.get("name"), head.get("description")
    return Skill(
        name=normal(name) if isinstance(name, str) and name.strip() else folder.name,
        description=" ".join(description.split()) if isinstance(description, str) else "",
        path=str(path),
        source=source,
        tags=sorted(set(_tags(document))),
        tokens=size,
        files=count,
        sha256=sha256,
        problem=unusable(head),
        warnings=[*document.remarks, *offences(head, folder.name)],
    )


def read_text(skill: Skill, root: Path | None = None) -> str:
    """What stands in a skill's own file, also in that of a broken one. `root`: what a project's must not lead out of.

    Raises `BadSkillError` for a link that leads elsewhere: whoever may look at skills may not therefore look at
    whatever a project's agents have linked to. Raises `OSError`.
    """
    path = Path(skill.path)
    folder, file = path.parent.resolve(), path.resolve()
    led_out = skill.source is Source.PROJECT and root is not None and not folder.is_relative_to(root.resolve())
    if led_out or not file.is_relative_to(folder):
        raise BadSkillError(f"{FILE} is a link that leads elsewhere")
    fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, encoding="utf-8", errors="replace") as opened:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadSkillError(f"{FILE} is no regular file")
        return opened.read(TEXT_LIMIT)


def _on(shelf: Shelf) -> Iterator[Skill]:
    try:
        entries = sorted(entry for entry in shelf.folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return
    for entry in entries[:SKILLS_LIMIT]:
        skill = read_skill(entry, shelf.source, shelf.root)
        yield skill if shelf.trusted or skill.problem else replace(skill, problem=UNTRUSTED)


def _read(folder: Path) -> tuple[Document, int, str, int]:
    """The document, its tokens, the digest of all files and their number."""
    files = read_files(folder)
    own = next((one for one in files if one.name == FILE), None)
    if own is None:
        raise BadSkillError(f"there is no {FILE} in it")
    return read_document(own.data), tokens(own.data.decode(errors="replace")), digest(files), len(files)


def _tags(document: Document) -> Iterator[str]:
    metadata = document.head.get("metadata")
    told = metadata.get("tags") if isinstance(metadata, dict) else None
    if isinstance(told, str):
        yield from filter(None, (word.strip().lower() for word in re.split(r"[,\s]+", told)))
