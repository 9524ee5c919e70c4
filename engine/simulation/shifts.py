"""The jobs that may go to another account, by the engine's own routes: those of one project and sort."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engine.dispatch import breaker, windows
from engine.dispatch.routebook import Route, Station
from engine.dispatch.routing import Candidate, Case, Move, Trouble, Turn, decide
from engine.dispatch.shifting import left
from engine.dispatch.standings import scopes_of
from engine.dispatch.world import World
from engine.model import ALL, LIMITS, Failure, Target
from engine.model.route import CAUSES, Rerouting, RouteCause, RoutePolicy, Standing
from engine.simulation.control import Control
from engine.simulation.parts import Account, Job
from engine.store.rows import JobRow

MOST = 200  #: waiting jobs of one route and target that one look at the queue moves, as in the engine


def routes_of(accounts: Mapping[str, Account], patience: int) -> dict[str, Route]:
    """A route for each sort of accounts of a project that has several, by the name of the account that it begins at."""
    together: dict[tuple[str, str], list[Account]] = {}
    for one in accounts.values():
        together.setdefault((one.login.sort, one.login.project), []).append(one)
    found: dict[str, Route] = {}
    for (sort, project), several in together.items():
        if len(several) > 1:
            stations = tuple(Station(one.target) for one in several)
            route = Route(f"{sort} of {project}", stations, {RouteCause.LIMIT: RoutePolicy.REROUTE}, patience)
            found |= {one.login.name: route for one in several}
    return found


@dataclass(slots=True)
class Shifts:
    """The jobs that have a route and wait, by route and target. `moved` is called with each that is to go elsewhere."""

    world: World
    control: Control
    routes: Mapping[str, Route]
    """By account."""
    jobs_of: Mapping[int, Job]
    moved: Callable[[Job, Move, Turn], None]
    standing: dict[tuple[str, Target], dict[int, Job]] = field(default_factory=dict)
    stale: dict[str, Route] = field(default_factory=dict)
    """Routes of which something has changed since they were looked at."""

    def enter(self, job: Job) -> None:
        """A job waits from now on."""
        if job.route is not None:
            self.standing.setdefault((job.route.name, job.row.target), {})[job.row.id] = job
            self._mark(job.route)

    def leave(self, job: Job) -> None:
        """It waits no longer, or not there."""
        if job.route is not None:
            self.standing.get((job.route.name, job.row.target), {}).pop(job.row.id, None)

    def touch(self, account: Account) -> None:
        """Something has changed of an account: it opens, it closes, or a slot is free."""
        route = self.routes.get(account.login.name)
        if route is not None:
            self._mark(route)

    def _mark(self, route: Route) -> None:
        """Let a route be looked at, where there is something that it may do: it only says what limits are for."""
        limited = (one for one in route.targets if self.any(route, one))
        if route.name not in self.stale and any(self._closed(one)[0] is RouteCause.LIMIT for one in limited):
            self.stale[route.name] = route

    def after_failure(self, job: Job, failure: Failure, until: int | None) -> Turn | None:
        """What its route does about a job whose attempt has failed."""
        cause = CAUSES.get(failure)
        if cause is None or job.route is None:
            return None
        case = self._case(job, job.route, Trouble(cause, "", until, started=True))
        return Turn(decide(case, self.now), case, Trouble(cause, "", until, started=True))

    # The queue, as `engine.dispatch.shifting` asks for it.

    @property
    def now(self) -> int:
        return self.world.now

    def any(self, route: Route, target: Target) -> bool:
        return bool(self.standing.get((route.name, target)))

    def jobs(self, route: Route, target: Target, *, closed: bool) -> list[JobRow]:
        rows = [one.row for one in self.standing[route.name, target].values()]
        limited = self._closed(target)[0] is RouteCause.LIMIT
        kept = [row for row in rows if (closed and limited) or row.not_before is not None]
        return sorted(kept, key=lambda row: (row.priority, row.rank))[:MOST]

    def closed(self, target: Target) -> tuple[bool, int | None]:
        cause, until = self._closed(target)
        return cause is not None, until

    def room(self, route: Route, target: Target) -> int:
        caps, running = self.world.caps, self.world.running
        free = min((caps[one] - running.get(one, 0) for one in (ALL, *scopes_of(target)) if one in caps), default=MOST)
        return min(free, MOST) - len(self.standing.get((route.name, target), ()))

    def turn(self, row: JobRow, route: Route) -> Turn | None:
        job, (cause, until) = self.jobs_of[row.id], self._closed(row.target)
        if row.not_before is not None:
            if row.failure not in LIMITS:
                return None
            trouble = Trouble(CAUSES[row.failure], "", row.not_before, started=True)
        elif cause is not None:
            trouble = Trouble(cause, "", until, started=row.attempts > 0)
        else:
            return None
        if route.policies.get(trouble.cause) is not RoutePolicy.REROUTE:
            return None
        case = self._case(job, route, trouble)
        return Turn(decide(case, self.now), case, trouble)

    def move(self, row: JobRow, move: Move, turn: Turn) -> None:
        self.moved(self.jobs_of[row.id], move, turn)

    def _closed(self, target: Target) -> tuple[RouteCause | None, int | None]:
        """In which way a target is closed, by what the engine believes, and until when."""
        until = windows.closed_until(self.control.windows.get(target.paid_by, ()), target.model, self.now)
        if until is not None:
            return RouteCause.LIMIT, until
        known = self.control.breakers.get(str(target))
        if known is not None and breaker.limit(known, self.now) == 0:
            return CAUSES.get(known.failure or Failure.UNKNOWN, RouteCause.OVERLOAD), known.until
        return None, None

    def _case(self, job: Job, route: Route, trouble: Trouble) -> Case:
        return Case(
            route=route,
            target=job.row.target,
            cause=trouble.cause,
            candidates=[self._candidate(job, target) for target in route.targets],
            until=trouble.until,
            since=job.limited_since,
            started=trouble.started,
        )

    def _candidate(self, job: Job, target: Target) -> Candidate:
        here = target == job.row.target
        cause, until = self._closed(target)
        why, away = left(job.moves, str(target), self.now) if not here else ("", None)
        closed = "" if cause is None else str(cause)
        until = until if until is not None else away
        return Candidate(target, Standing(target=str(target), closed=closed, until=until, left=why, here=here))


def rerouting(job: Job, move: Move, turn: Turn, now: int) -> Rerouting:
    """A move as it is kept with its job."""
    worked = job.row.attempts if job.worked_on == job.row.target else None
    return Rerouting(
        at=now,
        was=str(job.row.target),
        to=str(move.to.target),
        by=f"route {turn.case.route.name}",
        cause=turn.trouble.cause,
        until=turn.trouble.until,
        attempt=worked,
    )
