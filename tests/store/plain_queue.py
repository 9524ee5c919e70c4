"""The queue in plain Python: what its verbs mean, without a database and without a line of the engine's decisions.

Only the nouns are the engine's. Where a job comes to stand (`rank`) is taken from the engine once the order that it
makes has been found right; so is which one of several failures is named as the cause.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from engine.model import Failure, OnFailure, State

HOUR = 3_600_000
WAITING = (State.READY, State.BLOCKED)
NOT_WELL = (State.FAILED, State.CANCELLED)
OVER = (State.SUCCEEDED, *NOT_WELL)

#: How a failure is followed: what is done, and the first and the longest delay in seconds.
FOLLOWS: dict[Failure, tuple[str, float, float]] = {
    Failure.RATE_LIMITED: ("wait", 60, 1_800),
    Failure.OVERLOADED: ("wait", 15, 600),
    Failure.AUTH: ("ask", 0, 0),
    Failure.BILLING: ("ask", 0, 0),
    Failure.CONTEXT_OVERFLOW: ("anew", 5, 600),
    Failure.CONTEXT_LOST: ("anew", 5, 600),
    Failure.STALLED: ("again", 10, 600),
    Failure.CRASHED: ("again", 5, 600),
    Failure.ENGINE_LOST: ("again", 0, 600),
    Failure.TIMEOUT: ("if repeatable", 5, 600),
    Failure.BAD_OUTPUT: ("if repeatable", 5, 600),
    Failure.UNKNOWN: ("if repeatable", 5, 600),
}  # all others end the job

LIMITS = (Failure.RATE_LIMITED, Failure.OVERLOADED)
GIVEN_UP = "given up"

#: What an action can have changed of a job, and so what is taken back.
STANDING = (
    "state", "prompt", "agent", "account", "priority", "rank", "not_before", "held_by", "ended", "failure", "why",
    "fresh", "anew", "tries", "waits", "cause",
)  # fmt: skip


@dataclass
class PlainJob:
    id: int
    prompt: str = "x"
    state: State = State.READY
    agent: str = "shell"
    account: str | None = None
    project: str | None = None
    tags: tuple[str, ...] = ()
    priority: int = 5
    rank: int = 0
    created: int = 0
    started: int | None = None
    ended: int | None = None
    not_before: int | None = None
    deadline: int | None = None
    held_by: str | None = None
    stopping: bool = False
    key: str | None = None
    batch: int | None = None
    on_failure: OnFailure = OnFailure.SKIP
    max_attempts: int = 3
    repeatable: bool = False
    failure: Failure | None = None
    why: object = None
    """What its reason says."""
    cause: int | None = None
    fresh: bool = False
    anew: bool = False
    tries: int = 0
    waits: int = 0
    attempts: int = 0
    limit_until: int | None = None
    """Until when its account's limit was said to last."""

    @property
    def waits_in_line(self) -> bool:
        return self.state in WAITING

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def lane(self) -> tuple[object, ...]:
        return self.agent, self.account, self.project, self.tags, self.priority

    @property
    def target(self) -> str:
        return f"{self.agent}@{self.account}" if self.account else self.agent

    @property
    def scopes(self) -> list[str]:
        """What an attempt of it counts for."""
        wide = ["all", f"agent:{self.agent}", f"account:{self.target}", f"target:{self.target}"]
        return [*wide, f"project:{self.project or ''}", *(f"tag:{tag}" for tag in self.tags)]


@dataclass
class PlainAction:
    """What was done: how each job stood before and after it, as far as that differs."""

    before: dict[int, dict[str, object]] = field(default_factory=dict)
    after: dict[int, dict[str, object]] = field(default_factory=dict)
    stopped: list[int] = field(default_factory=list)
    overruled: set[tuple[int, int]] = field(default_factory=set)
    scope: tuple[str, str, object, object] | None = None
    """Holds or caps, the scope, what was there before, and after."""
    undone: bool = False


