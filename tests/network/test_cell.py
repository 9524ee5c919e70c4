"""A real sandbox whose network is a list: what a shell job in it reaches, and what the engine says of the rest."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.cli.jobs import _described
from engine import events as log
from engine.config import AgentSettings, Settings
from engine.config.gates import GateSettings
from engine.config.sandbox import SandboxSettings
from engine.model import Wanted
from engine.server.sandboxes import serving_sandboxes
from engine.serving import serving
from tests.conftest import ended, shell
from tests.runner.test_sandbox import bubblewrap  # noqa: F401 - a fixture

LOOK = r"""
import http.client, socket, sys, urllib.error, urllib.request
allowed, other = sys.argv[1], sys.argv[2]
def get(url):
    try:
        return urllib.request.urlopen(url, timeout=60).read().decode().strip()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode().strip()}"
    except OSError as error:
        return f"none: {getattr(error, 'reason', error)}"
def tunnel(host, port):
    line = http.client.HTTPConnection("127.0.0.1", 3128, timeout=60)
    line.set_tunnel(host, int(port))
    try:
        line.request("GET", "/")
        return line.getresponse().read().decode().strip()
    except OSError as error:
        return f"none: {error}"
print("at its own address:", get(f"http://127.0.0.1:{allowed}/"))
print("by the proxy:", tunnel("127.0.0.1", allowed))
print("another port:", get(f"http://127.0.0.1:{other}/"))
print("by the proxy, another port:", tunnel("127.0.0.1", other))
print("another host:", get("http://evil.example/a"))
print("by a tunnel, another host:", tunnel("evil.example", 443))
try:
    print("straight:", socket.create_connection(("192.0.2.1", 80), 60))
except OSError as error:
    print("straight: none:", error.strerror)
line = socket.create_connection(("127.0.0.1", 3128))
line.sendall(b"rubbish\r\n\r\n")
print("rubbish:", line.recv(99).split(b"\r\n")[0].decode())
"""


@contextlib.asynccontextmanager
async def site(words: str) -> AsyncIterator[int]:
    """A web server of this machine."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            body = words.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.usefixtures("bubblewrap")
async def test_what_the_list_names_is_reached_and_all_else_is_refused_and_told(home: Path, tmp_path: Path) -> None:
    async with site("welcome") as allowed, site("secret") as other:
        sandbox = SandboxSettings(network=[f"127.0.0.1:{allowed}", "*.example.org"], read=[str(tmp_path / "look")])
        gate = GateSettings(checks=[f"{sys.executable} -I {tmp_path}/look/look.py {allowed} {other} | grep welcome"])
        (tmp_path / "look").mkdir()
        (tmp_path / "look" / "look.py").write_text(LOOK)
        settings = Settings(grace=1.0, agents={"shell": AgentSettings(sandbox=sandbox)}, gates={"sees": gate})
        command = f"echo $HTTPS_PROXY $NO_PROXY; {sys.executable} {tmp_path}/look/look.py {allowed} {other}; exit 3"
        async with serving(home, settings) as engine, serving_sandboxes(engine):
            (job,) = (await engine.submit(Wanted([shell(command)]))).ids
            await ended(engine, [job])
            _, run = await engine.attempt_files(job, None)
            said = run.stdout.read_text() + run.stderr.read_text()
            lines = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
            assert said.startswith("http://127.0.0.1:3128 localhost,127.0.0.1,::1\n"), said
            assert lines["at its own address"] == lines["by the proxy"] == "welcome", said
            assert lines["another port"].startswith("none: "), said
            assert "secret" not in said
            assert "403" in lines["by the proxy, another port"] and "403" in lines["by a tunnel, another host"]
            assert lines["another host"].startswith("403 headway: evil.example:80 may not be reached")
            assert lines["straight"] == "none: Network is unreachable"
            assert lines["rubbish"] == "HTTP/1.1 400 Bad Request"
            detail = await engine.job(job)
            assert detail.refused == [f"127.0.0.1:{other}", "evil.example:80", "evil.example:443"]
            told = [one for one in await engine.store.read.events(0, 1_000) if isinstance(one.body, log.NetworkRefused)]
            assert {(one.job, one.attempt) for one in told} == {(job, detail.attempts[0].id)}
            assert any("refused   of the network: 127.0.0.1:" in line for line in _described(detail))
            (checked,) = (await engine.submit(Wanted([shell("touch made", gate="sees")]))).ids
            await ended(engine, [checked])
            (look,) = await engine.gates.looks(checked)
            assert look.passed, (look.checks, "checks of the work reach what the agent reaches")
