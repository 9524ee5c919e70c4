"""Attempts by way of the tap, on a real engine: what is seen, what is kept, and what a dead engine does to them."""

from __future__ import annotations

import asyncio
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from engine.config import AccountSettings, AgentSettings, KeyReference, Settings, TapSettings
from engine.engine import Engine
from engine.model import Failure, JobSpec, Order, State, Verb
from engine.model.reason import Cause
from engine.server.client import Client
from engine.serving import serving
from engine.window import Standing
from tests.conftest import PATIENCE, Served, settings_file
from tests.runner.living import ended, submit, until
from tests.tap.provider import KEY, Asked, Provider, provider

PLANTED = "planted-words-that-nobody-keeps"
USAGE = b'{"input_tokens":1000,"input_tokens_details":{"cached_tokens":600},"output_tokens":50}'
TOLD = b'event: response.completed\ndata: {"type":"response.completed","response":{"model":"gpt-x","usage":' + USAGE
ANSWER = b'data: {"type":"response.output_text.delta","delta":"' + PLANTED.encode() + b'"}\n\n' + TOLD + b"}}\n\n"
WINDOW = "x-ratelimit-limit-requests: 100\r\nx-ratelimit-remaining-requests: 25\r\nx-ratelimit-reset-requests: 6m0s\r\n"


async def serve(asked: Asked) -> None:
    asked.answer(ANSWER, more=f"Content-Type: text/event-stream\r\n{WINDOW}")


@dataclass(frozen=True)
class Place:
    """A key in a file, and where the stand-in writes what it was given for one."""

    key: Path
    saw: Path

    def agent(self, **more: object) -> AgentSettings:
        env = {"PLANTED": PLANTED, "SAW": str(self.saw), **{k: str(v) for k, v in more.items() if k.isupper()}}
        rest = {k: v for k, v in more.items() if not k.isupper()}
        return AgentSettings(command=[sys.executable, str(Path(__file__).with_name("codex.py"))], env=env, **rest)  # type: ignore[arg-type]

    def settings(self, url: str, agent: AgentSettings) -> Settings:
        account = AccountSettings(agent="codex", key=KeyReference(file=str(self.key)), tap=TapSettings(upstream=url))
        return Settings(grace=1.0, agents={"codex": agent}, accounts={"work": account})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    one = Place(tmp_path / "key", tmp_path / "saw")
    one.key.write_text(KEY)
    one.key.chmod(0o600)
    return one


@pytest.fixture
async def serving_provider() -> AsyncIterator[Provider]:
    async with provider(serve) as one:
        yield one


JOB = JobSpec(prompt="do it", agent="codex", account="work")


def holding(home: Path, *words: str) -> list[str]:
    """The files of a home in which one of these words stands."""
    found = []
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found += [f"{path.relative_to(home)}: {word}" for word in words if word.encode() in data]
    return found


async def test_nothing_of_what_was_said_and_no_key_is_kept(
    home: Path, place: Place, serving_provider: Provider
) -> None:
    async with serving(home, place.settings(serving_provider.url, place.agent(CALLS=3))) as engine:
        (job,) = await submit(engine, JOB)
        row, _ = await ended(engine, job)
        assert row.state is State.SUCCEEDED, row.reason
        seen = {one.window: one for one in await engine.weather.windows()}
        found = seen["requests"]
        assert (found.account, found.used, found.standing) == ("codex@work", 0.75, Standing.OPEN)
        assert found.source == "codex tap: headers"
        assert engine.tap.states() == [], "its door is shut"
    assert len(serving_provider.asked) == 3
    assert {asked.headers["authorization"] for asked in serving_provider.asked} == {f"Bearer {KEY}"}
    assert all(PLANTED.encode() in asked.body for asked in serving_provider.asked)
    assert place.saw.read_text().startswith("headway-"), "the agent has a stand-in"
    assert holding(home, PLANTED, KEY, place.saw.read_text()) == []
    assert stat.S_IMODE((home / "tap.json").stat().st_mode) == 0o600


