"""Merges & pipelines on the screen: what each key does, and what is said of a row."""

from __future__ import annotations

from console.screens.inbox import InboxScreen
from console.screens.job import JobScreen
from console.screens.merges import MergesScreen
from console.underway import Underway, rows_of, state_text
from engine.decision import Card, CardKind
from engine.errors import RefusedError
from engine.model import Conflict, MergeForeseen, MergeQueued, MergeState, MergeWanted, PipelineVerb
from tests.console import journeys, ledger, scenes
from tests.console.fake import MINUTE, NOW, FakeEngine
from tests.console.stage import Stage, console
from tests.console.test_lists import settled


async def at(stage: Stage, kind: str, number: int) -> MergesScreen:
    """The screen, with the cursor on a row."""
    screen = await settled(stage, "merges")
    assert isinstance(screen, MergesScreen)
    await stage.until(lambda: screen.table.rows)
    await stage.press("g")
    while screen.table.row_id != (kind, number):
        assert screen.table.cursor + 1 < len(screen.table.rows), "it is in the list"
        await stage.press("j")
    return screen


def test_rows_stand_as_they_wait_and_what_is_over_is_below() -> None:
    engine = FakeEngine()
    journeys.lay_journeys(engine)
    rows = rows_of(engine.books.merges, engine.books.pipelines)
    names = [row.name for row in rows]
    assert names == [
        "merge 3", "merge 4", "merge 6", "merge 7", "merge 5", "pipeline 2", "pipeline 3", "merge 2", "merge 1",
        "pipeline 1",
    ]  # fmt: skip
    said = {row.name: state_text(row) for row in rows}
    assert said["merge 7"] == "queued, 1 before it"
    assert said["pipeline 3"] == "approve asks, card 22"
    assert said["pipeline 2"] == "write runs"
    assert [row.card for row in rows if row.card is not None] == [21, 22]
    assert Underway(engine.books.pipelines[1]).job == 4832


async def test_a_merge_is_dropped_at_once_and_a_pipeline_asks_before_it_is_cancelled() -> None:
    engine = ledger.laden()
    asked = engine.books.asked
    async with console(engine, 120, 40) as stage:
        screen = await at(stage, "merge", 7)
        await stage.press("x")
        await stage.shows("J4701 is not merged into main")
        await stage.shows("z undo")
        assert asked[-1] == ("drop", 7)
        await stage.until(lambda: engine.books.merges[0].state is MergeState.DROPPED and screen.table.rows)
        await at(stage, "pipeline", 2)
        await stage.press("x")
        await stage.shows("cancel pipeline 2, backpressure in the stream, with 1 job, 1 agent stopped?")
        await stage.press("enter", "n")
        await stage.shows("nothing was cancelled")
        assert asked[-1] == ("drop", 7)
        await stage.press("x", "y")
        await stage.until(lambda: asked[-1] == (PipelineVerb.CANCEL, 2))
        await stage.shows("pipeline 2 is cancelled")


async def test_a_pipeline_is_held_released_and_tried_again_and_a_merge_is_not() -> None:
    engine = ledger.laden()
    asked = engine.books.asked
    async with console(engine, 120, 40) as stage:
        await at(stage, "merge", 5)
        await stage.press("p")
        await stage.shows("merge 5 is no pipeline; c answers its card")
        await at(stage, "pipeline", 2)
        await stage.press("p")
        await stage.shows("pipeline 2 is held by operator")
        await stage.until(lambda: "= pipeline 2" in stage.text)
        await stage.press("p")
        await stage.until(lambda: asked[-1] == (PipelineVerb.RELEASE, 2))
        await at(stage, "pipeline", 1)
        await stage.shows("exit 139: signal 11")
        await stage.press("r")
        await stage.until(lambda: asked[-1] == (PipelineVerb.RETRY, 1))


