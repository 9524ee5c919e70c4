"""Real trees of processes, started from shell scripts, each of which tells when it runs."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from engine.runner import procfs, spawn
from engine.runner.procfs import Identity
from engine.runner.spawn import Streams
from engine.runner.tree import MARKER

PATIENCE = 30.0  #: seconds after which something that was waited for will not come

#: Says its name and pid, and then does nothing for ever. `$0` is the pipe on which it says so.
SLEEP = 'echo "{name} $$" >"$0"; exec sleep 600'


def sleeper(name: str) -> str:
    return f"sh -c '{SLEEP.format(name=name)}' \"$0\""


@dataclass
class Wood:
    """Starts trees and hears from each of their processes."""

    pipe: Path
    fd: int
    known: dict[str, Identity] = field(default_factory=dict)
    unread: bytes = b""

    def start(self, script: str, *, marker: str = "", env: dict[str, str] | None = None) -> Identity:
        """Run a shell script as the root of a tree."""
        named = {MARKER: marker} if marker else {}
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            pid = spawn.spawn(
                ["sh", "-c", script, str(self.pipe)],
                {"PATH": os.environ["PATH"], **named, **(env or {})},
                Streams(nothing, nothing, nothing),
            )
        finally:
            os.close(nothing)
        who = procfs.identity(pid)
        assert who is not None
        self.known[f"root {pid}"] = who
        return who

    async def hear(self, *names: str) -> set[int]:
        """Wait until all of these have said that they run; their pids."""
        async with asyncio.timeout(PATIENCE):
            while not set(names) <= set(self.known):
                await self._read()
        return {self.known[name].pid for name in names}

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(self.fd, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_reader(self.fd)
        *lines, self.unread = (self.unread + os.read(self.fd, 4096)).split(b"\n")
        for line in lines:
            name, pid = line.decode().split()
            if (who := procfs.identity(int(pid))) is not None:
                self.known[name] = who

    def alive(self, *names: str) -> set[str]:
        return {name for name in names or self.known if procfs.is_alive(self.known[name])}


#: Everything that hides: a child, one in a session of its own, a daemon, and one whose environment is empty.
HIDING = f"""
{sleeper("child")} &
setsid {sleeper("session")} &
(setsid {sleeper("daemon")} &)
env -i PATH="$PATH" {sleeper("bare")} &
env -i PATH="$PATH" setsid {sleeper("bare-session")} &
{SLEEP.format(name="shim")}
"""
HIDDEN = ("shim", "child", "session", "daemon", "bare", "bare-session")
