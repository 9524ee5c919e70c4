"""`headway schedules`, on an engine of its own: added, changed, run, caught up with after it was away."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from engine import events as log
from engine.events import Event
from engine.store.store import FILE
from tests.conftest import Served, settings_file

HOURS_42 = 42 * 3_600_000
ADD = ("schedules", "add", "nightly", "--cron", "30 2 * * *", "--tz", "Europe/Berlin", "--agent", "shell")


def away(served: Served, hours: float = 42) -> None:
    """As if the engine had been away for so long: the newest time that it had decided is so old."""
    served.stop()
    with closing(sqlite3.connect(served.home / FILE, isolation_level=None)) as connection:
        connection.execute("UPDATE schedules SET last_fire_at = last_fire_at - ?", (round(hours * 3_600_000),))
        connection.execute("UPDATE schedules SET next_fire_at = 0")
    served.start()


def firings(served: Served, name: str) -> list[dict[str, Any]]:
    found = served.json("schedules", "show", name)
    assert isinstance(found, dict)
    return list(found["firings"])


def test_one_is_added_shown_changed_and_removed(served: Served, tmp_path: Path) -> None:
    served.start()
    done = served.headway(*ADD, "--dry-run", "make test")
    assert done.stdout.splitlines()[0] == "nightly would be added" and len(done.stdout.splitlines()) == 7
    done = served.headway(*ADD, "--jitter", "5m", "--tag", "ci", "make test")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "At 02:30 every day, Europe/Berlin"
    assert "CEST" in done.stdout or "CET" in done.stdout
    assert len(served.headway("schedules", "next", "nightly", "-n", "3").stdout.splitlines()) == 3
    done = served.headway("schedules", "edit", "nightly", "--cron", "@hourly", "--missed", "all", "--most", "3")
    assert done.stdout.splitlines()[0] == "nightly changed", done.stderr
    found: Any = served.json("schedules", "show", "nightly")
    spec = found["schedule"]["spec"]
    assert (spec["cron"], spec["missed"], spec["most"], spec["jitter"], spec["zone"]) == (
        "@hourly", "all", 3, "5m", "Europe/Berlin"
    )  # fmt: skip
    assert spec["job"] == {"prompt": "make test", "agent": "shell", "tags": ["ci"]}
    assert served.headway("schedules", "pause", "nightly").stdout == "nightly paused\n"
    assert served.headway("schedules", "remove", "nightly").stdout == "nightly removed\n"
    assert "is as it was, paused by operator" in served.headway("undo").stdout
    listed = served.headway("schedules").stdout
    assert "nightly" in listed and "Europe/Berlin" in listed and "paused by operator" in listed


def test_a_mistake_is_one_line(served: Served) -> None:
    served.start()
    for arguments, code, said in (
        (("add", "x", "--cron", "60 * * * *", "y"), 2, "cron: minute: '60': 60 is not from 0 to 59"),
        (("add", "x", "--cron", "@daily", "--missed", "never", "y"), 2, "--missed: there is no 'never'"),
        (("add", "x", "y"), 2, "say when and what"),
        (("edit", "x"), 2, "say what to change"),
        (("next", "x"), 4, "there is no schedule 'x'"),
        (("add", "x", "-f", "missing.yaml"), 2, "missing.yaml cannot be read"),
    ):
        done = served.headway("schedules", *arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert said in done.stderr and len(done.stderr.splitlines()) == 1


async def test_it_is_run_now_and_its_jobs_are_found(served: Served, tmp_path: Path) -> None:
    served.start()
    (tmp_path / "s.yaml").write_text('cron: "@daily"\njob: {prompt: "true", agent: shell, title: Look}\n')
    served.headway("schedules", "add", "daily", "-f", str(tmp_path / "s.yaml"), "--tz", "UTC")
    job = int(served.headway("schedules", "run", "daily").stdout)
    await served.until_ended([job])
    found: Any = served.json("jobs", "schedule:daily")
    assert [(one["id"], one["title"], one["schedule"]) for one in found] == [(job, "Look", "daily")]
    assert served.json("jobs", "schedule:other") == []
    assert "schedule  daily" in served.headway("show", str(job)).stdout
    assert firings(served, "daily")[0]["outcome"] == "asked"


async def test_it_fires_by_itself(served: Served) -> None:
    """A time of the past minute is no miss; so the wait is for what the clock says, and not for a minute of it."""
    served.start()
    served.headway("schedules", "add", "often", "--cron", "* * * * *", "--tz", "UTC", "--agent", "shell", "true")
    with closing(sqlite3.connect(served.home / FILE, isolation_level=None)) as connection:
        connection.execute("UPDATE schedules SET last_fire_at = last_fire_at - 60000, next_fire_at = 0")
    served.headway("schedules", "edit", "often", "--priority", "3")
    await served.until(lambda event: isinstance(event.body, log.ScheduleFired))


async def test_42_hours_without_an_engine(served: Served) -> None:
    served.start()
    for missed in ("skip", "once", "all"):
        add = ("schedules", "add", missed, "--cron", "17 */2 * * *", "--tz", "UTC", "--agent", "shell", "--most", "5")
        served.headway(*add, "--missed", missed, "true")
    away(served)
    told: dict[str, int] = {}

    def all_of_them(event: Event) -> bool:
        if isinstance(event.body, log.ScheduleMissed):
            told[event.body.name] = event.body.count
        return len(told) == 3

    await served.until(all_of_them)
    await served.until_ended([one["id"] for one in served.json("jobs", "--limit", "100")])  # type: ignore[attr-defined]
    for missed, wanted in (("skip", 0), ("once", 1), ("all", 5)):
        outcomes = [one["outcome"] for one in firings(served, missed)]
        # A time may fall into the very minute of this test: it is at its time then, and by once stands for the others.
        punctual = outcomes.count("fired") + outcomes.count("skipped")
        caught = 0 if missed == "once" and punctual else wanted
        assert outcomes.count("caught_up") == caught
        assert told[missed] + caught + punctual == 21, "each of its times is told of"


async def test_a_time_submits_once_whenever_the_engine_is_killed(served: Served) -> None:
    """kill -9 while it catches up, again and again, each time from the same old mark."""
    served.start()
    served.headway("hold", "--all")
    add = ("schedules", "add", "often", "--cron", "0 * * * *", "--tz", "UTC", "--agent", "shell", "--missed", "all")
    served.headway(*add, "--most", "40", "true")
    for _ in range(3):
        served.kill()
        with closing(sqlite3.connect(served.home / FILE, isolation_level=None)) as connection:
            now = connection.execute("SELECT max(last_fire_at) FROM schedules").fetchone()[0]
            old = now - HOURS_42 if now else 0
            first = connection.execute("SELECT min(fire_at) FROM firings").fetchone()[0]
            connection.execute("UPDATE schedules SET last_fire_at = ?, next_fire_at = 0", (first or old,))
        served.start()
    fired: set[int] = set()

    def all_of_them(event: Event) -> bool:
        if isinstance(event.body, log.ScheduleFired):
            fired.add(event.body.fire_at)
        return len(fired) == 40

    await served.until(all_of_them)
    served.stop()
    with closing(sqlite3.connect(served.home / FILE)) as connection:
        times = connection.execute(
            "SELECT json_extract(body, '$.fire_at') FROM events WHERE json_extract(body, '$.kind') = 'schedule_fired'"
        ).fetchall()
        jobs = connection.execute("SELECT count(*) FROM jobs WHERE schedule = 'often'").fetchone()[0]
    served.start()
    assert len(times) == len(set(times)) == jobs >= 40


async def test_those_of_the_settings_file_are_there(served: Served) -> None:
    settings_file(
        served.home,
        'schedules:\n  weekly:\n    cron: "@weekly"\n    zone: Asia/Tokyo\n    job: {prompt: "true", agent: shell}\n',
    )
    served.start()
    (one,) = served.json("schedules")  # type: ignore[misc]
    assert (one["name"], one["by"], one["zone"]) == ("weekly", "headway.yaml", "Asia/Tokyo")
    done = served.headway("schedules", "remove", "weekly")
    assert done.returncode == 5 and "change it there" in done.stderr
