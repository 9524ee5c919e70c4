"""What the engine can say of the future: estimates, explanations, previews. It reads one moment and asks `dispatch`."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from engine.agents.base import Agent
from engine.dispatch.burn import burns
from engine.dispatch.dispatcher import Dispatcher
from engine.dispatch.eligibility import asks, reasons
from engine.dispatch.forecast import REACH, forecast
from engine.dispatch.preview import Change, preview
from engine.dispatch.readings import paces, readings
from engine.dispatch.through import through
from engine.dispatch.world import World
from engine.hub import Hub
from engine.model import UNFINISHED, Cause, Estimate, Explanation, Failure, Preview, Reason, State, Verb
from engine.model.forecast import Burn, Forecast, Pace
from engine.model.listing import Wait
from engine.model.route import Rerouting
from engine.store import Store, Transaction, attachments, cards, moves, sessions
from engine.store.claims import newest_launched
from engine.store.lanes import Lane
from engine.store.queue import History, Open, Queue, history, queue, running_in, waited_for
from engine.store.rows import JobRow, read_job, read_spec
from engine.store.verbs import Acted

OLD_SECONDS = 2.0  #: an estimate counts down by itself; after so long it is made anew
COST_FACTOR = 4  #: and it may take at most one in so many parts of the time

_AHEAD = (
    "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state IN ('ready', 'blocked') AND priority = ? "
    "AND (rank, id) < (?, ?) LIMIT 100000)"
)
_DEADLINES = "SELECT id, deadline FROM jobs WHERE id IN (SELECT value FROM json_each(?)) AND deadline IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Moment:
    """What is read at once."""

    world: World
    queue: Queue
    history: History


class Foresight:
    """Estimates are kept for a moment: a list that is read again and again does not compute them each time."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        dispatcher: Dispatcher,
        max_attempts: int,
        agents: Mapping[str, Agent],
        routes: Callable[[Transaction, JobRow], list[str]] = lambda tx, row: [],
        gates: Callable[[JobRow], list[Reason]] = lambda row: [],
    ) -> None:
        self._store = store
        self._hub = hub
        self._dispatcher = dispatcher
        self._max_attempts = max_attempts
        self._routes = routes
        self._gates = gates
        self.free = frozenset(name for name, agent in agents.items() if not agent.provider)
        """Agents that cost nothing."""
        self._kept: dict[int, Estimate] = {}
        self._seq = -1
        self._until = 0.0
        self._computing = asyncio.Lock()
        self._playing = asyncio.Lock()

    def _moment(self, tx: Transaction) -> Moment:
        return Moment(self._dispatcher.world(tx), queue(tx, REACH), history(tx))

    async def estimates(self) -> Mapping[int, Estimate]:
        """An estimate for each of the first `REACH` unfinished jobs."""
        async with self._computing:
            begun = time.monotonic()
            if begun < self._until or (self._seq == self._hub.seq and begun < self._until + OLD_SECONDS):
                return self._kept
            seq = self._hub.seq
            moment = await self._store.look(self._moment)
            self._kept = await asyncio.to_thread(forecast, moment.queue, moment.world, moment.history)
            self._seq = seq
            self._until = time.monotonic() + (time.monotonic() - begun) * COST_FACTOR
            return self._kept

    async def of(self, ids: Sequence[int]) -> list[Estimate]:
        """The estimates of some jobs; those that have ended are left out."""
        known = await self.estimates()
        return [known[job] for job in ids if job in known]

    async def waiting(self, row: JobRow) -> list[Reason]:
        """Why a job does not run."""
        if row.state not in (State.READY, State.BLOCKED, State.GATING) and row.waiting_on is None:
            return []
        found, _ = await self._store.look(lambda tx: self._reasons(tx, row))
        return found

    def _reasons(self, tx: Transaction, row: JobRow) -> tuple[list[Reason], World]:
        attached = attachments.of(tx, row.id)
        world = self._dispatcher.world(tx)
        waits = waited_for(tx, row.id).get(row.id, Open()) if row.state is State.BLOCKED else Open()
        found = reasons(row, world, sorted(waits.all_of | waits.any_of))
        if attached is not None:
            ends = f"it goes on once that has ended; `kill {attached.pid}` ends it from here"
            found = [replace(one, ends=ends) if one.cause is Cause.HELD and one.jobs else one for one in found]
        card = cards.one(tx, row.waiting_on) if row.waiting_on is not None else None
        if card is not None and row.held_by == cards.holder(card.id):
            found = [one for one in found if one.cause is not Cause.HELD or not one.jobs]  # the card says it
        return [*found, *self._gates(row), *([asks(card)] if card is not None else [])], world

    async def waits(self, rows: Sequence[JobRow]) -> list[Wait]:
        """Why rows of a list do not start, of each the first reason: what is its own comes before what many share."""
        kept = [row for row in rows if row.state in (State.READY, State.BLOCKED)]
        if not kept:
            return []

        def look(tx: Transaction) -> list[Wait]:
            world = self._dispatcher.world(tx)
            found = []
            for row in kept:
                waits = waited_for(tx, row.id).get(row.id, Open()) if row.state is State.BLOCKED else Open()
                why = reasons(row, world, sorted(waits.all_of | waits.any_of))
                if why:
                    found.append(Wait(row.id, why[0], len(why) - 1))
            return found

        return await self._store.look(look)

    async def explain(self, row: JobRow) -> Explanation:
        """Why a job stands where it stands, when that ends, and what is to be expected."""
        known = await self.estimates()

        def look(tx: Transaction) -> tuple[list[Reason], list[Rerouting], int, list[str]]:
            now = read_job(tx.connection, row.id) or row
            found, world = self._reasons(tx, now)
            ahead = int(tx.connection.execute(_AHEAD, (now.priority, now.rank, now.id)).fetchone()[0])
            lanes = running_in(tx)
            ends = _ends(tx, known, {*lanes, *(job for reason in found for job in reason.jobs)})
            found = [_timed(reason, world, ends, lanes) for reason in found]
            if not found and now.state is State.READY:
                found = [Reason(Cause.TURN, "it may start now", "it is claimed at the next look at the queue")]
            return found, moves.of_job(tx, now.id), ahead, self._notes(tx, now)

        found, moved, ahead, notes = await self._store.look(look)
        waits = row.state in (State.READY, State.BLOCKED)
        estimate = known.get(row.id)
        if estimate is None and row.state in UNFINISHED:
            why = f"only the first {REACH:,} jobs in the queue are forecast"
            estimate = Estimate(job=row.id, target=str(row.target), why=why)
        return Explanation(
            job=row.as_job(), waiting=found, ahead=ahead if waits else None, estimate=estimate, notes=notes,
            moves=moved,
        )  # fmt: skip

    def _notes(self, tx: Transaction, row: JobRow) -> list[str]:
        notes = [*self._routes(tx, row), *_session_notes(tx, row)]
        if row.ended_at is not None:
            ended = f"it has ended: {row.state}"
            notes.append(f"{ended}: {row.reason}" if row.reason else ended)
            if row.cause is not None:
                notes.append(f"`headway retry {row.cause}` brings it back together with J{row.cause}")
            return notes
        if row.failure is not None and row.reason:
            notes.append(f"its last attempt failed as {_words(row.failure)}: {row.reason}")
        most = read_spec(tx.connection, row).max_attempts or self._max_attempts
        if row.tries:
            notes.append(f"{row.tries} of {most} attempts are used up; waits for a limit do not count")
        return notes

    async def forecast(self) -> Forecast:
        """How fast the accounts' limits are used up, and when all that is in the queue will be through, at what cost.

        It plays the queue through many times, which takes up to some seconds for thousands of jobs.
        """

        def look(tx: Transaction) -> tuple[Moment, list[Burn], list[Pace]]:
            return self._moment(tx), burns(readings(tx), tx.now), paces(tx)

        async with self._playing:
            moment, burning, pacing = await self._store.look(look)
            found = await asyncio.to_thread(through, moment.queue, moment.world, moment.history, self.free)
        return Forecast(now=moment.world.now, through=found, burns=burning, paces=pacing)

    async def preview(self, change: Change) -> Preview:
        """What a change would do."""
        moment = await self._store.look(self._moment)
        return await asyncio.to_thread(preview, moment.queue, moment.world, moment.history, change)

    async def foresee(self, change: Change) -> Preview:
        """The same, with what is known here of agents that cost nothing."""
        return await self.preview(dataclasses.replace(change, free=self.free))

    async def change_of(self, verb: Verb, acted: Acted, limit: int | None) -> Change:
        """A verb's dry run as the change that it would be."""
        world = await self._store.look(self._dispatcher.world)
        return change_of(verb, acted, limit, world, self._dispatcher.configured_cap, self.free)


