"""When schedules fire: cron lines, time zones, changes of the clock, and what becomes of times that were missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from engine.model import JobSpec
from engine.schedule import Missed, ScheduleSpec
from engine.timetable import (
    COUNTED,
    NICKNAMES,
    CronError,
    five_fields,
    in_words,
    plan,
    shifted,
    times,
    upcoming,
    zone_of,
)

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NEW_YORK, SYDNEY, HOWE = "America/New_York", "Australia/Sydney", "Australia/Lord_Howe"


def spec(cron: str = "0 * * * *", **more: object) -> ScheduleSpec:
    return ScheduleSpec(cron=cron, job=JobSpec(prompt="x"), **more)  # type: ignore[arg-type]


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def local(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next times as a wall shows them."""
    moments = islice(times(cron, zone, ms(after)), count)
    return [f"{datetime.fromtimestamp(at / 1000, ZoneInfo(zone)):%d %H:%M %Z}" for at in moments]


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("@dayly", "there is no '@dayly'; did you mean '@daily'?"),
        ("@reboot", "there is no '@reboot'; there are @yearly, "),
        ("60 * * * *", "minute: '60': 60 is not from 0 to 59"),
        ("* 24 * * *", "hour: '24': 24 is not from 0 to 23"),
        ("* * 0 * *", "day of the month: '0': 0 is not from 1 to 31"),
        ("* * * * MOM", "day of the week: 'MOM': 'MOM' is nothing here; did you mean MON?"),
        ("a * * * *", "minute: 'a': 'A' is nothing here; write numbers from 0 to 59, * or */5"),
        ("5-1 * * * *", "minute: '5-1' ends before it begins: write 5-59,0-1"),
        ("0 0 * * FRI-MON", "day of the week: 'FRI-MON' ends before it begins: write FRI-SAT,SUN-MON"),
        ("1-2-3 * * * *", "minute: '1-2-3': write a range as 1-5"),
        ("*/0 * * * *", "minute: '*/0': a step is a number from 1 on, as */15"),
        ("0 0 * * FRI#6", "day of the week: 'FRI#6': after # stands which of the month, 1 to 5"),
        ("0 0 31 2 *", "'0 0 31 2 *' never comes, by its day-of-month"),
        ("* * * *", "'* * * *' has 4 fields, not 5: minute hour day month weekday"),
        ("0 0 * * * *", "'0 0 * * * *' has 6 fields, not 5"),
        ("", "'' has 1 fields, not 5"),
    ],
)
def test_a_line_that_says_nothing_says_how_to_mend_it(cron: str, said: str) -> None:
    with pytest.raises(CronError) as caught:
        five_fields(cron)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("@daily", "At 00:00 every day"),
        ("30 2 * * MON-FRI", "At 02:30 on Monday through Friday"),
        ("0 0 L * *", "At 00:00 on the last day of every month"),
        ("0 9 * * FRI#2", "At 09:00 on the second Friday of the month"),
        ("0 9 * * 7", "At 09:00 on Sunday"),
    ],
)
def test_a_line_is_told_in_words(cron: str, words: str) -> None:
    assert in_words(cron) == words
    assert five_fields(f"  {cron.lower()}  ").split() == five_fields(cron).lower().split()


def test_every_nickname_is_a_line() -> None:
    for name in NICKNAMES:
        assert five_fields(five_fields(name)) == five_fields(name)


def test_spring_skips_no_run_and_fall_doubles_none() -> None:
    """As Debian's cron: what the clock skips comes right after; what it repeats comes once."""
    assert local("30 2 * * *", NEW_YORK, "2026-03-07T12:00Z", 3) == ["08 03:00 EDT", "09 02:30 EDT", "10 02:30 EDT"]
    assert local("30 1 * * *", NEW_YORK, "2026-10-31T12:00Z", 2) == ["01 01:30 EDT", "02 01:30 EST"]
    assert local("30 2 * * *", SYDNEY, "2026-10-03T12:00Z", 2) == ["04 03:00 AEDT", "05 02:30 AEDT"]
    assert local("30 2 * * *", SYDNEY, "2026-04-04T02:00Z", 2) == ["05 02:30 AEDT", "06 02:30 AEST"]


