"""The shim alone, and with an engine that comes and goes: what it says by itself, and what it says again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.home import AGENTS
from engine.mcp import capability, shim
from engine.model import Tool
from engine.runner.run_dir import RunDir
from engine.server.listening import listening
from tests.conftest import PATIENCE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return capability.write(RunDir(tmp_path), tmp_path / "home", "the-token", list(Tool))


@dataclass
class Spoken:
    """A shim, and what passes between it and its agent."""

    process: asyncio.subprocess.Process
    number: int = 0

    def say(self, method: str, params: dict[str, Any] | None = None, *, number: int | None = None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params or {}}
        self.raw(json.dumps(message if number is None else {**message, "id": number}).encode())

    def raw(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")

    async def heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.process.stdout.readline())  # type: ignore[no-any-return]

    async def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self.number += 1
        self.say(method, params, number=self.number)
        answer = await self.heard()
        assert answer["id"] == self.number
        return answer


@contextlib.asynccontextmanager
async def spoken(file: Path) -> AsyncIterator[Spoken]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(shim.__file__), str(file), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        limit=4 << 20,
    )  # fmt: skip
    try:
        yield Spoken(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0, "it ends with its standard input"


@dataclass
class FakeEngine:
    """Takes frames, and answers them when told to."""

    home: Path
    frames: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    lines: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines.append(writer)
        while line := await reader.readline():
            self.frames.put_nowait(json.loads(line))

    async def frame(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            return await self.frames.get()

    def answer(self, frame: dict[str, Any], text: str, *, ok: bool = True) -> None:
        self.lines[-1].write(json.dumps({"call": frame["call"], "ok": ok, "text": text}).encode() + b"\n")

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        with listening(self.home, AGENTS) as listener:
            listener.setblocking(False)
            server = await asyncio.start_unix_server(self.serve, sock=listener)
            try:
                yield
            finally:
                server.close()
                for one in self.lines:
                    one.transport.abort()


def text(answer: dict[str, Any]) -> str:
    return str(answer["result"]["content"][0]["text"])


async def test_it_speaks_each_revision_and_says_what_it_does_not_know(file: Path) -> None:
    async with spoken(file) as one:
        for version in shim.HANDSHAKE:
            answer = await one.ask("initialize", {"protocolVersion": version})
            assert answer["result"]["protocolVersion"] == version
        newest = await one.ask("initialize", {"protocolVersion": "2099-01-01"})
        assert newest["result"]["protocolVersion"] == shim.HANDSHAKE[-1]
        assert newest["result"]["capabilities"] == {"tools": {"listChanged": False}}
        one.say("notifications/initialized")
        assert (await one.ask("ping"))["result"] == {}
        listed = (await one.ask("tools/list"))["result"]
        assert [tool["name"] for tool in listed["tools"]] == [tool.value for tool in Tool] and len(listed) == 1
        meta = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
        modern = (await one.ask("tools/list", meta))["result"]
        assert (modern["resultType"], modern["cacheScope"]) == ("complete", "private")
        assert (await one.ask("server/discover", meta))["result"]["supportedVersions"] == ["2026-07-28"]
        old = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-01-01"}}
        assert (await one.ask("tools/list", old))["error"]["code"] == -32022
        assert (await one.ask("resources/list"))["error"]["code"] == -32601
        assert (await one.ask("tools/call", {"name": "rm"}))["error"]["code"] == -32602
        for line, code in ((b"{", -32700), (b"[1]", -32600), (b'"x"', -32600), (b"[" * 5_000, -32700)):
            one.raw(line)
            assert (await one.heard())["error"]["code"] == code
        one.raw(b'{"jsonrpc":"2.0","id":9,"result":{}}')  # an answer to nothing
        one.raw(b" " * (3 << 20) + b"x")
        assert "longer than" in (await one.heard())["error"]["message"]
        assert (await one.ask("ping"))["result"] == {}, "it goes on after that"


async def test_a_call_in_flight_is_sent_again_to_the_next_engine_under_its_name(file: Path, tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path / "home")
    async with spoken(file) as one:
        one.say("tools/call", {"name": "ask_operator", "arguments": {"question": "?"}}, number=1)
        async with engine.up():
            first = await engine.frame()
            assert (first["token"], first["tool"], first["arguments"]) == (
                "the-token",
                "ask_operator",
                {"question": "?"},
            )
        async with engine.up():
            assert await engine.frame() == first
            engine.answer(first, "yes")
            assert text(await one.heard()) == "yes"
            one.say("tools/call", {"name": "recall", "arguments": {"query": "x"}}, number=2)
            second = await engine.frame()
            assert second["call"] != first["call"], "what was answered is not sent again"
            engine.answer(second, "no", ok=False)
            answer = await one.heard()
            assert (answer["id"], answer["result"]["isError"]) == (2, True)


async def test_what_is_cancelled_is_not_answered_and_the_engine_hears_of_it(file: Path, tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path / "home")
    async with spoken(file) as one:
        one.say("tools/call", {"name": "ask_operator", "arguments": {"question": "?"}}, number=1)
        async with engine.up():
            frame = await engine.frame()
        one.say("notifications/cancelled", {"requestId": 1})  # while no engine is there
        async with engine.up():
            left = await engine.frame()
            assert (left["call"], left["cancel"]) == (frame["call"], True)
            engine.answer(frame, "too late")
            one.number = 1
            assert (await one.ask("ping"))["result"] == {}, "and nothing before it"


async def test_a_call_that_waits_gives_signs_of_life_to_a_client_that_wants_them(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = tmp_path / "shim.py"
    quick.write_text(Path(str(shim.__file__)).read_text().replace("PROGRESS_SECONDS = 15.0", "PROGRESS_SECONDS = 0.02"))
    monkeypatch.setattr(shim, "__file__", str(quick))
    engine = FakeEngine(tmp_path / "home")
    async with spoken(file) as one, engine.up():
        arguments = {"name": "ask_operator", "arguments": {"question": "?"}, "_meta": {"progressToken": "p"}}
        one.say("tools/call", arguments, number=1)
        frame = await engine.frame()
        told = [(await one.heard())["params"] for _ in range(2)]
        assert [(each["progressToken"], each["progress"]) for each in told] == [("p", 1), ("p", 2)]
        engine.answer(frame, "yes")
        while "result" not in (answer := await one.heard()):
            assert answer["method"] == "notifications/progress"
        assert text(answer) == "yes"


def test_without_its_file_it_says_so_and_ends(tmp_path: Path) -> None:
    for content in (None, b"{}", b"x"):
        path = tmp_path / "gone.json"
        if content is not None:
            path.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(shim.__file__), str(path)], capture_output=True, text=True, input=""
        )
        assert done.returncode == 1 and done.stderr.startswith("headway mcp:") and done.stderr.count("\n") == 1