async def test_the_preview_has_both_sides_of_a_conflict_and_the_state_of_each_step() -> None:
    async with console(ledger.laden(), 200, 60) as stage:
        await at(stage, "merge", 5)
        for text in ("conflict   src/cli.py", "<<<<<<< main", "options = parse(argv)", "21: c answers it"):
            await stage.shows(text)
        await at(stage, "pipeline", 3)
        for text in (
            "✓ plan        done",
            "! approve     asking, card 22",
            "◌ merge       waiting",
            "plan of pipeline 3",
        ):
            await stage.shows(text)
        await at(stage, "pipeline", 1)
        await stage.shows("✗ write       failed")  # of what is over the steps are read when it is looked at


async def test_its_job_and_its_card_can_be_opened() -> None:
    engine = ledger.laden()
    engine.cards = [
        Card(
            id=number, kind=kind, job=job, attempt=1, agent="", tool="merge", arguments="{}", summary=f"of J{job}",
            at=NOW - MINUTE,
        )
        for number, kind, job in ((20, CardKind.QUESTION, 4833), (22, CardKind.APPROVAL, 4830))
    ]  # fmt: skip
    async with console(engine, 120, 40) as stage:
        await at(stage, "pipeline", 3)
        await stage.press("l")
        await stage.until(lambda: isinstance(stage.app.screen, JobScreen))
        assert stage.job.job == 4830
        await stage.press("escape", "c")
        await stage.until(lambda: isinstance(stage.app.screen, InboxScreen))
        inbox = stage.app.screen
        assert isinstance(inbox, InboxScreen)
        await stage.until(lambda: inbox.list.cards and inbox.list.cards[inbox.list.cursor].id == 22)
        await at(stage, "merge", 5)
        await stage.press("c")
        await stage.shows("card 21 is answered, or put aside")


async def test_what_happens_without_an_event_of_a_job_is_seen_too() -> None:
    engine = ledger.laden()
    async with console(engine, 120, 40) as stage:
        screen = await at(stage, "pipeline", 2)
        engine.books.pipelines = [one for one in engine.books.pipelines if one.id != 3]
        screen._read_at -= 10  # as if that long had passed
        await stage.until(lambda: "pipeline 3" not in stage.text)
        assert screen.table.row_id == ("pipeline", 2)


async def test_merge_on_the_queue_says_what_it_would_do_and_asks() -> None:
    engine = scenes.busy()
    async with console(engine, 120, 40) as stage:

        async def merge() -> None:
            await stage.press(":")
            await stage.type("merge")
            await stage.press("enter")

        await merge()
        await stage.shows("would: J4833 into main, 2 files, if its checks pass there: queue it?")
        await stage.press("n")
        await stage.shows("nothing was queued")
        assert not engine.books.asked
        await stage.press("space", "space")
        await merge()
        await stage.shows("merge 2 jobs: 2 would fit; queue them?")
        await stage.press("y")
        await stage.shows("queued 2 jobs for main")
        assert [(verb, sorted(jobs)) for verb, jobs in engine.books.asked] == [("merge", [4832, 4833])]


async def test_what_cannot_be_merged_is_said_and_only_a_conflict_is_asked_about() -> None:
    class Strict(FakeEngine):
        foreseen: MergeForeseen | None = None

        async def queue_merges(self, wanted: MergeWanted) -> MergeQueued:
            if self.foreseen is None:
                raise RefusedError("J4833 is running: only what went well is merged")
            return MergeQueued(foreseen=[self.foreseen])

    engine = Strict(scenes.busy().by_id.values())
    async with console(engine, 120, 40) as stage:

        async def merge() -> None:
            await stage.press(":")
            await stage.type("merge")
            await stage.press("enter")

        await merge()
        await stage.shows("only what went well is merged")
        assert not stage.queue.ask.busy
        engine.foreseen = MergeForeseen(job=4833, target="main", why="there is nothing to merge: main has all of it")
        await merge()
        await stage.shows("would not: J4833 into main: there is nothing to merge")
        assert not stage.queue.ask.busy
        both = [Conflict("src/cli.py", "content", journeys.HUNKS)]
        engine.foreseen = MergeForeseen(
            job=4833, target="main", why="src/cli.py is changed on both sides", conflicts=both
        )
        await merge()
        await stage.shows("J4833 is in conflict with main at src/cli.py: queue it all the same?")
