"""Routes at work: what is read for a decision of `routing`, and what is written of it. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from engine.dispatch import shifting, windows
from engine.dispatch.routebook import CHARACTERS_A_TOKEN, Route, Routebook, too_small
from engine.dispatch.routing import Candidate, Case, Move, Trouble, Turn, decide
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


def survey(facts: Facts, row: JobRow, spec: JobSpec, route: Route, past: Sequence[Rerouting]) -> list[Candidate]:
    """How each target of a route stands for a job, in its order."""
    found = []
    tokens = -(-len(spec.prompt) // CHARACTERS_A_TOKEN)
    for station in route.stations:
        one = facts.standing(station, route, row.kind)
        here = station.target == row.target
        lacks = facts.book.lacks(station, route.needs, spec, row.project)
        lacks = lacks or too_small(route.needs.context, tokens, facts.holding(station))
        left, until = shifting.left(past, str(station.target), facts.tx.now) if not here else ("", None)
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
    """Move the waiting jobs whose target is closed, where their route says so. Returns when to look again."""
    return shifting.before_start(book.routes.values(), _Stored(tx, book, world))


@dataclass(slots=True)
class _Stored:
    """The waiting jobs as the store has them. How the targets stand is read once, where a job waits at all."""

    tx: Transaction
    book: Routebook
    world: World
    _facts: Facts | None = None

    @property
    def now(self) -> int:
        return self.tx.now

    @property
    def facts(self) -> Facts:
        if self._facts is None:
            self._facts = Facts.read(self.tx, self.book)
        return self._facts

    def any(self, route: Route, target: Target) -> bool:
        named = (route.name, target.agent, target.model, target.account)
        return self.tx.connection.execute(_ANY, named).fetchone() is not None

    def jobs(self, route: Route, target: Target, *, closed: bool) -> list[JobRow]:
        named = (route.name, target.agent, target.model, target.account, closed)
        return [job_row(values) for values in self.tx.connection.execute(_ROUTED, named).fetchall()]

    def closed(self, target: Target) -> tuple[bool, int | None]:
        closed, until, _ = self.facts.closed(target)
        return bool(closed), until

    def room(self, route: Route, target: Target) -> int:
        return _room(self.tx, route, target, self.world)

    def turn(self, row: JobRow, route: Route) -> Turn | None:
        return _turn(self.facts, row, route)

    def move(self, row: JobRow, move: Move, turn: Turn) -> None:
        make(self.tx, row, move, turn, _ended_there(self.tx, row))


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


def _room(tx: Transaction, route: Route, target: Target, world: World) -> int:
    """How many jobs may start on a target, less those of the route that wait there already."""
    scopes = [ALL, *scopes_of(target)]
    free = min((world.caps[one] - world.running.get(one, 0) for one in scopes if one in world.caps), default=MOST)
    waiting = tx.connection.execute(_WAIT_THERE, (route.name, target.agent, target.model, target.account)).fetchone()
    return min(free, MOST) - int(waiting[0])


def _trouble(tx: Transaction, row: JobRow, closed: str, until: int | None, cause: RouteCause | None) -> Trouble | None:
    """In which way the target of a waiting job cannot be used; None where it can, or the operator wants it to wait."""
    if moves.waits_for_limit(tx, row) and row.failure is not None:
        return Trouble(CAUSES[row.failure], row.reason or "", row.not_before, started=True)
    if row.not_before is not None or cause is None:
        return None
    return Trouble(cause, closed, until, started=row.attempts > 0)


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
