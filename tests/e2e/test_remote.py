"""An engine in a process of its own, reached over the network as users reach it: by commands, and by who means ill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.errors import HeadwayError, NoEngineError
from engine.server.client import Client
from engine.server.network import KEY, fingerprint
from tests.conftest import PATIENCE, Served, settings_file
from tests.forked import forks
from tests.server.network import certified, head

GIB = 1 << 30


@dataclass(slots=True)
class Far:
    """The engine of a home, over there."""

    served: Served
    certificate: Path
    url: str = ""

    async def start(self) -> None:
        self.served.start()
        await self.look()

    async def look(self) -> None:
        """Where it listens now."""
        async with Client(self.served.home) as client:
            self.url = (await client.status()).listens or ""

    def token(self, name: str, role: str, *more: str) -> Path:
        made = self.served.headway("token", "add", name, "--role", role, *more)
        assert made.returncode == 0, made.stderr
        file = self.served.home.parent / f"{name}.token"
        file.write_text(made.stdout)
        return file

    def headway(self, *words: str, token: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command line that knows nothing of the home."""
        own = {"HEADWAY_ENGINE": self.url, "HEADWAY_FINGERPRINT": f"sha256:{fingerprint(self.certificate)}"}
        given = ["--token-file", str(token)] if token is not None else []
        return forks().run([*given, *words], timeout=PATIENCE, env={**os.environ, **own, **environment})

    def raw(self) -> ssl.SSLSocket:
        """A connection of TLS that says what it is told to."""
        context = ssl.create_default_context(cafile=self.certificate)
        peer = socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=PATIENCE)
        return context.wrap_socket(peer, server_hostname="localhost")


@pytest.fixture
async def far(served: Served) -> Far:
    settings_file(served.home, "max_running: 4\ngrace: 1\nserver: {listen: '127.0.0.1:0'}\n")
    one = Far(served, certified(served.home))
    await one.start()
    return one


async def test_commands_work_through_the_network(far: Far) -> None:
    operator, viewer = far.token("ci", "operator", "--expires", "1h"), far.token("eye", "viewer")
    done = far.headway("submit", "--agent", "shell", "echo hello", token=operator)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert far.headway("logs", "1", "-f", token=viewer).stdout == "hello\n"
    assert "echo hello" in far.headway("jobs", token=viewer).stdout
    assert "echo hello" in far.headway("show", "1", HEADWAY_TOKEN=viewer.read_text()).stdout
    assert far.headway("hold", "--all", token=operator).returncode == 0
    assert "held" in far.headway("events", token=viewer).stdout
    for words, token, code, said in (
        (["hold", "1"], viewer, 5, "is of a viewer; that needs an operator"),
        (["drain"], operator, 5, "that needs an admin"),
        (["shutdown"], operator, 5, "that needs an admin"),
        (["audit"], operator, 5, "that needs an admin"),
        (["jobs"], None, 2, "wants a token"),
        (["attach", "1"], operator, 2, "attach ssh://127.0.0.1"),
        (["backup"], operator, 2, "needs the files of the home"),
        (["serve"], operator, 2, "needs the files of the home"),
    ):
        done = far.headway(*words, token=token)
        assert (done.returncode, said in done.stderr) == (code, True), (words, done.stderr)
    assert far.served.headway("token", "revoke", "ci").returncode == 0
    done = far.headway("jobs", token=operator)
    assert (done.returncode, "opens nothing" in done.stderr) == (5, True)
    told = far.served.headway("audit", "--who", "ci").stdout
    assert "tcp 127.0.0.1" in told and "verb=hold scope=all" in told


async def test_a_reload_keeps_the_door_and_takes_the_new_certificate(far: Far) -> None:
    viewer, boss = far.token("eye", "viewer"), far.token("boss", "admin")
    assert far.headway("jobs", token=viewer).returncode == 0
    before = fingerprint(far.certificate)
    made = far.served.headway("server", "certificate", "--renew", "--name", "localhost")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", made.stdout) and before not in made.stdout
    process = far.served.process
    assert process is not None
    async with Client(far.served.home) as client:
        status = await client.status()
        wrong = far.served.home / "headway.yaml"
        right = wrong.read_text()
        wrong.write_text("max_runing: 1\n")
        done = far.headway("reload", token=boss, HEADWAY_FINGERPRINT=before)
        assert (done.returncode, "did you mean 'max_running'" in done.stderr) == (2, True)
        wrong.write_text(right)
        key = far.certificate.with_name(KEY)
        key.chmod(0o644)
        done = far.headway("reload", token=boss, HEADWAY_FINGERPRINT=before)
        assert (done.returncode, "chmod 600" in done.stderr) == (5, True)
        key.chmod(0o600)
        done = far.headway("reload", token=boss, HEADWAY_FINGERPRINT=before)
        assert done.returncode == 0, done.stderr
        with contextlib.suppress(NoEngineError):
            async for _ in client.follow(status.seq):
                pass  # until it has gone
    await _up(far)
    assert far.headway("jobs", token=viewer).returncode == 0
    old = far.headway("jobs", token=viewer, HEADWAY_FINGERPRINT=before)
    assert (old.returncode, "not the one that is pinned" in old.stderr) == (3, True)
    # By the shutdown of an admin, too, with its streams open.
    with far.raw() as stream:
        stream.sendall(head(viewer.read_text().strip(), "GET", "/v1/events?follow=1"))
        assert stream.recv(100).startswith(b"HTTP/1.1 200")
        done = far.headway("shutdown", token=boss)
        assert done.returncode == 0, done.stderr
        assert process.wait(PATIENCE) == 0


async def test_a_gigabyte_costs_no_memory(far: Far) -> None:
    token = far.token("ci", "operator").read_text().strip()
    said, before = [], _peak(far)
    with far.raw() as peer:
        peer.sendall(head(token, "POST", "/v1/jobs", f"Content-Length: {GIB}"))
        said.append(_sent(peer, b"[" + b" " * 0xFFFF, GIB))
    with socket.socket(socket.AF_UNIX) as near:
        near.settimeout(PATIENCE)
        near.connect(str(far.served.home / "engine.sock"))
        near.sendall(
            f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {GIB}\r\nConnection: close\r\n\r\n".encode()
        )
        said.append(_sent(near, b"[" + b" " * 0xFFFF, GIB))
    known = _peak(far) - before
    with far.raw() as peer:
        peer.sendall(head(token, "POST", "/v1/jobs", "Transfer-Encoding: chunked"))
        said.append(_sent(peer, b"10000\r\n" + b" " * 0x10000 + b"\r\n", GIB))
    for answer, count in said:
        assert answer.startswith(b"HTTP/1.1 413"), answer[:200]
        assert count < GIB
    assert known < 16 << 20, f"{known >> 20} MiB"
    assert _peak(far) - before < 64 << 20, f"{(_peak(far) - before) >> 20} MiB"


async def _up(far: Far) -> None:
    """Until the engine that comes after answers."""

    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(HeadwayError):
                await far.look()
                return
            await asyncio.sleep(0.05)


def _sent(peer: socket.socket, piece: bytes, most: int) -> tuple[bytes, int]:
    """Say the same again and again until there is an answer. It, and how many bytes went."""
    count = 0
    peer.setblocking(False)
    try:
        while count < most:
            with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
                count += peer.send(piece)
            with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                return peer.recv(1 << 16), count
    except OSError:
        with contextlib.suppress(OSError):
            return peer.recv(1 << 16), count
    return b"", count


def _peak(far: Far) -> int:
    """Bytes of memory that the engine has had at most."""
    assert far.served.process is not None
    status = Path(f"/proc/{far.served.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) << 10
