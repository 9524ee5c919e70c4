"""What a person submits -> what the store accepts: defaults filled in, names resolved, times understood."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from engine.config import Settings
from engine.context.skills import Known
from engine.dispatch.routebook import NOTHING, Matched, Route, Routebook, Traits, first
from engine.documents import nearest
from engine.entry import (
    MEASURES,
    WrongError,
    agent_of,
    check_agent,
    check_base,
    check_gate,
    check_measure,
    check_permission,
    check_prompt,
    check_skills,
    check_text,
    checked_account,
    deadline_of,
    project_of,
    time_of,
    title_of,
    workspace_of,
)
from engine.errors import EntryError, UsageError
from engine.model import JobSpec, OnFailure, Target, Wanted
from engine.store.submit import UNSORTED, Accepted, Needs, Sorted, Submission

T = TypeVar("T")

Sorter = Callable[[JobSpec, str | None, str], Sorted]
"""Says which class a job is of, from what is asked for, its project (a directory) and its agent."""


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
        except WrongError as wrong:
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
    agent = trial.of(agent_of, spec, settings, agents)
    trial.of(check_prompt, spec.prompt)
    for key in ("title", "model", "key", "system"):
        trial.of(check_text, key, getattr(spec, key) or "")
    project = trial.of(project_of, spec, settings)
    for key, read in MEASURES:
        trial.of(check_measure, key, getattr(spec, key), read)
    classed = sorter(spec, project, agent) if agent is not None else UNSORTED
    matched = trial.of(_matched, replace(spec, triage=classed.triage), project, book)
    target = None
    if agent is not None and matched is not None and matched.route is not None:
        target = trial.of(_first, book, matched.route, spec, project)
    elif agent is not None:
        account = trial.of(checked_account, agent, spec.account, settings)
        target = Target(agent, spec.model or settings.agent(agent).model, account)
    if target is not None:
        trial.of(check_agent, replace(spec, account=target.account), target.agent, target.model, settings)
        trial.of(check_permission, spec, target.agent, project, settings)
        trial.of(_check_privacy, target, project, book)
    trial.of(check_base, spec, project)
    trial.of(check_gate, spec, settings)
    trial.of(check_skills, spec, project, known)
    deadline = trial.of(deadline_of, spec, now)
    not_before = trial.of(time_of, "not_before", spec.not_before, now)
    all_of = trial.of(_needs, "after", spec.after, names)
    any_of = trial.of(_needs, "after_any", spec.after_any, names)
    wrong += trial.wrong
    if trial.wrong or target is None or matched is None or all_of is None or any_of is None:
        return None
    return Accepted(
        spec=replace(spec, workspace=spec.workspace or workspace_of(project, settings)),
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
        raise WrongError("route", f"there is no route {spec.route!r}; {hint}")
    return Matched(route, ("it names it",))


def _first(book: Routebook, route: Route, spec: JobSpec, project: str | None) -> Target:
    try:
        return first(book, route, spec, project)
    except UsageError as error:
        raise WrongError("route", error.message) from None


def _check_privacy(target: Target, project: str | None, book: Routebook) -> None:
    if why := book.privacy.barred(target, project):
        raise WrongError("agent", why)


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
            raise WrongError(key, f"there is no job id and no entry named {word!r}; {hint}")
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
