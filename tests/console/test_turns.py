"""Keys that come in a burst, as over a slow line: each meets what the one before it has done."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from textual.events import Key
from textual.keys import _character_to_key

from console import turns
from engine.model import ActionResult, Job, JobDetail, State, Verb
from tests.console.fake import FakeEngine, make_job
from tests.console.stage import Stage, console


class Slow(FakeEngine):
    """Answers what keys ask for only once it is let; `asked` counts what waits."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        super().__init__(jobs)
        self.let = asyncio.Event()
        self.let.set()
        self.asked = 0

    async def _slowly(self) -> None:
        self.asked += 1
        await self.let.wait()

    async def act(
        self,
        verb: Verb,
        jobs: Sequence[int] = (),
        *,
        everything: bool = False,
        dry_run: bool = False,
        fresh: bool = False,
    ) -> ActionResult:
        await self._slowly()
        return await super().act(verb, jobs, everything=everything, dry_run=dry_run, fresh=fresh)

    async def job(self, job: int) -> JobDetail:
        await self._slowly()
        return await super().job(job)

    async def order(self, filter: str = "", sort: str = "") -> array[int]:
        if filter:
            await self._slowly()
        return await super().order(filter, sort)


@asynccontextmanager
async def slow() -> AsyncIterator[tuple[Stage, Slow]]:
    engine = Slow([make_job(id, title=f"work {id}") for id in range(1, 13)])
    async with console(engine) as stage:
        yield stage, engine


def burst(stage: Stage, keys: str) -> None:
    """All keys at once, as one packet brings them. `⏎` is enter, `⎋` escape."""
    for key in keys:
        name, char = {"⏎": ("enter", "\r"), "⎋": ("escape", None)}.get(key, (_character_to_key(key), key))
        stage.app.post_message(Key(name, char))


async def test_the_answer_that_comes_with_the_question_is_its_answer() -> None:
    async with slow() as (stage, engine):
        engine.let.clear()
        burst(stage, "xyj")
        await stage.until(lambda: engine.asked)
        engine.let.set()
        await stage.shows("cancelled J12")
        assert engine.by_id[12].state is State.CANCELLED
        assert "copied" not in stage.text
        await stage.until(lambda: stage.queue.rows.cursor == 1, "the j after it was not lost")


async def test_a_no_that_comes_with_the_question_cancels_nothing() -> None:
    async with slow() as (stage, engine):
        burst(stage, "xn")
        await stage.shows("nothing was cancelled")
        assert engine.by_id[12].state is State.READY


async def test_verbs_in_a_row_meet_the_rows_that_were_meant() -> None:
    async with slow() as (stage, engine):
        burst(stage, "pjpjp")
        await stage.until(lambda: len([1 for job in engine.by_id.values() if job.held_by]) == 3)
        assert {id for id, job in engine.by_id.items() if job.held_by} == {12, 11, 10}


async def test_what_is_typed_after_a_filter_is_for_the_list_that_it_finds() -> None:
    async with slow() as (stage, engine):
        engine.by_id[5] = make_job(5, State.FAILED, title="work 5")
        engine.let.clear()
        burst(stage, "/state:failed⏎r")
        await stage.until(lambda: engine.asked)
        engine.let.set()
        await stage.until(lambda: engine.by_id[5].state is State.READY, "the failed one was retried, and no other")
        assert [jobs for verb, jobs, dry in engine.acts if verb is Verb.RETRY] == [(5,)]


async def test_keys_after_enter_are_for_the_job_that_it_opens() -> None:
    async with slow() as (stage, engine):
        engine.let.clear()
        burst(stage, "⏎]")
        await stage.until(lambda: engine.asked)
        engine.let.set()
        await stage.until(lambda: len(stage.app.screen_stack) == 2)
        await stage.settle()
        assert stage.queue.rows.cursor_id == 12


async def test_a_command_takes_effect_before_the_next_key() -> None:
    async with slow() as (stage, engine):
        burst(stage, ":hold⏎jp")
        await stage.until(lambda: len([1 for job in engine.by_id.values() if job.held_by]) == 2)
        assert {id for id, job in engine.by_id.items() if job.held_by} == {12, 11}


async def test_an_engine_that_never_answers_does_not_lock_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 0.05)
    async with slow() as (stage, engine):
        engine.let.clear()
        burst(stage, "pj")
        await stage.until(lambda: stage.queue.rows.cursor == 1)
        engine.let.set()
