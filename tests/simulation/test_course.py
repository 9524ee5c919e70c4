"""A simulated day keeps the laws: no job is lost or done twice, no slot is taken twice, and no cap is exceeded."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import hypothesis.strategies as st
from hypothesis import given, settings

from engine.dispatch.order import Line, Lineup
from engine.rehearsal.day import Kind, Trouble
from engine.simulation.course import Course
from engine.simulation.scenario import Accounts, Arrivals, Hosts, Loss, Quota, Scenario
from engine.simulation.tally import Load
from engine.store.rows import JobRow

_QUOTAS = st.lists(
    st.builds(Quota, calls=st.integers(1, 60), every=st.sampled_from(["20m", "1h", "5h"]), told=st.booleans()),
    max_size=1,
)
_ACCOUNTS = st.builds(
    Accounts,
    agent=st.sampled_from(["claude", "gemini", "llm"]),
    model=st.sampled_from([None, "large"]),
    count=st.integers(1, 3),
    slots=st.integers(1, 5),
    windows=_QUOTAS,
    reserve=st.sampled_from([0.0, 0.3]),
)
_TROUBLES = st.builds(
    Trouble,
    accounts=st.just(["one"]),
    begins=st.sampled_from(["10m", "1h", "3h"]),
    lasts=st.sampled_from(["5m", "40m"]),
)
_LOSSES = st.builds(Loss, begins=st.sampled_from(["20m", "2h"]), lasts=st.sampled_from(["1m", "1h"]))
SCENARIOS = st.builds(
    Scenario,
    about=st.just("small"),
    begins=st.just(datetime(2026, 11, 2, tzinfo=UTC)),
    lasts=st.sampled_from(["6h", "24h"]),
    hosts=st.builds(Hosts, count=st.integers(1, 3), slots=st.integers(1, 4), lost=st.lists(_LOSSES, max_size=2)),
    call=st.sampled_from(["30s", "2m"]),
    projects=st.integers(1, 3),
    accounts=st.fixed_dictionaries({"one": _ACCOUNTS, "two": _ACCOUNTS}),
    kinds=st.just({"quick": Kind(share=3, calls=(1, 4), priority=2), "long": Kind(share=1, calls=(9, 30), priority=8)}),
    arrivals=st.builds(Arrivals, jobs=st.integers(1, 120), hours=st.just([4.0, 1.0] * 2 + [0.5] * 20)),
    outages=st.lists(_TROUBLES, max_size=1),
    crashes=st.sampled_from([0.0, 0.2]),
    reroutes=st.sampled_from([0.0, 0.5]),
)


def waits(course: Course) -> list[JobRow]:
    """The jobs that stand in the lines, in the order of their ranks within each."""
    return [
        row
        for waiting in course.waiting.values()
        for *_, number, row in sorted(waiting.heap, key=lambda one: one[:2])
        if waiting.places.get(row.id) == number
    ]


def check(course: Course) -> None:
    standing, running = [row.id for row in waits(course)], list(course.attempts)
    later = [number for number, job in course.jobs.items() if job.row.not_before is not None]
    held = [number for number, job in course.jobs.items() if job.row.held_by is not None]
    places = Counter([*standing, *running, *later, *held])
    assert set(places) == set(course.jobs) and max(places.values(), default=1) == 1, "each job is in one place"
    assert course.submitted == course.done + course.failed + len(course.jobs), "jobs in are jobs out and jobs that wait"
    assert len(held) == course.held

    world, attempts = course.world, course.attempts.values()
    counted = Counter(scope for one in attempts for scope in one.lane.scopes)
    assert {scope: n for scope, n in world.running.items() if n} == counted, "each attempt has one slot"
    assert all(counted[scope] <= cap for scope, cap in world.caps.items()), "no cap is exceeded"
    on = Counter(one.host.number for one in attempts)
    for host in course.places.hosts:
        assert on[host.number] == host.running <= (0 if host.lost else host.slots)
    for account in course.accounts.values():
        assert account.supply.working == sum(one.since is not None for one in account.running)
        assert all(one.used <= one.calls for one in account.supply.meters)


@settings(max_examples=40, deadline=None)
@given(SCENARIOS, st.integers(0, 3))
def test_no_job_is_lost_no_slot_is_taken_twice_and_no_cap_is_exceeded(scenario: Scenario, seed: int) -> None:
    course = Course(scenario, seed)
    take = course.lineup.take

    def chosen(room: int) -> list[JobRow]:
        lanes: dict[object, list[JobRow]] = {}
        for row in waits(course):
            lanes.setdefault((row.account, row.project, row.kind), []).append(row)
        lines = [
            Line(waiting.lane, rows[0], iter(rows[1:]))
            for named, waiting in course.waiting.items()
            if (rows := lanes.get(named))
        ]
        anew = Lineup(course.world.copy(), lines).take(room)
        found = take(room)
        assert found == anew, "what is kept in order chooses what a new line-up would"
        return found

    course.lineup.take = chosen  # type: ignore[method-assign]
    while course.step():
        check(course)
    course.run()
    tally = course.tally
    assert (
        sum(tally.ends.values())
        == sum(tally.seconds[Load.SETTLES])
        == sum(tally.seconds[Load.CLAIMS]) - len(course.attempts)
    )
    assert tally.ends["succeeded"] == course.done == sum(map(len, tally.flows.values()))
    assert tally.busy <= tally.offered


@settings(max_examples=10, deadline=None)
@given(SCENARIOS, st.integers(0, 3))
def test_the_same_seed_gives_the_same_day(scenario: Scenario, seed: int) -> None:
    one, other = Course(scenario, seed), Course(scenario, seed)
    one.run()
    other.run()
    assert (one.tally, one.done, one.failed) == (other.tally, other.done, other.failed)
