"""The clock is set, ahead and back again, while agents work, windows are closed, retries wait and a schedule runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from console.fire.card import Card
from console.fire.playing import Seen, fail, kind_is, settle, think
from console.fire.stage import Stage, stage
from engine.events import ClockSet, Event, Failed, Requeued, ScheduleFired
from engine.model import Failure

AHEAD = 7_200  #: seconds
#: Limits in seconds that a jump of hours would break if they went by the wall clock, and a job of each hour.
SETTINGS = """\
timeout: 600
stall: 300
schedules:
  hourly: {cron: "0 * * * *", missed: once, job: {prompt: "true", agent: shell}}
"""


async def clock_set(folder: Path) -> Card:
    """The engine's clock is set two hours ahead and back, while agents, windows, retries and a schedule go by it."""
    async with stage(folder, SETTINGS, own_clock=True) as one:
        jobs = await one.submit([think(4.0)], jobs=2)
        jobs += await one.submit([think(0.1), fail("usage_limit", resets_in=4)], [think(0.2)], jobs=2)
        jobs += await one.submit([think(0.1), fail("overloaded")], [think(0.2)], jobs=1)
        for job in jobs[:2]:
            await one.pid(job)
        await one.until(kind_is("limit_seen"))
        at = time.monotonic()
        one.set_clock(AHEAD)
        heard, _ = await one.until(_was_set, at)
        # What is decided by the clock while it is wrong: the pauses of these would last two hours after it is set back.
        jobs += await one.submit([think(0.1), fail("overloaded")], [think(0.2)], jobs=3)
        await one.until(_each_of(jobs[-3:]), at)
        back = time.monotonic()
        one.set_clock(0)
        _, event = await one.until(_was_set, back)
        assert isinstance(event.body, ClockSet), "it was waited for"
        told = f"clock_set by 2 h and back, {event.body.opened} jobs freed of waits by it"
        card = await settle(one, "clock set", Seen(at, heard, told, jobs))
        return replace(card, trouble=card.trouble or _trouble(one))


def _was_set(event: Event) -> bool:
    return isinstance(event.body, ClockSet)


def _each_of(jobs: Sequence[int]) -> Callable[[Event], bool]:
    """Passes the event with which the last of these has been put back."""
    left = set(jobs)

    def check(event: Event) -> bool:
        if isinstance(event.body, Requeued):
            left.discard(event.job or 0)
        return not left

    return check


def _trouble(one: Stage) -> str:
    """What a jump must not do: end an attempt as too long or silent, or let a time of a schedule come twice."""
    late = Failure.TIMEOUT, Failure.STALLED
    ended = [
        event for _, event in one.events if isinstance(event.body, Failed | Requeued) and event.body.failure in late
    ]
    if ended:
        return f"{len(ended)} attempts were ended as if they had taken hours"
    times = Counter(event.body.fire_at for _, event in one.events if isinstance(event.body, ScheduleFired))
    again = [at for at, count in times.items() if count > 1]
    return f"a schedule came twice for {len(again)} of its times" if again else ""