def change_of(
    verb: Verb,
    acted: Acted,
    limit: int | None,
    world: World,
    configured: Callable[[str], int | None],
    free: frozenset[str] = frozenset(),
) -> Change:
    """What a verb did in its dry run as the change that it would be to a world."""
    inverse = acted.inverse
    holds, caps = None, None
    if inverse.hold:
        holds = {scope: by for scope, by in world.holds.items() if scope != inverse.hold}
        if verb is Verb.HOLD:
            holds[inverse.hold] = inverse.held_by or "operator"
    if inverse.cap:
        caps = {scope: n for scope, n in world.caps.items() if scope != inverse.cap}
        cap = limit if limit is not None else configured(inverse.cap)
        if cap is not None:
            caps[inverse.cap] = cap
    rows = {job: after for job, (_, after) in acted.changes.items()}
    return Change(rows, acted.needs, frozenset(inverse.stopped), holds, caps, True if inverse.drain else None, free)


def _ends(tx: Transaction, known: Mapping[int, Estimate], jobs: Collection[int]) -> dict[int, int]:
    """When jobs are expected to end: by the forecast, and at their deadline at the latest."""
    finishes = {job: at for job in jobs if job in known and (at := known[job].finish) is not None}
    for job, deadline in tx.connection.execute(_DEADLINES, (msgspec.json.encode(list(jobs)).decode(),)):
        finishes[job] = min(finishes.get(job, deadline), deadline)
    return finishes


