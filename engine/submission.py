"""What a person submits -> what the store accepts: defaults filled in, names resolved, times understood."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from engine.agents.registry import check_job
from engine.budgets import Amount
from engine.config import Settings
from engine.context.skills import Known
from engine.dispatch.routebook import NOTHING, Matched, Route, Routebook, Traits, first
from engine.documents import nearest
from engine.errors import EntryError, RefusedError, UsageError
from engine.model import JobSpec, OnFailure, Target, Wanted, Workspace
from engine.permission import chosen
from engine.store.submit import UNSORTED, Accepted, Needs, Sorted, Submission
from engine.units import milliseconds, size

T = TypeVar("T")

Sorter = Callable[[JobSpec, str | None, str], Sorted]
"""Says which class a job is of, from what is asked for, its project (a directory) and its agent."""

TITLE_LENGTH = 80  #: characters of a title made from a prompt
PROMPT_LIMIT = 4 << 20  #: bytes of one prompt: past this no model reads it, and the log would carry it for ever

_DELAY = re.compile(r"\d+(?:\.\d+)?\s*(ms|s|m|h|d|w)")
_YEAR_10000_MS = 253_402_300_800_000  #: dates end before it


def unsorted(spec: JobSpec, project: str | None, agent: str) -> Sorted:
    """Nobody but its submitter says of which class a job is."""
    return UNSORTED if spec.triage is None else Sorted(spec.triage, said=True)


def accepted(
    wanted: Wanted,
    settings: Settings,
    agents: Collection[str],
    now: int,
    book: Routebook = NOTHING,
    sorter: Sorter = unsorted,
) -> Submission:
    """A whole submission, checked. Raises `EntryError` with all that is wrong, or `UsageError`."""
    if wanted.then is not None and wanted.batch is None:
        raise UsageError("then: only what has a batch has something to follow; name the batch")
    asked = replace(wanted, dry_run=False, token=None)
    wrong: list[EntryError] = []
    jobs = _accept_all(wanted.jobs, settings, agents, now, wrong, book, sorter)
    follow_up = None
    if wanted.then is not None:
        follow_up = _accept_follow_up(wanted.then, len(wanted.jobs), settings, agents, now, wrong, book, sorter)
    _refuse(wrong)
    return Submission(
        jobs=jobs,
        token=wanted.token,
        digest=hashlib.sha256(msgspec.json.encode(asked)).hexdigest() if wanted.token else "",
        batch=wanted.batch,
        follow_up=follow_up,
    )


def accept(
    specs: Sequence[JobSpec], settings: Settings, agents: Collection[str], now: int, book: Routebook = NOTHING
) -> list[Accepted]:
    """All of them or none: raises `EntryError` that says of each what is wrong with which key."""
    wrong: list[EntryError] = []
    accepted = _accept_all(specs, settings, agents, now, wrong, book)
    _refuse(wrong)
    return accepted


def _refuse(wrong: Sequence[EntryError]) -> None:
    if wrong:
        first, *others = sorted(wrong, key=lambda one: one.entry)
        raise EntryError(first.message, first.entry, first.key, others)


def _accept_all(
    specs: Sequence[JobSpec],
    settings: Settings,
    agents: Collection[str],
    now: int,
    wrong: list[EntryError],
    book: Routebook,
    sorter: Sorter = unsorted,
) -> list[Accepted]:
    if not specs:
        raise UsageError("there is no job to submit")
    names = _names(specs, wrong)
    known = Known(settings)
    found = [
        _accept_one(entry, spec, settings, agents, now, names, wrong, book, sorter, known)
        for entry, spec in enumerate(specs)
    ]
    accepted = [one for one in found if one is not None]
    if len(accepted) == len(specs):
        _refuse_cycle(accepted, wrong)
    return accepted


def _accept_follow_up(
    spec: JobSpec,
    entry: int,
    settings: Settings,
    agents: Collection[str],
    now: int,
    wrong: list[EntryError],
    book: Routebook,
    sorter: Sorter = unsorted,
) -> Accepted | None:
    """What runs after a batch."""
    said = [key for key in ("after", "after_any", "name") if getattr(spec, key)]
    wrong += [EntryError(f"{key}: what follows a batch comes after all of it; remove this", entry, key) for key in said]
    spec = replace(spec, on_failure=spec.on_failure or OnFailure.RUN, after=[], after_any=[])
    return _accept_one(entry, spec, settings, agents, now, {}, wrong, book, sorter, Known(settings))


class _Trial:
    """One entry on trial: what is wrong with it is noted, and the next thing looked at."""

    def __init__(self, entry: int) -> None:
        self._entry = entry
        self.wrong: list[EntryError] = []

    def of(self, read: Callable[..., T], *given: Any) -> T | None:
        try:
            return read(*given)
        except _WrongError as wrong:
            self.wrong.append(EntryError(f"{wrong.key}: {wrong}", self._entry, wrong.key))
            return None


def _accept_one(
    entry: int,
    spec: JobSpec,
    settings: Settings,
    agents: Collection[str],
    now: int,
    names: Mapping[str, int],
    wrong: list[EntryError],
    book: Routebook,
    sorter: Sorter,
    known: Known,
) -> Accepted | None:
    trial = _Trial(entry)
    agent = trial.of(_agent, spec, settings, agents)
    trial.of(_check_prompt, spec.prompt)
    for key in ("title", "model", "key", "system"):
        trial.of(_check_text, key, getattr(spec, key) or "")
    project = trial.of(_project, spec, settings)
    for key, read in _MEASURES:
        trial.of(_check_measure, key, getattr(spec, key), read)
    classed = sorter(spec, project, agent) if agent is not None else UNSORTED
    matched = trial.of(_matched, replace(spec, triage=classed.triage), project, book)
    target = None
    if agent is not None and matched is not None and matched.route is not None:
        target = trial.of(_first, book, matched.route, spec, project)
    elif agent is not None:
        account = trial.of(checked_account, agent, spec.account, settings)
        target = Target(agent, spec.model or settings.agent(agent).model, account)
    if target is not None:
        trial.of(_check_job, replace(spec, account=target.account), target.agent, target.model, settings)
        trial.of(_check_permission, spec, target.agent, project, settings)
        trial.of(_check_privacy, target, project, book)
    trial.of(_check_base, spec, project)
    trial.of(_check_skills, spec, project, known)
    deadline = trial.of(_deadline, spec, now)
    not_before = trial.of(_time, "not_before", spec.not_before, now)
    all_of = trial.of(_needs, "after", spec.after, names)
    any_of = trial.of(_needs, "after_any", spec.after_any, names)
    wrong += trial.wrong
    if trial.wrong or target is None or matched is None or all_of is None or any_of is None:
        return None
    return Accepted(
        spec=replace(spec, workspace=spec.workspace or _workspace(project, settings)),
        title=title_of(spec),
        agent=target.agent,
        model=target.model,
        project=project,
        not_before=not_before,
        account=target.account,
        deadline=deadline,
        all_of=all_of,
        any_of=any_of,
        route=matched.route.name if matched.route is not None else None,
        routed=matched.why[-1] if matched.route is not None else "",
        sorted=classed,
    )


def _matched(spec: JobSpec, project: str | None, book: Routebook) -> Matched:
    """Its route: the one that it names, or the first that matches; one that names its target itself takes no other."""
    if spec.route is None and (spec.agent or spec.model or spec.account):
        return Matched(None, ("it names its target itself",))
    if spec.route is None:
        return book.match(Traits.of(spec, project))
    route = book.routes.get(spec.route)
    if route is None:
        hint = nearest(spec.route, book.routes) if book.routes else "headway.yaml names none, under routes:"
        raise _WrongError("route", f"there is no route {spec.route!r}; {hint}")
    return Matched(route, ("it names it",))


def _first(book: Routebook, route: Route, spec: JobSpec, project: str | None) -> Target:
    try:
        return first(book, route, spec, project)
    except UsageError as error:
        raise _WrongError("route", error.message) from None


def _check_privacy(target: Target, project: str | None, book: Routebook) -> None:
    if why := book.privacy.barred(target, project):
        raise _WrongError("agent", why)


def _check_base(spec: JobSpec, project: str | None) -> None:
    if spec.base is not None and (project is None or spec.workspace is Workspace.PROJECT):
        raise _WrongError("base", "only the worktree of a project begins at a commit")


def _agent(spec: JobSpec, settings: Settings, agents: Collection[str]) -> str:
    agent = spec.agent or settings.default_agent
    if agent not in agents:
        raise _WrongError("agent", f"there is no agent {agent!r}; {nearest(agent, agents)}")
    return agent


def _deadline(spec: JobSpec, now: int) -> int | None:
    deadline = _time("deadline", spec.deadline, now)
    if spec.deadline is not None and deadline is None:
        raise _WrongError("deadline", f"{spec.deadline!r} is over already")
    return deadline


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


def _check_skills(spec: JobSpec, project: str | None, known: Known) -> None:
    try:
        known.check(spec, project)
    except UsageError as error:
        raise _WrongError("skills", error.message) from None


_MEASURES: tuple[tuple[str, Callable[[str | int], int]], ...] = (
    ("timeout", milliseconds),
    ("stall", milliseconds),
    ("memory", size),
    ("budget", lambda value: Amount.parse(value).value),
)


def _check_measure(key: str, value: str | int | None, read: Callable[[str | int], int]) -> None:
    try:
        amount = None if value is None else read(value)
    except ValueError as error:
        raise _WrongError(key, str(error)) from None
    if amount == 0 and key != "stall":
        raise _WrongError(key, "it is 0, so that nothing could run")


def _names(specs: Sequence[JobSpec], wrong: list[EntryError]) -> dict[str, int]:
    """The places of the entries that have a name."""
    found: dict[str, int] = {}
    for entry, spec in enumerate(specs):
        if spec.name is not None and found.setdefault(spec.name, entry) != entry:
            wrong.append(EntryError(f"name: {spec.name!r} is the name of an earlier entry", entry, "name"))
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


def _refuse_cycle(accepted: Sequence[Accepted], wrong: list[EntryError]) -> None:
    """Jobs that wait for each other would wait for ever. An id is of a job that is there already: no cycle meets it."""
    needs = [[*one.all_of.entries, *one.any_of.entries] for one in accepted]
    if not any(needs):
        return
    try:
        TopologicalSorter(dict(enumerate(needs))).prepare()
    except CycleError as error:
        circle = error.args[1]
        told = " after ".join(accepted[entry].spec.name or f"entry {entry + 1}" for entry in reversed(circle))
        wrong.append(EntryError(f"after: these would wait for each other: {told}", max(circle), "after"))


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
    _check_text("project", spec.project)
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
