"""`headway prune` as the engine does it: the database in small transactions, and the files of each of them at once."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from engine.clock import now_ms
from engine.errors import UsageError
from engine.model import UNFINISHED, State
from engine.store import Store
from engine.store.store import FILE
from engine.units import milliseconds
from engine.upkeep import leftovers
from engine.upkeep.prune import BATCH, Gone, Wanted, choose, latest
from engine.upkeep.prune import prune as prune_batch
from engine.upkeep.quarantine import Away
from engine.upkeep.reading import reading
from engine.upkeep.runs import Turn, remove_run, run_bytes
from engine.upkeep.space import reclaim
from engine.upkeep.wire import ENDED, Prune, PruneResult
from engine.upkeep.worktrees import of_pruned, retire_each

TURN_SECONDS = 20.0  #: of one call; whoever wants it all asks again, and a request does not run into its time-out

_WHAT_THEY_HAVE = (
    "SELECT attempts.job, attempts.number, attempts.workspace FROM attempts "
    "WHERE job IN (SELECT value FROM json_each(?)) ORDER BY job, number"
)
_THEIR_EVENTS = "SELECT count(*) FROM events WHERE job IN (SELECT value FROM json_each(?))"


async def prune(
    store: Store,
    home: Path,
    wanted: Prune,
    *,
    by: str,
    keep_ms: int,
    locks: Mapping[Path, asyncio.Lock] | None = None,
    now: int | None = None,
    seconds: float = TURN_SECONDS,
) -> PruneResult:
    """Remove ended jobs, for at most so many seconds. `keep_ms`: how long a workspace stays in quarantine.

    Raises `UsageError` for a state that is no end, or a span that is none.
    """
    now = now_ms() if now is None else now
    asked = Wanted(latest(now - _span(wanted.older_than), now), _ends(wanted.states), BATCH)
    turn = Turn(seconds)
    turn.over()  # its time begins now
    if wanted.dry_run:
        return await asyncio.to_thread(_foresee, home, asked, now, turn)
    away = Away(home, now, keep_ms, defaultdict(asyncio.Lock) if locks is None else locks)
    result = PruneResult(before=asked.before)
    past: tuple[int, int] | None = asked.past
    while past is not None:
        batch = Wanted(asked.before, asked.states, asked.limit, past)
        done = await store.write(partial(prune_batch, wanted=batch, by=by))
        cleared = await _clear(away, done.gone)
        result = result.and_then(replace(cleared, events=done.events, needed=done.needed))
        past = done.past
        if turn.over():
            break
    await _sweep(store, home, asked.before, turn)
    freed, whole = await _shrink(store, turn)
    return replace(result, freed_bytes=freed, more=past is not None or not whole)


def _span(older_than: str | int) -> int:
    try:
        return milliseconds(older_than)
    except ValueError as error:
        raise UsageError(f"older_than: {error}") from None


def _ends(states: list[State]) -> frozenset[State]:
    chosen = frozenset(states)
    if wrong := sorted(chosen & UNFINISHED):
        raise UsageError(f"a {wrong[0]} job has not ended and cannot be pruned; there are {', '.join(sorted(ENDED))}")
    return chosen or ENDED


async def _clear(away: Away, gone: tuple[Gone, ...]) -> PruneResult:
    """Remove the run directories of pruned jobs, and put their workspaces away.

    All of them, however long it takes: what a crash leaves is only found by the engine after it.
    """
    runs, size = await asyncio.to_thread(_remove_runs, away.home, gone)
    moved, removed = await retire_each(away, of_pruned(away.home, gone), Turn(math.inf))
    return PruneResult(
        jobs=len(gone),
        attempts=sum(len(one.attempts) for one in gone),
        runs=runs,
        run_bytes=size,
        workspaces_moved=moved,
        workspaces_removed=removed,
    )


def _remove_runs(home: Path, gone: tuple[Gone, ...]) -> tuple[int, int]:
    count = size = 0
    for one in gone:
        for number in one.attempts:
            held = run_bytes(home, one.job, number)
            if remove_run(home, one.job, number):
                count, size = count + 1, size + held
    return count, size


async def _sweep(store: Store, home: Path, before: int, turn: Turn) -> None:
    while not turn.over():
        found = await asyncio.to_thread(_leftovers, home, before)
        if not found:
            return
        await store.write(partial(leftovers.remove, found=found))


def _leftovers(home: Path, before: int) -> leftovers.Leftovers:
    with reading(home / FILE) as connection:
        return leftovers.find(connection, before)


async def _shrink(store: Store, turn: Turn) -> tuple[int, bool]:
    """Give free pages back. Returns how many bytes, and whether that is all."""
    freed = 0
    while not turn.over():
        step = await store.write(reclaim)
        if not step:
            return freed, True
        freed += step
    return freed, False


def _foresee(home: Path, asked: Wanted, now: int, turn: Turn) -> PruneResult:
    """What `prune` would do, from what it would choose."""
    result = PruneResult(before=asked.before, dry_run=True)
    past: tuple[int, int] | None = asked.past
    with reading(home / FILE) as connection:
        while past is not None and not turn.over():
            ids, needed, past = choose(connection, Wanted(asked.before, asked.states, asked.limit, past), now)
            these = "[" + ",".join(map(str, ids)) + "]"
            attempts = connection.execute(_WHAT_THEY_HAVE, (these,)).fetchall()
            events = connection.execute(_THEIR_EVENTS, (these,)).fetchone()[0]
            sizes = [run_bytes(home, job, number) for job, number, _ in attempts]
            gone = [
                Gone(job, "", State.CANCELLED, (), (workspace,), None) for job, _, workspace in attempts if workspace
            ]
            roots = {leaving.root for leaving in of_pruned(home, gone)}
            seen = PruneResult(
                jobs=len(ids),
                attempts=len(attempts),
                events=events,
                needed=needed,
                runs=sum(size > 0 for size in sizes),
                run_bytes=sum(sizes),
                workspaces_moved=len(roots),
            )
            result = result.and_then(seen)
    return replace(result, more=past is not None)
