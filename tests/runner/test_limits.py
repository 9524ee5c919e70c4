"""What an attempt may take: whose word counts, when a limit is reached, and what an adopted attempt has had of it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.agents.base import Agent
from engine.agents.registry import agents
from engine.config import AgentSettings, Settings
from engine.model import Failure, JobSpec
from engine.runner import limits, procfs
from engine.runner.limits import LOOK_SECONDS, Halt, Limits, Moment, judge, overrun, past, until_next
from engine.runner.procfs import Identity
from engine.runner.run_dir import RunDir
from engine.store.claims import Claim
from engine.units import amount, span
from tests.runner.claims import claim

PATIENCE = 30.0
NOON = 1_760_000_000_000


def given_limits(spec: JobSpec, settings: Settings, agent: str = "claude") -> Limits:
    return Limits.of(_claim(spec), known(agent), settings)


def known(name: str) -> Agent:
    return agents()[name]


def _claim(spec: JobSpec, deadline: int | None = None) -> Claim:
    return claim(spec, deadline=deadline)


@pytest.mark.parametrize(
    ("spec", "agent", "everybody", "found"),
    [
        ("90s", "2m", "1h", 90_000),
        (None, "2m", "1h", 120_000),
        (None, None, "1h", 3_600_000),
        (None, None, None, 0),
        (None, 0, "1h", 0),
        (5, "2m", None, 5_000),
    ],
)
def test_the_nearest_word_on_the_time_counts(
    spec: str | int | None, agent: str | int | None, everybody: str | None, found: int
) -> None:
    settings = Settings(agents={"claude": AgentSettings(timeout=agent)}, timeout=everybody)
    assert given_limits(JobSpec(prompt="x", timeout=spec), settings).timeout == found


@pytest.mark.parametrize(
    ("agent", "spec", "own", "everybody", "found"),
    [
        ("claude", None, None, None, 900_000),
        ("rehearsal", None, None, None, 900_000),
        ("shell", None, None, None, 0),
        ("claude", 0, None, None, 0),
        ("claude", None, "1h", "5m", 3_600_000),
        ("claude", None, None, "5m", 300_000),
        ("shell", "30s", None, None, 30_000),
    ],
)
def test_an_agent_has_a_silence_of_its_own_where_nobody_says_so(
    agent: str, spec: str | int | None, own: str | None, everybody: str | None, found: int
) -> None:
    settings = Settings(agents={agent: AgentSettings(stall=own)}, stall=everybody)
    assert given_limits(JobSpec(prompt="x", stall=spec), settings, agent).stall == found


def test_the_deadline_is_the_jobs() -> None:
    assert Limits.of(_claim(JobSpec(prompt="x"), NOON), known("shell"), Settings()).deadline == NOON


@pytest.mark.parametrize(
    ("allowed", "at", "failure", "reason"),
    [
        (Limits(timeout=1_800_000), Moment(NOON, 1_800_000, 0), Failure.TIMEOUT, "it ran for 30m, its limit"),
        (Limits(stall=900_000), Moment(NOON, 1e9, 900_000), Failure.STALLED, "no event for 15m"),
        (Limits(stall=900_000), Moment(NOON, 1e9, 7_500_000), Failure.STALLED, "no event for 2h 5m"),
        (Limits(deadline=NOON), Moment(NOON, 0, 0), Failure.TIMEOUT, "its deadline passed"),
        (Limits(1, 1, NOON), Moment(NOON, 9, 9), Failure.TIMEOUT, "its deadline passed"),
    ],
)
def test_a_limit_says_what_it_was(allowed: Limits, at: Moment, failure: Failure, reason: str) -> None:
    cut = judge(allowed, at)
    assert cut is not None
    assert (cut.failure, cut.reason) == (failure, reason)


_LIMITS = st.builds(
    Limits,
    timeout=st.integers(0, 10**9),
    stall=st.integers(0, 10**9),
    deadline=st.none() | st.integers(NOON - 10**9, NOON + 10**9),
)
_MOMENTS = st.builds(Moment, now=st.just(NOON), ran=st.floats(0, 1e9), quiet=st.floats(0, 1e9))


@given(_LIMITS, _MOMENTS)
def test_it_looks_again_when_the_first_limit_can_be_reached_and_not_much_later(allowed: Limits, at: Moment) -> None:
    wait = until_next(allowed, at)
    if judge(allowed, at) is not None:
        return
    if wait is None:
        assert allowed == Limits()
        return
    earlier, later = max(0.0, wait - 0.002) * 1000, wait * 1000 + 2
    assert judge(allowed, Moment(NOON + int(earlier), at.ran + earlier, at.quiet + earlier)) is None
    if wait < LOOK_SECONDS or allowed.deadline is None:
        assert judge(allowed, Moment(NOON + round(later), at.ran + later, at.quiet + later)) is not None


async def test_what_is_set_on_the_wall_clock_ends_nothing_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the time nor the silence of an attempt is a matter of that clock."""
    monkeypatch.setattr(limits, "now_ms", lambda: 10 * NOON)
    now = time.monotonic()
    waiting = asyncio.ensure_future(overrun(Limits(timeout=3_600_000, stall=3_600_000), now, lambda: now))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_every_event_puts_the_end_of_the_silence_off() -> None:
    heard = [time.monotonic()]

    def hear() -> float:
        if len(heard) < 5:
            heard.append(time.monotonic())
        return heard[-1]

    async with asyncio.timeout(PATIENCE):
        cut = await overrun(Limits(stall=50), heard[0], hear)
    assert cut.failure is Failure.STALLED
    assert len(heard) == 5
    assert time.monotonic() - heard[-1] >= 0.05


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "stdout").write_text("hello\n")
    return RunDir(tmp_path)


