"""The heaps of the order against the rule in its plainest form, which looks at every line for every job it takes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from engine.dispatch.eligibility import of_lane
from engine.dispatch.forecast import forecast
from engine.dispatch.order import Line, Lineup, since
from engine.dispatch.world import Memory, World
from engine.model import ALL, Breaker, Failure
from engine.store.lanes import Lane
from engine.store.queue import History, Queue, Took
from engine.store.rows import JobRow, lane_of
from tests.dispatch.samples import HOUR, NOW, job, lines, world


def plainly(waiting: Iterable[Line], there: World, room: int) -> list[JobRow]:
    """What starts, by the words of its module: quadratic, and nothing is kept from one job to the next."""
    left = list(waiting)
    chosen: list[JobRow] = []

    def urgency(line: Line) -> tuple[float, ...]:
        project = line.lane.project
        waits = max(since(line.head), there.served.get(project, 0))
        return there.level(line.lane.priority, waits), there.load(project), line.head.rank, line.head.id

    def turn(line: Line) -> tuple[float, ...]:
        return there.level(line.lane.priority, since(line.head)), line.head.rank, line.head.id

    while len(chosen) < room and (left := [line for line in left if not of_lane(line.lane, there)]):
        project = min(left, key=urgency).lane.project
        best = min((line for line in left if line.lane.project == project), key=turn)
        chosen.append(best.head)
        there.start(best.lane)
        if (following := next(best.rest, None)) is None:
            left.remove(best)
        else:
            best.head = following
    return chosen


_WAITS = st.integers(-2, 12).map(lambda n: NOW - n * HOUR // 2)
_JOBS = st.builds(
    dict,
    agent=st.sampled_from(["claude", "shell"]),
    project=st.sampled_from([None, "/a", "/b", "/c"]),
    tags=st.sampled_from(["", " gpu ", " gpu slow ", " x ", " y "]),
    priority=st.integers(0, 9),
    rank=st.integers(0, 30),
    created_at=_WAITS,
    started_at=st.none() | _WAITS,
)
_SCOPES = st.sampled_from(["agent:claude", "agent:shell", "project:/a", "tag:gpu", "tag:slow", "target:shell"])
_BREAKERS = st.sampled_from(
    [Breaker("shell", Failure.CRASHED, (), NOW + HOUR, 1, 1), Breaker("shell", Failure.CRASHED, (), NOW - 1, 1, 2)]
)
_WORLDS = st.builds(
    lambda slots, breakers, **fields: world(slots, breakers={one.target: one for one in breakers}, **fields),
    slots=st.integers(0, 12),
    breakers=st.lists(_BREAKERS, max_size=1),
    caps=st.dictionaries(_SCOPES, st.integers(0, 4)),
    running=st.dictionaries(st.sampled_from([ALL, "project:/a", "tag:gpu"]), st.integers(0, 3)).map(dict),
    holds=st.dictionaries(_SCOPES, st.just("ann"), max_size=1),
    served=st.dictionaries(st.sampled_from([None, "/a", "/b"]), _WAITS).map(dict),
    shares=st.just({"/b": 2.0}),
    ageing=st.sampled_from([0, HOUR // 2, HOUR]),
    memory=st.sampled_from([Memory(), Memory(100, {"claude": 40, "shell": 15})]),
)


def rows_of(wanted: Iterable[dict[str, object]]) -> list[JobRow]:
    return [job(number, **fields) for number, fields in enumerate(wanted, 1)]  # type: ignore[arg-type]


@settings(max_examples=200)
@given(st.lists(_JOBS, max_size=25), _WORLDS, st.integers(1, 30))
def test_the_heaps_choose_what_the_plain_rule_does(wanted: list[dict[str, object]], there: World, room: int) -> None:
    rows = rows_of(wanted)
    plain = there.copy()
    assert Lineup(there, lines(rows)).take(room) == plainly(lines(rows), plain, room)
    assert (there.running, there.served) == (plain.running, plain.served)


@settings(max_examples=100)
@given(st.lists(_JOBS, max_size=25), _WORLDS, st.integers(1, 4))
def test_to_choose_in_several_goes_comes_to_what_one_go_does(
    wanted: list[dict[str, object]], there: World, room: int
) -> None:
    """The dispatcher takes so many at a time, the preview all of them."""
    rows = rows_of(wanted)
    at_once = Lineup(there.copy(), lines(rows)).take(1 << 20)
    left, taken = list(rows), list[JobRow]()
    while chosen := Lineup(there, lines(left)).take(room):
        taken += chosen
        left = [row for row in left if row not in chosen]
    assert taken == at_once


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.lists(_JOBS, max_size=4), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=8),
    _WORLDS,
)
def test_a_lineup_that_is_kept_while_time_goes_on_chooses_what_a_new_one_would(
    moments: list[tuple[list[dict[str, object]], int, int]], there: World
) -> None:
    """In the forecast it lives from the first happening to the last: jobs come, attempts end, hours pass."""
    lineup, numbers = Lineup(there), count(1)
    waiting: dict[Lane, list[JobRow]] = {}
    kept: dict[Lane, Line] = {}
    running: list[Lane] = []

    def rest(lane: Lane) -> Iterable[JobRow]:
        while True:
            waiting[lane].pop(0)
            if not waiting[lane]:
                return
            yield waiting[lane][0]

    for arriving, hours, ending in moments:
        there.now += hours * HOUR // 2
        for lane in running[:ending]:
            lineup.end(lane)
        del running[:ending]
        for fields in arriving:
            row = job(next(numbers), **fields)  # type: ignore[arg-type]
            lane = lane_of(row)
            behind = waiting.setdefault(lane, [])
            behind.append(row)
            behind.sort(key=lambda one: (one.rank, one.id))
            if behind[0] is row:
                line = kept.setdefault(lane, Line(lane, row, iter(())))
                line.head, line.rest = row, iter(rest(lane))
                lineup.put(line)
        lineup.look_again()
        expected = plainly(lines([row for behind in waiting.values() for row in behind]), there.copy(), 3)
        chosen = lineup.take(3)
        assert chosen == expected
        running += [lane_of(row) for row in chosen]


_TOOK = st.dictionaries(st.sampled_from(["claude", "shell"]), st.integers(0, 3 * HOUR).map(lambda n: Took(n, 2 * n, 3)))


@settings(max_examples=100)
@given(st.lists(_JOBS, max_size=25), _WORLDS, _TOOK)
def test_what_the_forecast_starts_now_is_what_starts_now(
    wanted: list[dict[str, object]], there: World, took: dict[str, Took]
) -> None:
    """With caps, holds, breakers on their way and little memory, and with durations down to nothing."""
    rows = rows_of(wanted)
    found = forecast(Queue({row.id: row for row in rows}), there, History(by_target=took))
    starts = {number for number, one in found.items() if one.start == there.now}
    assert starts == {row.id for row in Lineup(there, lines(rows)).take(100)}


def steps(count_of: int, **varied: str) -> int:
    """How often two keys are worked out to start one of so many jobs, each in a lane of its own."""
    asked = [0]

    class Counted(World):
        def level(self, priority: int, since: int) -> int:
            asked[0] += 1
            return World.level(self, priority, since)

    there = Counted(NOW, caps={ALL: 3})
    rows = [job(n, **{key: form.format(n) for key, form in varied.items()}) for n in range(1, count_of + 1)]
    assert len(Lineup(there, lines(rows)).take(64)) == 3
    return asked[0]


@pytest.mark.parametrize("varied", [{"tags": " t{} "}, {"project": "/p{}"}])
def test_a_lane_for_each_job_costs_what_their_number_does_and_not_its_square(varied: dict[str, str]) -> None:
    assert steps(4_000, **varied) < 5 * steps(1_000, **varied)


@pytest.mark.parametrize("varied", [{"tags": " t{} "}, {"project": "/p{}"}])
def test_a_forecast_of_a_lane_for_each_job_costs_no_square_either(varied: dict[str, str]) -> None:
    asked = [0]

    class Counted(World):
        def level(self, priority: int, since: int) -> int:
            asked[0] += 1
            return World.level(self, priority, since)

    def steps(count_of: int) -> int:
        asked[0] = 0
        rows = [job(n, **{key: form.format(n) for key, form in varied.items()}) for n in range(1, count_of + 1)]
        history = History(by_target={"claude": Took(1_000, 2_000, 3)})
        found = forecast(Queue({row.id: row for row in rows}), Counted(NOW, caps={ALL: 2}), history)
        assert max(one.finish or 0 for one in found.values()) == NOW + count_of * 500
        return asked[0]

    assert steps(1_000) < 6 * steps(250)
