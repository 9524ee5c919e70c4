"""`headway prune`, `backup`, `restore` and `export` as they are typed, with an engine and without one."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine import events as log
from engine.home import Holder, Lock
from engine.runner.run_dir import run_dir
from engine.server.client import Client
from engine.store.store import FILE
from engine.upkeep.runs import compress
from tests.conftest import Served, settings_file, shell

DAY = 86_400_000


async def work(served: Served, *commands: str) -> list[int]:
    async with Client(served.home) as client:
        ids = await client.submit([shell(command) for command in commands])
    await served.until_ended(ids)
    return ids


def age(home: Path, days: int) -> None:
    """Let everything have happened so many days ago. No engine may serve the home."""
    with closing(sqlite3.connect(home / FILE)) as connection, connection:
        for table, columns in (("jobs", ("created_at", "started_at", "ended_at")), ("attempts", ("ended_at",))):
            for column in columns:
                connection.execute(f"UPDATE {table} SET {column} = {column} - ?", (days * DAY,))
        connection.execute("UPDATE events SET at = at - ?", (days * DAY,))


async def test_prune_asks_the_engine_and_without_one_does_it_itself(served: Served) -> None:
    served.start()
    first, second = await work(served, "echo one", "exit 3")
    served.stop()
    age(served.home, 40)
    alone = served.headway("prune", "--state", "succeeded")
    assert alone.returncode == 0, alone.stderr
    assert alone.stdout.startswith("removed 1 job that ended before ")
    assert not (served.home / "runs" / str(first)).exists()
    served.start()
    foreseen = served.json("prune", "--dry-run")
    assert isinstance(foreseen, dict)
    assert (foreseen["jobs"], foreseen["attempts"], foreseen["dry_run"]) == (1, 1, True)
    assert (served.home / "runs" / str(second)).exists()
    done = served.json("prune", "--older-than", "30d")
    assert isinstance(done, dict)
    assert (done["jobs"], done["more"]) == (1, False)
    assert served.json("jobs") == []
    check = served.headway("doctor", "--deep")
    assert "0 jobs are as the log tells them" in check.stdout
    assert served.headway("prune").stdout.startswith("nothing to prune: no such job ended before ")


async def test_what_the_engine_compressed_is_read_as_before(served: Served) -> None:
    settings_file(served.home, "upkeep:\n  compress_after: 1d\n")
    served.start()
    (job,) = await work(served, "seq 3000")
    commands = (("logs", str(job)), ("logs", str(job), "--raw"), ("logs", str(job), "-n", "5"))
    before = [served.headway(*command).stdout for command in commands]
    served.stop()
    from engine.upkeep.runs import compress

    run = served.home / "runs" / str(job) / "1"
    assert compress(run / "stdout") > 0
    served.start()
    assert [served.headway(*command).stdout for command in commands] == before
    assert before[1] == "".join(f"{number}\n" for number in range(1, 3001))
    async with Client(served.home) as client:
        lines = [line async for line in client.log(job)]
        middle = lines[1_500].next
        again = [line async for line in client.log(job, after=middle)]
    assert again == [line for line in lines if line.next > middle]


async def test_a_backup_of_a_working_engine_is_restored_when_it_is_gone(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, "grace: 1\n")
    served.start()
    await work(served, "echo one")
    async with Client(served.home) as client:
        (running,) = await client.submit([shell("sleep 600")])
    file = tmp_path / "copy.db"
    done = served.headway("backup", str(file))
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    assert "2 jobs" in done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    refused = served.headway("restore", str(file))
    assert (refused.returncode, len(refused.stderr.splitlines())) == (5, 1)
    assert "stop it first with `headway shutdown`" in refused.stderr
    await work(served, "echo two")
    served.headway("cancel", str(running))
    served.stop()
    restored = served.headway("restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout.startswith(f"restored 2 jobs into {served.home}")
    assert "the next start judges each" in restored.stdout or "running" not in done.stderr
    served.start()
    judged = log.Requeued | log.Failed | log.Succeeded
    await served.until(lambda event: event.job == running and isinstance(event.body, judged))
    jobs = served.json("jobs")
    assert isinstance(jobs, list)
    assert len(jobs) == 2


async def test_what_has_run_since_the_backup_does_not_run_a_second_time(served: Served, tmp_path: Path) -> None:
    done, gate = tmp_path / "done", tmp_path / "gate"
    os.mkfifo(gate)
    settings_file(served.home, "max_running: 1\ngrace: 1\n")
    served.start()
    async with Client(served.home) as client:
        runs, waits = await client.submit([shell(f"read line <{gate}; seq 3000"), shell(f"echo once >>{done}")])
    await served.until(lambda event: event.job == runs and isinstance(event.body, log.Launched))
    copy = tmp_path / "copy.db"
    assert served.headway("backup", str(copy)).returncode == 0
    gate.write_text("go\n")
    await served.until_ended([runs, waits])
    would = served.headway("restore", "--dry-run", str(copy)).stdout
    assert would.startswith(f"whole: would restore 2 jobs into {served.home}\n")
    assert "held        2 jobs that went on since the backup" in would
    served.stop()
    assert compress(run_dir(served.home, runs, 1).stdout) > 0

    said = served.headway("restore", str(copy)).stdout
    assert "held        2 jobs that went on since the backup" in said
    served.start()
    await served.until_ended([runs])
    listed: Any = served.json("jobs")
    assert [(job["id"], job["state"], job["held_by"]) for job in listed] == [
        (waits, "ready", "restore"),
        (runs, "succeeded", "restore"),
    ]
    assert served.headway("logs", str(runs), "--tail", "1").stdout == "3000\n"
    explained = served.headway("explain", str(waits)).stdout
    assert "held by restore" in explained
    assert f"`headway release {waits}` ends it" in explained
    assert done.read_text() == "once\n"
    assert served.headway("cancel", "held:restore", "state:ready").stdout == f"cancelled J{waits}\n"


async def test_a_backup_has_a_place_of_its_own(served: Served) -> None:
    served.start()
    await work(served, "echo one")
    plain = served.headway("backup")
    with_runs = served.json("backup", "--runs")
    assert Path(plain.stdout.strip()).parent == served.home / "backups"
    assert isinstance(with_runs, dict)
    assert with_runs["file"].endswith(".tar.gz")
    assert with_runs["runs"] > 0


async def test_exports_work_with_an_engine_and_without(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, f"projects:\n  here:\n    path: {tmp_path}\n")
    served.start()
    ids = await work(served, "echo one", "exit 3")
    async with Client(served.home) as client:
        (here,) = await client.submit([shell("echo here", project="here")])
    await served.until_ended([here])
    ids.append(here)
    out = tmp_path / "events.csv"
    for _ in range(2):
        lines = served.headway("export").stdout.splitlines()
        assert [json.loads(line)["job"]["id"] for line in lines] == ids
        failed = served.headway("export", "state:failed", "--format", "csv").stdout
        assert [row["id"] for row in csv.DictReader(io.StringIO(failed))] == [str(ids[1])]
        named = served.headway("export", "project:here").stdout.splitlines()
        assert [json.loads(line)["job"]["id"] for line in named] == [here]
        done = served.headway("export", "--what", "events", "--format", "csv", "-o", str(out))
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert out.stat().st_mode & 0o777 == 0o600
        kinds = {row["kind"] for row in csv.DictReader(io.StringIO(out.read_text()))}
        assert {"submitted", "claimed", "succeeded", "failed"} <= kinds
        served.stop()


def through(served: Served, pipe: Path) -> bytes:
    """What comes out of a pipe that an export is written to."""
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reading:
        assert served.headway("export", "-o", str(pipe)).returncode == 0
        return reading.communicate()[0]


def complaints_after_one_line(command: list[str]) -> bytes:
    """What a program says when its reader goes away, as `head` does."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writing:
        assert writing.stdout is not None
        assert writing.stderr is not None
        assert writing.stdout.readline()
        writing.stdout.close()
        return writing.stderr.read()


