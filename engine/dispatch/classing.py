"""Where a job that has not begun belongs, once it is of another class. Pure."""

from __future__ import annotations

from dataclasses import replace

from engine import events as log
from engine.dispatch.routebook import Routebook, Traits, first
from engine.errors import UsageError
from engine.model import JobSpec, State, Target
from engine.store.rows import JobRow


def routed(book: Routebook, row: JobRow, spec: JobSpec, by: str) -> log.Routed | None:
    """The route that a job takes by its class now, and the target where it begins there.

    None where that is what it has, where it names its route or target itself, where it has begun, or where somebody has
    sent it elsewhere since.
    """
    named = spec.route or spec.agent or spec.model or spec.account
    if named or row.attempts or row.state not in (State.READY, State.BLOCKED):
        return None
    before = book.routes.get(row.route or "")
    settings = book.settings
    plain = Target(settings.default_agent, settings.agent(settings.default_agent).model)
    if row.target not in (before.targets if before is not None else (plain,)):
        return None
    matched = book.match(replace(Traits.of(spec, row.project), triage=row.triage))
    route = matched.route
    if (route.name if route is not None else None) == row.route:
        return None
    try:
        target = first(book, route, spec, row.project) if route is not None else plain
    except UsageError:
        return None  # no target of that route can do it: it stays where it is
    if book.privacy.barred(target, row.project):
        return None
    name, why = (route.name, matched.why[-1]) if route is not None else (None, "no route matches its class")
    return log.Routed(by, target.agent, target.model, target.account, name, why, str(row.target))
