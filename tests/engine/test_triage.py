"""Classes of jobs in a running engine: what follows from them, the question before a vague one, corrections."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from engine.config import AgentSettings, MatchSettings, RouteSettings, Settings
from engine.config.triage import Clarify, TriageSettings, complaints, off_peak
from engine.decision import CardKind, Choice, Reply
from engine.engine import Engine
from engine.errors import UsageError
from engine.model import Correction, JobSpec, Order, State, Triage, TriageRequest, Verb, Wanted
from engine.serving import serving
from engine.store import fold
from engine.store.rows import JobRow
from tests.conftest import ended


@pytest.fixture
def settings() -> Settings:
    """Nothing starts by itself: everything is held by its agent's cap."""
    return Settings(
        agents={"rehearsal": AgentSettings(max_running=0), "shell": AgentSettings()},
        triage=TriageSettings(
            clarify=Clarify.ASK, priorities={Triage.QUICK: 3, Triage.DEFER: 8}, off_peak="00:00-00:00"
        ),
    )


async def submit(engine: Engine, prompt: str, **options: object) -> JobRow:
    spec = JobSpec(prompt=prompt, **{"agent": "rehearsal", **options})  # type: ignore[arg-type]
    answer = await engine.submit(Wanted([spec]))
    return await engine.row(answer.ids[0])


async def as_the_log_tells(engine: Engine, job: int) -> JobRow:
    return (await engine.store.look(lambda tx: fold.rebuild(tx.connection)))[job]


async def test_a_job_carries_its_class_and_a_filter_finds_it(engine: Engine) -> None:
    quick = await submit(engine, "fix the typo in README.md")
    assert (quick.triage, quick.priority) == (Triage.QUICK, 3)
    plain = await submit(engine, "explain how the dispatcher works and why")
    assert (plain.triage, plain.priority) == (None, 5)
    said = await submit(engine, "explain how the dispatcher works and why", triage=Triage.BIG)
    assert said.triage == Triage.BIG
    urgent = await submit(engine, "fix the typo in README.md", priority=1)
    assert urgent.priority == 1
    assert [job.id for job in await engine.list_jobs("class:quick", 10)] == [urgent.id, quick.id]
    assert [job.id for job in await engine.list_jobs("class:big,quick", 10)] == [urgent.id, quick.id, said.id]
    assert await as_the_log_tells(engine, quick.id) == quick


async def test_a_command_line_has_no_class(engine: Engine) -> None:
    row = await submit(engine, "true # fix it", agent="shell")
    assert row.triage is None
    await ended(engine, [row.id])


async def test_a_vague_job_waits_for_the_operator_and_goes_on_with_his_words(engine: Engine) -> None:
    row = await submit(engine, "fix it")
    assert (row.triage, row.held_by) == (Triage.CLARIFY, "card 1")
    (card,) = await engine.inbox.cards()
    assert (card.kind, card.job, card.id) == (CardKind.CLARIFY, row.id, row.waiting_on)
    waits = [str(reason) for reason in (await engine.explain(row.id)).waiting]
    assert any("does not say enough" in one for one in waits)
    with pytest.raises(UsageError, match="needs the words"):
        await engine.inbox.answer(card.id, Reply(choice=Choice.EDIT), "me")
    with pytest.raises(UsageError, match="choose run, edit, cancel"):
        await engine.inbox.answer(card.id, Reply(choice=Choice.ALLOW), "me")
    await engine.inbox.answer(card.id, Reply(choice=Choice.EDIT, reason="the login in auth.py"), "me")
    after = await engine.row(row.id)
    assert (after.held_by, after.waiting_on, after.title) == (None, None, "fix it")
    assert (await engine.store.read.spec(after)).prompt == "fix it\n\nthe login in auth.py"
    assert await as_the_log_tells(engine, row.id) == after
    assert await engine.inbox.cards() == []
    await engine.undo(None, "me", dry_run=False)
    back = await engine.row(row.id)
    assert back.held_by == "card 1"
    assert (await engine.store.read.spec(back)).prompt == "fix it"


