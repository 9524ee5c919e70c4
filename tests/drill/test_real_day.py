"""The same day twice: in virtual time, and with real processes and a real clock. Both keep what is promised."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from engine.agents.base import Assignment, Launch
from engine.agents.registry import agents as all_agents
from engine.agents.rehearsal import Rehearsal
from engine.clock import now_ms
from engine.drill.ours import settings_of
from engine.drill.provider import Answer, Provider, Verdict
from engine.drill.report import play
from engine.model import JobSpec, State, Wanted
from engine.rehearsal import day as days
from engine.rehearsal import scenario
from engine.rehearsal.day import Day, Plan
from engine.rehearsal.scenario import AnyStep, Fail, Limit, Say, Scenario
from engine.serving import serving
from tests.conftest import PATIENCE, ended

pytestmark = pytest.mark.long

DAY = """
about: Seconds instead of hours.
begins: 2026-11-02T06:00:00Z
jobs: 60
seed: 4
slots: 6
call: 40ms
tokens: 100
lost: 10m
accounts:
  anna: {format: claude, model: rehearsal-1, slots: 3, quota: {calls: 45, every: 5s, first: 4s}}
  carl: {format: codex, model: rehearsal-1, slots: 3, quota: {calls: 45, every: 5s, first: 5s}}
kinds:
  quick: {share: 1, calls: [2, 5]}
arrivals:
  - {at: 0s, share: 3}
  - {at: 1s, share: 2, over: 6s}
"""


@dataclass
class Director:
    """Says what each attempt will play: at its launch its calls are put to the provider at their planned times."""

    provider: Provider
    numbers: dict[int, int] = field(default_factory=dict)
    """The errand of each job."""
    done: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    answers: dict[tuple[int, int], Answer] = field(default_factory=dict)
    """What ended each attempt that was refused, by job and number."""

    def steps(self, job: int, number: int, account: str) -> Iterator[AnyStep]:
        plan, at = self.provider.plan, now_ms()
        errand = plan.errands[self.numbers[job] - 1]
        while self.done[job] < errand.calls:
            answer = self.provider.call(account, at)
            seconds = max(0, (answer.resets_at or 0) // 1000 - at // 1000)
            if answer.verdict is not Verdict.SERVED:
                self.answers[job, number] = answer
                yield Fail(kind="usage_limit", resets_in=seconds)
                return
            self.done[job] += 1
            at += plan.day.call_ms
            yield Limit(used=answer.used, resets_in=seconds, pause=plan.day.call_ms)
            yield Say(text="On it.", tokens=plan.day.tokens)


class Staged(Rehearsal):
    """The rehearsal agent, with what the director says instead of a scenario of its own."""

    def __init__(self, director: Director) -> None:
        self.director = director

    def launch(self, assignment: Assignment) -> Launch:
        job, number = (int(part) for part in assignment.run_dir.parts[-2:])
        account = "carl" if (assignment.model or "").startswith("codex/") else "anna"
        steps = list(self.director.steps(job, number, account))
        format_, _ = scenario.split(assignment.model or "")
        played = Scenario(about="a day", steps=steps, format=format_ or "claude")
        launch = super().launch(assignment)
        return replace(launch, files={**launch.files, "scenario.json": scenario.script(played)})


@dataclass(frozen=True)
class Attempt:
    job: int
    number: int
    account: str
    begun: int
    ended: int
    failure: str | None


def attempts(home: Path) -> list[Attempt]:
    with closing(sqlite3.connect(home / "headway.db")) as database:
        rows = database.execute("SELECT job, number, account, created_at, ended_at, failure FROM attempts ORDER BY id")
        return [Attempt(*row) for row in rows.fetchall()]


def strays(tried: Sequence[Attempt], director: Director) -> list[Attempt]:
    """Attempts that went into a window which the engine knew to be closed, and neither alone nor at its told end."""
    found = []
    for one in tried:
        answer = director.answers.get((one.job, one.number))
        if answer is None:
            continue
        known = [
            other
            for other in tried
            if other.ended < one.begun
            and (said := director.answers.get((other.job, other.number))) is not None
            and said.closure == answer.closure
        ]
        if not known:
            continue
        since = min(other.ended for other in known)
        told = max(director.answers[other.job, other.number].resets_at or 0 for other in known)
        company = [
            other
            for other in tried
            if other is not one and other.account == one.account and since < other.begun <= one.begun < other.ended
        ]
        if company or one.begun < told:
            found.append(one)
    return found


@pytest.fixture
def day(tmp_path: Path) -> Day:
    path = tmp_path / "seconds.yaml"
    path.write_text(DAY)
    return days.read(str(path))


@contextmanager
def staged(monkeypatch: pytest.MonkeyPatch, director: Director) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr("engine.serving.all_agents", lambda: {**all_agents(), "rehearsal": Staged(director)})
        yield


async def test_in_virtual_time(day: Day, stage: Path) -> None:
    (report,) = await play(Plan.of(day), ["headway"], stage)
    assert report.broken == []
    assert report.done == 60
    assert report.unaware > 0


async def test_with_real_processes(day: Day, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begins = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    plan = Plan.of(msgspec.structs.replace(day, begins=begins))
    director = Director(Provider(plan))
    home = tmp_path / "home"
    with staged(monkeypatch, director):
        async with serving(home, settings_of(plan)) as engine, asyncio.timeout(PATIENCE * 2):
            jobs = []
            for errand in plan.errands:
                model = f"{plan.accounts[errand.account].format}/fix-bug"
                spec = JobSpec(
                    prompt="go", agent="rehearsal", model=model, account=errand.account, not_before=errand.comes
                )
                (job,) = (await engine.submit(Wanted([spec]))).ids
                director.numbers[job] = errand.number
                jobs.append(job)
            await ended(engine, jobs)
            rows = await engine.store.read.rows(jobs)
    assert {row.state for row in rows} == {State.SUCCEEDED}, "no job is lost"
    tried = attempts(home)
    limited = [one for one in tried if one.failure is not None]
    assert {one.failure for one in limited} == {"rate_limited"}
    assert {(one.job, one.number) for one in limited} == set(director.answers), "each refusal is heard as what it is"
    assert sum(row.tries for row in rows) == 60, "no limit uses up an attempt"
    assert strays(tried, director) == []
    assert len(limited) > 2, "no window closed, and nothing was shown"
    quotas = {one.closure for one in director.answers.values()}
    assert {"anna", "carl"} == {closure[0] for closure in quotas if closure is not None}
