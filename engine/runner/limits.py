"""How long an attempt may take before the engine stops it: its time, its silence, its job's deadline.

Time and silence are measured by the clock that nobody sets and that stands still while the machine sleeps; only a
deadline is a matter of the wall clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.agents.base import Agent
from engine.clock import now_ms
from engine.config import Settings
from engine.model import Failure
from engine.runner import procfs
from engine.runner.cut import Cut
from engine.runner.procfs import Identity
from engine.runner.run_dir import RunDir
from engine.store.claims import Claim
from engine.units import milliseconds, span

#: A deadline is looked at so often: the wall clock may be set, and goes on while the machine sleeps.
LOOK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one attempt may take. 0 is without a limit."""

    timeout: int = 0
    """Milliseconds."""
    stall: int = 0
    """Milliseconds without an event."""
    deadline: int | None = None
    """Milliseconds UTC."""

    @classmethod
    def of(cls, claim: Claim, agent: Agent, settings: Settings) -> Limits:
        """The job's own word, else its agent's settings, else everybody's, else the adapter's."""
        spec, own = claim.spec, settings.agent(agent.name)
        return cls(
            timeout=milliseconds(_first(spec.timeout, own.timeout, settings.timeout)),
            stall=milliseconds(_first(spec.stall, own.stall, settings.stall, agent.stall_seconds)),
            deadline=claim.job.deadline,
        )


def _first(*said: str | float | None) -> str | float:
    return next((one for one in said if one is not None), 0)


class Halt:
    """The times in which an attempt waits for the operator: its own clocks stand still meanwhile.

    All in seconds, by the monotonic clock. `before` is what an earlier engine saw of it.
    """

    def __init__(self, before: float = 0.0) -> None:
        self._over = before
        self._since: float | None = None

    def begin(self, now: float) -> None:
        self._since = now if self._since is None else self._since

    def end(self, now: float) -> bool:
        """True where it did wait."""
        if self._since is None:
            return False
        self._over += now - self._since
        self._since = None
        return True

    def moment(self, began: float, heard: float, now: float) -> tuple[float, float]:
        """How long the attempt has run, and been silent, without the waits."""
        at = now if self._since is None else self._since
        return at - began - self._over, at - heard


def waited(spans: Sequence[tuple[int, int | None]], now: int) -> float:
    """Seconds that spans of time cover together, each from and to in milliseconds UTC. Those without an end go on."""
    total, reached = 0, 0
    for begin, end in sorted(spans, key=lambda span: span[0]):
        until = now if end is None else end
        total += max(0, until - max(begin, reached))
        reached = max(reached, until)
    return total / 1000


@dataclass(frozen=True, slots=True)
class Moment:
    """How an attempt stands: how long it has run and been silent, in milliseconds; `now` is milliseconds UTC."""

    now: int
    ran: float
    quiet: float


def judge(limits: Limits, at: Moment) -> Cut | None:
    """The limit of time that is reached, if one is. Pure."""
    if limits.deadline is not None and at.now >= limits.deadline:
        return Cut(Failure.TIMEOUT, "its deadline passed")
    if 0 < limits.timeout <= at.ran:
        return Cut(Failure.TIMEOUT, f"it ran for {span(limits.timeout)}, its limit")
    if 0 < limits.stall <= at.quiet:
        return Cut(Failure.STALLED, f"no event for {span(at.quiet)}")
    return None


def until_next(limits: Limits, at: Moment) -> float | None:
    """Seconds before none of them can be reached; None where there are none. Pure."""
    left: list[float] = []
    if limits.deadline is not None:
        left.append(min((limits.deadline - at.now) / 1000, LOOK_SECONDS))
    if limits.timeout:
        left.append((limits.timeout - at.ran) / 1000)
    if limits.stall:
        left.append((limits.stall - at.quiet) / 1000)
    return max(0.0, min(left)) if left else None


async def overrun(limits: Limits, began: float, heard: Callable[[], float], halt: Halt | None = None) -> Cut:
    """Return once a limit of time is reached. `began` and `heard()` are times of the monotonic clock."""
    halt = halt or Halt()
    while True:
        ran, quiet = halt.moment(began, heard(), time.monotonic())
        at = Moment(now_ms(), ran * 1000, quiet * 1000)
        if (cut := judge(limits, at)) is not None:
            return cut
        wait = until_next(limits, at)
        if wait is None:
            await asyncio.get_running_loop().create_future()
        else:
            await asyncio.sleep(wait)


@dataclass(frozen=True, slots=True)
class Past:
    """What an adopted attempt did before this engine followed it. Seconds; `printed` is bytes of its output."""

    ran: float = 0.0
    quiet: float = 0.0
    printed: int = 0


def past(who: Identity, started_at: int | None, run: RunDir) -> Past:
    """From its process' age and its output file. The wall clock may have been set since: it can only shorten."""
    age = procfs.age(who)
    ran = age if started_at is None else _within(now_ms() / 1000 - started_at / 1000, age)
    try:
        said = run.stdout.lstat()
    except OSError:
        return Past(ran, ran)
    return Past(ran, _within(time.time() - said.st_mtime, ran), said.st_size)


def _within(seconds: float, most: float) -> float:
    return min(max(0.0, seconds), most)
