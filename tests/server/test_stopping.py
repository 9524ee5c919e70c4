"""How the server ends: at once where nobody is connected, after the answers that it owes, and not for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from engine.server import serve


class Slow:
    """An app whose answer ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.begun.set()
        await self.may_end.wait()
        await send({"type": "http.response.body", "body": b"whole"})


@asynccontextmanager
async def serving(app: Slow, place: Path, grace: float = 60) -> AsyncIterator[tuple[serve._Server, asyncio.Task[None]]]:
    config = serve._config(app, serve._OwnersOnly)
    config.timeout_graceful_shutdown = grace  # type: ignore[assignment]
    server = serve._Server(config)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await server.answering.wait()
        yield server, task
        await task


async def test_it_waits_for_nobody_where_nobody_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slept(seconds: float) -> None:
        pytest.fail(f"it slept for {seconds} s")

    async with serving(Slow(), tmp_path / "door") as (server, task):
        monkeypatch.setattr(asyncio, "sleep", slept)
        server.quit()
        await task


async def test_what_is_being_answered_is_answered_first(tmp_path: Path) -> None:
    app = Slow()
    async with (
        serving(app, tmp_path / "door") as (server, task),
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(tmp_path / "door"))) as client,
    ):
        asked = asyncio.create_task(client.get("http://engine/"))
        await app.begun.wait()
        server.quit()
        while all(door.is_serving() for door in server.servers):
            await asyncio.sleep(0)
        assert not task.done()
        app.may_end.set()
        assert (await asked).text == "whole"


async def test_an_answer_without_an_end_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = Slow()
    async with (
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(tmp_path / "door"))) as client,
        serving(app, tmp_path / "door", grace=0.01) as (server, _),
    ):
        asked = asyncio.create_task(client.get("http://engine/"))
        await app.begun.wait()
        server.quit()
        with pytest.raises(httpx.RemoteProtocolError):
            await asked
    assert "cuts 1 answers off" in caplog.text
