"""Whoever is in a sandbox may open the sockets that it sees, and speak there, without end: others are served."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from engine.config import AgentSettings, Settings
from engine.config.sandbox import SandboxSettings
from engine.engine import Engine
from engine.home import AGENTS, NETWORK
from engine.model import Order, Verb
from engine.network.passes import Pass, key_of, sign
from engine.runner import spawn
from engine.server import guests
from engine.server.agents import serving_agents
from engine.server.sandboxes import serving_sandboxes
from engine.serving import serving
from tests.conftest import PATIENCE
from tests.mcp import desk

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _at(home: Path, name: str, said: bytes = b"") -> Ends:
    reader, writer = await asyncio.open_unix_connection(str(home / name))
    writer.write(said)
    return reader, writer


def _frame(token: str, call: str, **more: object) -> bytes:
    return json.dumps({"token": token, "call": call, "tool": "job_status", "arguments": {}, **more}).encode() + b"\n"


async def _held(engine: Engine) -> tuple[int, str]:
    one = await desk.held(engine)
    return one.job, json.loads(one.capability.read_bytes())["token"]


async def test_connections_that_say_nothing_make_room_for_one_more(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guests, "STRANGERS", 4, raising=False)
    async with serving(home, desk.settings(None)) as engine, serving_agents(engine), asyncio.timeout(PATIENCE):
        job, token = await _held(engine)
        reader, writer = await _at(home, AGENTS, _frame(token, "first"))
        assert json.loads(await reader.readline())["ok"]
        silent = [await _at(home, AGENTS) for _ in range(6)]
        for one, _ in silent[:2]:
            assert await one.read() == b"", "the oldest were cut off"
        writer.write(_frame(token, "second"))
        assert json.loads(await reader.readline())["ok"], "and not who is known, who came before them"
        for _, one in (*silent, (reader, writer)):
            one.close()
        await engine.act(Order(verb=Verb.CANCEL, jobs=[job]), "test")


async def test_a_token_that_is_good_for_nothing_is_told_so_once(home: Path) -> None:
    async with serving(home, desk.settings(None)) as engine, serving_agents(engine), asyncio.timeout(PATIENCE):
        reader, writer = await _at(home, AGENTS, _frame("x", "1") + _frame("x", "2", cancel=True) * 100)
        told = (await reader.read()).splitlines()
        assert [json.loads(one)["call"] for one in told] == ["1"]
        writer.close()


async def test_who_calls_without_end_is_read_at_a_pace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.server.agents.FRAMES_A_MINUTE", 6, raising=False)
    settings = desk.settings(None, calls=3)
    async with serving(home, settings) as engine, serving_agents(engine), asyncio.timeout(PATIENCE):
        job, token = await _held(engine)
        reader, writer = await _at(home, AGENTS, b"".join(_frame(token, str(n), cancel=True) for n in range(1_000)))
        assert json.loads(await reader.readline())["call"] == "0"
        other, answering = await _at(home, AGENTS, _frame(token, "other"))
        assert json.loads(await other.readline())["call"] == "other"
        writer.close()
        answering.close()
        assert len((await reader.read()).splitlines()) < 900
        await engine.act(Order(verb=Verb.CANCEL, jobs=[job]), "test")


async def test_what_one_sandbox_holds_is_not_taken_from_others(home: Path) -> None:
    spawn.raise_open_files_limit()
    settings = Settings(agents={"shell": AgentSettings(sandbox=SandboxSettings(network=["api.example.org"]))})
    async with serving(home, settings) as engine, serving_sandboxes(engine), asyncio.timeout(PATIENCE):

        async def held(attempt: int) -> Ends:
            """What a tunnel is: it said whose it is, and stays."""
            word = sign(key_of(home), Pass(1, "shell", None, attempt))
            return await _at(home, NETWORK, f"{word} proxy\n".encode())

        async def answer(ends: Ends) -> bytes:
            ends[1].write(b"rubbish\r\n\r\n")
            return await ends[0].read()

        many = [await held(attempt) for attempt in (1, 2) for _ in range(256)]
        assert await answer(await held(1)) == b"", "it has as many as a sandbox may have"
        assert b"400" in await answer(await held(3))
        assert b"400" in await answer(many[-1])
        for _, writer in many:
            writer.close()
