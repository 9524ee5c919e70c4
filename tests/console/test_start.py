"""How the console starts and ends, in a process and a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from console.picture import Picture, picture, read_size
from console.start import Look, run
from engine.agents import events as say
from engine.errors import HeadwayError, UsageError
from tests.console import scenes
from tests.console.stage import console

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, sys
from contextlib import asynccontextmanager
from pathlib import Path
from console.start import Look, run
from tests.console import scenes

@asynccontextmanager
async def engine(home):
    yield scenes.busy()

sys.exit(run(Path("."), Look(link=os.environ.get("HEADWAY_TEST_LINK", "auto")), client_factory=engine))
"""

#: A widget that fails at the first key.
BROKEN = """
from console.widgets.board import Board
Board.action_down = lambda self: 1 / 0
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

    def __init__(self, *, program: str = PROGRAM, ignore_hangup: bool = False, **env: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 30, 100, 0, 0))
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN) if ignore_hangup else None
        environment = {
            k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "SSH_CONNECTION", "LINES", "COLUMNS")
        }
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program],
                cwd=ROOT,
                stdin=slave,
                stdout=slave,
                stderr=slave,
                start_new_session=True,
                env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env},
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

    def until_stopped(self) -> None:
        """Wait until the process is stopped, as the shell does that started it."""
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

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


RESTORED = (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?2004l")  #: the other screen left, the cursor shown, pastes plain


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_who_ends_it_from_outside_gets_the_terminal_back(number: signal.Signals) -> None:
    terminal = Terminal()
    try:
        modes = termios.tcgetattr(terminal.master)
        terminal.until(b"J4833")
        assert termios.tcgetattr(terminal.master) != modes
        terminal.process.send_signal(number)
        assert terminal.end() == 128 + number
        assert all(sequence in terminal.wrote for sequence in RESTORED)
        assert termios.tcgetattr(terminal.master) == modes
    finally:
        terminal.close()


def test_an_error_of_its_own_gives_the_terminal_back_and_is_one_line() -> None:
    terminal = Terminal(program=PROGRAM.replace("sys.exit", BROKEN + "sys.exit"))
    try:
        terminal.until(b"J4833")
        os.write(terminal.master, b"j")
        assert terminal.end() == 1
        assert all(sequence in terminal.wrote for sequence in RESTORED)
        said = terminal.wrote.rpartition(RESTORED[0])[2]
        assert b"the engine goes on" in said and b"Traceback" not in said
    finally:
        terminal.close()


@pytest.mark.parametrize("how", ["key", "signal"])
def test_it_can_be_stopped_and_comes_back_as_it_was(how: str) -> None:
    terminal = Terminal()
    try:
        terminal.until(b"J4833")
        terminal.until(b"detach")
        terminal.wrote = b""
        if how == "key":
            os.write(terminal.master, b"\x1a")
        else:
            terminal.process.send_signal(signal.SIGTSTP)
        terminal.until(RESTORED[0])
        terminal.until_stopped()
        terminal.wrote = b""
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(b"\x1b[?1049h")
        terminal.until(b"J4833")  # all of it is drawn again
        os.write(terminal.master, b"q")
        assert terminal.end() == 0
    finally:
        terminal.close()


def test_it_follows_the_size_of_the_terminal() -> None:
    terminal = Terminal()
    try:
        terminal.until(b"J4833")
        terminal.resize(50, 10)
        terminal.until(b"needs 60x16")
        terminal.wrote = b""
        terminal.resize(100, 30)
        terminal.until(b"J4833")
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("link", "mouse"), [("local", True), ("ssh", False), ("thin", False)], ids=["local", "ssh", "thin"]
)
def test_over_a_line_the_mouse_stays_the_terminals(link: str, mouse: bool) -> None:
    terminal = Terminal(**({"SSH_CONNECTION": "1 2 3 4"} if link == "ssh" else {}), HEADWAY_TEST_LINK=link)
    try:
        terminal.until(b"J4833")
        assert (b"\x1b[?1003h" in terminal.wrote) is mouse
        assert (b"38;2;" in terminal.wrote) is (link != "thin"), "thin writes the terminal's own 16 colours"
    finally:
        terminal.close()


def test_a_terminal_of_sixteen_colours_gets_its_own_and_no_glyphs() -> None:
    terminal = Terminal(TERM="linux", COLORTERM="")
    try:
        terminal.until(b"J4833")
        assert b"38;2;" not in terminal.wrote and b"38;5;" not in terminal.wrote
        assert "▸".encode() not in terminal.wrote and "◌".encode() not in terminal.wrote
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
    await picture(engine, path, Picture(size=(140, 40)), at_work=True)
    text = path.read_text()
    assert text.startswith("<svg") and "J4833" in text and "pytest" in text


async def test_a_picture_is_of_the_screen_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "inbox.svg"
    await picture(scenes.asking(), path, Picture("inbox", (100, 30), "paper", "hal"))
    text = path.read_text()
    assert "headway@hal" in text and "git&#160;push" in text and "font-face" not in text
    with pytest.raises(UsageError, match="there is no screen 'inbx'"):
        await picture(scenes.busy(), path, Picture("inbx"))
    with pytest.raises(UsageError, match="COLSxROWS"):
        read_size("120")


async def test_the_screen_in_sight_is_saved_by_a_command(tmp_path: Path) -> None:
    async with console(scenes.busy(), 200, 50) as stage:
        stage.app.action_export(str(tmp_path / "now.svg"))
        await stage.shows("this screen is in")
        assert "J4833" in (tmp_path / "now.svg").read_text()
        stage.app.action_export(str(tmp_path / "nowhere" / "now.svg"))
        await stage.shows("No such file")


async def test_there_is_no_picture_of_an_engine_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.picture._PATIENCE", 0.3)
    with pytest.raises(HeadwayError, match="no engine serves"):
        await picture(scenes.away(), tmp_path / "demo.svg", at_work=True)
    assert not list(tmp_path.iterdir())
