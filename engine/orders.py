"""The operator's orders, made ready for the store: names resolved, times understood, all of it checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from engine.agents import registry
from engine.config import Settings
from engine.config.scopes import scope_of
from engine.dispatch import rerouting
from engine.dispatch.routebook import NOTHING, Routebook
from engine.documents import nearest
from engine.entry import checked_account, edited, moment
from engine.errors import EntryError, UsageError
from engine.model import ALL, SCOPES, JobSpec, Order, Target, Verb
from engine.model.listing import Sort, SortKey
from engine.store.filter import Filter, parse
from engine.store.places import Place
from engine.store.verbs import Request

ON_SCOPES = frozenset({Verb.HOLD, Verb.RELEASE, Verb.CAP, Verb.DRAIN})


def request(
    order: Order,
    by: str,
    settings: Settings,
    agents: Collection[str],
    now: int,
    spec: JobSpec | None = None,
    book: Routebook = NOTHING,
) -> Request:
    """What an order asks of the store. `spec` is the job's to be edited.

    Raises `UsageError` that names the nearest right thing.
    """
    scope = checked_scope(order.scope, settings, agents) if order.scope is not None else ""
    if scope and (order.jobs or order.filter is not None):
        raise UsageError(f"{order.verb}: give jobs, a filter or a scope, not several of them")
    if order.jobs and order.filter is not None:
        raise UsageError(f"{order.verb}: give job ids or a filter, not both")
    if scope and order.verb not in ON_SCOPES:
        raise UsageError(f"{order.verb} takes job ids or a filter; a scope is for hold, release and cap")
    if scope.startswith("node:") and order.verb not in (Verb.HOLD, Verb.RELEASE):
        raise UsageError(f"{order.verb}: a node is drained, and that is all: headway node drain NAME")
    if order.fresh and order.fork:
        raise UsageError("retry: a fork goes on from the session, and fresh does not: give one of them")
    if order.filter is not None and not order.filter.strip():
        raise UsageError("the filter is empty, and would match every job; say what you mean, such as state:failed")
    if order.to is not None and order.to_next:
        raise UsageError("reroute: name a target or take the next one of the route, not both")
    return Request(
        verb=order.verb,
        jobs=order.jobs,
        by=by,
        scope=scope,
        filter=filter_of(order.filter, settings, now) if order.filter is not None else None,
        fresh=order.fresh,
        fork=order.fork,
        dry_run=order.dry_run,
        foresee=order.dry_run and order.preview,
        priority=order.priority,
        not_before=moment(order.until, now) if order.until is not None else None,
        target=target(order.to, settings, agents) if order.to is not None else None,
        following=partial(rerouting.following, book) if order.to_next else None,
        barred=book.privacy.barred,
        edit=edited(spec, order.prompt) if spec is not None and order.prompt is not None else None,
        place=Place.parse(order.place) if order.place is not None else None,
        limit=order.limit,
    )


def filter_of(text: str, settings: Settings, now: int) -> Filter:
    """A filter, in which a project's name stands for its directory."""
    return parse(text, now, directories(settings))


def sort_of(text: str) -> Sort:
    """What a list is to be sorted by. Raises `UsageError` that names the nearest."""
    try:
        return Sort.parse(text)
    except ValueError:
        raise UsageError(f"sort: {text!r} is none; {nearest(text.removeprefix('-'), list(SortKey))}") from None


def directories(settings: Settings) -> Mapping[str, str]:
    return {name: project.directory for name, project in settings.projects.items()}


def target(text: str, settings: Settings, agents: Collection[str]) -> Target:
    """A target that exists and takes that model, the agent's own where it names none. Raises `UsageError`."""
    found = Target.parse(text)
    if found.agent not in agents:
        raise UsageError(f"to: there is no agent {found.agent!r}; {nearest(found.agent, agents)}")
    try:
        account = checked_account(found.agent, found.account, settings)
    except EntryError as error:
        raise UsageError(error.message) from None
    own = settings.agent(found.agent)
    model = found.model or own.model
    if (known := registry.agents().get(found.agent)) is not None:
        known.accept(model, own, settings.accounts.get(account or ""))
    return Target(found.agent, model, account)


def checked_scope(text: str, settings: Settings, agents: Collection[str]) -> str:
    """A scope as it counts. Raises `UsageError`, naming the nearest right one."""
    text = text.strip()
    kind, _, name = text.partition(":")
    if text == ALL:
        return ALL
    if kind == "node" and name:
        return text
    if kind not in SCOPES or not name:
        known = [ALL, *(f"{one}:NAME" for one in SCOPES)]
        raise UsageError(f"scope: {text!r} is none; there are {', '.join(known)}")
    agent = Target.parse(name).agent
    if kind == "account" and name in settings.accounts:
        return scope_of(text, settings)
    if kind == "account" and agent not in agents:
        raise UsageError(f"scope: there is no account {name!r}; {nearest(name, [*settings.accounts, *agents])}")
    if kind in ("agent", "account", "target") and agent not in agents:
        raise UsageError(f"scope: there is no agent {agent!r}; {nearest(agent, agents)}")
    if kind == "project" and not name.startswith("/") and name not in settings.projects:
        hint = nearest(name, settings.projects) if settings.projects else "give its directory"
        raise UsageError(f"scope: there is no project {name!r}; {hint}")
    return scope_of(text, settings)
