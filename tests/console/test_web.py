"""The console in a browser: a real server, and a websocket as a browser opens it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from console.launch import start_engine


@pytest.fixture
def address(home: Path) -> Iterator[str]:
    engine = start_engine(home)
    command = [sys.executable, "-m", "console.cli", "--home", str(home), "web", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    yield server.stdout.readline().strip()
    server.terminate()
    server.wait()
    server.stdout.close()
    engine.terminate()
    engine.wait()


async def test_a_browser_with_the_token_sees_the_console_and_no_other(address: str) -> None:
    parts = urlsplit(address)
    page = f"http://{parts.netloc}"
    # The library of cookies wants to be told that those of an address are kept too.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        for path in ("/", "/static/css/xterm.css", "/ws", "/?token=guess"):
            assert (await browser.get(page + path)).status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await browser.ws_connect(f"{page}/ws", origin=page)
        answer = await browser.get(address)
        assert answer.status == 200 and "token" not in str(answer.url)
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert (await browser.get(page, headers={"Host": "evil.example"})).status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await browser.ws_connect(f"{page}/ws", origin="http://evil.example")
        async with browser.ws_connect(f"{page}/ws?width=100&height=30", origin=page) as line:
            drawn = ""
            async with asyncio.timeout(60):
                while "Nothing is queued" not in drawn and "detach" not in drawn:
                    message = await line.receive()
                    assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
                    drawn += message.data if isinstance(message.data, str) else message.data.decode()
                await line.send_json(["stdin", "q"])
                while (message := await line.receive()).type is not aiohttp.WSMsgType.CLOSE:
                    assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
