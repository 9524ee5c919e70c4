"""A window closes under real processes: all of its account park, nothing is started before the reset, then one goes,
then more; and no job has lost an attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine import events as log
from engine.config import AccountSettings, Settings
from engine.engine import Engine
from engine.model import Cause, JobSpec, State
from engine.serving import serving
from engine.store.rows import AttemptRow
from engine.store.windows import rebuild
from engine.window import Standing
from tests.runner.living import ended, rehearsal, settled, submit

SAY: list[dict[str, object]] = [{"do": "say", "text": "done", "pause": 20}]
MOST = 16  #: the ramp ends before


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[Engine]:
    accounts = {name: AccountSettings(agent="rehearsal") for name in ("work", "other")}
    settings = Settings(max_running=20, grace=1.0, accounts=accounts)
    async with serving(home, settings) as running:
        yield running


def job(model: str, account: str = "work", **more: object) -> JobSpec:
    return JobSpec(prompt="x", agent="rehearsal", model=model, account=account, **more)  # type: ignore[arg-type]


def until_reset(directory: Path, seconds: float, kind: str = "usage_limit") -> str:
    """Meets the limit, and finishes where it is resumed."""
    fail: dict[str, object] = {"do": "fail", "kind": kind, "resets_in": seconds}
    return rehearsal(directory, [{"do": "say", "text": "on it"}, fail], SAY)


async def attempts(engine: Engine, account: str) -> list[AttemptRow]:
    jobs = (await engine.store.read.order(engine._filter(f"account:{account}"))).tolist()
    found = [one for number in jobs for one in await engine.store.read.attempts(number)]
    return sorted(found, key=lambda one: (one.created_at, one.id))


async def test_a_closed_window_parks_its_account_and_lets_it_back_by_one_then_two_then_four(
    engine: Engine, tmp_path: Path
) -> None:
    limited, says = until_reset(tmp_path, 3), rehearsal(tmp_path, SAY)
    met = await submit(engine, *(job(limited) for _ in range(3)))
    for one in met:
        row, first = await settled(engine, one)
        assert (row.state, row.tries) == (State.READY, 0), "a limit uses up no attempt"
        assert first.failure == "rate_limited", first.reason
    (window,) = [one for one in await engine.weather.windows() if one.standing is Standing.CLOSED]
    assert (window.account, window.window, window.source) == (
        "rehearsal@work",
        "five_hour",
        "rehearsal rate_limit_event",
    )
    # Each of the three told an end in whole seconds; the first counts where the others are as good as the same.
    assert window.until is not None and window.resets_at is not None and window.until >= window.resets_at - 2_000
    waiting = await submit(engine, *(job(says) for _ in range(9)))
    (free,) = await submit(engine, job(says, "other"))
    await ended(engine, free)
    told = await engine.explain(waiting[0])
    (reason,) = [one for one in told.waiting if one.cause is Cause.LIMIT]
    assert reason.until == window.until
    assert "five_hour is used up (rehearsal rate_limit_event, " in reason.text
    rows = [(await ended(engine, number))[0] for number in (*met, *waiting)]
    assert [row.state for row in rows] == [State.SUCCEEDED] * 12
    assert [row.tries for row in rows] == [1] * 12
    again = [one for one in await attempts(engine, "work") if one.created_at > window.observed_at]
    assert len(again) == 12, "none was started in between, and none twice"
    assert min(one.created_at for one in again) >= window.until
    await _ramps(engine, {one.id for one in again})
    for number in met:
        first, second = await engine.store.read.attempts(number)
        assert (second.resumes, second.workspace) == (first.session, first.workspace)


async def _ramps(engine: Engine, again: set[int]) -> None:
    """By the log: never more at once than the successes since the reset allow."""
    running, allowed, most = 0, 1, 0
    for event in await engine.store.read.events(0, 5_000):
        if event.attempt not in again:
            continue
        if isinstance(event.body, log.Claimed):
            running += 1
            most = max(most, running)
            assert running <= allowed or allowed >= MOST, f"{running} run, {allowed} may"
        elif isinstance(event.body, log.Succeeded):
            running, allowed = running - 1, allowed * 2
    assert most > 1, "they do come back together in the end"


async def test_a_canary_that_finds_it_closed_lets_nobody_follow(engine: Engine, tmp_path: Path) -> None:
    """The first reset that was told is false: the one that tries it meets the limit once more."""
    twice = rehearsal(
        tmp_path,
        [{"do": "fail", "kind": "usage_limit", "resets_in": 1}],
        [{"do": "fail", "kind": "usage_limit", "resets_in": 1}],
    )
    (first,) = await submit(engine, job(twice))
    await settled(engine, first)
    says = rehearsal(tmp_path, SAY)
    others = await submit(engine, *(job(says, priority=9) for _ in range(4)))
    row, second = await settled(engine, first, 2)
    assert (row.state, row.tries, second.failure) == (State.READY, 0, "rate_limited")
    (window,) = [one for one in await engine.weather.windows() if one.standing is Standing.CLOSED]
    assert window.until is not None and window.until - window.observed_at >= 60_000, "a false end is not run into again"
    assert [len(await engine.store.read.attempts(number)) for number in others] == [0] * 4
    assert window.waiting == 5
    told = await engine.explain(others[0])
    assert told.estimate is None or (told.estimate.start or window.until) >= window.until
    await engine.weather.try_now("rehearsal@work")
    row, third = await settled(engine, first, 3)
    assert (row.state, row.tries, third.failure) == (State.READY, 0, "rate_limited")
    (again,) = [one for one in await engine.weather.windows() if one.standing is Standing.CLOSED]
    assert (again.until or 0) - again.observed_at >= 120_000, "the operator was wrong: the next try is further away"
    assert [len(await engine.store.read.attempts(number)) for number in others] == [0] * 4


async def test_a_limit_that_names_no_window_is_one_of_the_model_that_met_it(engine: Engine, tmp_path: Path) -> None:
    model, says = until_reset(tmp_path, 0, "rate_limit"), rehearsal(tmp_path, SAY)
    met, same = await submit(engine, job(model), job(model, priority=9, not_before="1s"))
    row, _ = await settled(engine, met)
    (other,) = await submit(engine, job(says))
    await ended(engine, other)
    (window,) = [one for one in await engine.weather.windows() if one.standing is Standing.CLOSED]
    assert (window.window, window.model, window.until) == ("unnamed", model, row.not_before)
    assert not await engine.store.read.attempts(same)


async def test_the_windows_are_what_the_log_tells_after_a_restart(engine: Engine, home: Path, tmp_path: Path) -> None:
    (met,) = await submit(engine, job(until_reset(tmp_path, 3_600)))
    await settled(engine, met)
    before = await engine.weather.windows()
    told = await engine.store.look(lambda tx: rebuild(tx.connection))
    assert {(one.account, one.window, one.until) for one in before if one.until} == {
        (one.account, one.name, one.until) for one in told.values() if one.until
    }
