"""The promise: agents outlive the engine, and no job is lost or run twice, whenever it is killed."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from engine import events as log
from engine.events import Event
from engine.model import State
from engine.runner import procfs
from engine.server.client import Client
from tests.conftest import PATIENCE, Served, settings_file, shell

pytestmark = pytest.mark.long


def _marked(markers: set[bytes]) -> set[int]:
    """Live processes of attempts, by the marker in their environment."""
    found = set()
    for pid, process in procfs.processes().items():
        if not process.is_gone and any(procfs.carries(pid, mark) for mark in markers):
            found.add(pid)
    return found


async def _started(served: Served, jobs: list[int]) -> None:
    left = set(jobs)

    def seen(event: Event) -> bool:
        if isinstance(event.body, log.Launched):
            left.discard(event.job or 0)
        return not left

    await served.until(seen)


async def _held(served: Served, job: int) -> None:
    await served.until(lambda event: event.job == job and isinstance(event.body, log.Held))


@pytest.mark.parametrize("cgroups", [True, False], ids=["cgroup", "marker"])
async def test_twenty_running_jobs_survive_a_kill_and_run_once(
    served: Served, tmp_path: Path, cgroups: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not cgroups:
        served.env["HEADWAY_CGROUPS"] = "off"
    settings_file(served.home, "max_running: 20\ngrace: 1\n")
    served.start()
    lines, gate = tmp_path / "lines", tmp_path / "gate"
    os.mkfifo(gate)
    specs = []
    for number in range(20):
        # Each leaves a process in a session of its own behind, as agents' tools do. Every second one ends by itself
        # once the gate opens; the others have to be cancelled.
        wait = f"read line <{gate}" if number % 2 else "while :; do sleep 60; done"
        specs.append(shell(f"echo {number} >>{lines}; setsid sh -c 'sleep 600' & {wait}"))
    async with Client(served.home) as client:
        jobs = await client.submit(specs)
    await _started(served, jobs)
    while not lines.exists() or len(lines.read_text().split()) < 20:
        await asyncio.sleep(0.01)

    served.kill()
    # Those that wait at the gate end while no engine looks.
    # Opened for both ways: with the last reader gone, a pipe that is only written to would break.
    with os.fdopen(os.open(gate, os.O_RDWR), "w") as opened:
        opened.write("\n" * 40)
        opened.flush()
        finishing = [served.home / "runs" / str(job) / "1" / "exit" for job in jobs[1::2]]
        async with asyncio.timeout(PATIENCE):
            while not all(path.exists() and path.read_text() for path in finishing):
                opened.write("\n" * 20)
                opened.flush()
                await asyncio.sleep(0.02)
    served.start()

    async with Client(served.home) as client:
        await served.until_ended(jobs[1::2])
        states = {job.id: job for job in await client.rows(jobs)}
        assert [states[job].state for job in jobs[1::2]] == [State.SUCCEEDED] * 10
        assert [states[job].state for job in jobs[0::2]] == [State.RUNNING] * 10
        assert {job.attempts for job in states.values()} == {1}
    markers = _markers(served.home)
    assert len(markers) == 20
    cancelled = served.headway("cancel", *map(str, jobs[0::2]))
    assert cancelled.returncode == 0, cancelled.stderr
    assert _marked(markers) == set()
    assert sorted(map(int, lines.read_text().split())) == list(range(20))
    log_check = served.headway("doctor", "--deep")
    assert "20 jobs are as the log tells them" in log_check.stdout


def _markers(home: Path) -> set[bytes]:
    import sqlite3

    connection = sqlite3.connect(f"file:{home / 'headway.db'}?mode=ro", uri=True)
    try:
        return {f"HEADWAY_ATTEMPT={row[0]}".encode() for row in connection.execute("SELECT marker FROM attempts")}
    finally:
        connection.close()


async def test_an_engine_killed_again_and_again_loses_no_acknowledged_job(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, "max_running: 6\ngrace: 1\n")
    lines = tmp_path / "lines"
    served.start()
    accepted: list[int] = []
    for round_ in range(8):
        async with Client(served.home) as client:
            for number in range(5):
                accepted += await client.submit([shell(f"echo {round_}.{number} >>{lines}")])
        # The later the round, the further the jobs have come when the blow falls: between claim, spawn and settle.
        await asyncio.sleep(0.02 * round_)
        served.kill()
        served.start()
    await served.until_ended(accepted)
    ran = lines.read_text().split()
    assert sorted(ran) == sorted(f"{a}.{b}" for a in range(8) for b in range(5)), "each ran, and ran once"
    async with Client(served.home) as client:
        assert {job.state for job in await client.rows(accepted)} == {State.SUCCEEDED}


async def test_what_dies_with_its_shim_and_cannot_be_resumed_waits_for_the_operator_and_leaves_nothing(
    served: Served, tmp_path: Path
) -> None:
    settings_file(served.home, "grace: 1\n")
    served.start()
    pid_file = tmp_path / "pid"
    async with Client(served.home) as client:
        (job,) = await client.submit([shell(f"setsid sleep 600 & echo $$ >{pid_file}; sleep 600")])
        await _started(served, [job])
        while not (pid_file.exists() and pid_file.read_text()):
            await asyncio.sleep(0.01)
        attempt = (await client.job(job)).attempts[0]
        assert attempt.pid is not None
        os.kill(attempt.pid, 9)
        await _held(served, job)
        ended = (await client.job(job)).job
    assert (ended.state, ended.failure, ended.held_by) == (State.READY, "crashed", "headway")
    assert _marked(_markers(served.home)) == set()


async def test_a_second_engine_is_refused_and_says_who_serves(served: Served) -> None:
    pid = served.start()
    second = served.headway("serve")
    assert second.returncode == 5
    assert f"pid {pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1


async def test_a_cancel_in_the_middle_of_a_kill_is_carried_out_by_the_next_engine(served: Served) -> None:
    settings_file(served.home, "grace: 30\n")
    served.start()
    async with Client(served.home) as client:
        # It ignores the request to stop, so that the engine dies during the grace.
        (job,) = await client.submit([shell("trap '' TERM; while :; do sleep 1; done")])
        await _started(served, [job])
        served.headway("cancel", "--no-wait", str(job))
    served.kill()
    settings_file(served.home, "grace: 0.1\n")
    served.start()
    await served.until_ended([job])
    async with Client(served.home) as client:
        assert (await client.job(job)).job.state is State.CANCELLED
    assert _marked(_markers(served.home)) == set()


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("cancelled", [False, True], ids=["timeout", "cancel"])
async def test_what_was_asked_to_end_by_an_engine_that_died_has_not_crashed(
    served: Served, tmp_path: Path, code: int, cancelled: bool
) -> None:
    settings_file(served.home, "grace: 60\n")
    served.start()
    asked, gate, runs = tmp_path / "asked", tmp_path / "gate", tmp_path / "runs"
    os.mkfifo(gate)
    script = (
        f"trap 'touch {asked}; read line <{gate}; exit {code}' TERM; echo ran >>{runs}; while :; do sleep 0.02; done"
    )
    async with Client(served.home) as client:
        (job,) = await client.submit([shell(script, timeout=None if cancelled else "300ms", repeatable=False)])
        await _started(served, [job])
        if cancelled:
            while not runs.exists():
                await asyncio.sleep(0.01)
            served.headway("cancel", "--no-wait", str(job))
    async with asyncio.timeout(PATIENCE):
        while not asked.exists():
            await asyncio.sleep(0.01)
    served.kill()
    gate.write_text("go on\n")
    exit_code = served.home / "runs" / str(job) / "1" / "exit"
    async with asyncio.timeout(PATIENCE):
        while not (exit_code.exists() and exit_code.read_text()):
            await asyncio.sleep(0.01)
    served.start()
    await served.until_ended([job])
    async with Client(served.home) as client:
        ended = (await client.job(job)).job
    assert (ended.state, ended.failure) == ((State.CANCELLED, None) if cancelled else (State.FAILED, "timeout"))
    assert runs.read_text() == "ran\n"


async def test_an_attempt_whose_time_was_over_is_given_no_more_of_it(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, "grace: 60\nagents: {shell: {timeout: 300ms}}\n")
    served.start()
    asked = tmp_path / "asked"
    async with Client(served.home) as client:
        # It takes note of the request to stop, and goes on.
        (job,) = await client.submit([shell(f"trap 'touch {asked}' TERM; while :; do sleep 0.02; done")])
    async with asyncio.timeout(PATIENCE):
        while not asked.exists():
            await asyncio.sleep(0.01)
    served.kill()
    settings_file(served.home, "grace: 0.1\n")
    served.start()
    await served.until_ended([job])
    async with Client(served.home) as client:
        ended = (await client.job(job)).job
    assert (ended.state, ended.failure, ended.reason) == (State.FAILED, "timeout", "it ran for 0.3s, its limit")
    assert _marked(_markers(served.home)) == set()


async def test_a_running_job_is_not_started_again_because_its_files_are_gone(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, "grace: 1\n")
    served.start()
    lines = tmp_path / "lines"
    async with Client(served.home) as client:
        (job,) = await client.submit([shell(f"echo ran >>{lines}; while :; do sleep 60; done")])
    await _started(served, [job])
    while not lines.exists():
        await asyncio.sleep(0.01)
    served.kill()
    shutil.rmtree(served.home / "runs")
    served.start()
    await _held(served, job)
    async with Client(served.home) as client:
        ended = (await client.job(job)).job
    assert (ended.state, ended.failure, ended.attempts) == (State.READY, "crashed", 1)
    assert lines.read_text() == "ran\n"
    assert _marked(_markers(served.home)) == set()


async def test_a_flood_of_short_lines_holds_nobody_up(served: Served) -> None:
    served.start()
    async with Client(served.home) as client:
        (job,) = await client.submit([shell("yes | head -c 30000000; echo the end")])
        await served.until_ended([job])
        assert ((await client.job(job)).attempts[0].result or "").endswith("the end")
