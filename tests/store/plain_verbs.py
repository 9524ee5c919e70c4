"""The operator's verbs on the plain queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from engine.model import State
from tests.store.plain_queue import LIMITS, WAITING, PlainJob, PlainQueue


@dataclass
class Done:
    """What a verb came to."""

    done: list[int] = field(default_factory=list)
    stopping: list[int] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    overruled: set[tuple[int, int]] = field(default_factory=set)


def on_each(queue: PlainQueue, ids: Iterable[int], change: Callable[[PlainJob], bool]) -> Done:
    """A verb on each job for itself; `change` says whether it does anything."""
    found = Done()
    for number in ids:
        (found.done if change(queue.jobs[number]) else found.skipped).append(number)
    return found


def hold(by: str) -> Callable[[PlainJob], bool]:
    def change(job: PlainJob) -> bool:
        if job.is_over or job.held_by is not None:
            return False
        job.held_by = by
        return True

    return change


def release(job: PlainJob) -> bool:
    if job.held_by is None:
        return False
    job.held_by = None
    return True


def prioritise(priority: int) -> Callable[[PlainJob], bool]:
    def change(job: PlainJob) -> bool:
        if job.state not in WAITING or job.priority == priority:
            return False
        job.priority = priority
        return True

    return change


def snooze(until: int | None) -> Callable[[PlainJob], bool]:
    def change(job: PlainJob) -> bool:
        if job.state not in WAITING or job.not_before == until:
            return False
        job.not_before = until
        return True

    return change


def reroute(agent: str, account: str | None) -> Callable[[PlainJob], bool]:
    def change(job: PlainJob) -> bool:
        if job.state is State.SUCCEEDED or (job.agent, job.account) == (agent, account):
            return False
        job.agent, job.account = agent, account
        if job.failure in LIMITS and job.not_before is not None and job.not_before == job.limit_until:
            job.not_before, job.waits = None, 0
        return True

    return change


def edit(prompt: str) -> Callable[[PlainJob], bool]:
    def change(job: PlainJob) -> bool:
        if job.state is State.RUNNING:
            return False
        job.prompt = prompt
        return True

    return change


def cancel(queue: PlainQueue, ids: Sequence[int]) -> Done:
    found = Done()
    were_over = {number for number in ids if queue.jobs[number].is_over}
    for number in ids:
        job = queue.jobs[number]
        if number in were_over:
            found.skipped.append(number)
        elif job.state is State.RUNNING:
            found.stopping.append(number)
            if not job.stopping:
                job.stopping = True
                found.stopped.append(number)
        elif not job.is_over:
            job.state, job.ended, job.not_before, job.cause = State.CANCELLED, queue.now, None, None
            queue.tell([job])
            found.done.append(number)
    return found


def retry(queue: PlainQueue, ids: Sequence[int], *, fresh: bool) -> Done:
    found = Done()
    were_over = {number for number in ids if queue.jobs[number].is_over}
    for number in sorted(ids, key=lambda number: queue.jobs[number].cause is not None):
        job = queue.jobs[number]
        if number not in were_over:
            found.skipped.append(number)
        elif not job.is_over:
            continue  # put back with an earlier one
        elif _late(queue, job) or queue.holder(job.key) is not None:
            found.skipped.append(number)
        else:
            _put_back(queue, job, fresh=fresh)
            found.done.append(number)
            needs = queue.needs.get(number, {})
            failed = {(number, other) for other in needs if queue.outcome(number, other) in ("failed", "cancelled")}
            queue.overruled |= failed
            found.overruled |= failed
            if any(queue.outcome(number, other) is None for other in needs):
                job.state = State.BLOCKED
                queue.judge(job)
            _bring_back(queue, number)
    return found


def _late(queue: PlainQueue, job: PlainJob) -> bool:
    return job.deadline is not None and job.deadline <= queue.now


def _put_back(queue: PlainQueue, job: PlainJob, *, fresh: bool) -> None:
    job.state, job.ended, job.not_before, job.failure, job.why, job.cause = State.READY, None, None, None, None, None
    job.fresh, job.tries, job.waits = fresh, 0, 0
    queue.begins_again(job.id)


def _bring_back(queue: PlainQueue, number: int) -> None:
    """Those that were given up, and are not any more."""
    looking = deque([number])
    while looking:
        for job in queue.after(looking.popleft()):
            if not job.is_over or job.cause is None or queue.doomed(job.id):
                continue
            if _late(queue, job) or queue.holder(job.key) is not None:
                continue
            _put_back(queue, job, fresh=False)
            job.state = State.BLOCKED
            queue.judge(job)
            looking.append(job.id)
