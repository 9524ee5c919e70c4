"""Schedules over a real store and a clock that the test moves: what is submitted when, and what is told of the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine import events as log
from engine.agents.base import Outcome as Verdict
from engine.agents.registry import agents
from engine.config import Settings, load_settings
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.home import make_home
from engine.model import JobSpec, OnFailure, State
from engine.schedule import (
    FILE,
    Missed,
    Outcome,
    Overlap,
    ScheduleAnswer,
    ScheduleOrder,
    ScheduleSpec,
    ScheduleVerb,
)
from engine.scheduling import Schedules
from engine.store import Store, Transaction, actions, claims, dependencies, jobs, schedules
from engine.store.fold import rebuild
from engine.store.jobs import Launched, Settlement
from engine.store.rows import JobRow, read_job
from engine.store.store import FILE as DATABASE
from tests.engine.test_timetable import DAY, HOUR, MINUTE, ms
from tests.store.samples import connect

START = ms("2026-06-01T00:00:30Z")


@dataclass
class Clockwork:
    """Schedules on a store, and what they asked of the engine."""

    store: Store
    schedules: Schedules
    now: int = START
    stopped: list[int] = field(default_factory=list)
    draining: bool = False

    async def order(
        self, name: str, verb: ScheduleVerb, spec: ScheduleSpec | None = None, **more: object
    ) -> ScheduleAnswer:
        return await self.schedules.act(name, ScheduleOrder(verb=verb, spec=spec, **more), "tester")  # type: ignore[arg-type]

    async def add(self, name: str = "hourly", cron: str = "0 * * * *", **more: object) -> ScheduleAnswer:
        job = more.pop("job", None) or JobSpec(prompt="true", agent="shell", title=name)
        spec = ScheduleSpec(cron=cron, zone="UTC", job=job, **more)  # type: ignore[arg-type]
        answer = await self.order(name, ScheduleVerb.ADD, spec)
        await self.schedules.turn()
        return answer

    async def at(self, moment: int) -> int | None:
        """Let the clock show that, and everything come that is due; when to look again."""
        self.now = moment
        for _ in range(50):
            due = await self.schedules.turn()
            if due is None or due > moment:
                return due
        raise AssertionError("it never comes to rest")

    async def rows(self) -> list[JobRow]:
        return await self.store.read.rows(range(1, 200))

    async def outcomes(self, name: str = "hourly") -> list[tuple[int, Outcome, int | None]]:
        found = (await self.schedules.detail(name, 1)).firings
        return [((one.fire_at - START) // HOUR + 1, one.outcome, one.job) for one in reversed(found)]

    async def events(self, kind: type[log.Body]) -> list[log.Event]:
        return [one for one in await self.store.read.events(0, 1_000) if isinstance(one.body, kind)]

    async def run(self, job: int) -> int:
        def claim(tx: Transaction) -> claims.Claim:
            row = read_job(tx.connection, job)
            assert row is not None
            return claims.claim(tx, [row], lambda agent: True, "boot")[0]

        attempt = (await self.store.write(claim)).attempt.id
        await self.store.write(lambda tx: jobs.launched(tx, attempt, Launched(1, None, "/", None, None)))
        return attempt

    async def end(self, attempt: int, *, succeeded: bool = True) -> None:
        verdict = Settlement(Verdict(succeeded=succeeded), 0)
        await self.store.write(lambda tx: dependencies.after_end(tx, [jobs.settle(tx, attempt, verdict)]))


@pytest.fixture
async def clockwork(home: Path) -> AsyncIterator[Clockwork]:
    make_home(home)
    made: list[Clockwork] = []

    def now() -> int:
        return made[0].now if made else START

    store = await Store.open(home, clock=now)
    own = Schedules(
        store,
        Settings(default_agent="shell"),
        agents(),
        wake=lambda: None,
        stop=lambda job: made[0].stopped.append(job),
        draining=lambda: made[0].draining,
        clock=now,
    )
    made.append(Clockwork(store, own))
    yield made[0]
    await store.close()


async def test_a_job_is_submitted_at_each_time_and_says_where_it_is_from(clockwork: Clockwork) -> None:
    answer = await clockwork.add()
    assert answer.schedule is not None and answer.schedule.next[0] == START - 30_000 + HOUR
    assert answer.schedule.says.startswith("At the start of every hour")
    assert await clockwork.at(START + 30 * MINUTE) == START - 30_000 + HOUR
    assert await clockwork.rows() == []
    await clockwork.at(START - 30_000 + HOUR)
    (row,) = await clockwork.rows()
    assert (row.schedule, row.as_job().schedule, row.state) == ("hourly", "hourly", State.READY)
    (fired,) = await clockwork.events(log.ScheduleFired)
    assert fired.job == row.id and fired.body == log.ScheduleFired(name="hourly", fire_at=START - 30_000 + HOUR)
    for _ in range(3):
        await clockwork.at(clockwork.now)
    assert len(await clockwork.rows()) == 1, "however often one looks"


@pytest.mark.parametrize(
    ("more", "submitted", "missed"),
    [
        ({"missed": Missed.SKIP}, 0, 42),
        ({"missed": Missed.ONCE}, 1, 41),
        ({"missed": Missed.ALL, "most": 10}, 10, 32),
        ({"missed": Missed.ONCE, "deadline": "5m"}, 0, 42),
    ],
)
async def test_42_hours_without_an_engine(
    clockwork: Clockwork, more: dict[str, object], submitted: int, missed: int
) -> None:
    await clockwork.add(**more)
    await clockwork.at(START + 42 * HOUR + 20 * MINUTE)
    rows = await clockwork.rows()
    assert len(rows) == submitted
    (told,) = await clockwork.events(log.ScheduleMissed)
    assert isinstance(told.body, log.ScheduleMissed) and told.body.count == missed and told.body.why
    late = [one.body.late_ms for one in await clockwork.events(log.ScheduleFired)]  # type: ignore[union-attr]
    assert all(wait > 19 * MINUTE for wait in late)
    await clockwork.at(START + 43 * HOUR)
    assert len(await clockwork.rows()) == submitted + (0 if submitted else 1), "then it goes on as before"


async def test_what_is_caught_up_with_runs_one_after_another(clockwork: Clockwork) -> None:
    await clockwork.add(missed=Missed.ALL, overlap=Overlap.SKIP)
    await clockwork.at(START + 3 * HOUR + 20 * MINUTE)
    states = [row.state for row in await clockwork.rows()]
    assert states == [State.READY, State.BLOCKED, State.BLOCKED]
    await clockwork.end(await clockwork.run(1), succeeded=False)
    assert [row.state for row in await clockwork.rows()] == [State.FAILED, State.READY, State.BLOCKED]


async def test_overlap_skip_leaves_a_time_out_while_one_is_unfinished(clockwork: Clockwork) -> None:
    await clockwork.add()
    await clockwork.at(START + HOUR)
    attempt = await clockwork.run(1)
    await clockwork.at(START + 2 * HOUR)
    assert await clockwork.outcomes() == [(1, Outcome.FIRED, 1), (2, Outcome.SKIPPED, 1)]
    (told,) = await clockwork.events(log.ScheduleMissed)
    assert isinstance(told.body, log.ScheduleMissed) and told.body.why == "J1 of this schedule is unfinished"
    await clockwork.end(attempt)
    await clockwork.at(START + 3 * HOUR)
    assert [row.id for row in await clockwork.rows()] == [1, 2]


async def test_overlap_queue_waits_for_the_one_before(clockwork: Clockwork) -> None:
    await clockwork.add(overlap=Overlap.QUEUE)
    await clockwork.at(START + HOUR)
    attempt = await clockwork.run(1)
    await clockwork.at(START + 2 * HOUR)
    assert [row.state for row in await clockwork.rows()] == [State.RUNNING, State.BLOCKED]
    assert (await clockwork.store.read.spec((await clockwork.rows())[1])).on_failure is OnFailure.RUN
    await clockwork.end(attempt, succeeded=False)
    assert (await clockwork.rows())[1].state is State.READY


async def test_overlap_replace_ends_the_one_before_and_follows_it(clockwork: Clockwork) -> None:
    await clockwork.add(overlap=Overlap.REPLACE)
    await clockwork.at(START + HOUR)
    attempt = await clockwork.run(1)
    await clockwork.at(START + 2 * HOUR)
    first, second = await clockwork.rows()
    assert clockwork.stopped == [1] and first.stopping == "schedule hourly"
    assert second.state is State.BLOCKED, "not before its processes are gone"
    await clockwork.end(attempt, succeeded=False)
    assert [row.state for row in await clockwork.rows()] == [State.CANCELLED, State.READY]
    await clockwork.at(START + 3 * HOUR)
    assert [row.state for row in await clockwork.rows()] == [State.CANCELLED, State.CANCELLED, State.READY]
    assert clockwork.stopped == [1], "what has not started has nothing to be stopped"
    newest = (await clockwork.store.read.actions(1))[0]
    assert newest.verb == "schedule add", "nobody's action: undo does not bring the replaced ones back"


async def test_a_clock_that_is_set_back_fires_nothing_twice(clockwork: Clockwork) -> None:
    await clockwork.add(overlap=Overlap.QUEUE)
    await clockwork.at(START + 2 * HOUR)
    count = len(await clockwork.rows())
    await clockwork.at(START + HOUR - 5 * MINUTE)
    await clockwork.at(START + 2 * HOUR + 1)
    assert len(await clockwork.rows()) == count
    await clockwork.at(START + 3 * HOUR)
    assert len(await clockwork.rows()) == count + 1


async def test_a_clock_that_was_years_ahead_silences_nothing(clockwork: Clockwork) -> None:
    await clockwork.add(overlap=Overlap.QUEUE)
    await clockwork.at(START + HOUR)
    await clockwork.at(START + 1_000 * DAY)
    ahead = len(await clockwork.rows())
    await clockwork.at(START + 2 * HOUR - MINUTE)  # the schedule waits for its next time in the far future ...
    clockwork.schedules.wake()
    await clockwork.store.write(
        lambda tx: tx.connection.execute("UPDATE schedules SET next_fire_at = ?", (tx.now,)).close()
    )
    await clockwork.at(START + 2 * HOUR - MINUTE + 1)  # ... until it is looked at, as when the clock is set
    await clockwork.at(START + 3 * HOUR)
    assert len(await clockwork.rows()) > ahead


async def test_a_time_is_the_same_over_an_engine_that_ends_at_any_point(clockwork: Clockwork, home: Path) -> None:
    """Another engine reads what this one had written, and plans on."""
    await clockwork.add(missed=Missed.ALL, overlap=Overlap.QUEUE)
    clockwork.now = START + 3 * HOUR
    (stored,) = await clockwork.store.look(schedules.due)
    await clockwork.schedules.turn()
    before = await clockwork.rows()
    # The same row, planned once more by one that has not heard of it: nothing comes of it.
    await clockwork.schedules._come(stored)
    assert await clockwork.rows() == before
    # And where the mark was lost: the rows of its times still say so.
    await clockwork.store.write(
        lambda tx: tx.connection.execute("UPDATE schedules SET last_fire_at = ?, next_fire_at = 0", (START,)).close()
    )
    await clockwork.at(clockwork.now)
    assert await clockwork.rows() == before


async def test_a_job_that_would_not_be_accepted_is_told_and_the_next_time_comes(
    clockwork: Clockwork, tmp_path: Path
) -> None:
    place = tmp_path / "project"
    place.mkdir()
    await clockwork.add(job=JobSpec(prompt="true", agent="shell", project=str(place)))
    place.rmdir()
    await clockwork.at(START + HOUR)
    (told,) = await clockwork.events(log.ScheduleMissed)
    assert isinstance(told.body, log.ScheduleMissed) and "is not a directory" in told.body.why
    (schedule,) = await clockwork.schedules.every()
    assert "is not a directory" in (schedule.problem or "")
    assert schedule.last is not None and schedule.last.outcome is Outcome.FAILED
    place.mkdir()
    await clockwork.at(START + 2 * HOUR)
    assert len(await clockwork.rows()) == 1


async def test_a_key_of_an_unfinished_job_leaves_a_time_out(clockwork: Clockwork) -> None:
    await clockwork.add(job=JobSpec(prompt="true", agent="shell", key="one"), overlap=Overlap.QUEUE)
    await clockwork.add("other", job=JobSpec(prompt="true", agent="shell", key="one"))
    await clockwork.at(START + HOUR)
    assert len(await clockwork.rows()) == 1
    assert [one for _, one, _ in await clockwork.outcomes("other")] == [Outcome.SKIPPED]


async def test_a_pause_is_not_caught_up_with(clockwork: Clockwork) -> None:
    await clockwork.add(missed=Missed.ALL)
    await clockwork.order("hourly", ScheduleVerb.PAUSE)
    assert await clockwork.at(START + 10 * HOUR) is None
    assert not await clockwork.schedules.waits()
    (paused,) = await clockwork.schedules.every()
    assert paused.paused_by == "tester" and paused.next == []
    answer = await clockwork.order("hourly", ScheduleVerb.RESUME)
    assert answer.schedule is not None and answer.schedule.next[0] == START - 30_000 + 11 * HOUR
    await clockwork.at(START + 10 * HOUR + 5)
    assert await clockwork.rows() == []
    await clockwork.at(START + 11 * HOUR)
    assert len(await clockwork.rows()) == 1


async def test_what_is_said_to_it_in_the_wrong_order_is_refused(clockwork: Clockwork) -> None:
    await clockwork.add()
    with pytest.raises(RefusedError, match="there is a schedule 'hourly' already"):
        await clockwork.add()
    with pytest.raises(RefusedError, match="is not paused"):
        await clockwork.order("hourly", ScheduleVerb.RESUME)
    await clockwork.order("hourly", ScheduleVerb.PAUSE)
    with pytest.raises(RefusedError, match="is paused already, by tester"):
        await clockwork.order("hourly", ScheduleVerb.PAUSE)
    for verb in (ScheduleVerb.EDIT, ScheduleVerb.REMOVE, ScheduleVerb.PAUSE, ScheduleVerb.RUN):
        with pytest.raises(NotFoundError, match="there is no schedule 'nightly'"):
            await clockwork.order("nightly", verb)
    with pytest.raises(NotFoundError, match="there is no schedule 'houly'; did you mean 'hourly'"):
        await clockwork.order("houly", ScheduleVerb.PAUSE)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (ScheduleSpec(cron="60 * * * *", job=JobSpec(prompt="x")), "cron: minute: '60': 60 is not from 0 to 59"),
        (ScheduleSpec(cron="@daily", zone="Mars/Base", job=JobSpec(prompt="x")), "zone: there is no time zone"),
        (ScheduleSpec(cron="@daily", jitter="soon", job=JobSpec(prompt="x")), "jitter: 'soon' is no span of time"),
        (
            ScheduleSpec(cron="@daily", job=JobSpec(prompt="x", after=[1])),
            "job.after: each of its jobs is submitted alone",
        ),
        (
            ScheduleSpec(cron="@daily", job=JobSpec(prompt="x", agent="cluade")),
            "job: agent: there is no agent 'cluade'",
        ),
    ],
)
async def test_a_schedule_that_says_nothing_is_refused(clockwork: Clockwork, spec: ScheduleSpec, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        await clockwork.order("x", ScheduleVerb.ADD, spec)
    assert caught.value.message.startswith(said)
    assert await clockwork.schedules.every() == []


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, "a\nb"])
async def test_a_name_is_a_word(clockwork: Clockwork, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a schedule: letters, digits and"):
        await clockwork.add(name)


async def test_every_change_can_be_taken_back(clockwork: Clockwork) -> None:
    async def undo() -> str:
        return (await clockwork.store.write(lambda tx: actions.undo(tx, "tester", None, dry_run=False))).undone.said

    async def standing() -> list[tuple[str, str | None]]:
        return [(one.spec.cron, one.paused_by) for one in await clockwork.schedules.every()]

    await clockwork.add()
    changed = ScheduleSpec(cron="@daily", zone="UTC", job=JobSpec(prompt="true", agent="shell"))
    await clockwork.order("hourly", ScheduleVerb.EDIT, changed)
    await clockwork.order("hourly", ScheduleVerb.PAUSE)
    await clockwork.order("hourly", ScheduleVerb.REMOVE)
    assert await standing() == []
    clockwork.now += 5 * HOUR
    assert await undo() == "the schedule hourly is as it was, paused by tester"
    assert await standing() == [("@daily", "tester")]
    await undo()
    assert await standing() == [("@daily", None)]
    await undo()
    assert await standing() == [("0 * * * *", None)]
    await clockwork.at(clockwork.now)
    assert await clockwork.rows() == [], "times that came while it was away are not caught up with"
    assert await undo() == "the schedule hourly is removed"
    assert await standing() == []


async def test_what_has_changed_since_is_not_overwritten(clockwork: Clockwork) -> None:
    first = await clockwork.add()
    await clockwork.order("hourly", ScheduleVerb.PAUSE)
    taken = await clockwork.store.write(lambda tx: actions.undo(tx, "tester", first.action, dry_run=False))
    assert taken.undone.said == "the schedule hourly has changed since, and stays as it is"
    assert len(await clockwork.schedules.every()) == 1


async def test_a_dry_run_says_what_would_be_and_leaves_no_trace(clockwork: Clockwork) -> None:
    spec = ScheduleSpec(cron="@daily", zone="UTC", job=JobSpec(prompt="true", agent="shell"))
    answer = await clockwork.order("x", ScheduleVerb.ADD, spec, dry_run=True, upcoming=3)
    assert answer.schedule is not None and len(answer.schedule.next) == 3 and answer.action is None
    await clockwork.add()
    for verb in (ScheduleVerb.PAUSE, ScheduleVerb.REMOVE, ScheduleVerb.RUN):
        await clockwork.order("hourly", verb, dry_run=True)
    assert [(one.name, one.paused_by) for one in await clockwork.schedules.every()] == [("hourly", None)]
    assert await clockwork.rows() == []
    assert len(await clockwork.store.read.actions(10)) == 1


async def test_it_is_run_out_of_turn(clockwork: Clockwork) -> None:
    await clockwork.add()
    answer = await clockwork.order("hourly", ScheduleVerb.RUN)
    assert answer.job == 1 and (await clockwork.rows())[0].schedule == "hourly"
    assert [(one, job) for _, one, job in await clockwork.outcomes()] == [(Outcome.ASKED, 1)]
    clockwork.draining = True
    with pytest.raises(RefusedError, match="draining"):
        await clockwork.order("hourly", ScheduleVerb.RUN)
    assert await clockwork.at(START + 2 * HOUR) is None, "an engine that ends leaves the rest to the next"
    clockwork.draining = False
    await clockwork.at(START + 2 * HOUR)
    assert [one for _, one, _ in await clockwork.outcomes()] == [Outcome.ASKED, Outcome.MISSED, Outcome.SKIPPED]


async def test_a_new_cron_line_counts_from_now(clockwork: Clockwork) -> None:
    await clockwork.add("daily", "@daily", missed=Missed.ALL)
    await clockwork.at(START + 5 * HOUR)
    hourly = ScheduleSpec(cron="@hourly", zone="UTC", missed=Missed.ALL, job=JobSpec(prompt="true", agent="shell"))
    await clockwork.order("daily", ScheduleVerb.EDIT, hourly)
    await clockwork.at(START + 5 * HOUR + 1)
    assert await clockwork.rows() == []
    await clockwork.at(START + 6 * HOUR)
    assert len(await clockwork.rows()) == 1


def settings_of(folder: Path, text: str) -> Settings:
    (folder / "headway.yaml").write_text(text)
    return load_settings(folder / "headway.yaml", agents())


FILE_TEXT = """
schedules:
  nightly:
    cron: "30 2 * * *"
    zone: Europe/Berlin
    missed: all
    job: {prompt: "true", agent: shell}
