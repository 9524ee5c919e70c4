"""A million jobs: what a key costs does not depend on how many there are."""

from __future__ import annotations

import tracemalloc

from console.sizes import PAGE_ROWS, PAGES_KEPT
from engine.model import Job
from tests.console.fake import FakeEngine, make_job
from tests.console.stage import Stage, console

KEYS = ("j", "k", "pagedown", "ctrl+d", "ctrl+u", "G", "k", "pageup", "g", "space", "G", "home", "end")


def lazy(total: int) -> FakeEngine:
    def job(id: int) -> Job:
        return make_job(id, title=f"work {id}")

    return FakeEngine(lazy=job, total=total)


async def walk(stage: Stage) -> list[int]:
    """Press every key of a list, wait for the rows, and say how many rows were read for it."""
    stage.engine.rows_asked.clear()
    for key in KEYS:
        await stage.press(key)
        await stage.until(lambda: stage.queue.rows.cursor_job is not None)
    return stage.engine.rows_asked


async def test_a_million_jobs_cost_a_key_what_a_few_thousand_do() -> None:
    asked: dict[int, int] = {}
    for total in (10_000, 1_000_000):
        async with console(lazy(total)) as stage:
            assert f"{total:,} jobs" in stage.text
            asked[total] = sum(await walk(stage))
            assert stage.queue.rows.cursor_id == total
            assert f"work {total}" in stage.text
            assert stage.engine.orders_asked == [""], "the whole order was read again for a key"
    assert asked[1_000_000] <= asked[10_000] + PAGE_ROWS, "more rows were read because there are more jobs"


async def test_the_console_keeps_eight_bytes_a_job_and_its_pages() -> None:
    total = 1_000_000
    async with console(lazy(total)) as stage:
        tracemalloc.start()
        try:
            await walk(stage)
            await stage.press("*")
            await stage.shows(f"{total:,} marked")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        source = stage.queue.source
        assert source.order.itemsize * len(source) == 8 * total
        assert source.held_rows <= PAGE_ROWS * PAGES_KEPT
        assert peak < 12_000_000, "walking and marking copied the list"


async def test_walking_far_drops_the_pages_of_long_ago() -> None:
    async with console(lazy(1_000_000)) as stage:
        for place in range(0, 1_000_000, 15_400):
            stage.queue.rows.move_to(place)
            await stage.until(lambda: stage.queue.rows.cursor_job is not None)
        assert stage.queue.source.held_rows <= PAGE_ROWS * PAGES_KEPT
