"""Finds pipelines: in the project, in the home, and those that ship. The first of a name stands, broken or not.

A pipeline is the operator's word on what agents do, so one in a project stands before others only where its file can be
read: which one was taken is said wherever one is run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from engine.documents import DocumentError, nearest, text_of
from engine.errors import NotFoundError, UsageError
from engine.model import PipelineFile, PipelineInput, PipelineStep
from engine.pipelines.checking import read_pipeline
from engine.pipelines.spec import PipelineSpec, StepSpec

PROJECT_FOLDER = ".headway/pipelines"
HOME_FOLDER = "pipelines"
SUFFIXES = (".yaml", ".yml")
FILE_BYTES = 1 << 20
FILES_LIMIT = 500  #: of one folder that are looked at


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of pipelines."""

    source: str
    folder: Path
    root: Path | None = None
    """What its files must not lead out of."""


@dataclass(frozen=True, slots=True)
class Found:
    """A pipeline's file and what it declares; None where something is wrong in it."""

    file: PipelineFile
    spec: PipelineSpec | None


def shelves(home: Path, project: str | None) -> list[Shelf]:
    """The places for a project, in the order of their precedence."""
    own = [Shelf("project", Path(project) / PROJECT_FOLDER, Path(project))] if project is not None else []
    return [*own, Shelf("home", home / HOME_FOLDER), Shelf("shipped", Path(__file__).parent)]


def find_pipelines(places: Collection[Shelf], agents: Collection[str]) -> list[Found]:
    """All of them by name, each with those that it stands before."""
    standing: dict[str, Found] = {}
    for shelf in places:
        for path in _files(shelf.folder):
            before = standing.get(path.stem)
            if before is None:
                standing[path.stem] = read_file(path, shelf.source, agents, shelf.root)
            else:
                shadows = [*before.file.shadows, str(path)]
                standing[path.stem] = Found(replace(before.file, shadows=shadows), before.spec)
    return [standing[name] for name in sorted(standing)]


def named(found: Collection[Found], name: str) -> Found:
    """Raises `NotFoundError` with the nearest name."""
    for one in found:
        if one.file.name == name:
            return one
    raise NotFoundError(f"there is no pipeline {name!r}; {nearest(name, [one.file.name for one in found])}")


def runnable(found: Found) -> PipelineSpec:
    """Raises `UsageError` with all that is wrong in it."""
    if found.spec is None:
        raise UsageError(found.file.problem or f"{found.file.path} cannot be read")
    return found.spec


def read_file(path: Path, source: str, agents: Collection[str], root: Path | None = None) -> Found:
    """The pipeline in a file, or its problem."""
    bare = PipelineFile(name=path.stem, path=str(path), source=source)
    try:
        if root is not None and not path.resolve().is_relative_to(root.resolve()):
            raise UsageError(f"{path} is a link that leads out of the project")
        text = text_of(path, FILE_BYTES)
    except UsageError as error:
        return Found(replace(bare, problem=error.message), None)
    return examined(text, bare, agents)


def examined(text: str, bare: PipelineFile, agents: Collection[str]) -> Found:
    """What a text declares, as the pipeline of that name."""
    bare = replace(bare, text=text)
    try:
        spec = read_pipeline(text, bare.path, agents).checked()
    except DocumentError as error:
        return Found(replace(bare, problem=error.message), None)
    return Found(
        replace(
            bare,
            about=spec.about,
            inputs=[
                PipelineInput(name=name, about=one.about, default=one.default) for name, one in spec.inputs.items()
            ],
            steps=[told(spec, one) for one in spec.steps],
        ),
        spec,
    )


def told(spec: PipelineSpec, step: StepSpec) -> PipelineStep:
    """A step as a list shows it."""
    return PipelineStep(name=step.name, kind=step.kind, after=spec.after(step.name), says=step.about)


def _files(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(one for one in folder.iterdir() if one.suffix in SUFFIXES and not one.name.startswith("."))
    except OSError:
        return
    yield from entries[:FILES_LIMIT]
