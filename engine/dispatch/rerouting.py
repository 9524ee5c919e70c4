"""Routes at work: what is read for a decision of `routing`, and what is written of it. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from engine.dispatch import windows
from engine.dispatch.routebook import CHARACTERS_A_TOKEN, Route, Routebook, too_small
from engine.dispatch.routing import AWAY_MS, RETURNS, Candidate, Case, Move, Stay, Verdict, decide
from engine.dispatch.standings import Facts, scopes_of
from engine.dispatch.world import World
from engine.model import ALL, LIMITS, JobSpec, State, Target
from engine.model.route import CAUSES, PASSING, Rerouting, RouteCause, RoutePolicy
from engine.store import moves
from engine.store.moves import Moving
from engine.store.rows import SELECT_JOB, JobRow, job_row, read_spec
from engine.store.writer import Transaction

MOST = 200  #: waiting jobs of one route and target that one look at the queue moves

_ROUTED = (
    f"{SELECT_JOB} INDEXED BY jobs_routed WHERE route = ? AND agent = ? AND model IS ? AND account IS ? "
    f"AND state = 'ready' AND held_by IS NULL AND (? OR not_before IS NOT NULL) ORDER BY priority, rank LIMIT {MOST}"
)
_ANY = (
    "SELECT 1 FROM jobs INDEXED BY jobs_routed WHERE route = ? AND agent = ? AND model IS ? AND account IS ? "
    "AND state = 'ready' AND held_by IS NULL LIMIT 1"
)
_WAIT_THERE = (
    "SELECT count(*) FROM jobs INDEXED BY jobs_routed WHERE route = ? AND agent = ? AND model IS ? AND account IS ? "
    "AND state = 'ready' AND held_by IS NULL"
)
_WAITED = (
    "SELECT ended_at, failure, agent, model, account FROM attempts WHERE job = ? AND ended_at IS NOT NULL "
    "ORDER BY number DESC LIMIT 60"
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """In which way a job's target cannot be used."""

    cause: RouteCause
    reason: str = ""
    until: int | None = None
    started: bool = False
    """It has worked there."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a route does about a trouble, and what that was decided by."""

    verdict: Verdict
    case: Case
    trouble: Trouble


