"""Attempts that the engine stops: for their time, their silence, their job's deadline or their memory."""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from engine.config import AgentSettings, Settings
from engine.engine import Engine
from engine.model import Failure, JobSpec, Order, State, Verb
from engine.runner import meter, procfs
from engine.runner.tree import MARKER
from engine.serving import serving
from tests.runner.living import ended, launched, rehearsal, settled, submit, until
from tests.runner.wood import PATIENCE, Wood

GONE = "while :; do sleep 60; done"  #: does not end by itself


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A grace in which what is asked to end can do so on a busy machine, too."""
    return replace(settings, grace=4.0)


def shell(command: str, **more: Any) -> JobSpec:
    return JobSpec(prompt=command, agent="shell", **more)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait, and rehearsals do not pause."""
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")


def living(marker: str) -> set[int]:
    mark = f"{MARKER}={marker}".encode()
    return {pid for pid, one in procfs.processes().items() if not one.is_gone and procfs.carries(pid, mark)}


async def test_what_runs_for_longer_than_it_may_is_stopped_with_all_that_it_started(engine: Engine) -> None:
    (job,) = await submit(engine, shell(f"echo hello; setsid sleep 600 & {GONE}", timeout="300ms"))
    row, (tried,) = await ended(engine, job)
    assert (row.state, row.failure, row.reason) == (State.FAILED, Failure.TIMEOUT, "it ran for 0.3s, its limit")
    assert tried.failure is Failure.TIMEOUT
    assert "hello" in (tried.result or "")
    assert living(tried.marker) == set()


@pytest.mark.parametrize("settings", [Settings(grace=1.0, agents={"shell": AgentSettings(timeout="200ms")})])
async def test_the_time_is_also_limited_by_the_settings(engine: Engine) -> None:
    (job,) = await submit(engine, shell(GONE))
    row, _ = await ended(engine, job)
    assert row.failure is Failure.TIMEOUT


async def test_a_deadline_stops_what_runs(engine: Engine) -> None:
    (job,) = await submit(engine, shell(GONE, deadline="500ms", repeatable=True))
    row, attempts = await ended(engine, job)
    assert (row.state, row.failure) == (State.FAILED, Failure.TIMEOUT)
    assert row.reason in ("its deadline passed", "its deadline passed before it could start")
    assert len(attempts) <= 1, "there is no time for another one"


async def test_a_silent_agent_is_stopped_and_resumed_in_its_session(engine: Engine, tmp_path: Path) -> None:
    steps: list[dict[str, object]] = [{"do": "say", "text": "on it"}, {"do": "fail", "kind": "hang"}]
    model = rehearsal(tmp_path, steps, [{"do": "say", "text": "finished"}])
    (job,) = await submit(engine, JobSpec(prompt="x", agent="rehearsal", model=model, stall="700ms"))
    row, (first, second) = await ended(engine, job)
    assert (first.failure, first.succeeded) == (Failure.STALLED, False)
    assert re.fullmatch(r"no event for [\d.]+s", first.reason or "")
    assert first.result == "on it"
    assert row.state is State.SUCCEEDED
    assert second.resumes == first.session is not None
    assert second.workspace == first.workspace


async def test_a_command_that_goes_on_talking_is_not_silent(engine: Engine) -> None:
    """It talks for longer than it may be silent."""
    command = "for n in 1 2 3 4 5 6 7 8 9 10; do echo $n; sleep 0.2; done"
    (job,) = await submit(engine, shell(command, stall="1500ms"))
    row, _ = await ended(engine, job)
    assert row.state is State.SUCCEEDED


async def test_a_cancel_wins_over_a_limit(engine: Engine, wood: Wood) -> None:
    script = f"trap 'echo \"asked $$\" >{wood.pipe}' TERM; {GONE}"
    (job,) = await submit(engine, shell(script, timeout="200ms"))
    await wood.hear("asked")
    await engine.act(Order(verb=Verb.CANCEL, jobs=[job]), "tester")
    row, (tried,) = await ended(engine, job)
    assert row.state is State.CANCELLED
    assert tried.reason == "cancelled by tester"


@pytest.mark.parametrize("repeatable", [False, True], ids=["once", "repeatable"])
async def test_what_ends_well_because_its_time_was_over_was_stopped_all_the_same(
    engine: Engine, repeatable: bool
) -> None:
    script = f"trap 'echo saved; exit 0' TERM; {GONE}"
    (job,) = await submit(engine, shell(script, timeout="1500ms", repeatable=repeatable, max_attempts=2))
    row, attempts = await ended(engine, job)
    assert (row.state, row.failure) == (State.FAILED, Failure.TIMEOUT)
    assert [one.failure for one in attempts] == [Failure.TIMEOUT] * (2 if repeatable else 1)
    assert "saved" in (attempts[0].result or "")
    assert attempts[0].exit_code == 0


async def test_what_ends_well_because_it_was_cancelled_is_cancelled(engine: Engine, wood: Wood) -> None:
    (job,) = await submit(engine, shell(f"trap 'exit 0' TERM; echo \"runs $$\" >{wood.pipe}; {GONE}"))
    await wood.hear("runs")
    await engine.act(Order(verb=Verb.CANCEL, jobs=[job]), "tester")
    row, (tried,) = await ended(engine, job)
    assert row.state is State.CANCELLED
    assert tried.reason == "cancelled by tester"


