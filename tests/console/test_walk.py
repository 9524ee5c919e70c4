"""A morning at the console, in a real terminal on a real engine: everything by keys, read off the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest

from engine.model import State
from engine.server.client import Client
from tests.conftest import PATIENCE, Served, settings_file
from tests.forked import REAL_START
from tests.runner.living import rehearsal

HANG: list[dict[str, object]] = [{"do": "say", "text": "I begin"}, {"do": "fail", "kind": "hang"}]
DONE: list[dict[str, object]] = [{"do": "run", "command": "cat by-hand.txt"}, {"do": "say", "text": "done"}]
QUICK: list[dict[str, object]] = [{"do": "say", "text": "quick"}]
ASKS: list[dict[str, object]] = [{"do": "run", "command": "echo tagged", "ask": True}, {"do": "say", "text": "tagged"}]
COLUMNS, LINES = 120, 40
LEADER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Seat:
    """Somebody at a terminal: what stands on it, and keys."""

    def __init__(self, home: Path) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", LINES, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", LEADER, sys.executable, "-m", "console.cli", "--home", str(home)],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)},
        )  # fmt: skip
        os.close(slave)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def sees(self, text: str, gone: str = "") -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.text or (gone and gone in self.text):
            assert time.monotonic() < end and self.read(), f"never saw {text!r}:\n{self.text}"

    def read(self) -> bool:
        if not select.select([self.master], [], [], PATIENCE)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        # What a terminal answers, or pushes its own state for, is none of the screen's business.
        self._stream.feed(data.replace(b"\x1b[>1u", b"").replace(b"\x1b[<u", b""))
        return bool(data)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self) -> int:
        while self.read():
            pass
        return self.process.wait(PATIENCE)


@pytest.fixture
def seats() -> Iterator[list[Seat]]:
    made: list[Seat] = []
    yield made
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        os.close(one.master)


async def targets(served: Served, jobs: list[int]) -> list[str]:
    async with Client(served.home) as client:
        return [job.target for job in await client.rows(jobs)]


async def test_submit_watch_pause_reroute_undo_answer_take_over_and_come_back(
    served: Served, tmp_path: Path, seats: list[Seat]
) -> None:
    settings_file(served.home, "max_running: 2\n")
    served.env = {"HEADWAY_REHEARSAL_SPEED": "0", REAL_START: "1", "XDG_CONFIG_HOME": str(tmp_path)}
    served.start()

    def submit(steps: list[dict[str, object]], title: str, *more: str) -> None:
        model = rehearsal(tmp_path, steps, DONE)
        done = served.headway("submit", "--agent", "rehearsal", "--model", model, "--scratch", *more, title)
        assert done.returncode == 0, done.stderr

    submit(QUICK, "something quick")
    await served.until_ended([1])
    seats.append(seat := Seat(served.home))
    seat.sees("last hour")

    # Submit, and watch it come.
    submit(HANG, "a long piece of work")
    seat.sees("J2")
    submit(ASKS, "tag the release", "--permission", "ask")
    seat.sees("1 !")
    for title in ("index the archive", "write the docs", "mend the login"):
        submit(QUICK, title)
    seat.press("2")
    seat.sees("mend the login")
    seat.sees("no slot")

    # Pause one, and go on.
    seat.press("G")
    seat.press("gjj")
    seat.sees("J4  ")
    seat.press("p")
    seat.sees("held J4")
    seat.sees("z undo")
    seat.press("z")
    seat.sees("took back hold")

    # Reroute a marked batch, its effect seen before; and take it back.
    before = await targets(served, [4, 5])
    seat.press("  ")
    seat.sees("2 marked")
    seat.press("R")
    seat.sees("2 jobs to")
    seat.sees("scenario-0.yaml")
    seat.sees("end not known", gone="looking ahead")
    seat.press("\r")
    seat.sees("rerouted 2 jobs: end not known")
    after = await targets(served, [4, 5])
    assert len(set(after)) == 1 and not set(after) & set(before)
    seat.press("z")
    seat.sees("took back reroute")
    assert await targets(served, [4, 5]) == before

    # Answer the card.
    seat.press("i")
    seat.sees("card for you")
    seat.sees("echo tagged")
    seat.press("a")
    while "allowed once" not in seat.text:
        if "press again" in seat.text:  # the list had just moved under the cursor
            seat.press("a")
        assert seat.read(), seat.text

    # Take the long piece over, and come back.
    seat.press("2")
    seat.sees("TITLE")
    seat.press("/a long piece\r")
    seat.sees("1 of 6")
    seat.press("a")
    seat.sees("/exit leaves")
    seat.press("!echo by hand >by-hand.txt\n")
    seat.sees("exit 0")
    seat.press("/exit\n")
    seat.sees("left the session of J2")
    await served.until_ended([2, 3])
    async with Client(served.home) as client:
        ended = await client.rows([2, 3])
    assert [job.state for job in ended] == [State.SUCCEEDED, State.SUCCEEDED]
    seat.press("q")
    assert seat.end() == 0
    assert served.process is not None and served.process.poll() is None, "the engine goes on"
