"""A model's opinion where the rules are not sure: asked, bounded, and believed where it can be read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.config import AgentSettings, MatchSettings, ProjectSettings, RouteSettings, Settings
from engine.config.triage import Clarify, TriageSettings
from engine.engine import Engine
from engine.model import JobSpec, Order, State, Triage, Verb, Wanted
from engine.opinion import read
from engine.serving import serving
from engine.store.rows import JobRow
from tests.conftest import ended
from tests.waiting import until

UNSURE = "Fix the test_rounding in a.py and b.py"  #: of which the rules say a little, and not enough


def configured(tmp_path: Path, said: str, **options: object) -> Settings:
    model = tmp_path / "says.yaml"
    model.write_text(json.dumps({"about": "classes", "steps": [{"do": "say", "text": said}]}))
    triage = TriageSettings(model=f"rehearsal:{model}", **{"timeout": "1h", **options})  # type: ignore[arg-type]
    agent = AgentSettings(env={"HEADWAY_REHEARSAL_SPEED": "0"})
    large = RouteSettings(targets=["rehearsal:codex/refactor"], match=MatchSettings(class_="big"))
    return Settings(
        grace=1.0,
        default_agent="rehearsal",
        agents={"rehearsal": agent},
        caps={"tag:still": 0},
        triage=triage,
        routes={"large": large},
    )


@pytest.fixture
async def asked(tmp_path: Path, home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    said, options = request.param
    async with serving(home, configured(tmp_path, said, **options)) as engine:
        yield engine


def says(triage: str, **options: object) -> object:
    return pytest.param((json.dumps({"class": triage, "why": "by its words"}), options), id=triage)


async def submit(engine: Engine, prompt: str = UNSURE, **options: object) -> JobRow:
    """A job that its tag keeps from running, so that it is seen waiting."""
    spec = JobSpec(prompt=prompt, agent="rehearsal", tags=["still"], **options)  # type: ignore[arg-type]
    return await engine.row((await engine.submit(Wanted([spec]))).ids[0])


async def freed(engine: Engine, job: int) -> JobRow:
    """Once it waits for no time any more."""

    async def look() -> JobRow | None:
        return row if (row := await engine.row(job)).not_before is None else None

    return await until(engine, look)


@pytest.mark.parametrize("asked", [says("big", priorities={Triage.BIG: 7})], indirect=True)
async def test_the_job_waits_for_the_answer_and_is_what_it_says(asked: Engine) -> None:
    row = await submit(asked)
    assert row.not_before is not None and row.triage is None
    question = await asked.row(row.id + 1)
    assert (question.kind, question.title) == ("triage", f"which class is J{row.id}?")
    assert question.deadline == row.not_before
    told = (await asked.store.read.spec(question)).prompt
    assert f"<task>\n{UNSURE}\n</task>" in told and "tags: still" in told
    after = await freed(asked, row.id)
    assert (after.triage, after.priority) == (Triage.BIG, 7)
    answer = await asked.triage.of(after)
    assert answer.by == str(question.target)
    (line,) = (await asked.scores.board(kind="triage")).lines
    assert line.spent_micros > 0  # what it cost is told by its kind


@pytest.mark.parametrize("asked", [says("big")], indirect=True)
async def test_what_it_says_picks_the_route(asked: Engine) -> None:
    await asked.act(Order(verb=Verb.CAP, scope="tag:still", limit=0), "me")
    spec = JobSpec(prompt=UNSURE, tags=["still"])
    row = await asked.row((await asked.submit(Wanted([spec]))).ids[0])
    assert row.route is None
    after = await freed(asked, row.id)
    assert (after.route, str(after.target)) == ("large", "rehearsal:codex/refactor")


async def test_nothing_of_a_private_project_is_shown_to_a_model_elsewhere(home: Path, repository: Path) -> None:
    kept = ProjectSettings(path=str(repository), private=True)
    triage = TriageSettings(model="llm:anthropic/claude-haiku-4-5")
    own = Settings(caps={"tag:still": 0}, projects={"secret": kept}, triage=triage)
    async with serving(home, own) as engine:
        for project, asks in (("secret", False), (None, True)):
            row = await submit(engine, project=project)
            assert (row.not_before is not None) is asks
        assert [job.title for job in await engine.list_jobs("kind:triage", 5)] == [f"which class is J{row.id}?"]


@pytest.mark.parametrize("asked", [says("clarify", clarify=Clarify.ASK)], indirect=True)
async def test_what_it_finds_vague_is_asked_of_the_operator(asked: Engine) -> None:
    row = await freed(asked, (await submit(asked)).id)
    assert (row.triage, row.held_by) == (Triage.CLARIFY, "card 1")
    (card,) = await asked.inbox.cards()
    assert card.why == "it does not say enough to be begun: by its words"


@pytest.mark.parametrize("asked", [says("none"), pytest.param(("I think it is big.", {}), id="prose")], indirect=True)
async def test_no_class_is_none_and_the_job_starts_at_once(asked: Engine) -> None:
    row = await freed(asked, (await submit(asked)).id)
    assert (row.triage, row.held_by, row.state) == (None, None, State.READY)


@pytest.mark.parametrize("asked", [says("big", timeout="400ms")], indirect=True)
async def test_what_nobody_answers_in_time_starts_without_a_class(asked: Engine) -> None:
    await asked.act(Order(verb=Verb.HOLD, scope="all"), "me")  # the question cannot be put
    row = await submit(asked)
    after = await freed(asked, row.id)
    assert after.triage is None
    await ended(asked, [row.id + 1])
    assert (await asked.row(row.id + 1)).state is State.FAILED


@pytest.mark.parametrize("asked", [says("big")], indirect=True)
async def test_only_what_the_rules_are_not_sure_of_is_asked(asked: Engine) -> None:
    await submit(asked, "fix the typo in README.md")
    await submit(asked, "explain how the dispatcher works and why")
    await submit(asked, triage=Triage.QUICK)
    await submit(asked, not_before="2h")
    await submit(asked, deadline="2h")
    assert await asked.list_jobs("kind:triage", 10) == []


@pytest.mark.parametrize("asked", [says("big", questions=2), says("quick", daily=0.0)], indirect=True)
async def test_no_more_is_asked_in_a_day_than_was_said(asked: Engine) -> None:
    limit = 2 if asked.settings.triage.daily else 0
    many = [JobSpec(prompt=f"{UNSURE} {n}", agent="rehearsal", tags=["still"]) for n in range(5)]
    ids = (await asked.submit(Wanted(many))).ids
    waiting = [row.id for row in await asked.store.read.rows(ids) if row.not_before is not None]
    assert waiting == ids[:limit]
    await ended(asked, [job.id for job in await asked.list_jobs("kind:triage", 10)])
    assert (await submit(asked)).not_before is None
    assert len(await asked.list_jobs("kind:triage", 10)) == limit


@pytest.mark.parametrize("asked", [says("big")], indirect=True)
async def test_what_the_operator_said_meanwhile_stands(asked: Engine) -> None:
    await asked.act(Order(verb=Verb.HOLD, scope="all"), "me")
    row = await submit(asked)
    await asked.act(Order(verb=Verb.SNOOZE, jobs=[row.id], until="3h"), "me")
    snoozed = (await asked.row(row.id)).not_before
    await asked.act(Order(verb=Verb.RELEASE, scope="all"), "me")
    await ended(asked, [row.id + 1])

    async def judged() -> JobRow | None:
        return after if (after := await asked.row(row.id)).triage is not None else None

    after = await until(asked, judged)
    assert (after.triage, after.not_before) == (Triage.BIG, snoozed)


async def test_an_engine_that_dies_meanwhile_is_followed_by_one_that_takes_the_answer(
    tmp_path: Path, home: Path
) -> None:
    settings = configured(tmp_path, json.dumps({"class": "big", "why": ""}))
    async with serving(home, settings) as engine:
        await engine.act(Order(verb=Verb.HOLD, scope="all"), "me")
        row = await submit(engine)
    async with serving(home, settings) as engine:
        await engine.act(Order(verb=Verb.RELEASE, scope="all"), "me")
        assert (await freed(engine, row.id)).triage == Triage.BIG


@given(st.text() | st.dictionaries(st.text(), st.text()).map(json.dumps))
def test_no_answer_breaks_anything(text: str) -> None:
    found = read(text)
    assert found is None or found[0] in (None, *Triage)


def test_an_answer_is_believed_where_it_can_be_read() -> None:
    assert read('{"class": "big", "why": "x"}') == (Triage.BIG, "x")
    assert read('```json\n{"class": "none", "why": ""}\n```') == (None, "")
    assert read('{"class": "huge", "why": ""}') is None
    assert read("big") is None