"""


async def test_the_settings_file_keeps_its_own(clockwork: Clockwork, tmp_path: Path) -> None:
    async def started_with(text: str) -> None:
        own = clockwork.schedules
        own._settings = settings_of(tmp_path, text)
        await own._keep_to_the_file()

    await started_with(FILE_TEXT)
    await clockwork.add()
    nightly = (await clockwork.schedules.detail("nightly", 1)).schedule
    assert (nightly.by, nightly.zone) == (FILE, "Europe/Berlin")
    for verb in (ScheduleVerb.EDIT, ScheduleVerb.REMOVE):
        with pytest.raises(RefusedError, match=r"is said in headway\.yaml: change it there"):
            await clockwork.order("nightly", verb, nightly.spec)
    await clockwork.order("nightly", ScheduleVerb.PAUSE)
    await started_with(FILE_TEXT)
    assert (await clockwork.schedules.detail("nightly", 1)).schedule.paused_by == "tester", "a pause outlasts a start"
    await clockwork.order("nightly", ScheduleVerb.RESUME)
    await clockwork.at(clockwork.now)
    clockwork.now += 2 * DAY
    await started_with(FILE_TEXT)
    await clockwork.at(clockwork.now)
    assert len([row for row in await clockwork.rows() if row.schedule == "nightly"]) == 2, (
        "the outage is caught up with"
    )
    await started_with("max_running: 4\n")
    assert [one.name for one in await clockwork.schedules.every()] == ["hourly"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('cron: "30 25 * * *"', "line 4: schedules.nightly.cron: hour: '25': 25 is not from 0 to 23"),
        ("cron: '@dayly'", "line 4: schedules.nightly.cron: there is no '@dayly'; did you mean '@daily'?"),
        (
            'cron: "@daily"\n    zone: Europe/Berln',
            "line 5: schedules.nightly.zone: there is no time zone 'Europe/Berln'",
        ),
        (
            'cron: "@daily"\n    missed: never',
            "line 5: schedules.nightly.missed: 'never' is not valid; there are all, once, skip",
        ),
        ('cron: "@daily"\n    overlapp: skip', "line 5: schedules.nightly: no key 'overlapp'; did you mean 'overlap'?"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path, wrong: str, said: str) -> None:
    text = FILE_TEXT.replace('cron: "30 2 * * *"\n    zone: Europe/Berlin\n    missed: all', wrong)
    with pytest.raises(UsageError) as caught:
        settings_of(tmp_path, text)
    assert said in caught.value.message


async def test_the_log_tells_the_jobs_again(clockwork: Clockwork, home: Path) -> None:
    await clockwork.add(overlap=Overlap.REPLACE)
    await clockwork.at(START + 2 * HOUR)
    with closing(connect(home / DATABASE)) as connection:
        told = rebuild(connection)
    assert {row.id: row for row in await clockwork.rows()} == told