async def test_one_that_waits_for_a_limit_in_silence_is_limited_and_not_stalled(engine: Engine, tmp_path: Path) -> None:
    steps: list[dict[str, object]] = [
        {"do": "say", "text": "on it"},
        {"do": "limit", "used": 1},
        {"do": "fail", "kind": "hang"},
    ]
    model = rehearsal(tmp_path, steps, [{"do": "say", "text": "finished"}])
    (job,) = await submit(engine, JobSpec(prompt="x", agent="rehearsal", model=model, stall="700ms"))
    row, (first, _) = await ended(engine, job)
    assert first.failure is Failure.RATE_LIMITED
    assert (row.state, row.tries) == (State.SUCCEEDED, 1)


# Across engines


async def test_the_time_of_an_attempt_goes_on_across_engines(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(home, settings) as first:
        (job,) = await submit(first, shell(GONE, timeout="1h"))
        tried = await launched(first, job)
        await first.store.write(
            lambda tx: tx.connection.execute("UPDATE attempts SET started_at = started_at - 7200000") and None
        )
    assert living(tried.marker)
    monkeypatch.setattr(procfs, "age", lambda who: 7_200.0)
    async with serving(home, settings) as second:
        row, _ = await ended(second, job)
    assert (row.failure, row.reason) == (Failure.TIMEOUT, "it ran for 1h, its limit")
    assert living(tried.marker) == set()


async def test_an_adopted_attempt_has_been_silent_since_its_last_word(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, wood: Wood
) -> None:
    async with serving(home, settings) as first:
        (job,) = await submit(first, shell(f'echo word; echo "said $$" >{wood.pipe}; {GONE}', stall="30m"))
        tried = await launched(first, job)
        await wood.hear("said")
        await first.store.write(
            lambda tx: tx.connection.execute("UPDATE attempts SET started_at = started_at - 7200000") and None
        )
    os.utime(home / "runs" / str(job) / "1" / "stdout", (time.time() - 3_600,) * 2)
    monkeypatch.setattr(procfs, "age", lambda who: 7_200.0)
    async with serving(home, settings) as second:
        row, tried = await settled(second, job)
    assert tried.failure is Failure.STALLED
    assert (tried.reason or "").startswith("no event for 1h")
    assert "word" in (tried.result or "")
    assert row.state is State.READY, "a command cannot be resumed: the operator has to look"


# Memory


HOLD = f"{sys.executable} -I -S -c 'import time; held = bytearray(b\"x\") * ({{}} << 20); time.sleep({{}})'"


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "SAMPLE_SECONDS", 0.05)


@pytest.mark.usefixtures("often")
async def test_what_holds_more_memory_than_it_may_is_stopped(engine: Engine) -> None:
    (job,) = await submit(engine, shell(f"echo start; setsid {HOLD.format(120, 600)} & wait", memory="100M"))
    row, (tried,) = await ended(engine, job)
    assert (row.state, row.failure) == (State.FAILED, Failure.OUT_OF_MEMORY)
    assert re.fullmatch(r"ended by its memory limit of 100 MiB, at 1\d\d(\.\d)? MiB", row.reason or "")
    assert (tried.memory_peak or 0) > 100 << 20
    assert living(tried.marker) == set()


@pytest.mark.usefixtures("often")
async def test_the_most_that_an_attempt_held_is_kept_with_it(engine: Engine) -> None:
    (job,) = await submit(engine, shell(HOLD.format(60, 1), memory="1G"))
    row, (tried,) = await ended(engine, job)
    assert row.state is State.SUCCEEDED
    assert 60 << 20 < (tried.memory_peak or 0) < 100 << 20


async def test_the_time_that_an_attempt_used_is_kept_with_it_however_short_it_was(engine: Engine) -> None:
    burn = f"{sys.executable} -I -S -c '[hash(n) for n in range(3_000_000)]'"
    (job,) = await submit(engine, JobSpec(prompt=f"{burn}; {burn}; echo done", agent="shell"))
    await settled(engine, job)
    (attempt,) = (await engine.job(job)).attempts
    assert (attempt.cpu_ms or 0) > 100, "of children that had ended before anybody looked, too"
    assert attempt.now is None


async def test_what_a_running_attempt_takes_is_told_as_it_runs(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "SAMPLE_SECONDS", 0.02)
    (job,) = await submit(engine, JobSpec(prompt="sleep 600 & sleep 600", agent="shell"))
    await launched(engine, job)
    async with asyncio.timeout(PATIENCE):
        while (now := (await engine.job(job)).attempts[0].now) is None or (now.processes or 0) < 3:
            await asyncio.sleep(0.02)
    assert (now.memory or 0) > 0
    await engine.act(Order(verb=Verb.CANCEL, jobs=[job]), "tester")
    _, tried = await settled(engine, job)
    assert (tried.processes_peak or 0) >= 3


async def test_what_earlier_engines_measured_is_known_to_the_next(home: Path, settings: Settings) -> None:
    async with serving(home, settings) as first:
        (job,) = await submit(first, shell("true"))
        await ended(first, job)
        await first.store.write(
            lambda tx: (
                tx.connection.execute(
                    "UPDATE attempts SET memory_peak = 900, started_at = created_at, ended_at = created_at + 60000"
                )
                and None
            )
        )
    async with serving(home, settings) as second:
        assert second._runner.meter.memory().of("shell") == 900
        assert second._runner.meter.memory().of("claude") == 300 << 20


async def test_nothing_is_kept_for_what_has_ended(engine: Engine) -> None:
    (job,) = await submit(engine, shell("true"))
    await ended(engine, job)

    async def released() -> bool:
        return not engine._runner.meter._running

    await until(engine, released)
