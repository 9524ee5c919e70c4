"""The SSH line of an attached console is cut in mid-stream: a real sshd on loopback, and the console's subscription."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from console.client import EngineClient
from console.desk import Desk
from console.feed import Feed
from console.fire.card import Card, gap
from console.fire.playing import Seen, settle, think
from console.fire.stage import PATIENCE, stage
from console.theme import Ink, load_themes
from engine.events import Event
from engine.model import Progress, Status
from engine.remote.line import FarClient, far_client
from engine.remote.place import Place

CUTS = 3
EVENTS = 8  #: that come over a line before it is cut
_CONFIG = """\
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
"""


@dataclass(slots=True)
class Sshd:
    """An sshd for each line that comes in, and the lines' own sockets, so that they can be cut."""

    program: str
    folder: Path
    listener: socket.socket
    lines: list[socket.socket] = field(default_factory=list)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        command = [self.program, "-i", "-f", str(self.folder / "sshd_config"), "-E", str(self.folder / "sshd.log")]
        while True:
            line, _ = await loop.sock_accept(self.listener)
            self.lines.append(line)
            await asyncio.create_subprocess_exec(*command, stdin=line.fileno(), stdout=line.fileno())

    def cut(self) -> None:
        """What a network does that goes away: nothing comes or goes any more, for nobody."""
        with contextlib.suppress(OSError):
            self.lines[-1].shutdown(socket.SHUT_RDWR)

    @property
    def ssh(self) -> tuple[str, ...]:
        """How ssh gets in."""
        options = ("IdentitiesOnly=yes", "BatchMode=yes", f"UserKnownHostsFile={self.folder / 'known_hosts'}")
        words = [word for one in options for word in ("-o", one)]
        return "ssh", "-F", "none", "-i", str(self.folder / "key"), *words


@asynccontextmanager
async def _sshd(program: str, folder: Path) -> AsyncIterator[Sshd]:
    folder.mkdir(mode=0o700, parents=True)
    for name in ("host", "key"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        await asyncio.to_thread(subprocess.run, keygen, check=True, stdin=subprocess.DEVNULL)
    (folder / "sshd_config").write_text(_CONFIG.format(folder=folder))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
        one = Sshd(program, folder, listener)
        running = asyncio.create_task(one.run())
        try:
            yield one
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            for line in one.lines:
                line.close()


class Watched:
    """The way to the engine as the console's subscription takes it. Its line is cut in mid-stream, a few times."""

    def __init__(self, far: FarClient, sshd: Sshd) -> None:
        self._far = far
        self._sshd = sshd
        self.seqs: list[int] = []
        self.cuts: list[float] = []
        self.back: list[float] = []
        """When something came again after each."""
        self._heard = asyncio.Event()

    async def status(self) -> Status:
        return await self._far.status()

    async def follow(self, after: int | None = None) -> AsyncIterator[Event | Progress]:
        taken, after_cuts = 0, len(self.cuts)
        async with aclosing(self._far.follow(after)) as items:
            async for item in items:
                if len(self.back) < after_cuts:
                    self.back.append(time.monotonic())
                yield item
                if isinstance(item, Event):
                    self.seqs.append(item.seq)
                    self._heard.set()
                    taken += 1
                if taken == EVENTS and len(self.cuts) < CUTS:
                    self.cuts.append(time.monotonic())
                    self._sshd.cut()

    async def caught_up(self, seq: int) -> None:
        """Return once the console has been told of this event."""
        while not self.seqs or self.seqs[-1] < seq:
            self._heard.clear()
            await self._heard.wait()


async def ssh_dropped(folder: Path) -> Card:
    """The SSH line of an attached console is cut in mid-stream, again and again."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return Card(fault="SSH line dropped", jobs=0, skipped="there is no sshd here, or no ssh")
    async with stage(folder) as one, _sshd(program, folder / "ssh") as sshd:
        headway = str(Path(sys.executable).with_name("headway"))
        place = Place("127.0.0.1", sshd.listener.getsockname()[1], str(one.home), headway, sshd.ssh)
        async with far_client(place) as far:
            first = (await far.status()).seq + 1
            watched = Watched(far, sshd)
            desk = Desk(client=cast(EngineClient, watched), ink=Ink(next(iter(load_themes().values()))), host="drill")
            offline: list[float] = []
            jobs: list[int] = []

            def told(message: object) -> None:
                if desk.offline_since is not None:
                    offline.append(time.monotonic())

            following = asyncio.create_task(Feed(desk, told).run())
            try:
                while len(watched.cuts) < CUTS:  # of each crowd of jobs the line lives to see a part
                    jobs += await one.submit([think(0.7), think(0.7)])
                    await one.until_ended(jobs)
                    async with asyncio.timeout(PATIENCE):
                        await watched.caught_up(one.events[-1][1].seq)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
        waits = [back - cut for cut, back in zip(watched.cuts, watched.back, strict=False)]
        said = f"the console says offline; cut {len(watched.cuts)} times, back after {max(waits):.1f} s at most"
        seen = Seen(watched.cuts[0], min(offline), said, jobs)
        return await settle(one, "SSH line dropped", seen, gap(watched.seqs, desk.seq, first))
