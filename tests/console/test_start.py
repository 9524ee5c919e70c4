"""How the console starts and ends, in a process and a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.picture import picture
from console.start import Look, run
from engine.agents import events as say
from engine.errors import HeadwayError
from tests.console import scenes

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from console.start import run
from tests.console import scenes

@asynccontextmanager
async def engine(home):
    yield scenes.busy()

sys.exit(run(Path("."), client_factory=engine))
"""


def test_without_a_terminal_it_points_at_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Path("nowhere")) == 2
    err = capsys.readouterr().err
    assert "needs a terminal" in err and "headway jobs" in err and err.count("\n") == 1


def test_a_wrong_link_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Path("nowhere"), Look(link="lan")) == 2
    assert "--link lan" in capsys.readouterr().err


class Terminal:
    """The console in a pseudo-terminal: what it wrote, and how it ended."""

    def __init__(self, *, ignore_hangup: bool = False, **env: str) -> None:
        self.master, slave = pty.openpty()
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN) if ignore_hangup else None
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "SSH_CONNECTION")}
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM],
                cwd=ROOT,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                env={**environment, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", **env},
            )
        finally:
            if before is not None:
                signal.signal(signal.SIGHUP, before)
        os.close(slave)
        self.wrote = b""

    def until(self, text: bytes, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while text not in self.wrote:
            left = end - time.monotonic()
            assert left > 0 and self._read(left), f"never wrote {text!r}: {self.wrote[-2000:]!r}"

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.wrote += data
        return bool(data)

    def end(self) -> int:
        """Read what is left until the process ends, and say how it did."""
        while self._read(15.0):
            pass
        return self.process.wait(15)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Take the terminal away, as a lost line does."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


def test_it_draws_names_the_terminal_and_leaves_with_q() -> None:
    terminal = Terminal()
    try:
        terminal.until(b"J4833")
        terminal.until(b"headway@")
        terminal.until(b"detach")
        os.write(terminal.master, b"q")
        assert terminal.end() == 0
        assert b"\x1b]2;" in terminal.wrote
        assert b"Traceback" not in terminal.wrote
    finally:
        terminal.close()


def test_no_color_means_no_colour() -> None:
    terminal = Terminal(NO_COLOR="1")
    try:
        terminal.until(b"J4833")
        os.write(terminal.master, b"q")
        assert terminal.end() == 0
        assert b"38;2;" not in terminal.wrote and b"48;2;" not in terminal.wrote and b"38;5;" not in terminal.wrote
    finally:
        terminal.close()


@pytest.mark.parametrize("ignore", [False, True], ids=["as usual", "hangups ignored"])
def test_a_lost_terminal_ends_it(ignore: bool) -> None:
    terminal = Terminal(ignore_hangup=ignore)
    try:
        terminal.until(b"J4833")
        terminal.hang_up()
        assert terminal.process.wait(15) in (-signal.SIGHUP, 128 + signal.SIGHUP)
    finally:
        terminal.close()


def test_on_a_dumb_terminal_it_says_so_in_one_line() -> None:
    terminal = Terminal(TERM="dumb")
    try:
        assert terminal.end() == 2
        assert b"TERM=dumb" in terminal.wrote and terminal.wrote.count(b"\n") == 1
    finally:
        terminal.close()


async def test_a_picture_shows_panes_at_work(tmp_path: Path) -> None:
    path = tmp_path / "demo.svg"
    engine = scenes.busy()
    engine.write(4830, *(say.Output(f"step {n}") for n in range(4)))
    await picture(engine, path, 140, 40)
    text = path.read_text()
    assert text.startswith("<svg") and "J4833" in text and "pytest" in text


async def test_there_is_no_picture_of_an_engine_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.picture._PATIENCE", 0.3)
    with pytest.raises(HeadwayError, match="no engine serves"):
        await picture(scenes.away(), tmp_path / "demo.svg", 140, 40)
    assert not list(tmp_path.iterdir())