async def test_an_export_goes_where_it_is_told_and_takes_nothings_place(served: Served, tmp_path: Path) -> None:
    served.start()
    await work(served, "echo one")
    other = Served(tmp_path / "other")
    other.start()
    other.stop()
    other.process = None
    live = other.home / "headway.db"
    before = live.read_bytes()
    copy = tmp_path / "copy.db"
    assert served.headway("backup", str(copy)).returncode == 0
    for wrong, why in (
        (live, "among the files of a home"),
        (other.home / "new.csv", "among the files of a home"),
        (served.home / "headway.db", "among the files of a home"),
        (copy, "is a database of Headway"),
        (tmp_path, "is a directory"),
        (tmp_path / "nowhere" / "x", "No such file or directory"),
    ):
        done = served.headway("export", "-o", str(wrong))
        assert (done.returncode in (1, 5), done.stdout, len(done.stderr.splitlines())) == (True, "", 1)
        assert why in done.stderr
    assert live.read_bytes() == before

    link, behind = tmp_path / "link", tmp_path / "behind"
    link.symlink_to(behind)
    assert served.headway("export", "-o", str(link)).returncode == 0
    assert link.is_symlink()
    assert behind.read_bytes().count(b"\n") == 1
    assert served.headway("export", "-o", "-").stdout == behind.read_text()

    os.mkfifo(tmp_path / "pipe")
    assert through(served, tmp_path / "pipe").count(b"\n") == 1
    assert (tmp_path / "pipe").is_fifo(), "what is no file is written to and not replaced"


async def test_a_reader_that_has_seen_enough_is_no_mistake(served: Served) -> None:
    served.start()
    await work(served, *(f"true # {'x' * 4_000}" for _ in range(40)))
    command = [sys.executable, "-m", "console.cli", "--home", str(served.home), "export"]
    for extra in ([], ["--format", "csv"], ["--what", "events"]):
        assert complaints_after_one_line([*command, *extra]) == b""


def test_broken_settings_stop_no_export(served: Served) -> None:
    served.start()
    served.headway("submit", "--agent", "shell", "--scratch", "true")
    served.stop()
    settings_file(served.home, "max_runing: 3\n")
    assert served.headway("export").returncode == 0
    assert served.headway("backup").returncode == 0
    served.process = None


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("prune",), 4, "there is no database in"),
        (("prune", "--state", "failled"), 2, "did you mean 'failed'?"),
        (("prune", "--state", "running"), 2, "there are cancelled, failed, succeeded"),
        (("backup",), 4, "there is no database in"),
        (("backup", "-"), 2, "and not to standard output"),
        (("export", "--format", "csv"), 4, "there is no database in"),
        (("backup", "/nowhere/x.db"), 5, "/nowhere is not a directory"),
        (("restore", "nothing.db"), 4, "there is no file"),
        (("export",), 4, "there is no database in"),
        (("export", "--format", "cvs"), 2, "did you mean 'csv'?"),
        (("export", "--what", "job"), 2, "did you mean 'jobs'?"),
        (("export", "stat:failed"), 2, "did you mean state"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(home: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = Served(home).headway(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert not home.exists()


def test_a_home_that_somebody_holds_is_not_pruned_past_them(served: Served) -> None:
    served.start()
    served.stop()
    lock = Lock.take(served.home, Holder(os.getpid(), "1", 1))
    try:
        done = served.headway("prune")
    finally:
        lock.release()
    served.process = None
    assert (done.returncode, len(done.stderr.splitlines())) == (5, 1), done.stderr
