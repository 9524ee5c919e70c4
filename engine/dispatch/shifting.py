"""Which waiting jobs go on at another target of their route before they start. Pure: whoever keeps the queue is asked.

Only as many move to a target as may start there: the others may find their own one open again before their turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from engine.dispatch.routebook import Route
from engine.dispatch.routing import AWAY_MS, RETURNS, Move, Stay, Turn
from engine.model import Target
from engine.model.route import PASSING, Rerouting, RouteCause
from engine.store.rows import JobRow


class Waiting(Protocol):
    """The waiting jobs of routes, and how their targets stand."""

    @property
    def now(self) -> int:
        """Milliseconds UTC."""
        ...

    def any(self, route: Route, target: Target) -> bool:
        """Whether jobs of a route wait for a target."""
        ...

    def jobs(self, route: Route, target: Target, *, closed: bool) -> Iterable[JobRow]:
        """Those, in their order; where it is not closed, only those that wait for a time."""
        ...

    def closed(self, target: Target) -> tuple[bool, int | None]:
        """Whether nothing may start on a target, and until when, where that is known."""
        ...

    def room(self, route: Route, target: Target) -> int:
        """How many jobs may start on a target, less those of the route that wait there already."""
        ...

    def turn(self, row: JobRow, route: Route) -> Turn | None:
        """What a route does about a waiting job; None where its target can be used, or it waits."""
        ...

    def move(self, row: JobRow, move: Move, turn: Turn) -> None:
        """Carry out a move that was decided."""
        ...


def before_start(routes: Iterable[Route], waiting: Waiting) -> int | None:
    """Move the waiting jobs whose target is closed, where their route says so. Returns when to look again."""
    rooms: dict[Target, int] = {}
    due: int | None = None
    for route in routes:
        if not route.reroutes(PASSING | {RouteCause.AUTH}):
            continue
        for target in route.targets:
            if not waiting.any(route, target):
                continue
            for to in route.targets:
                rooms[to] = 0 if waiting.closed(to)[0] else waiting.room(route, to)
            if all(room <= 0 for to, room in rooms.items() if to != target and to in route.targets):
                due = _sooner(due, _first_end(route, waiting))
            else:
                due = _sooner(due, _move_from(route, target, waiting, rooms))
    return due


def _move_from(route: Route, target: Target, waiting: Waiting, rooms: dict[Target, int]) -> int | None:
    """Move the jobs of a route that wait for a target, as far as there is room. Returns when to look again."""
    due = None
    for row in waiting.jobs(route, target, closed=waiting.closed(target)[0]):
        turn = waiting.turn(row, route)
        if turn is None:
            continue
        if not isinstance(turn.verdict, Move):
            due = _sooner(due, _reopens(turn, waiting.now))
        elif rooms[turn.verdict.to.target] > 0:
            rooms[turn.verdict.to.target] -= 1
            waiting.move(row, turn.verdict, turn)
        else:
            break  # they stand in their order, and go when something has ended there
    return due


def _first_end(route: Route, waiting: Waiting) -> int | None:
    """When the first closed target of a route is expected to open."""
    times = [waiting.closed(target)[1] for target in route.targets]
    return min((at for at in times if at is not None and at > waiting.now), default=None)


def _reopens(turn: Turn, now: int) -> int | None:
    """When another look at a job that stays may move it."""
    times = [one.standing.until for one in turn.case.candidates if one.target != turn.case.target]
    if isinstance(turn.verdict, Stay):
        times.append(turn.verdict.at)
    return min((at for at in times if at is not None and at > now), default=None)


def _sooner(one: int | None, other: int | None) -> int | None:
    return min((at for at in (one, other) if at is not None), default=None)


def left(past: Sequence[Rerouting], target: str, now: int) -> tuple[str, int | None]:
    """Why a job does not go back to a target, or not yet, and until when.

    Each move leaves a conversation behind. Without a bound, a job too long for any one window of its targets would go
    to and fro between them and come to no end in any; waiting where it is, it goes on in its session.
    """
    worked = [one for one in past if one.was == target and one.cause in AWAY_MS and one.attempt is not None]
    if len(worked) > RETURNS:
        return f"the job has worked there and left it {len(worked)} times", None
    for one in reversed(past):
        if one.was != target or one.cause is None:
            continue
        if one.cause not in AWAY_MS:
            return f"the job left it because of {one.cause}", None
        until = one.until if one.until is not None else one.at + AWAY_MS[one.cause]
        if until > now:
            return f"the job left it because of {one.cause}", until
    return "", None
