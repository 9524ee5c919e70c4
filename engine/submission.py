"""What a person submits -> what the store accepts: defaults filled in, names resolved, times understood."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.agents.registry import check_job
from engine.config import Settings
from engine.documents import Place, examine, nearest
from engine.errors import EntryError, RefusedError, UsageError
from engine.model import JobSpec, OnFailure, Wanted, Workspace
from engine.permission import chosen
from engine.store.submit import Accepted, Needs, Submission
from engine.units import milliseconds, size

TITLE_LENGTH = 80  #: characters of a title made from a prompt
PROMPT_LIMIT = 4 << 20  #: bytes of one prompt: past this no model reads it, and the log would carry it for ever

_DELAY = re.compile(r"\d+(?:\.\d+)?\s*(ms|s|m|h|d|w)")
_YEAR_10000_MS = 253_402_300_800_000  #: dates end before it


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file of jobs, with where each entry and each of its keys stands."""

    name: str
    specs: list[JobSpec]
    places: list[Place]
    batch: str | None = None
    then: JobSpec | None = None

    def wanted(self, specs: Sequence[JobSpec]) -> Wanted:
        """The submission of these jobs, with what the file says of them together."""
        return Wanted(list(specs), batch=self.batch, then=self.then)

    def explain(self, error: EntryError) -> UsageError:
        """An error about an entry, with the file and the line in front."""
        place = self.places[error.entry] if error.entry < len(self.places) else None
        if place is None:
            return UsageError(f"{self.name}: {error.message}")
        return UsageError(f"{self.name}, line {place.keys.get(error.key, place.line)}: {error.message}")


class Listed(Struct, frozen=True, forbid_unknown_fields=True):
    """A job file that says `jobs:` at its top."""

    jobs: list[JobSpec]
    batch: str | None = None
    then: JobSpec | None = None


_Content: Any = Listed | list[JobSpec]


def read_job_file(text: str, name: str) -> JobFile:
    """The jobs of a file: a list, or a mapping with the key `jobs`. One bad entry refuses the whole file."""
    reading = examine(text, name, _Content)
    read = reading.checked()
    if isinstance(read, Listed):
        return JobFile(name, read.jobs, reading.places("jobs"), read.batch, read.then)
    return JobFile(name, read, reading.places())


def accepted(wanted: Wanted, settings: Settings, agents: Collection[str], now: int) -> Submission:
    """A whole submission, checked. Raises `EntryError` or `UsageError`."""
    if wanted.then is not None and wanted.batch is None:
        raise UsageError("then: only what has a batch has something to follow; name the batch")
    asked = replace(wanted, dry_run=False, token=None)
    return Submission(
        jobs=accept(wanted.jobs, settings, agents, now),
        token=wanted.token,
        digest=hashlib.sha256(msgspec.json.encode(asked)).hexdigest() if wanted.token else "",
        batch=wanted.batch,
        follow_up=accept_follow_up(wanted.then, settings, agents, now) if wanted.then is not None else None,
    )


def accept(specs: Sequence[JobSpec], settings: Settings, agents: Collection[str], now: int) -> list[Accepted]:
    """All of them or none: raises `EntryError` that says which entry, which key and what is wrong."""
    if not specs:
        raise UsageError("there is no job to submit")
    names = _names(specs)
    accepted = [_accept_one(entry, spec, settings, agents, now, names) for entry, spec in enumerate(specs)]
    _refuse_cycle(accepted)
    return accepted


def accept_follow_up(spec: JobSpec, settings: Settings, agents: Collection[str], now: int) -> Accepted:
    """What runs after a batch. Raises `UsageError`."""
    if spec.after or spec.after_any or spec.name:
        raise UsageError("then: it comes after the whole batch; leave out after, after_any and name")
    try:
        return _accept_one(0, replace(spec, on_failure=spec.on_failure or OnFailure.RUN), settings, agents, now, {})
    except EntryError as error:
        raise UsageError(f"then: {error.message}") from None


def _accept_one(
    entry: int, spec: JobSpec, settings: Settings, agents: Collection[str], now: int, names: Mapping[str, int]
) -> Accepted:
    try:
        agent = spec.agent or settings.default_agent
        if agent not in agents:
            raise _WrongError("agent", f"there is no agent {agent!r}; {nearest(agent, agents)}")
        _check_prompt(spec.prompt)
        for key, text in (
            ("title", spec.title),
            ("model", spec.model),
            ("project", spec.project),
            ("key", spec.key),
            ("system", spec.system),
        ):
            _check_text(key, text or "")
        project = _project(spec, settings)
        _check_measures(spec)
        model = spec.model or settings.agent(agent).model
        _check_job(spec, agent, model, settings)
        _check_permission(spec, agent, project, settings)
        deadline = _time("deadline", spec.deadline, now)
        if spec.deadline is not None and deadline is None:
            raise _WrongError("deadline", f"{spec.deadline!r} is over already")
        return Accepted(
            spec=replace(spec, workspace=spec.workspace or _workspace(project, settings)),
            title=title_of(spec),
            agent=agent,
            model=model,
            project=project,
            not_before=_time("not_before", spec.not_before, now),
            account=checked_account(agent, spec.account, settings),
            deadline=deadline,
            all_of=_needs("after", spec.after, names),
            any_of=_needs("after_any", spec.after_any, names),
        )
    except _WrongError as wrong:
        raise EntryError(f"{wrong.key}: {wrong}", entry, wrong.key) from None


