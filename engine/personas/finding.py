"""Finds personas: in the project, in the home, in the user's folder. The first of a name stands."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine.personas.persona import FILE, Head, Persona, Source
from engine.personas.telling import said
from engine.plain import plain_line
from engine.skills.finding import standing
from engine.skills.reading import SIZE_LIMIT, BadSkillError, Document, read_document
from engine.units import tokens

PROJECT_FOLDER = ".headway/personas"  #: below a project
FOLDER = "personas"  #: below the home, and in the user's own configuration
PERSONAS_LIMIT = 200  #: folders of one place that are looked at
LONG = 2_000  #: tokens: what is told with every job and in every session had better be short
UNTRUSTED = "its project is not trusted with personas: projects: NAME: skills: trusted: true in headway.yaml"


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of personas. What is found on one that is not trusted is shown, and no job can have it."""

    source: Source
    folder: Path
    trusted: bool = True
    root: Path | None = None
    """What its personas must not lead out of."""


def shelves(home: Path, config_home: Path, project: Path | None = None, *, trusted: bool = False) -> list[Shelf]:
    """The places for a project, in the order of their precedence."""
    own = [Shelf(Source.PROJECT, project / PROJECT_FOLDER, trusted, project)] if project is not None else []
    return [*own, Shelf(Source.HOME, home / FOLDER), Shelf(Source.USER, config_home / "headway" / FOLDER)]


def find_personas(places: Iterable[Shelf]) -> list[Persona]:
    """The personas of several places, by name. One that no job can have is among them, and stands before no other."""
    found = (persona for shelf in places for persona in _on(shelf))
    return standing(found, lambda one, other: replace(one, shadows=[*one.shadows, other.path]))


def _on(shelf: Shelf) -> Iterator[Persona]:
    try:
        entries = sorted(entry for entry in shelf.folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return
    for entry in entries[:PERSONAS_LIMIT]:
        one = read_persona(entry, shelf.source, shelf.root)
        yield one if shelf.trusted or one.problem else replace(one, problem=UNTRUSTED)


def read_persona(folder: Path, source: Source, root: Path | None = None) -> Persona:
    """The persona in a folder, or its problem."""
    path = folder / FILE
    try:
        if root is not None and not path.resolve().is_relative_to(root.resolve()):
            raise BadSkillError("it is a link that leads out of the project")
        data = _read(path)
        document = read_document(data, FILE)
        head = _head(document)
    except BadSkillError as error:
        return Persona(name=folder.name, path=str(path), source=source, problem=str(error))
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or "a link that leads to itself"
        return Persona(name=folder.name, path=str(path), source=source, problem=f"{FILE} cannot be read: {why}")
    problem = f"its folder is called {folder.name}, and it says name: {head.name}" if head.name != folder.name else None
    size = tokens(said(head, document.body))
    return Persona(
        name=folder.name,
        path=str(path),
        source=source,
        head=head,
        text=document.body,
        tokens=size,
        sha256=hashlib.sha256(data).hexdigest(),
        problem=problem,
        warnings=[*document.remarks, *([f"it takes {size:,} tokens of every session"] if size > LONG else [])],
    )


def _head(document: Document) -> Head:
    try:
        return msgspec.convert(dict(document.head), Head, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise BadSkillError(plain_line(f"{where.strip('`').removeprefix('$.') or 'the head'}: {what}")) from None


def _read(path: Path) -> bytes:
    """Opened once, so that what is measured is what is read."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as opened:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise BadSkillError(f"{FILE} is no regular file")
        return opened.read(SIZE_LIMIT + 1)