@pytest.mark.parametrize("way", ["run", "cancel", "release", "cancelled", "class"])
async def test_the_question_closes_however_the_job_is_decided(engine: Engine, way: str) -> None:
    row = await submit(engine, "fix it")
    (card,) = await engine.inbox.cards()
    if way in ("run", "cancel"):
        await engine.inbox.answer(card.id, Reply(choice=Choice(way)), "me")
    elif way == "class":
        await engine.triage.correct(row, Correction(triage=Triage.QUICK), "me")
    else:
        verb = Verb.RELEASE if way == "release" else Verb.CANCEL
        await engine.act(Order(verb=verb, jobs=[row.id]), "me")
    after = await engine.row(row.id)
    assert (after.waiting_on, after.held_by if after.ended_at is None else None) == (None, None)
    assert (after.state is State.CANCELLED) == way.startswith("cancel")
    assert await engine.inbox.cards() == []
    assert (await engine.status()).cards == 0
    assert await as_the_log_tells(engine, row.id) == after
    undone = await engine.undo(None, "me", dry_run=False)
    assert "card 1 waits for you again" in undone.said
    back = await engine.row(row.id)
    assert (back.state, back.held_by, back.waiting_on) == (State.READY, "card 1", 1)
    assert [one.id for one in await engine.inbox.cards()] == [1]
    assert await as_the_log_tells(engine, row.id) == back
    await engine.inbox.answer(1, Reply(choice=Choice.CANCEL), "me")
    assert (await engine.row(row.id)).state is State.CANCELLED


async def test_a_vague_job_that_was_cancelled_and_is_tried_again_waits_for_no_closed_card(engine: Engine) -> None:
    row = await submit(engine, "fix it")
    for verb in (Verb.CANCEL, Verb.RETRY):
        await engine.act(Order(verb=verb, jobs=[row.id]), "me")
    again = await engine.row(row.id)
    assert (again.state, again.held_by, again.waiting_on) == (State.READY, None, None)
    assert await as_the_log_tells(engine, row.id) == again


async def test_what_has_begun_since_the_answer_is_not_asked_about_again(engine: Engine) -> None:
    row = await submit(engine, "fix it")
    await engine.inbox.answer(1, Reply(choice=Choice.RUN), "me")
    await engine.act(Order(verb=Verb.CAP, scope="agent:rehearsal", limit=1), "me")
    await ended(engine, [row.id])
    (action,) = [one.id for one in await engine.store.read.actions(10) if one.verb == "answer"]
    undone = await engine.undo(action, "me", dry_run=False)
    assert undone.said == "card 1 stays answered: its job has moved on"
    assert [*undone.lost.values()] == [[row.id]]
    assert (await engine.row(row.id)).held_by is None
    assert await engine.inbox.cards() == []


async def test_a_vague_job_whose_other_failed_asks_nothing_any_more(engine: Engine) -> None:
    specs = [
        JobSpec(prompt="exit 1", agent="shell", name="first", not_before="1h"),
        JobSpec(prompt="fix it", agent="rehearsal", after=["first"]),
    ]
    first, vague = (await engine.submit(Wanted(specs))).ids
    assert len(await engine.inbox.cards()) == 1
    await engine.act(Order(verb=Verb.CANCEL, jobs=[first]), "me")
    assert (await engine.row(vague)).state is State.CANCELLED
    assert await engine.inbox.cards() == []


async def test_corrections_count_in_their_project_and_undo_takes_them_back(engine: Engine) -> None:
    row = await submit(engine, "fix the typo in README.md")
    done = await engine.triage.correct(row, Correction(triage=Triage.BIG), "me")
    assert (done.was, done.agreed, done.contradicted) == (Triage.QUICK, [], ["short", "small_words", "one_file"])
    assert (await engine.row(row.id)).triage == Triage.BIG
    assert (await engine.triage.of(await engine.row(row.id))).by == "me"
    weights = {one.rule: one.now for one in await engine.triage.rules(None)}
    assert weights["small_words"] == 1.0  # 1.5 x 2 x 1/3
    elsewhere = {one.rule: one.now for one in await engine.triage.rules("/elsewhere")}
    assert elsewhere["small_words"] == 1.5
    assert (await submit(engine, "fix the typo in README.md")).triage == Triage.QUICK  # 0.67 + 1 + 0.33
    await engine.triage.correct(row, Correction(triage=Triage.BIG), "me")
    assert (await submit(engine, "fix the typo in README.md")).triage is None
    await engine.undo(None, "me", dry_run=False)
    await engine.undo(None, "me", dry_run=False)
    assert (await engine.row(row.id)).triage == Triage.QUICK
    assert {one.agreed + one.contradicted for one in await engine.triage.rules(None)} == {0}
    assert (await submit(engine, "fix the typo in README.md")).triage == Triage.QUICK


async def test_a_dry_run_of_a_correction_changes_nothing(engine: Engine) -> None:
    row = await submit(engine, "fix the typo in README.md")
    done = await engine.triage.correct(row, Correction(triage=None, dry_run=True), "me")
    assert (done.triage, done.action) == (None, None)
    assert await engine.row(row.id) == row
    assert {one.contradicted for one in await engine.triage.rules(None)} == {0}