async def test_a_refusal_that_is_sat_out_in_silence_is_seen_and_is_no_stall(home: Path, place: Place) -> None:
    refused = False

    async def script(asked: Asked) -> None:
        nonlocal refused
        if refused:
            await serve(asked)
        else:
            refused = True
            asked.answer(b'{"error":{"type":"tokens"}}', status="429 Too Many Requests", more="retry-after: 3\r\n")

    async with provider(script) as there, serving(home, place.settings(there.url, place.agent(stall=1))) as engine:
        (job,) = await submit(engine, JOB)
        line = await until_told(engine, "429 from 127.0.0.1")
        assert line == "429 from 127.0.0.1, retry after 3 s"
        (state,) = engine.tap.states()
        assert (state.job, state.account, state.calls, state.refused, state.status) == (job, "work", 1, 1, 429)

        async def known() -> bool:
            return any(one.standing is Standing.CLOSED for one in await engine.weather.windows())

        await until(engine, known)
        (second,) = await submit(engine, JOB)
        (reason,) = (await engine.explain(second)).waiting
        assert reason.cause is Cause.LIMIT, "and the account's other jobs wait for it as well"
        assert len(there.asked) == 1
        row, attempts = await ended(engine, job)
        assert (row.state, len(attempts)) == (State.SUCCEEDED, 1), row.reason
        await engine.act(Order(verb=Verb.CANCEL, jobs=[second]), "me")
        await ended(engine, second)


async def test_a_limit_of_which_the_agent_says_no_end_is_waited_for_as_the_provider_said(
    home: Path, place: Place
) -> None:
    async def script(asked: Asked) -> None:
        asked.answer(b"{}", status="429 Too Many Requests", more="retry-after: 7200\r\n")

    async with provider(script) as there, serving(home, place.settings(there.url, place.agent(GIVES_UP=1))) as engine:
        (job,) = await submit(engine, JOB)

        async def parked() -> bool:
            return (await engine.row(job)).not_before is not None

        await until(engine, parked)
        row = await engine.row(job)
        (attempt,) = await engine.store.read.attempts(job)
        assert (attempt.failure, row.state, row.tries) == (Failure.RATE_LIMITED, State.READY, 0)
        assert row.not_before is not None and attempt.ended_at is not None
        assert 7_000_000 < row.not_before - attempt.ended_at < 9_000_000


async def test_what_waits_longer_than_may_be_is_stopped_and_parked_as_a_limit(
    home: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runner.watch.SIT_OUT_SECONDS", 0.1)

    async def script(asked: Asked) -> None:
        asked.answer(b"{}", status="429 Too Many Requests", more="retry-after: 59\r\n")

    async with provider(script) as there, serving(home, place.settings(there.url, place.agent(stall="1s"))) as engine:
        (job,) = await submit(engine, JOB)

        async def parked() -> bool:
            return (await engine.row(job)).not_before is not None

        await until(engine, parked)
        (attempt,) = await engine.store.read.attempts(job)
        assert attempt.failure is Failure.RATE_LIMITED
        assert "its provider's last answer was 429" in (attempt.reason or "")
        assert (await engine.row(job)).tries == 0


async def test_a_killed_engine_is_waited_for_by_the_agent_and_the_next_one_listens_where_it_did(
    home: Path, place: Place
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def script(asked: Asked) -> None:
        if len(there.asked) == 2:
            begun.set()
            await go.wait()
        await serve(asked)

    async with asyncio.timeout(PATIENCE), provider(script) as there:
        settings_file(home, msgspec.json.encode(place.settings(there.url, place.agent(CALLS=4))).decode())
        one = Served(home)
        one.start()
        try:
            async with Client(home) as client:
                (job,) = await client.submit([JOB])
                await begun.wait()
                (state,) = await client.taps()
                assert (state.calls, state.running, state.upstream) == (2, 1, "127.0.0.1")
            assert f"J{job}" in one.headway("tap").stdout
            before = (home / "tap.json").read_bytes()
            one.kill()
            go.set()
            place.key.write_text("sk-the-key-that-was-put-there-meanwhile")
            one.start()
            assert (home / "tap.json").read_bytes() == before
            await one.until_ended([job])
            async with Client(home) as client:
                detail = await client.job(job)
            assert (detail.job.state, len(detail.attempts)) == (State.SUCCEEDED, 1), detail.job.reason
        finally:
            one.stop()
    assert there.asked[-1].headers["authorization"] == "Bearer sk-the-key-that-was-put-there-meanwhile"
    assert holding(home, KEY, "sk-the-key-that-was") == []


async def test_without_an_account_that_asks_for_it_there_is_no_tap(home: Path, engine: Engine) -> None:
    (job,) = await submit(engine, JobSpec(prompt="true", agent="shell"))
    await ended(engine, job)
    assert not (home / "tap.json").exists()
    assert engine.tap.states() == []


async def until_told(engine: Engine, words: str) -> str:
    """A line of progress, once it is told."""
    async with asyncio.timeout(PATIENCE):
        seen = 0
        while True:
            seen, told = engine.hub.progress_after(seen)
            for one in told:
                if words in one.line:
                    return one.line
            await engine.hub.changed(engine.hub.seq, seen)
