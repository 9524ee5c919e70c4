"""Telling subscribers: nobody is told twice, nobody misses anything, and a slow one costs nothing."""

from __future__ import annotations

import asyncio

from engine import events as log
from engine.events import Event
from engine.hub import Hub
from engine.model import Progress

NEVER = 1 << 62


def event(seq: int) -> Event:
    return Event(seq=seq, at=0, body=log.Due(), job=1)


def moved(hub: Hub, attempt: int, line: str = "") -> None:
    hub.report(attempt, lambda: Progress(job=1, attempt=attempt, line=line))


async def waiting(hub: Hub, seq: int = 0, version: int = NEVER) -> asyncio.Task[None]:
    task = asyncio.ensure_future(hub.changed(seq, version))
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_what_happened_before_the_question_answers_at_once() -> None:
    hub = Hub()
    hub.publish([event(1), event(2)])
    assert hub.seq == 2
    await hub.changed(1, NEVER)
    await waiting(hub, 2)


async def test_everybody_who_waits_is_woken_by_one_event() -> None:
    hub = Hub()
    tasks = [await waiting(hub) for _ in range(50)]
    hub.publish([event(1)])
    await asyncio.gather(*tasks)


async def test_who_waits_for_more_than_that_waits_on() -> None:
    hub = Hub()
    early, late = await waiting(hub, 0), await waiting(hub, 5)
    hub.publish([event(5)])
    await early
    assert not late.done()
    hub.publish([event(6)])
    await late


async def test_events_wake_nobody_who_has_seen_them_and_progress_nobody_who_does_not_ask() -> None:
    hub = Hub()
    only_events = await waiting(hub)
    with_progress = await waiting(hub, version=0)
    moved(hub, 1)
    await with_progress
    await asyncio.sleep(0)
    assert not only_events.done()
    only_events.cancel()


async def test_only_the_newest_progress_of_an_attempt_is_kept() -> None:
    hub = Hub()
    for n in range(1_000):
        moved(hub, 1, str(n))
    moved(hub, 2, "other")
    version, found = hub.progress_after(0)
    assert [one.line for one in found] == ["999", "other"]
    assert hub.progress_after(version) == (version, [])
    moved(hub, 1, "more")
    assert [one.line for one in hub.progress_after(version)[1]] == ["more"]
    hub.forget(1)
    hub.forget(1)
    assert [one.line for one in hub.progress_after(0)[1]] == ["other"]


async def test_progress_is_put_together_for_who_asks_and_once_for_all() -> None:
    hub, told = Hub(), []

    def tell(line: str) -> Progress:
        told.append(line)
        return Progress(job=1, attempt=1, line=line)

    for n in range(100):
        hub.report(1, lambda line=str(n): tell(line))  # type: ignore[misc]
    assert told == []
    assert hub.progress_after(0) == hub.progress_after(0)
    assert told == ["99"]


async def test_what_moved_longest_ago_is_told_first() -> None:
    hub = Hub()
    for attempt in (1, 2, 3, 1):
        moved(hub, attempt)
    assert [one.attempt for one in hub.progress_after(0)[1]] == [2, 3, 1]


async def test_a_subscriber_that_goes_away_is_forgotten() -> None:
    hub = Hub()
    tasks = [await waiting(hub) for _ in range(3)]
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
    assert len(hub._waiting) == 2
    hub.publish([event(1)])
    await asyncio.gather(tasks[0], tasks[2])
    assert hub._waiting == []


async def test_who_waited_for_both_waits_nowhere_any_more() -> None:
    hub = Hub()
    for wake in (lambda: hub.publish([event(1)]), lambda: moved(hub, 1)):
        task = await waiting(hub, hub.seq, hub.progress_after(0)[0])
        wake()
        await task
        assert hub._waiting == hub._watching == []


async def test_closing_sends_everybody_home() -> None:
    hub = Hub()
    tasks = [await waiting(hub) for _ in range(3)]
    hub.close()
    await asyncio.gather(*tasks)
    await hub.changed(99, NEVER)


async def test_a_sequence_number_never_goes_back() -> None:
    hub = Hub()
    hub.publish([event(9)])
    hub.publish([event(3)])
    assert hub.seq == 9