def test_what_comes_each_hour_goes_on_by_the_real_time() -> None:
    spring = local("0 * * * *", NEW_YORK, "2026-03-08T05:30Z", 3)
    assert spring == ["08 01:00 EST", "08 03:00 EDT", "08 04:00 EDT"]
    fall = local("0 * * * *", NEW_YORK, "2026-11-01T04:30Z", 4)
    assert fall == ["01 01:00 EDT", "01 01:00 EST", "01 02:00 EST", "01 03:00 EST"]
    half = list(islice(times("0 * * * *", HOWE, ms("2026-04-04T13:30Z")), 5))
    assert {b - a for a, b in pairwise(half)} <= {HOUR, 3 * HOUR // 2, HOUR // 2}


def test_one_that_begins_in_the_second_half_of_a_doubled_hour_is_not_given_its_first_half() -> None:
    inside = ms("2026-11-01T06:10Z")  # 01:10 EST, the second one
    (first,) = islice(times("30 1 * * *", NEW_YORK, inside), 1)
    assert first > inside
    assert local("30 1 * * *", NEW_YORK, "2026-11-01T06:10Z", 1) == ["02 01:30 EST"]


@given(
    st.sampled_from(
        ["* * * * *", "*/7 * * * *", "30 2 * * *", "0 */5 * * *", "15 1,2,3 * * *", "0 0 29 2 *", "@weekly"]
    ),
    st.sampled_from([NEW_YORK, SYDNEY, HOWE, "UTC", "Europe/Berlin", "Africa/Casablanca", "Pacific/Apia"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)),
)
@limits(deadline=None, max_examples=200)
def test_times_only_ever_go_forward(cron: str, zone: str, start: datetime) -> None:
    after = round(start.replace(tzinfo=UTC).timestamp() * 1000)
    found = [after, *islice(times(cron, zone, after), 5)]
    assert all(a < b for a, b in pairwise(found))
    assert all(at % 1000 == 0 for at in found[1:])


def test_zones_are_those_of_the_iana_database(tmp_path: Path) -> None:
    assert zone_of("Europe/Berlin") == "Europe/Berlin"
    with pytest.raises(CronError, match=r"there is no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'\?"):
        zone_of("Europe/Berln")
    with pytest.raises(CronError, match="there is no time zone"):
        zone_of("../../etc/passwd")
    assert zone_of(None, {"TZ": ":Asia/Tokyo"}) == "Asia/Tokyo"
    (tmp_path / "zoneinfo" / "Europe").mkdir(parents=True)
    (tmp_path / "zoneinfo" / "Europe" / "Paris").touch()
    (tmp_path / "localtime").symlink_to(tmp_path / "zoneinfo" / "Europe" / "Paris")
    assert zone_of(None, {}, tmp_path / "localtime") == "Europe/Paris"
    assert zone_of(None, {"TZ": "EST5EDT,M3.2.0"}, tmp_path / "none") == "UTC"


def test_jitter_is_the_same_however_often_it_is_asked_and_never_too_much() -> None:
    at = ms("2026-05-01T00:00Z")
    moved = {shifted("nightly", 5 * MINUTE, at + n * DAY) - at - n * DAY for n in range(200)}
    assert all(0 <= offset <= 5 * MINUTE for offset in moved) and len(moved) > 150
    assert shifted("nightly", 5 * MINUTE, at) == shifted("nightly", 5 * MINUTE, at) != shifted("x", 5 * MINUTE, at)
    assert shifted("nightly", 0, at) == at


LAST = ms("2026-06-01T00:00:00Z")
BACK = LAST + 42 * HOUR + 20 * MINUTE  #: an engine that was away for 42 hours


@pytest.mark.parametrize(
    ("more", "fires", "missed"),
    [
        ({"missed": Missed.SKIP}, [], 42),
        ({"missed": Missed.ONCE}, [42], 41),
        ({"missed": Missed.ALL, "most": 100}, list(range(1, 43)), 0),
        ({"missed": Missed.ALL, "most": 5}, [38, 39, 40, 41, 42], 37),
        ({"missed": Missed.ONCE, "deadline": "10m"}, [], 42),
        ({"missed": Missed.ALL, "most": 100, "deadline": "3h"}, [40, 41, 42], 39),
    ],
)
def test_an_outage_of_42_hours(more: dict[str, object], fires: list[int], missed: int) -> None:
    made = plan("s", spec(**more), "UTC", LAST, BACK)
    assert [(at - LAST) // HOUR for at, _ in made.fires] == fires
    assert all(late for _, late in made.fires)
    assert (made.missed, made.counted) == (missed, True)
    assert made.decided == LAST + 42 * HOUR and made.next == LAST + 43 * HOUR
    assert bool(made.why) is (missed > 0)


def test_an_engine_that_comes_back_at_the_minute_runs_what_is_due_and_by_once_no_more() -> None:
    now = LAST + 42 * HOUR + 5_000
    for policy, fires in ((Missed.SKIP, 1), (Missed.ONCE, 1), (Missed.ALL, 25)):
        made = plan("s", spec(missed=policy), "UTC", LAST, now)
        assert len(made.fires) == fires
        assert made.fires[-1] == (LAST + 42 * HOUR, False), "what is at its time is not late"


def test_a_moment_late_is_no_miss() -> None:
    made = plan("s", spec(missed=Missed.SKIP), "UTC", LAST, LAST + HOUR + 59_000)
    assert (made.fires, made.missed) == (((LAST + HOUR, False),), 0)
    assert plan("s", spec(), "UTC", LAST, LAST + HOUR - 1).fires == ()
    assert plan("s", spec(), "UTC", LAST, LAST + HOUR - 1).next == LAST + HOUR


def test_a_time_comes_once_its_jitter_is_over() -> None:
    jittered = spec("@daily", jitter="2h")
    at = shifted("s", 2 * HOUR, LAST + DAY)
    assert plan("s", jittered, "UTC", LAST, at - 1).fires == ()
    assert plan("s", jittered, "UTC", LAST, at - 1).next == at
    assert plan("s", jittered, "UTC", LAST, at).fires == ((LAST + DAY, False),)
    assert upcoming("s", jittered, "UTC", LAST, LAST, 1) == [at]


@pytest.mark.parametrize("policy", list(Missed))
def test_a_year_without_an_engine_is_a_short_plan(policy: Missed) -> None:
    now = LAST + 365 * DAY
    made = plan("s", spec("* * * * *", missed=policy, most=3), "UTC", LAST, now)
    assert made.decided == now and made.next == now + MINUTE and not made.counted
    assert made.missed >= COUNTED - 1
    assert [at for at, _ in made.fires][-1] == now
    assert len(made.fires) == {"skip": 2, "once": 2, "all": 5}[policy], "two are of this minute, three of before"


@given(
    st.sampled_from(["* * * * *", "*/13 * * * *", "30 2 * * *", "0 9 * * MON"]),
    st.sampled_from([NEW_YORK, SYDNEY, "UTC"]),
    st.sampled_from(list(Missed)),
    st.integers(0, 20),
    st.lists(st.integers(0, 3 * DAY), min_size=1, max_size=5),
)
@limits(deadline=None, max_examples=120)
def test_each_time_is_decided_once_however_often_one_looks(
    cron: str, zone: str, policy: Missed, jitter: int, steps: list[int]
) -> None:
    asked = spec(cron, missed=policy, most=3, jitter=f"{jitter}m")
    last = now = ms("2026-03-07T00:00Z")
    decided: list[int] = []
    for step in steps:
        now += step
        made = plan("s", asked, zone, last, now)
        decided += [at for at, _ in made.fires]
        assert made.decided is None or last < made.decided <= now
        last = made.decided or last
        assert made.next is not None and made.next > now
    assert decided == sorted(set(decided)), "in their order, and none of them twice"


def test_two_days_of_an_engine_that_looks_at_each_time_fire_each_once() -> None:
    """Over the spring change of New York."""
    last = ms("2026-03-07T05:00Z")
    end, fired = last + 2 * DAY, []
    while True:
        made = plan("s", spec("0 */2 * * *"), NEW_YORK, last, last)
        if made.next is None or made.next > end:
            break
        made = plan("s", spec("0 */2 * * *"), NEW_YORK, last, made.next)
        fired += [at for at, _ in made.fires]
        last = made.decided or last
    wall = [f"{datetime.fromtimestamp(at / 1000, ZoneInfo(NEW_YORK)):%d %H}" for at in fired]
    assert len(fired) == len(set(fired)) == 23
    assert "08 03" in wall or "08 04" in wall
    assert timedelta(milliseconds=fired[-1] - fired[0]) < timedelta(days=2)
