"""What a person submits -> what the store accepts: defaults filled in, names resolved, times understood."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.config import Settings
from engine.documents import Place, nearest, parse_list
from engine.errors import EntryError, UsageError
from engine.model import JobSpec, Workspace
from engine.store.jobs import Accepted

TITLE_LENGTH = 80  #: characters of a title made from a prompt
PROMPT_LIMIT = 4 << 20  #: bytes of one prompt: past this no model reads it, and the log would carry it for ever

_DELAY = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_YEAR_10000_MS = 253_402_300_800_000  #: dates end before it
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file of jobs, with where each entry and each of its keys stands."""

    name: str
    specs: list[JobSpec]
    places: list[Place]

    def explain(self, error: EntryError) -> UsageError:
        """An error about an entry, with the file and the line in front."""
        place = self.places[error.entry] if error.entry < len(self.places) else None
        if place is None:
            return UsageError(f"{self.name}: {error.message}")
        return UsageError(f"{self.name}, line {place.keys.get(error.key, place.line)}: {error.message}")


class Listed(Struct, frozen=True, forbid_unknown_fields=True):
    """A job file that says `jobs:` at its top."""

    jobs: list[JobSpec]


_Content: Any = Listed | list[JobSpec]


def read_job_file(text: str, name: str) -> JobFile:
    """The jobs of a file: a list, or a mapping with the key `jobs`. One bad entry refuses the whole file."""
    read, places = parse_list(text, name, _Content, "jobs")
    return JobFile(name, read.jobs if isinstance(read, Listed) else read, places)


def accept(specs: Sequence[JobSpec], settings: Settings, agents: Collection[str], now: int) -> list[Accepted]:
    """All of them or none: raises `EntryError` that says which entry, which key and what is wrong."""
    if not specs:
        raise UsageError("there is no job to submit")
    return [_accept_one(entry, spec, settings, agents, now) for entry, spec in enumerate(specs)]


def _accept_one(entry: int, spec: JobSpec, settings: Settings, agents: Collection[str], now: int) -> Accepted:
    try:
        agent = spec.agent or settings.default_agent
        if agent not in agents:
            raise _WrongError("agent", f"there is no agent {agent!r}; {nearest(agent, agents)}")
        _check_prompt(spec.prompt)
        for key, text in (("title", spec.title), ("model", spec.model), ("project", spec.project)):
            _check_text(key, text or "")
        project = _project(spec, settings)
        return Accepted(
            spec=replace(spec, workspace=spec.workspace or _workspace(project, settings)),
            title=_title(spec),
            agent=agent,
            model=spec.model or settings.agent(agent).model,
            project=project,
            not_before=_not_before(spec.not_before, now),
        )
    except _WrongError as wrong:
        raise EntryError(f"{wrong.key}: {wrong}", entry, wrong.key) from None


class _WrongError(Exception):
    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def _check_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise _WrongError("prompt", "it is empty")
    _check_text("prompt", prompt)
    if len(prompt.encode()) > PROMPT_LIMIT:
        raise _WrongError("prompt", f"it is larger than {PROMPT_LIMIT >> 20} MiB; put it into a file and name that")


def _check_text(key: str, text: str) -> None:
    """What can neither be stored as UTF-8 nor stand on a command line."""
    if "\0" in text:
        raise _WrongError(key, "it has a NUL character in it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _WrongError(key, "it is not valid UTF-8") from None


def _title(spec: JobSpec) -> str:
    lines = (
        " ".join("".join(c if c.isprintable() else " " for c in said or "").split())
        for said in (spec.title, spec.prompt)
    )
    printable = next(filter(None, lines), "untitled")
    return printable if len(printable) <= TITLE_LENGTH else printable[: TITLE_LENGTH - 1] + "…"


def _project(spec: JobSpec, settings: Settings) -> str | None:
    if spec.project is None:
        return None
    named = settings.projects.get(spec.project)
    directory = Path(named.path if named else spec.project)
    with contextlib.suppress(RuntimeError):  # "~somebody" whom nobody knows; it is not absolute then
        directory = directory.expanduser()
    if not directory.is_absolute():
        hint = nearest(spec.project, settings.projects) if settings.projects else "give an absolute directory"
        raise _WrongError("project", f"there is no project {spec.project!r}; {hint}")
    try:
        found = directory.is_dir()
    except OSError as error:
        raise _WrongError("project", f"{directory} cannot be reached: {error.strerror}") from None
    if not found:
        raise _WrongError("project", f"{directory} is not a directory")
    return str(directory)


def _workspace(directory: str | None, settings: Settings) -> Workspace:
    """How the settings want the project in a directory to be worked in."""
    for project in settings.projects.values():
        with contextlib.suppress(RuntimeError):  # "~somebody" whom nobody knows
            if directory is not None and str(Path(project.path).expanduser()) == directory:
                return project.workspace
    return Workspace.WORKTREE


def _not_before(value: str | int | None, now: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, int):
        at = value
    elif delay := _DELAY.fullmatch(value.strip()):
        # Cut before it is made an integer: a float may be infinite.
        at = now + round(min(float(delay[1]) * _UNIT_MS[delay[2]], _YEAR_10000_MS))
    else:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _WrongError("not_before", f"{value!r} is no time; write 15m, 2h or 2026-01-31T07:00Z") from None
        at = _milliseconds(moment)
    if at >= _YEAR_10000_MS:
        raise _WrongError("not_before", f"{str(value)[:40]!r} is later than the year 9999")
    return at if at > now else None


def _milliseconds(moment: datetime) -> int:
    """Milliseconds UTC. Without a zone it is this machine's time; what no clock can tell is past, or too far away."""
    try:
        return round(moment.timestamp() * 1000)
    except (OverflowError, ValueError, OSError):
        return 0 if moment.year < 1970 else _YEAR_10000_MS