async def test_what_a_job_would_be_is_told_without_one(engine: Engine) -> None:
    thought = await engine.triage.think(TriageRequest(prompt="fix it", agent="rehearsal"))
    assert (thought.triage, thought.follows) == (Triage.CLARIFY, ["is held, and a card asks you"])
    assert (await engine.status()).counts.unfinished == 0


@pytest.fixture
def routed() -> Settings:
    """Two agents that start nothing, and a route for each class of work."""
    large = RouteSettings(targets=["rehearsal:codex/fix-bug"], match=MatchSettings(class_="big"))
    small = RouteSettings(targets=["rehearsal:gemini/tests"], match=MatchSettings(class_=["quick", "trivial"]))
    return Settings(
        default_agent="rehearsal", agents={"rehearsal": AgentSettings(max_running=0)}, routes={"l": large, "s": small}
    )


async def test_a_class_picks_the_route_and_a_correction_another_one(home: Path, routed: Settings) -> None:
    async with serving(home, routed) as engine:
        (quick, own, plain, odd) = (
            await engine.submit(
                Wanted(
                    [
                        JobSpec(prompt="fix the typo in README.md"),
                        JobSpec(prompt="fix the typo in README.md", agent="rehearsal"),
                        JobSpec(prompt="explain how the dispatcher works and why"),
                        JobSpec(prompt="explain how the dispatcher works and why", triage="trivial"),
                    ]
                )
            )
        ).ids
        rows = [await engine.row(job) for job in (quick, own, plain, odd)]
        assert [row.route for row in rows] == ["s", None, None, "s"]
        assert [row.triage for row in rows] == ["quick", "quick", None, "trivial"]
        thought = await engine.triage.think(TriageRequest(prompt="Refactor the auth code across the services"))
        assert (thought.triage, thought.route, thought.target) == ("big", "l", "rehearsal:codex/fix-bug")
        done = await engine.triage.correct(rows[0], Correction(triage=Triage.BIG), "me")
        assert done.target == "rehearsal:codex/fix-bug"
        moved = await engine.row(quick)
        assert (moved.route, str(moved.target)) == ("l", "rehearsal:codex/fix-bug")
        assert (await engine.triage.of(moved)).routed == "it matches l: class big"
        assert await as_the_log_tells(engine, quick) == moved
        await engine.undo(None, "me", dry_run=False)
        assert await engine.row(quick) == rows[0]
        # What names its target itself, or was sent elsewhere, stays.
        await engine.triage.correct(rows[1], Correction(triage=Triage.BIG), "me")
        assert (await engine.row(own)).route is None
        await engine.act(Order(verb=Verb.REROUTE, jobs=[plain], to="shell"), "me")
        await engine.triage.correct(rows[2], Correction(triage=Triage.BIG), "me")
        assert str((await engine.row(plain)).target) == "shell"
        assert [job.id for job in await engine.list_jobs("triage:trivial", 5)] == [odd]


def test_the_quiet_hours_are_of_this_machine() -> None:
    noon = int(datetime(2026, 3, 10, 12, 30).timestamp() * 1000)
    begins = off_peak("22:00-06:00", noon)
    assert begins is not None
    assert datetime.fromtimestamp(begins / 1000) == datetime(2026, 3, 10, 22, 0)
    assert off_peak("22:00-06:00", int(datetime(2026, 3, 10, 23, 0).timestamp() * 1000)) is None
    assert off_peak("22:00-06:00", int(datetime(2026, 3, 10, 5, 59).timestamp() * 1000)) is None
    morning = off_peak("09:00-10:00", int(datetime(2026, 3, 10, 10, 0).timestamp() * 1000))
    assert morning is not None
    assert datetime.fromtimestamp(morning / 1000) == datetime(2026, 3, 11, 9, 0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (TriageSettings(off_peak="night"), "write 22:00-06:00"),
        (TriageSettings(priorities={"quik": 3}), "did you mean 'quick'?"),
        (TriageSettings(model="claude:haiku"), "no model of the agent llm"),
        (TriageSettings(model="llm:haiku"), "no model of the agent llm"),
        (TriageSettings(model="llm:openai/gpt-5@work"), "no account 'work'"),
        (TriageSettings(timeout="0s"), "it is 0"),
        (TriageSettings(timeout="soon"), "no span of time"),
        (TriageSettings(off_peak="25:00-06:00"), "write 22:00-06:00"),
    ],
)
def test_a_wrong_setting_is_told(wrong: TriageSettings, says: str) -> None:
    ((_, told),) = complaints(Settings(triage=wrong))
    assert says in told
