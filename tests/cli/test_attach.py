"""Taking over a session at a real terminal: it is parked, worked in, given back; and lost."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import events as log
from engine.model import JobDetail
from engine.server.client import Client
from tests.conftest import PATIENCE, Served, settings_file
from tests.forked import REAL_START, popen
from tests.runner.living import rehearsal

HANG: list[dict[str, object]] = [{"do": "say", "text": "I begin"}, {"do": "fail", "kind": "hang"}]
DONE: list[dict[str, object]] = [{"do": "run", "command": "cat by-hand.txt"}, {"do": "say", "text": "done"}]
SETTINGS = """
agents:
  rehearsal: {env: {GREETING: hello}, pass_env: [SECRET_KEY]}
accounts:
  work: {agent: rehearsal, env: {WHO: work}, key: {command: [echo, key-of-work], variable: WORK_KEY}}
"""
#: Makes the pseudo-terminal its own, as a login and a fork do, so that its loss is told to what runs on it.
LEADER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A command of ours at a pseudo-terminal."""

    def __init__(self, served: Served, *arguments: str, below_a_shell: bool = False) -> None:
        """`below_a_shell`: as a person has it, so that the terminal does not go away with the command."""
        self.master, slave = pty.openpty()
        env = {name: value for name, value in os.environ.items() if name != "SECRET_KEY"}
        command = [sys.executable, "-m", "console.cli", "--home", str(served.home), *arguments]
        if below_a_shell:
            command = [sys.executable, "-c", LEADER, "/bin/sh", "-c", '"$@"; sleep 600', "sh", *command]
        self.process = popen(
            command,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**env, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"},
        )  # fmt: skip
        os.close(slave)
        self.wrote = ""

    def until(self, text: str) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.wrote:
            assert time.monotonic() < end and self._read(), f"never wrote {text!r}: {self.wrote[-3000:]}"

    def _read(self) -> bool:
        if not select.select([self.master], [], [], PATIENCE)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.wrote += data.decode(errors="replace")
        return bool(data)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def hang_up(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        one.hang_up()


def started(served: Served, steps: list[dict[str, object]], directory: Path, *more: str, environ: bool = False) -> None:
    """An engine with a job. `environ`: the kernel knows its environment, whence a screen has the engine's own keys."""
    settings_file(served.home, SETTINGS)
    served.env = {"HEADWAY_REHEARSAL_SPEED": "0", "SECRET_KEY": "key-of-the-engine"}
    if environ:
        served.env[REAL_START] = "1"
    served.start()
    model = rehearsal(directory, steps, DONE)
    served.headway("submit", "--agent", "rehearsal", "--model", model, "--scratch", *more, "write it")


async def until_it_works(served: Served) -> None:
    """Until the agent has told that it is up."""
    async with Client(served.home) as client:
        while not any(one.state == "active" for one in await client.sessions(1)):
            await asyncio.sleep(0)


async def shown(served: Served) -> JobDetail:
    async with Client(served.home) as client:
        return await client.job(1)


async def test_a_running_job_is_parked_worked_in_and_goes_on_in_the_same_session(
    served: Served, tmp_path: Path, terminals: list[Terminal]
) -> None:
    started(served, HANG, tmp_path, "--account", "work", environ=True)
    await until_it_works(served)
    before = (await shown(served)).attempts[0]
    terminals.append(terminal := Terminal(served, "attach", "1"))
    terminal.until("/exit leaves")
    assert f"session {before.session} in {before.workspace}" in terminal.wrote
    held = (await shown(served)).job
    assert re.fullmatch(r"operator, who works in its session \(pid \d+\)", held.held_by or ""), held
    assert held.state == "ready" and held.failure is None
    explained = served.headway("explain", "1").stdout
    assert "held by operator, who works in its session" in explained and "it goes on once that has ended" in explained
    left = served.headway("release", "1")
    assert left.returncode == 5 and "leave that first" in left.stdout
    again = served.headway("attach", "1")
    assert again.returncode == 2 and "needs a terminal" in again.stderr

    terminal.type('!echo "$GREETING $WHO $WORK_KEY $SECRET_KEY $TERM" >by-hand.txt\n')
    terminal.until("exit 0")
    terminal.type("/exit\n")
    assert terminal.end() == 0
    assert "J1 goes on in this session" in terminal.wrote
    await served.until_ended([1])
    after = await shown(served)
    first, second = after.attempts
    assert (first.failure, first.reason) == (None, "parked for operator")
    assert (second.resumes, second.session) == (first.session, first.session)
    assert (
        Path(first.workspace or "") / "by-hand.txt"
    ).read_text() == "hello work key-of-work key-of-the-engine xterm-256color\n"
    assert after.job.state == "succeeded"
    told = served.headway("logs", "--raw", "1").stdout
    assert "hello work " in told, "the next attempt found it"
    prompt = (Path(second.run_dir) / "prompt").read_text()
    assert prompt.startswith("The operator worked in this session with you")


async def test_no_key_crosses_the_socket_or_stands_in_any_list(
    served: Served, tmp_path: Path, terminals: list[Terminal]
) -> None:
    started(served, HANG, tmp_path, environ=True)
    await until_it_works(served)
    terminals.append(terminal := Terminal(served, "attach", "1"))
    terminal.until("/exit leaves")
    asked = json.dumps([served.json(*words) for words in (("show", "1"), ("sessions",), ("events",), ("jobs",))])
    assert "key-of-the-engine" not in asked + terminal.wrote
    assert "key-of-the-engine" not in (served.home / "engine.log").read_text()
    terminal.type("/exit\n")
    assert terminal.end() == 0


async def test_a_terminal_that_is_lost_leaves_the_job_held_with_a_word_and_can_be_taken_up_again(
    served: Served, tmp_path: Path, terminals: list[Terminal]
) -> None:
    started(served, HANG, tmp_path)
    await until_it_works(served)
    terminals.append(terminal := Terminal(served, "attach", "1"))
    terminal.until("/exit leaves")
    terminal.hang_up()
    await served.until(lambda event: isinstance(event.body, log.Detached))
    job = (await shown(served)).job
    assert job.held_by == "operator: the terminal at its session ended without a word"
    assert "`headway release 1` ends it" in served.headway("explain", "1").stdout
    terminals.append(terminal := Terminal(served, "attach", "1"))
    terminal.until("/exit leaves")
    terminal.type("/exit\n")
    assert terminal.end() == 0
    await served.until_ended([1])


async def test_a_command_that_is_killed_is_noticed_only_once_its_screen_has_gone(
    served: Served, tmp_path: Path, terminals: list[Terminal]
) -> None:
    started(served, HANG, tmp_path)
    await until_it_works(served)
    terminals.append(terminal := Terminal(served, "attach", "1", below_a_shell=True))
    terminal.until("/exit leaves")
    command = int(re.findall(r"pid (\d+)", (await shown(served)).job.held_by or "")[0])
    os.kill(command, signal.SIGKILL)
    terminal.until("Killed")
    terminal.type("!echo still here\n")
    terminal.until("exit 0")
    assert "who works in its session" in ((await shown(served)).job.held_by or ""), "its screen is still there"
    terminal.hang_up()
    await served.until(lambda event: isinstance(event.body, log.Detached))
    assert "ended without a word" in ((await shown(served)).job.held_by or "")


async def test_who_ends_the_command_ends_its_screen_and_the_job_goes_on(
    served: Served, tmp_path: Path, terminals: list[Terminal]
) -> None:
    started(served, HANG, tmp_path)
    await until_it_works(served)
    terminals.append(terminal := Terminal(served, "attach", "1"))
    terminal.until("/exit leaves")
    terminal.process.terminate()
    assert terminal.end() == 128 + signal.SIGTERM
    await served.until_ended([1])
    assert (await shown(served)).job.state == "succeeded"


async def test_a_new_engine_takes_the_watch_over(served: Served, tmp_path: Path, terminals: list[Terminal]) -> None:
    started(served, HANG, tmp_path)
    await until_it_works(served)
    terminals.append(terminal := Terminal(served, "attach", "1"))
    terminal.until("/exit leaves")
    served.kill()
    served.start()
    assert "who works in its session" in ((await shown(served)).job.held_by or "")
    terminal.type("/exit\n")
    assert terminal.end() == 0
    await served.until_ended([1])


async def test_while_no_engine_serves_a_terminal_may_end_and_the_next_engine_says_so(
    served: Served, tmp_path: Path, terminals: list[Terminal]
) -> None:
    started(served, HANG, tmp_path)
    await until_it_works(served)
    terminals.append(terminal := Terminal(served, "attach", "1"))
    terminal.until("/exit leaves")
    served.kill()
    terminal.type("/exit\n")
    assert terminal.end() == 0
    assert "no engine serves" in terminal.wrote
    served.start()
    await served.until(lambda event: isinstance(event.body, log.Detached))
    assert "ended without a word" in ((await shown(served)).job.held_by or "")


async def test_an_ended_job_can_be_looked_into_and_stays_ended(
    served: Served, tmp_path: Path, terminals: list[Terminal]
) -> None:
    started(served, [{"do": "say", "text": "x"}, {"do": "fail", "kind": "max_turns"}], tmp_path)
    await served.until_ended([1])
    terminals.append(terminal := Terminal(served, "attach", "1"))
    terminal.until("/exit leaves")
    served.headway("retry", "1")
    assert "who works in its session" in ((await shown(served)).job.held_by or ""), (
        "put back, and it waits for the operator"
    )
    served.headway("cancel", "1")
    terminal.type("/exit\n")
    assert terminal.end() == 0
    assert "J1 is cancelled, as before" in terminal.wrote
    assert [one["state"] for one in served.json("sessions", "1")] == ["parked"]  # type: ignore[attr-defined]


async def test_what_cannot_be_taken_over_says_so_and_can_be_followed(served: Served, terminals: list[Terminal]) -> None:
    served.start()
    served.headway("submit", "--agent", "shell", "--scratch", "echo one; sleep 600")
    served.headway("submit", "--agent", "shell", "--scratch", "--not-before", "1h", "echo two")
    await served.until(lambda event: isinstance(event.body, log.Launched))
    for job, words in (("1", "shell has no screen that goes on in a session"), ("2", "no attempt of it has started")):
        terminals.append(terminal := Terminal(served, "attach", job))
        assert terminal.end() == 5
        assert words in terminal.wrote
    assert (await shown(served)).job.held_by is None
    assert (await shown(served)).job.state == "running"
    assert first_line(served, "attach", "--read-only", "1") == "one\n"


def first_line(served: Served, *arguments: str) -> str:
    """What a command that does not end by itself prints first."""
    command = [sys.executable, "-m", "console.cli", "--home", str(served.home), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as reader:
        assert reader.stdout is not None
        line = reader.stdout.readline()
        reader.kill()
        return line


async def test_from_the_console_the_terminal_is_lent_and_taken_back(
    served: Served, tmp_path: Path, terminals: list[Terminal]
) -> None:
    started(served, HANG, tmp_path)
    await until_it_works(served)
    terminals.append(terminal := Terminal(served))
    terminal.until("detach")
    terminal.type("2")
    terminal.until("write it")
    terminal.type("a")
    terminal.until("/exit leaves")
    terminal.type("!echo by hand >by-hand.txt\n")
    terminal.until("exit 0")
    terminal.type("/exit\n")
    terminal.until("left the session of J1")
    await served.until_ended([1])
    terminal.type("q")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.wrote