@pytest.fixture
def hour_old(monkeypatch: pytest.MonkeyPatch) -> Identity:
    monkeypatch.setattr(procfs, "age", lambda who: 3_600.0)
    return Identity(1, 1, "boot")


def ago(seconds: float) -> int:
    return round((time.time() - seconds) * 1000)


def test_an_adopted_attempt_has_run_since_its_process_began(run: RunDir, hour_old: Identity) -> None:
    assert past(hour_old, ago(1_800), run).ran == pytest.approx(1_800, abs=5)
    assert past(hour_old, ago(86_400), run).ran == 3_600, "the wall clock went forward since"
    assert past(hour_old, ago(-86_400), run).ran == 0, "it went back since"
    assert past(hour_old, None, run).ran == 3_600


def test_an_adopted_attempt_has_been_silent_since_its_file_was_written(run: RunDir, hour_old: Identity) -> None:
    for written, silent in ((600, 600), (10**6, 3_600), (-600, 0)):
        os.utime(run.stdout, (time.time() - written,) * 2)
        found = past(hour_old, None, run)
        assert found.quiet == pytest.approx(silent, abs=5)
        assert found.printed == len("hello\n")
    run.stdout.unlink()
    assert past(hour_old, None, run) == limits.Past(3_600, 3_600, 0)


@pytest.mark.parametrize(
    ("ms", "said"),
    [(300, "0.3s"), (5_000, "5s"), (45_400, "45s"), (900_001, "15m"), (5_400_000, "1h 30m"), (90_061_000, "1d 1h")],
)
def test_a_span_is_said_as_a_person_would(ms: int, said: str) -> None:
    assert span(ms) == said


@pytest.mark.parametrize(
    ("count", "said"), [(12, "12 bytes"), (2048, "2 KiB"), (300 << 20, "300 MiB"), (5 << 29, "2.5 GiB")]
)
def test_an_amount_is_said_as_a_person_would(count: int, said: str) -> None:
    assert amount(count) == said


# Waiting for the operator


def test_an_attempt_neither_runs_nor_is_silent_while_it_waits_for_the_operator() -> None:
    halt = Halt(before=5.0)
    assert halt.moment(began=100.0, heard=110.0, now=120.0) == (15.0, 10.0)
    halt.begin(120.0)
    halt.begin(125.0)
    assert halt.moment(100.0, 110.0, 900.0) == (15.0, 10.0), "both clocks stand still"
    assert halt.end(920.0)
    assert not halt.end(930.0)
    assert halt.moment(100.0, 920.0, 921.0) == (16.0, 1.0)


async def test_no_limit_of_time_is_reached_while_it_waits_for_the_operator() -> None:
    halt = Halt()
    now = time.monotonic()
    halt.begin(now)
    allowed = Limits(timeout=20, stall=20)
    cutting = asyncio.ensure_future(overrun(allowed, now, lambda: now, halt))
    done, _ = await asyncio.wait({cutting}, timeout=0.2)
    assert not done
    halt.end(time.monotonic())
    async with asyncio.timeout(PATIENCE):
        assert (await cutting).failure in (Failure.TIMEOUT, Failure.STALLED)


def test_times_that_overlap_are_waited_once() -> None:
    assert limits.waited([], 99_000) == 0
    assert limits.waited([(1_000, 3_000), (2_000, 4_000), (2_000, 2_500), (8_000, None)], 10_000) == 5.0
