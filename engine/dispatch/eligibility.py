"""Whether a job may start now, and if not, why. Pure.

The dispatcher acts on these reasons and the operator reads them: they are one function, so they cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from engine.budgets import DAY
from engine.decision import Card, CardKind
from engine.dispatch import breaker, weather
from engine.dispatch.world import World
from engine.model import ALL, LIMITS, Cause, Reason, State
from engine.spend.budgets import scopes_of
from engine.store.budgets import HOLD
from engine.store.lanes import Lane
from engine.store.rows import JobRow, lane_of

NAMED = 5  #: of the jobs that one waits for, so many are named


def reasons(job: JobRow, world: World, needs: Sequence[int] = ()) -> list[Reason]:
    """Why a job does not start now; none if it may start, runs, or has ended. `needs`: what it waits for."""
    if job.state is State.GATING and job.held_by is not None:
        ends = f"`headway release {job.id}` ends it"
        return [Reason(Cause.HELD, f"it is not looked at: held by {job.held_by}", ends, jobs=[job.id])]
    if job.state in (State.RUNNING, State.GATING) or job.ended_at is not None:
        return []
    own, shared = of_job(job, world, needs), of_lane(lane_of(job), world)
    if any(one.cause is Cause.WORKER for one in own):
        shared = [one for one in shared if one.scope != f"worker:{job.worker}" or one.cause is not Cause.CAP]
    if any(one.cause is Cause.LIMIT and one.until is not None for one in shared):
        own = [one for one in own if one.cause is not Cause.LIMIT]  # the window that it met says more
    return [*own, *shared]  # what is its own says more than the slots


def of_job(job: JobRow, world: World, needs: Sequence[int] = ()) -> list[Reason]:
    """What keeps this one job from starting."""
    found = []
    if job.state is State.BLOCKED:
        found.append(_dependency(needs))
    if job.held_by == HOLD:
        ends = f"an answer to its card does, or `headway budgets --allow job:{job.id} --amount $1`"
        found.append(Reason(Cause.BUDGET, "its budget is used up", ends, scope=f"job:{job.id}", jobs=[job.id]))
    elif job.held_by is not None:
        ends = f"`headway release {job.id}` ends it"
        found.append(Reason(Cause.HELD, f"held by {job.held_by}", ends, jobs=[job.id]))
    if job.not_before is not None and job.not_before > world.now:
        cause = Cause.NOT_BEFORE
        what = "not before"
        if job.failure is not None:
            cause = Cause.LIMIT if job.failure in LIMITS else Cause.BACKOFF
            what = f"after {str(job.failure).replace('_', ' ')} it is tried again, not before"
        found.append(Reason(cause, f"{what} {_utc(job.not_before)}", until=job.not_before))
    if job.worker is not None and (other := world.workers.get(job.worker)) is not None and other[0] != job.id:
        found.append(_worker(job.worker, *other))
    if job.route is not None and world.exhausted:
        found += _used_up((f"route:{job.route}",), world)
    return found


def asks(card: Card) -> Reason:
    """Why a job that runs does not get on: its agent waits for the operator."""
    how = card.choices[0]
    if card.kind is CardKind.BUDGET:
        ends = f"`headway answer {card.id}` with {', '.join(card.choices)} ends it"
        return Reason(Cause.BUDGET, card.summary, ends, scope=card.tool, jobs=[card.job])
    ends = f"`headway answer {card.id} {how}` or `{card.choices[-1]}` ends it"
    if card.due is not None:
        ends += f"; by itself it ends with {card.default}"
    if card.kind is CardKind.CLARIFY:
        first, *others = (f"`headway answer {card.id} {one}`" for one in card.choices)
        ends = f"{first}, {' or '.join(others)} ends it"
        return Reason(Cause.DECISION, f"card {card.id} asks you: {card.why}", ends, jobs=[card.job])
    text = f"its agent waits for card {card.id}: {card.tool} {card.summary}"
    if card.kind in (CardKind.ROUTE, CardKind.MERGE, CardKind.APPROVAL, CardKind.STEP, CardKind.GATE):
        text = f"card {card.id} waits for you: {card.summary}"
    return Reason(Cause.DECISION, text, ends, card.due, jobs=[card.job])


def _dependency(needs: Sequence[int]) -> Reason:
    names = ", ".join(f"J{job}" for job in needs[:NAMED])
    more = f" and {len(needs) - NAMED} more" if len(needs) > NAMED else ""
    what = f"comes after {names}{more}" if needs else "comes after other jobs"
    ended = "it has ended" if len(needs) == 1 else "they have ended"
    return Reason(Cause.DEPENDENCY, what, f"it may start once {ended}", jobs=list(needs))


def of_lane(lane: Lane, world: World) -> list[Reason]:
    """What keeps any job of a lane from starting."""
    found = []
    if world.draining:
        found.append(
            Reason(Cause.DRAINING, "the engine is draining: nothing new starts", "`headway undo` ends it", scope=ALL)
        )
    if world.holds:
        found += [_hold(scope, world.holds[scope]) for scope in lane.scopes if scope in world.holds]
    for scope in lane.scopes:
        cap = world.caps.get(scope)
        busy = world.running.get(scope, 0)
        if cap is not None and busy >= cap:
            found.append(_cap(scope, busy, cap))
    if world.privacy.keeps(lane.project) and (why := world.privacy.barred(lane.target, lane.project)):
        found.append(Reason(Cause.PRIVATE, why, "`headway reroute` to one that it may go to ends it"))
    if world.exhausted:
        found += _budgets(lane, world)
    if world.breakers and (reason := _breaker(lane, world)) is not None:
        found.append(reason)
    if world.windows:
        found += weather.of_lane(lane, world)
    if world.nodes.takes(lane.target):
        if (full := world.nodes.obstacle(lane.target)) is not None:
            found.append(Reason(Cause.NODE, full, "when a node has room: `headway nodes` shows them"))
        return found
    need = world.memory.of(lane.agent)
    if need > world.free:
        text = f"an attempt of {lane.agent} takes about {_size(need)}, and {_size(max(0, world.free))} are free"
        found.append(Reason(Cause.MEMORY, text, "it may start once memory is free again", scope=f"agent:{lane.agent}"))
    return found


def _budgets(lane: Lane, world: World) -> list[Reason]:
    """The budgets that its attempts would spend of, and that are used up."""
    return _used_up((*scopes_of(lane.scopes, lane.kind), DAY), world)


def _used_up(scopes: Sequence[str], world: World) -> list[Reason]:
    found = []
    for scope in scopes:
        one = world.exhausted.get(scope)
        if one is not None and (one.until is None or one.until > world.now):
            how = f"`headway answer {one.card} more`" if one.card is not None else f"`headway budgets --allow {scope}`"
            ends = f"{how} ends it"
            if one.until is not None:
                ends += f"; by itself it begins anew at {_utc(one.until)}"
            found.append(Reason(Cause.BUDGET, one.text, ends, one.until, scope))
    return found


def _hold(scope: str, by: str) -> Reason:
    if scope == ALL:
        return Reason(Cause.HELD, f"everything is held by {by}", "`headway release --all` ends it", scope=ALL)
    return Reason(Cause.HELD, f"{scope} is held by {by}", f"`headway release --scope {scope}` ends it", scope=scope)


def _worker(name: str, other: int, state: str) -> Reason:
    how = "runs in it" if state == State.RUNNING else f"is in it, and {state}"
    ends = f"when J{other} has ended"
    return Reason(Cause.WORKER, f"waits for worker {name}: J{other} {how}", ends, scope=f"worker:{name}", jobs=[other])


def _cap(scope: str, busy: int, cap: int) -> Reason:
    what = "" if scope == ALL else f" of {scope.partition(':')[2]}" if scope.startswith("agent:") else f" of {scope}"
    ends = "when one of them ends" if cap else f"`headway cap {scope} N` changes that"
    return Reason(Cause.CAP, f"{busy} of {cap} attempts{what} run", ends, scope=scope)


def _breaker(lane: Lane, world: World) -> Reason | None:
    name = str(lane.target)
    one = world.breakers.get(name)
    limit = breaker.limit(one, world.now) if one is not None else None
    if one is None or limit is None:
        return None
    scope = f"target:{name}"
    failed = str(one.failure).replace("_", " ")
    if limit == 0:
        text = f"{name} is paused: it failed {len(one.strikes)} times as {failed} within an hour"
        return Reason(Cause.BREAKER, text, f"one attempt tries it at {_utc(one.until or 0)}", one.until, scope)
    if world.running.get(scope, 0) >= limit:
        going = "one attempt goes" if limit == 1 else f"{limit} attempts go"
        text = f"{name} has failed as {failed}, and {going} first"
        return Reason(Cause.BREAKER, text, "more may start once it has succeeded", scope=scope)
    return None


def _utc(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"