def checked_account(agent: str, account: str | None, settings: Settings) -> str | None:
    """An account that exists and is the agent's. Raises `UsageError`."""
    if account is None:
        return None
    known = [name for name, one in settings.accounts.items() if one.agent == agent]
    if account not in known:
        hint = nearest(account, known) if known else "headway.yaml names none for it, under accounts:"
        raise _WrongError("account", f"{agent} has no account {account!r}; {hint}")
    return account


def _check_job(spec: JobSpec, agent: str, model: str | None, settings: Settings) -> None:
    """What only the agent can say of a job."""
    try:
        check_job(spec, agent, model, settings)
    except UsageError as error:
        raise _WrongError("agent", error.message) from None


def _check_permission(spec: JobSpec, agent: str, project: str | None, settings: Settings) -> None:
    try:
        chosen(spec.permission, agent, project, settings)
    except RefusedError as error:
        raise _WrongError("permission", error.message.removeprefix("permission: ")) from None


def _check_measures(spec: JobSpec) -> None:
    for key, value, read in (
        ("timeout", spec.timeout, milliseconds),
        ("stall", spec.stall, milliseconds),
        ("memory", spec.memory, size),
    ):
        try:
            amount = None if value is None else read(value)
        except ValueError as error:
            raise _WrongError(key, str(error)) from None
        if amount == 0 and key != "stall":
            raise _WrongError(key, "it is 0, so that nothing could run")


def _names(specs: Sequence[JobSpec]) -> dict[str, int]:
    """The places of the entries that have a name."""
    found: dict[str, int] = {}
    for entry, spec in enumerate(specs):
        if spec.name is not None and found.setdefault(spec.name, entry) != entry:
            raise EntryError(f"name: {spec.name!r} is the name of an earlier entry", entry, "name")
    return found


def _needs(key: str, given: Sequence[int | str], names: Mapping[str, int]) -> Needs:
    ids, entries = [], []
    for one in given:
        word = str(one).strip()
        if word in names:
            entries.append(names[word])
        elif re.fullmatch(r"[Jj]?\d{1,18}", word):
            ids.append(int(word.lstrip("Jj")))
        else:
            hint = nearest(word, names) if names else "entries have names where they say so: name: build"
            raise _WrongError(key, f"there is no job id and no entry named {word!r}; {hint}")
    return Needs(tuple(dict.fromkeys(ids)), tuple(dict.fromkeys(entries)))


def _refuse_cycle(accepted: Sequence[Accepted]) -> None:
    """Jobs that wait for each other would wait for ever. An id is of a job that is there already: no cycle meets it."""
    needs = [[*one.all_of.entries, *one.any_of.entries] for one in accepted]
    if not any(needs):
        return
    try:
        TopologicalSorter(dict(enumerate(needs))).prepare()
    except CycleError as error:
        circle = error.args[1]
        told = " after ".join(accepted[entry].spec.name or f"entry {entry + 1}" for entry in reversed(circle))
        raise EntryError(f"after: these would wait for each other: {told}", max(circle), "after") from None


class _WrongError(UsageError):
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


def title_of(spec: JobSpec) -> str:
    """What a list shows of a job: the title that it was given, else the beginning of its prompt."""
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
        if project.directory == directory:
            return project.workspace
    return Workspace.WORKTREE


def edited(spec: JobSpec, prompt: str) -> tuple[JobSpec, str]:
    """A job's spec with another prompt, and its title then. Raises `UsageError`."""
    try:
        _check_prompt(prompt)
    except _WrongError as wrong:
        raise UsageError(f"prompt: {wrong}") from None
    after = replace(spec, prompt=prompt)
    return after, title_of(after)


def moment(value: str | int, now: int) -> int | None:
    """A time as people write it, in milliseconds UTC; None where it is over. Raises `UsageError`."""
    try:
        return _time("when", value, now)
    except _WrongError as wrong:
        raise UsageError(f"when: {wrong}") from None


def _time(key: str, value: str | int | None, now: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, int):
        at = value
    elif _DELAY.fullmatch(value.strip()):
        at = now + milliseconds(value)
    else:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _WrongError(key, f"{value!r} is no time; write 15m, 2h or 2026-01-31T07:00Z") from None
        at = _milliseconds(moment)
    if at >= _YEAR_10000_MS:
        raise _WrongError(key, f"{str(value)[:40]!r} is later than the year 9999")
    return at if at > now else None


def _milliseconds(moment: datetime) -> int:
    """Milliseconds UTC. Without a zone it is this machine's time; what no clock can tell is past, or too far away."""
    try:
        return round(moment.timestamp() * 1000)
    except (OverflowError, ValueError, OSError):
        return 0 if moment.year < 1970 else _YEAR_10000_MS
