"""What a change would do to the queue: the forecast as things are, and as they would be. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from engine.dispatch.eligibility import reasons
from engine.dispatch.forecast import forecast, last_finish
from engine.dispatch.windows import used
from engine.dispatch.world import World
from engine.model import UNFINISHED, Estimate, Preview, Quota, Shift, State
from engine.store.queue import History, Open, Queue
from engine.store.rows import JobRow

SHIFTS = 20  #: jobs that are named in a preview
NOTICEABLE_MS = 1_000  #: a start that moves by less is not worth a line


@dataclass(frozen=True, slots=True)
class Change:
    """What would be different."""

    rows: Mapping[int, JobRow] = field(default_factory=dict)
    """The jobs as they would stand."""
    needs: Mapping[int, Open] | None = None
    """What each blocked job would wait for; None where that stays as it is."""
    stopped: frozenset[int] = frozenset()
    """Running jobs that would be stopped."""
    holds: Mapping[str, str] | None = None
    caps: Mapping[str, int] | None = None
    draining: bool | None = None
    free: frozenset[str] = frozenset()
    """Agents that cost nothing: they talk to no provider."""


def preview(queue: Queue, world: World, history: History, change: Change) -> Preview:
    """The jobs whose start or end a change moves, and what it does to the whole."""
    before = forecast(queue, world, history)
    then, after_world = changed(queue, world, change)
    after = forecast(then, after_world, history)
    titles = {**queue.waiting, **{one.job.id: one.job for one in queue.running}, **change.rows}
    running = {one.job.id for one in queue.running}
    about = [*change.rows, *sorted(change.stopped - change.rows.keys())]
    moved = [job for job in after if job not in change.rows and _moves(before.get(job), after[job])]
    named = [*about, *sorted(moved, key=lambda job: (after[job].start or 1 << 62, job))][:SHIFTS]
    shifts = [
        Shift(
            job=job,
            title=titles[job].title if job in titles else "",
            before=before.get(job),
            after=after.get(job),
            stops=job in change.stopped,
            now=(after[job].start == world.now and job not in running) if job in after else False,
            waits=_waits(then, after_world, job, after),
        )
        for job in named
    ]
    cost, unpriced = _money(queue, change, history)
    return Preview(
        shifts=shifts,
        others=max(0, len(about) + len(moved) - len(named)),
        finish_before=last_finish(before) if before else world.now,
        finish_after=last_finish(after) if after else world.now,
        cost_micros=cost,
        unpriced=unpriced,
        quota=_quota(queue, world, change),
    )


def changed(queue: Queue, world: World, change: Change) -> tuple[Queue, World]:
    """The queue and the world as they would be."""
    # The change was thought out a moment before the queue was read: what has begun to run meanwhile runs.
    running = {one.job.id for one in queue.running}
    waits = {State.READY, State.BLOCKED}
    waiting = {job: row for job, row in queue.waiting.items() if job not in change.rows}
    waiting |= {job: row for job, row in change.rows.items() if row.state in waits and job not in running}
    then = replace(
        queue,
        waiting=dict(sorted(waiting.items(), key=lambda item: (item[1].priority, item[1].rank))),
        needs=queue.needs if change.needs is None else change.needs,
        running=tuple(one for one in queue.running if one.job.id not in change.stopped),
    )
    after = world.copy()
    for one in queue.running:
        if one.job.id in change.stopped:
            after.end(one.lane)
    if change.holds is not None:
        after.holds = change.holds
    if change.caps is not None:
        after.caps = change.caps
    if change.draining is not None:
        after.draining = change.draining
    return then, after


def _moves(before: Estimate | None, after: Estimate) -> bool:
    if before is None:
        return True
    if before.start is None or after.start is None:
        return before.start != after.start
    return abs(before.start - after.start) >= NOTICEABLE_MS


def _waits(queue: Queue, world: World, job: int, after: Mapping[int, Estimate]) -> str:
    row = queue.waiting.get(job)
    if row is None or (job in after and after[job].start == world.now):
        return ""
    needs = queue.needs.get(job, Open())
    found = reasons(row, world, sorted(needs.all_of | needs.any_of))
    return found[0].text if found else "others go first"


def _money(queue: Queue, change: Change, history: History) -> tuple[int | None, int]:
    """What the change adds to what the unfinished jobs will cost, and for how many of them that is not known."""
    unfinished = {*queue.waiting, *(one.job.id for one in queue.running)}
    total, unpriced, known = 0, 0, False
    for job, row in change.rows.items():
        enters = row.state in UNFINISHED and job not in unfinished
        leaves = row.state not in UNFINISHED and job in unfinished
        was = queue.waiting.get(job)
        moved = was is not None and row.state in UNFINISHED and was.target != row.target
        if not (enters or leaves or moved):
            continue
        parts = [(-1, was)] if moved or leaves else []
        parts += [(1, row)] if moved or enters else []
        costs = [(sign, _cost(one or row, change, history)) for sign, one in parts]
        if any(cost is None for _, cost in costs):
            unpriced += 1
        elif any(one is None or one.agent not in change.free for _, one in parts):
            known = True
            total += sum(sign * (cost or 0) for sign, cost in costs)
    return (total if known else None), unpriced


def _cost(row: JobRow, change: Change, history: History) -> int | None:
    """What one such job is expected to cost; None where nobody knows."""
    if row.agent in change.free:
        return 0
    took = history.of(row.target, row.kind)
    return took.cost if took is not None else None


def _quota(queue: Queue, world: World, change: Change) -> list[Quota]:
    """The accounts on which more or fewer jobs go than before, with the fullest window of each."""
    running = {one.job.id: one.job for one in queue.running}
    shifts: Counter[str] = Counter()
    for job in change.rows.keys() | change.stopped:
        was = running.get(job) or queue.waiting.get(job)
        now = change.rows.get(job) or was
        if was is not None and _goes(was):
            shifts[was.target.paid_by] -= 1
        if now is not None and _goes(now) and job not in change.stopped:
            shifts[now.target.paid_by] += 1
    return [
        _account(name, jobs, world) for name, jobs in sorted(shifts.items()) if jobs and _agent(name) not in change.free
    ]


def _goes(row: JobRow) -> bool:
    """It is on its way, so that it will use what its account has."""
    return row.state in UNFINISHED and row.held_by is None


def _agent(account: str) -> str:
    return account.partition("@")[0]


def _account(name: str, jobs: int, world: World) -> Quota:
    known = [(share, one) for one in world.windows.get(name, ()) if (share := used(one, world.now)) is not None]
    if not known:
        return Quota(account=name, jobs=jobs)
    share, window = max(known, key=lambda pair: pair[0])
    reading = window.closed or window.serving
    return Quota(
        account=name, jobs=jobs, window=window.title, used=share, resets_at=reading.resets_at if reading else None
    )