def survey(facts: Facts, row: JobRow, spec: JobSpec, route: Route, past: Sequence[Rerouting]) -> list[Candidate]:
    """How each target of a route stands for a job, in its order."""
    found = []
    tokens = -(-len(spec.prompt) // CHARACTERS_A_TOKEN)
    for station in route.stations:
        one = facts.standing(station, route, row.kind)
        here = station.target == row.target
        lacks = facts.book.lacks(station, route.needs, spec, row.project)
        lacks = lacks or too_small(route.needs.context, tokens, facts.holding(station))
        left, until = _left(past, str(station.target), facts.tx.now) if not here else ("", None)
        found.append(
            Candidate(
                station.target,
                replace(one, here=here, lacks=lacks, left=left, until=one.until if one.until is not None else until),
            )
        )
    return found


def case_of(facts: Facts, row: JobRow, spec: JobSpec, route: Route, trouble: Trouble) -> Case:
    """All that a decision about a job depends on."""
    past = moves.of_job(facts.tx, row.id)
    candidates = survey(facts, row, spec, route, past)
    if trouble.cause is RouteCause.LIMIT:
        candidates = [_same_account(facts, row, one, trouble) for one in candidates]
    if trouble.cause is RouteCause.CONTEXT:
        candidates = [_as_narrow(facts, row, route, one) for one in candidates]
    return Case(
        route=route,
        target=row.target,
        cause=trouble.cause,
        candidates=candidates,
        until=trouble.until,
        since=_since(facts.tx, row) if route.patience and trouble.cause in PASSING else None,
        spent=moves.spent(past),
        started=trouble.started,
    )


def after_failure(tx: Transaction, book: Routebook, row: JobRow, spec: JobSpec, trouble: Trouble) -> Turn | None:
    """What its route does about a job whose attempt has failed; None where it has none that says anything.

    The operator's word goes first: a job that he has sent elsewhere than its route leads stays there.
    """
    route = book.routes.get(row.route or "")
    if route is None or row.target not in route.targets:
        return None
    case = case_of(Facts.read(tx, book), row, spec, route, trouble)
    return Turn(decide(case, tx.now), case, trouble)


def before_start(tx: Transaction, book: Routebook, world: World) -> int | None:
    """Move the waiting jobs whose target is closed, where their route says so. Returns when to look again.

    Only as many move to a target as may start there: the others may find their own one open again before their turn.
    """
    facts: Facts | None = None
    rooms: dict[Target, int] = {}
    due: int | None = None
    for route in book.routes.values():
        if not route.reroutes(PASSING | {RouteCause.AUTH}):
            continue
        for target in route.targets:
            if not _any(tx, route, target):
                continue
            facts = facts or Facts.read(tx, book)
            for to in route.targets:
                rooms[to] = 0 if facts.closed(to)[0] else _room(tx, route, to, world)
            if all(room <= 0 for to, room in rooms.items() if to != target and to in route.targets):
                due = _sooner(due, _first_end(facts, route, tx.now))
            else:
                due = _sooner(due, _move_from(facts, route, target, rooms))
    return due


def _move_from(facts: Facts, route: Route, target: Target, rooms: dict[Target, int]) -> int | None:
    """Move the jobs of a route that wait for a target, as far as there is room. Returns when to look again."""
    tx, due = facts.tx, None
    for row in _routed(tx, route, target, closed=bool(facts.closed(target)[0])):
        turn = _turn(facts, row, route)
        if turn is None:
            continue
        if not isinstance(turn.verdict, Move):
            due = _sooner(due, _reopens(turn, tx.now))
        elif rooms[turn.verdict.to.target] > 0:
            rooms[turn.verdict.to.target] -= 1
            make(tx, row, turn.verdict, turn, _ended_there(tx, row))
        else:
            break  # they stand in their order, and go when something has ended there
    return due


def foresee(
    tx: Transaction, book: Routebook, rows: Mapping[int, JobRow], specs: Mapping[int, JobSpec]
) -> dict[int, JobRow]:
    """Jobs as they would stand after the next look at the queue: those that `before_start` would move, moved."""
    found = dict(rows)
    routed = {job: row for job, row in rows.items() if book.routes and row.route in book.routes}
    facts = Facts.read(tx, book) if routed else None
    for job, row in routed.items():
        route = book.routes[row.route or ""]
        if facts is None or row.state is not State.READY or row.held_by is not None or row.target not in route.targets:
            continue
        turn = _turn(facts, row, route, specs.get(job))
        if turn is not None and isinstance(turn.verdict, Move):
            to = turn.verdict.to.target
            found[job] = replace(row, agent=to.agent, model=to.model, account=to.account, not_before=None)
    return found


def _turn(facts: Facts, row: JobRow, route: Route, spec: JobSpec | None = None) -> Turn | None:
    """What a route that reroutes does about a waiting job whose target cannot be used; None where it can, or waits."""
    trouble = _trouble(facts.tx, row, *facts.closed(row.target))
    if trouble is None or route.policies.get(trouble.cause) is not RoutePolicy.REROUTE:
        return None
    spec = spec if spec is not None else read_spec(facts.tx.connection, row)
    case = case_of(facts, row, spec, route, trouble)
    return Turn(decide(case, facts.tx.now), case, trouble)


def following(book: Routebook, tx: Transaction, row: JobRow) -> Target | str:
    """The next target of a job's route that can be used, whatever its policies; else why there is none."""
    route = book.routes.get(row.route or "")
    if route is None:
        return "it takes no route: name a target, with --to"
    candidates = survey(Facts.read(tx, book), row, read_spec(tx.connection, row), route, moves.of_job(tx, row.id))
    places = [one.target for one in candidates]
    start = places.index(row.target) + 1 if row.target in places else 0
    ordered = [*candidates[start:], *candidates[:start]]
    usable = [one.target for one in ordered if one.target != row.target and one.standing.usable]
    return usable[0] if usable else f"no other target of route {route.name} can be used"


def make(tx: Transaction, row: JobRow, move: Move, turn: Turn, attempt: int | None = None) -> JobRow:
    """Carry out a move that was decided."""
    case, trouble = turn.case, turn.trouble
    moving = Moving(
        to=move.to.target,
        by=f"route {case.route.name}",
        cause=trouble.cause,
        reason=trouble.reason,
        until=trouble.until,
        added=move.to.standing.added,
        at_once=row.not_before is not None,
    )
    return moves.move(tx, row, moving, attempt)


def _ended_there(tx: Transaction, row: JobRow) -> int | None:
    """The newest attempt of a waiting job, where that was on the target at which it waits."""
    named = (row.attempt, row.agent, row.model, row.account)
    found = tx.connection.execute(
        "SELECT id FROM attempts WHERE id = ? AND agent IS ? AND model IS ? AND account IS ?", named
    ).fetchone()
    return None if found is None else int(found[0])


def _any(tx: Transaction, route: Route, target: Target) -> bool:
    named = (route.name, target.agent, target.model, target.account)
    return tx.connection.execute(_ANY, named).fetchone() is not None


def _room(tx: Transaction, route: Route, target: Target, world: World) -> int:
    """How many jobs may start on a target, less those of the route that wait there already."""
    scopes = [ALL, *scopes_of(target)]
    free = min((world.caps[one] - world.running.get(one, 0) for one in scopes if one in world.caps), default=MOST)
    waiting = tx.connection.execute(_WAIT_THERE, (route.name, target.agent, target.model, target.account)).fetchone()
    return min(free, MOST) - int(waiting[0])


def _routed(tx: Transaction, route: Route, target: Target, *, closed: bool) -> list[JobRow]:
    """The jobs of a route that wait for a target; where it is not closed, only those that wait for a time."""
    named = (route.name, target.agent, target.model, target.account, closed)
    return [job_row(values) for values in tx.connection.execute(_ROUTED, named).fetchall()]


def _first_end(facts: Facts, route: Route, now: int) -> int | None:
    """When the first closed target of a route is expected to open."""
    times = [facts.closed(target)[1] for target in route.targets]
    return min((at for at in times if at is not None and at > now), default=None)


def _trouble(tx: Transaction, row: JobRow, closed: str, until: int | None, cause: RouteCause | None) -> Trouble | None:
    """In which way the target of a waiting job cannot be used; None where it can, or the operator wants it to wait."""
    if moves.waits_for_limit(tx, row) and row.failure is not None:
        return Trouble(CAUSES[row.failure], row.reason or "", row.not_before, started=True)
    if row.not_before is not None or cause is None:
        return None
    return Trouble(cause, closed, until, started=row.attempts > 0)


def _left(past: Sequence[Rerouting], target: str, now: int) -> tuple[str, int | None]:
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


def _same_account(facts: Facts, row: JobRow, one: Candidate, trouble: Trouble) -> Candidate:
    """A limit is one of the account, unless a window says that it is one of the model alone."""
    if one.target == row.target or one.standing.closed or one.target.paid_by != row.target.paid_by:
        return one
    own = [window for window in facts.windows.get(row.target.paid_by, ()) if windows.is_closed(window, facts.tx.now)]
    if own and not any(windows.applies(window, one.target.model) for window in own):
        return one
    closed = f"{row.target.paid_by} has met its limit"
    return Candidate(one.target, replace(one.standing, closed=closed, until=trouble.until))


def _as_narrow(facts: Facts, row: JobRow, route: Route, one: Candidate) -> Candidate:
    """What did not fit into one window does not fit into one that is known to be no wider."""
    spans = {station.target: facts.holding(station) for station in route.stations}
    here, there = spans.get(row.target), spans.get(one.target)
    if one.target == row.target or here is None or there is None or there > here or one.standing.lacks:
        return one
    lacks = f"its window holds {there:,} tokens, and {here:,} were too few"
    return Candidate(one.target, replace(one.standing, lacks=lacks))


def _since(tx: Transaction, row: JobRow) -> int | None:
    """Since when a job has waited for its target: the first of the attempts in a row that a limit ended there."""
    since = None
    for ended, failure, agent, model, account in tx.connection.execute(_WAITED, (row.id,)):
        if failure not in LIMITS or Target(agent, model, account) != row.target:
            break
        since = ended
    return since


def _reopens(turn: Turn, now: int) -> int | None:
    """When another look at a job that stays may move it."""
    times = [one.standing.until for one in turn.case.candidates if one.target != turn.case.target]
    if isinstance(turn.verdict, Stay):
        times.append(turn.verdict.at)
    return min((at for at in times if at is not None and at > now), default=None)


def _sooner(one: int | None, other: int | None) -> int | None:
    return min((at for at in (one, other) if at is not None), default=None)
