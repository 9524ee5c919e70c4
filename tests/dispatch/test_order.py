"""Who goes first: priority, ageing, fair shares, places; and caps that are kept without leaving a slot idle."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.dispatch.eligibility import reasons
from engine.dispatch.order import Lineup
from engine.dispatch.world import Memory, World
from engine.model import ALL
from engine.store.rows import JobRow, lane_of
from tests.dispatch.samples import HOUR, NOW, job, lines, world


def order(rows: list[JobRow], there: World, room: int = 100) -> list[int]:
    return [row.id for row in Lineup(there, lines(rows)).take(room)]


def test_priority_first_and_then_the_place() -> None:
    rows = [job(1, priority=5), job(2, priority=1), job(3, priority=9), job(4, priority=1), job(5, priority=0)]
    assert order(rows, world(10)) == [5, 2, 4, 1, 3]


def test_no_more_than_there_is_room_for() -> None:
    assert order([job(n) for n in range(1, 9)], world(10), 3) == [1, 2, 3]


def test_of_equal_priority_the_project_with_the_fewest_running_goes_first() -> None:
    flood = [job(n, project="/a") for n in range(1, 7)]
    trickle = [job(n, project="/b") for n in range(7, 9)]
    assert order([*flood, *trickle], world(5)) == [1, 7, 2, 8, 3]


def test_a_share_weighs() -> None:
    rows = [job(n, project="/a") for n in range(1, 9)] + [job(n, project="/b") for n in range(9, 17)]
    chosen = order(rows, world(9, shares={"/a": 2.0}))
    assert Counter("/a" if n < 9 else "/b" for n in chosen) == {"/a": 6, "/b": 3}


def test_a_flood_of_old_jobs_does_not_starve_a_project_that_comes_later() -> None:
    """The flood has waited for hours, and is served all the while: its waiting is worth nothing."""
    flood = [job(n, project="/a", created_at=NOW - 10 * HOUR) for n in range(1, 50)]
    there = world(2, served={"/a": NOW}, running={ALL: 1, "project:/a": 1})
    assert order([*flood, job(99, project="/b")], there) == [99]


def test_an_unserved_project_rises_by_one_for_each_hour() -> None:
    urgent = [job(n, project="/a", priority=0) for n in range(1, 20)]
    patient = job(99, project="/b", priority=9, created_at=NOW - 8 * HOUR)
    assert order([*urgent, patient], world(1))[0] == 1
    waited = job(99, project="/b", priority=9, created_at=NOW - 9 * HOUR)
    there = world(2, running={ALL: 1, "project:/a": 1}, served={"/a": NOW})
    assert order([*urgent, waited], there) == [99], "nine hours have made it as urgent as any"
    assert order([*urgent, waited], world(2, ageing=0, running={ALL: 1, "project:/a": 1})) == [1]


@pytest.mark.parametrize("project", ["/a", "/b"])
def test_nothing_starves(project: str) -> None:
    """One slot, endless urgent work of one project, one least urgent job: it starts within nine hours."""
    there = world(1)
    waits = job(1, project=project, priority=9)
    for hour in range(10):
        there.now = NOW + hour * HOUR
        urgent = [job(100 * hour + n, project="/a", priority=0, created_at=there.now) for n in range(2, 5)]
        (chosen,) = Lineup(there, lines([*urgent, waits])).take(1)
        if chosen.id == waits.id:
            assert hour <= 9
            return
        there.end(lane_of(chosen))
    raise AssertionError("it starved")


def test_memory_is_kept_for_each_attempt_that_is_started() -> None:
    there = world(10, memory=Memory(100, {"claude": 40}))
    assert order([job(n) for n in range(1, 6)], there) == [1, 2]
    assert order([job(1), job(2, agent="shell")], world(10, memory=Memory(10, {"claude": 40}))) == [2]


_AGENTS = st.sampled_from(["claude", "codex", "shell"])
_PROJECTS = st.sampled_from([None, "/a", "/b"])
_TAGS = st.sampled_from(["", " gpu ", " gpu slow "])
_SCOPES = st.sampled_from(["agent:claude", "agent:shell", "project:/a", "tag:gpu", "tag:slow", "target:codex"])
_QUEUES = st.lists(st.tuples(_AGENTS, _PROJECTS, _TAGS, st.integers(0, 3)), max_size=25)


@given(
    _QUEUES, st.integers(0, 6), st.dictionaries(_SCOPES, st.integers(0, 4)), st.dictionaries(_SCOPES, st.integers(0, 3))
)
def test_caps_are_kept_and_no_eligible_job_is_left_while_a_slot_is_free(
    queue: list[tuple[str, str | None, str, int]], slots: int, caps: dict[str, int], running: dict[str, int]
) -> None:
    rows = [
        job(number, agent=agent, project=project, tags=tags, priority=priority)
        for number, (agent, project, tags, priority) in enumerate(queue, 1)
    ]
    there = world(slots, caps=caps, running=dict(running))
    chosen = Lineup(there, lines(rows)).take(100)
    assert len({row.id for row in chosen}) == len(chosen)
    for scope, cap in there.caps.items():
        begun = sum(scope in lane_of(row).scopes for row in chosen)
        assert begun <= max(0, cap - running.get(scope, 0)), scope
    for row in rows:
        if row not in chosen:
            assert reasons(row, there), f"{row.agent} {row.id} could have started"
