"""Scenarios as they are read and sized, and what a day of one comes to."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.errors import UsageError
from engine.rehearsal.day import Kind, Trouble
from engine.simulation.course import Course
from engine.simulation.report import report
from engine.simulation.scenario import Accounts, Arrivals, Hosts, Quota, Scenario, names, read, sized
from engine.simulation.supply import Answer
from engine.simulation.tally import Load

#: Two accounts of one project, whose windows are small for what comes in the first hour.
NARROW = Scenario(
    about="narrow",
    begins=datetime(2026, 11, 2, tzinfo=UTC),
    hosts=Hosts(count=2, slots=10),
    call="1m",
    accounts={"seat": Accounts(agent="claude", count=2, slots=10, windows=[Quota(calls=300, every="5h")])},
    kinds={"usual": Kind(share=1, calls=(5, 15))},
    arrivals=Arrivals(jobs=100, hours=[1.0] + [0.0] * 23),
)


def played(scenario: Scenario) -> Course:
    course = Course(scenario)
    course.run()
    return course


def test_a_closed_window_is_met_by_what_runs_and_by_one_canary_at_a_time() -> None:
    course = played(NARROW)
    found = report("narrow", course, 1)
    assert found.done == 100 and found.failed == found.held == 0
    assert sum(one.closures for one in found.windows) >= 2
    # What ran when a window closed, and no more: whoever starts after its end is served.
    assert 0 < found.refused["closed"] <= 10 * sum(one.closures for one in found.windows)
    assert found.attempts["rate_limited"] == found.refused["closed"]
    assert found.kinds[0].wait.most > 60 * 60_000, "what came last had to wait for the next window"


def test_jobs_go_to_another_account_only_where_they_may_and_their_own_is_closed() -> None:
    # Those of one account only, so that the other one stays open.
    uneven = replace(NARROW, accounts={"seat": replace(NARROW.accounts["seat"], count=3)}, reroutes=1.0, patience="1m")
    assert played(replace(uneven, reroutes=0.0)).moved == 0
    wide = {"seat": replace(uneven.accounts["seat"], windows=[Quota(calls=100_000, every="5h")])}
    assert played(replace(uneven, accounts=wide)).moved == 0
    course = played(uneven)
    assert course.moved > 0
    assert course.done == course.submitted == 100


def test_an_outage_stops_all_of_its_accounts_and_its_end_lets_them_go_on() -> None:
    wide = {"seat": replace(NARROW.accounts["seat"], windows=[])}
    course = played(replace(NARROW, accounts=wide, outages=[Trouble(accounts=["seat"], begins="20m", lasts="30m")]))
    assert course.tally.refused[Answer.OUTAGE] > 0 and course.tally.refused[Answer.CLOSED] == 0
    # What ran is refused by its next call. After that the breakers let one go ahead of each account now and then.
    within = course.tally.seconds[Load.SETTLES][21 * 60 + 3 : 50 * 60]
    assert 0 < sum(within) <= 2 * 8
    assert course.done == 100


def test_a_smaller_fleet_is_as_busy_as_the_whole() -> None:
    whole = read()
    small = sized(whole, agents=1_000)
    assert (small.agents, small.hosts.count, small.arrivals.jobs) == (1_000, 50, whole.arrivals.jobs // 10)
    assert small.accounts["seat"].count == whole.accounts["seat"].count // 10
    assert sized(whole, hosts=100).hosts.slots == 100


def test_the_shipped_scenarios_can_be_read() -> None:
    assert names() == ["fleet"]
    assert read("fleet").agents == 10_000


def test_the_rate_of_a_recorded_day_can_be_taken() -> None:
    day = replace(NARROW, arrivals=Arrivals(jobs=10, day="weather"))
    assert len(day.weights) == 24
    assert day.weights[0] == pytest.approx(4 + 7 * 0.5 / 9) and day.weights[20] == 0
    assert sum(day.weights) == pytest.approx(15)


@pytest.mark.parametrize(
    ("was", "now", "complaint"),
    [
        ("2026-11-02T00:00:00Z", "2026-11-02T00:00:00", "time zone"),
        ("accounts: [seat], begins: 10h", "accounts: [seats], begins: 10h", "no accounts 'seats'"),
        ("hours: [2, 1, ", "hours: [", "a day has 24"),
        ("startup: 3s", "startup: soon", "no span of time"),
        ("calls: [2, 6]", "calls: [6, 2]", "from few to many"),
        ("crashes: 0.01", "crashs: 0.01", "crashs"),
    ],
)
def test_a_mistake_in_a_scenario_is_told_with_its_file(tmp_path: Path, was: str, now: str, complaint: str) -> None:
    text = (Path(__file__).parents[2] / "engine/simulation/scenarios/fleet.yaml").read_text()
    assert was in text
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(was, now, 1))
    with pytest.raises(UsageError, match=r"mine\.yaml") as refused:
        read(str(path))
    assert complaint in str(refused.value)


def test_the_command_prints_the_same_for_the_same_seed() -> None:
    command = [sys.executable, "-m", "console.cli", "simulate", "--agents", "40", "--writer", "1000", "--json"]
    one, other = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert one == other
    found = json.loads(one)
    assert found["came"] == found["done"] + found["failed"] + found["held"] + found["running"] + found["waiting"]
    assert found["writer"]["rate"] == 1000 and found["agents"] == 40