def _timed(reason: Reason, world: World, ends: Mapping[int, int], running: Mapping[int, Lane]) -> Reason:
    """A reason with the moment at which it is expected to end, where one is known."""
    if reason.until is not None:
        return reason
    if reason.cause is Cause.DEPENDENCY:
        known = all(job in ends for job in reason.jobs)
        return replace(reason, until=max((ends[job] for job in reason.jobs), default=None) if known else None)
    if reason.cause in (Cause.CAP, Cause.MEMORY):
        within = [job for job, lane in running.items() if reason.cause is Cause.MEMORY or reason.scope in lane.scopes]
        soonest = min((ends[job] for job in within if job in ends), default=None)
        return replace(reason, until=max(soonest, world.now) if soonest is not None else None)
    return reason


def _session_notes(tx: Transaction, row: JobRow) -> list[str]:
    """What is to be known of the conversation that its newest attempt had."""
    tried = newest_launched(tx, row)
    if tried is None:
        return []
    notes = []
    if tried.handoff is not None:
        notes.append(f"its attempt {tried.number} began a new session: {tried.handoff}")
    if tried.note is not None:
        began = "went on in its session" if tried.resumes is not None else "began"
        notes.append(f"its attempt {tried.number} {began}: {tried.note}")
    session = sessions.read(tx, tried.agent, tried.session) if tried.session is not None else None
    if session is not None and session.share is not None:
        held = f"{session.context_tokens or 0:,} of {session.context_window or 0:,} tokens"
        notes.append(f"its session holds {held} ({session.share:.0%})")
    if session is not None and session.compactions:
        count = len(session.compactions)
        notes.append(f"its session was compacted {'once' if count == 1 else f'{count} times'}")
    return notes


def _words(failure: Failure) -> str:
    return str(failure).replace("_", " ")