@dataclass
class PlainQueue:
    now: int
    slots: int
    configured: dict[str, int]
    jobs: dict[int, PlainJob] = field(default_factory=dict)
    pruned: dict[int, State] = field(default_factory=dict)
    """How the jobs had ended that are not there any more."""
    needs: dict[int, dict[int, bool]] = field(default_factory=dict)
    """Job -> what it comes after -> whether that is one of several."""
    follows: dict[int, int] = field(default_factory=dict)
    """Job -> the batch whose end it waits for."""
    overruled: set[tuple[int, int]] = field(default_factory=set)
    holds: dict[str, object] = field(default_factory=dict)
    caps: dict[str, object] = field(default_factory=dict)
    actions: list[PlainAction] = field(default_factory=list)
    running: dict[int, list[str]] = field(default_factory=dict)
    """Job -> the scopes in which its attempt counts."""
    served: dict[str | None, int] = field(default_factory=dict)

    # ---- what waits for what

    def outcome(self, job: int, needs: int) -> str | None:
        state = self.jobs[needs].state if needs in self.jobs else self.pruned[needs]
        if state not in OVER:
            return None
        return "overruled" if (job, needs) in self.overruled else str(state)

    def outcomes(self, job: int, *, any_of: bool) -> list[str | None]:
        return [self.outcome(job, other) for other, one in self.needs.get(job, {}).items() if one is any_of]

    def doomed(self, job: int) -> bool:
        group = self.outcomes(job, any_of=True)
        none_left = bool(group) and all(one in NOT_WELL for one in group)
        return none_left or any(one in NOT_WELL for one in self.outcomes(job, any_of=False))

    def satisfied(self, job: int) -> bool:
        """Whether a job that is not doomed, or runs all the same, may start."""
        every, group = self.outcomes(job, any_of=False), self.outcomes(job, any_of=True)
        if None in every:
            return False
        return not group or None not in group or "succeeded" in group or "overruled" in group

    def judge(self, job: PlainJob) -> None:
        if self.doomed(job.id) and job.on_failure is not OnFailure.RUN:
            failed = [other for other in self.needs[job.id] if self.outcome(job.id, other) in NOT_WELL]
            job.cause, job.why = failed[0], GIVEN_UP
            job.not_before = None
            job.ended = self.now
            job.state = State.CANCELLED
            if job.on_failure is OnFailure.FAIL:
                job.state, job.failure = State.FAILED, Failure.DEPENDENCY_FAILED
        elif self.satisfied(job.id):
            job.state = State.READY

    def after(self, job: int) -> list[PlainJob]:
        return [self.jobs[other] for other in sorted(self.needs) if job in self.needs[other]]

    def tell(self, ended: Iterable[PlainJob]) -> None:
        telling = deque(ended)
        while telling:
            for dependent in self.after(telling.popleft().id):
                if dependent.state is State.BLOCKED:
                    self.judge(dependent)
                    if dependent.is_over:
                        telling.append(dependent)

    def begins_again(self, job: int) -> None:
        """It has not ended any more, so what it ended like is no matter, overruled or not."""
        self.overruled -= {(one, other) for one, other in self.overruled if other == job}

    # ---- jobs come, start and end

    def add(self, job: PlainJob, all_of: Iterable[int], any_of: Iterable[int]) -> None:
        self.jobs[job.id] = job
        needs = {**dict.fromkeys(any_of, True), **dict.fromkeys(all_of, False)}
        if needs:
            self.needs[job.id] = dict(sorted(needs.items()))
            job.state = State.BLOCKED
            self.judge(job)

    def holder(self, key: str | None) -> int | None:
        return next((job.id for job in self.jobs.values() if key and job.key == key and not job.is_over), None)

    def pass_time(self) -> None:
        """What is late fails, what is due comes."""
        late = [
            job
            for job in self.jobs.values()
            if job.waits_in_line and job.deadline is not None and job.deadline <= self.now
        ]
        late.sort(key=lambda job: (job.deadline, job.id))
        for job in late:
            job.state, job.failure, job.why, job.ended = State.FAILED, Failure.TIMEOUT, "late", self.now
            job.not_before = job.cause = None
        self.tell(late)
        for job in self.jobs.values():
            if job.state is State.READY and job.not_before is not None and job.not_before <= self.now:
                job.not_before = None

    def cap(self, scope: str) -> int | None:
        found = self.caps.get(scope, self.configured.get(scope))
        return found if isinstance(found, int) else None

    def count(self, scope: str) -> int:
        return sum(scope in scopes for scopes in self.running.values())

    def may_start(self, job: PlainJob) -> bool:
        for scope in job.scopes:
            cap = self.cap(scope)
            if scope in self.holds or (cap is not None and self.count(scope) >= cap):
                return False
        return job.state is State.READY and job.held_by is None and job.not_before is None

    def level(self, priority: int, since: int) -> int:
        return max(0, priority - max(0, self.now - since) // HOUR)

    def claim(self) -> list[int]:
        """Start what may, and say what has been started, in order."""
        self.pass_time()
        started: list[int] = []
        while startable := [job for job in self.jobs.values() if self.may_start(job)]:
            lanes: dict[object, PlainJob] = {}
            for job in sorted(startable, key=lambda job: (job.rank, job.id)):
                lanes.setdefault(job.lane, job)
            urgent = min(lanes.values(), key=self._urgency)
            chosen = min((job for job in lanes.values() if job.project == urgent.project), key=self._turn)
            chosen.state, chosen.started, chosen.ended = State.RUNNING, self.now, None
            chosen.failure = chosen.why = None
            chosen.tries += 1
            chosen.attempts += 1
            self.running[chosen.id] = chosen.scopes
            self.served[chosen.project] = self.now
            started.append(chosen.id)
        return started

    def _urgency(self, job: PlainJob) -> tuple[float, ...]:
        since = max(job.created, job.started or 0, self.served.get(job.project, 0))
        return self.level(job.priority, since), self.count(f"project:{job.project or ''}"), job.rank, job.id

    def _turn(self, job: PlainJob) -> tuple[float, ...]:
        return self.level(job.priority, max(job.created, job.started or 0)), job.rank, job.id

    def settle(self, number: int, failure: Failure | None, *, began: bool, resumable: bool, restorable: bool) -> None:
        job = self.jobs[number]
        moved = f"account:{job.target}" not in self.running.pop(number)
        if began:
            job.fresh = job.anew = False
        if failure is None:
            job.state, job.why = State.SUCCEEDED, "late for the cancel" if job.stopping else None
        elif job.stopping:
            job.state, job.not_before = State.CANCELLED, None
        else:
            self._fail(job, failure, began=began, resumable=resumable, restorable=restorable)
            if moved and failure in LIMITS and job.state is State.READY:
                job.not_before = job.limit_until = None
        job.stopping = False
        if job.is_over:
            job.ended = self.now
            self.tell([job])

    def _fail(self, job: PlainJob, failure: Failure, *, began: bool, resumable: bool, restorable: bool) -> None:
        action, first, longest = FOLLOWS.get(failure, ("stop", 0, 0))
        if action == "if repeatable":
            action = "again" if job.repeatable else "stop"
        counted = action not in ("wait", "ask") and began
        out = counted and job.tries >= job.max_attempts
        late = job.deadline is not None and job.deadline <= self.now
        job.failure, job.why = failure, "it broke"
        if action == "stop" or out or late:
            job.state, job.not_before, job.cause = State.FAILED, None, None
            job.why = "it broke" if late or not out or job.tries < 2 else f"it broke, after {job.tries} attempts"
            return
        asked = action == "ask"
        if not asked:
            # Half of the delay is waited: the test's jitter.
            times = job.tries - 1 if counted else job.waits
            delay = round(min(longest, first * 2**times) * 1000 / 2)
            job.not_before = self.now + delay if delay else None
            job.limit_until = job.not_before if action == "wait" else None
            if began and action == "anew":
                job.fresh = True
            elif began and not resumable:
                asked = not job.repeatable and not restorable
                job.fresh = job.fresh or not asked
                job.anew = job.anew or (restorable and not job.repeatable)
                job.not_before = None if asked else job.not_before
                job.why = "it broke, and may have had effects" if asked else job.why
        job.state = State.READY
        if not counted:
            job.tries -= 1
        job.waits = 0 if counted else job.waits + 1
        if asked:
            job.held_by = job.held_by or "headway"

    # ---- taking back

    def snapshot(self) -> dict[int, dict[str, object]]:
        return {job.id: {name: asdict(job)[name] for name in STANDING} for job in self.jobs.values()}

    def note(self, before: dict[int, dict[str, object]], **more: object) -> None:
        """Record an action by how the jobs stood before it."""
        action = PlainAction(**more)  # type: ignore[arg-type]
        for number, after in self.snapshot().items():
            names = [name for name in STANDING if before[number][name] != after[name]]
            if names:
                action.before[number] = {name: before[number][name] for name in names}
                action.after[number] = {name: after[name] for name in names}
        if action.before or action.stopped or action.scope:
            self.actions.append(action)

    def undo(self, action: PlainAction) -> tuple[set[int], set[int]]:
        """Returns what stands as it did, and what cannot."""
        action.undone = True
        restored, lost, moved = set[int](), set(action.stopped), list[PlainJob]()
        for number, before in action.before.items():
            if number in self.pruned:
                lost.add(number)
                continue
            job = self.jobs[number]
            now = {name: getattr(job, name) for name in before}
            if now == before:
                restored.add(number)
            elif now != action.after[number] or not self._can_be(job, before.get("state", job.state)):
                lost.add(number)
            else:
                if before.get("state", job.state) is not job.state:
                    moved.append(job)
                for name, value in before.items():
                    setattr(job, name, value)
                restored.add(number)
        for job in moved:
            self.overruled -= {(one, other) for one, other in action.overruled if one == job.id}
            if not job.is_over:
                self.begins_again(job.id)
        wanted = {job.id for job in moved if not job.is_over}
        self.tell([job for job in moved if job.is_over])
        for job in moved:
            if job.state is State.BLOCKED:
                self.judge(job)
                if job.is_over:
                    self.tell([job])
        gone = {number for number in wanted if self.jobs[number].is_over}
        if action.scope is not None:
            table, scope, before_it, after_it = action.scope
            there = self.holds if table == "holds" else self.caps
            if there.get(scope) == after_it:
                there.pop(scope, None)
                if before_it is not None:
                    there[scope] = before_it
        return restored - gone, lost | gone

    def _can_be(self, job: PlainJob, state: object) -> bool:
        """Whether a job can stand so again: what has run cannot be made not to have."""
        if job.is_over and state in WAITING and self.holder(job.key) not in (None, job.id):
            return False
        if job.state in WAITING:
            return state in WAITING or state in OVER
        return state is job.state or (job.state in NOT_WELL and state in WAITING)

    def prune(self, before: int, limit: int) -> list[int]:
        """Remove ended jobs, the oldest first, but none that an unfinished one comes after, or of an open batch."""
        needed = {other for job, others in self.needs.items() if not self.jobs[job].is_over for other in others}
        unfinished = [job for job in self.jobs.values() if not job.is_over]
        opened = {job.batch for job in unfinished} | {
            self.follows[job.id] for job in unfinished if job.id in self.follows
        }
        needed |= {job.id for job in self.jobs.values() if job.batch is not None and job.batch in opened}
        ended = [job for job in self.jobs.values() if job.is_over and (job.ended or 0) < before]
        ids = [job.id for job in sorted(ended, key=lambda job: (job.ended, job.id)) if job.id not in needed][:limit]
        for number in ids:
            self.pruned[number] = self.jobs.pop(number).state
            self.needs.pop(number, None)
        return ids

    # ---- order

    def line(self, priority: int, without: Sequence[int] = ()) -> list[int]:
        """The jobs of one priority that wait, in their places."""
        there = [job for job in self.jobs.values() if job.waits_in_line and job.priority == priority]
        return [job.id for job in sorted(there, key=lambda job: (job.rank, job.id)) if job.id not in without]
