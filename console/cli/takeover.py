"""An agent's own screen at this terminal, on the session, in the directory and with the environment of a job.

The environment is built here, from the settings and from what the engine was started with: it never crosses the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import termios
import uuid
from collections.abc import Iterator
from pathlib import Path

from engine.agents.base import Launch
from engine.agents.registry import agents
from engine.config import find_settings, load_settings
from engine.errors import HeadwayError, NoEngineError, RefusedError, UsageError
from engine.model import UNFINISHED, Job
from engine.runner import credentials
from engine.runner.environment import environment
from engine.server.client import Client
from engine.sessions import AttachRequest, Takeover

#: What is of this terminal and not of the engine's.
OF_THE_TERMINAL = ("TERM", "COLORTERM", "TERM_PROGRAM", "NO_COLOR", "LANG", "LC_ALL", "LC_CTYPE", "EDITOR", "VISUAL")


class HungUpError(Exception):
    """The terminal went away while the screen was open."""


def at_terminal(home: Path, job: int) -> int:
    """Take a job's session, open its agent's screen on it, and give it back. Returns the screen's exit code."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"attach needs a terminal; `headway attach --read-only {job}` does without")
    marker = str(uuid.uuid4())
    _note(f"taking over the session of J{job}; what runs in it is asked to end")
    try:
        taken, engine = asyncio.run(_taken(home, job, marker))
    except KeyboardInterrupt:
        _give_back(home, job, marker)
        raise
    try:
        code = _screen(home, taken, engine)
    except HungUpError:
        # Nobody was there to say that the work is done: the engine notices our end, and holds the job with a word.
        return 128 + signal.SIGHUP
    except BaseException:
        _give_back(home, job, marker)
        raise
    _give_back(home, job, marker)
    return code


async def _taken(home: Path, job: int, marker: str) -> tuple[Takeover, int]:
    async with Client(home) as client:
        taken = await client.attach(job, AttachRequest(os.getpid(), marker))
        return taken, (await client.status()).pid


def _screen(home: Path, taken: Takeover, engine: int) -> int:
    own = _environment(home, taken, engine)
    program = taken.argv[0]
    if shutil.which(program, path=own.get("PATH")) is None:
        raise RefusedError(f"{program} is not on the PATH of {taken.agent}; set agents.{taken.agent}.command")
    _note(f"session {taken.session} in {taken.directory}; J{taken.job} waits until you leave")
    with _terminal_kept():
        try:
            child = subprocess.Popen(taken.argv, cwd=taken.directory, env=own)
        except OSError as error:
            raise RefusedError(f"{program} could not be started: {error.strerror}") from error
        code = _waited(child)
    return code if code >= 0 else 128 - code


def _waited(child: subprocess.Popen[bytes]) -> int:
    """Until the screen has ended; who ends us ends it. Raises `HungUpError` where the terminal has gone."""
    told: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        told.append(number)
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    code = child.wait()
    if signal.SIGHUP in told:
        raise HungUpError
    return code


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """The terminal's signals are for the screen, not for us; and what it leaves behind of its modes is put back."""
    modes = termios.tcgetattr(sys.stdin)
    # A handler, unlike an ignored signal, is not passed on to the screen.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        with contextlib.suppress(termios.error):  # it has gone
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)


def _environment(home: Path, taken: Takeover, engine: int) -> dict[str, str]:
    """As the job's attempts have it, at this terminal."""
    known = agents()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    settings = load_settings(find_settings(home, config_home), known)
    account = settings.accounts.get(taken.account) if taken.account is not None else None
    if taken.account is not None and account is None:
        raise RefusedError(f"headway.yaml has no account {taken.account!r} any more")
    here = {name: os.environ[name] for name in OF_THE_TERMINAL if name in os.environ}
    agent = known[taken.agent]
    own = {**_of_engine(engine), **here}
    launch = Launch(argv=taken.argv, env=taken.env)
    held = asyncio.run(credentials.held(agent.name, launch, account, own))
    made = environment(
        own, agent.pass_env, launch.env, settings.agent(agent.name), taken.job, taken.marker, account, held
    )
    return {**here, **made}


def _of_engine(pid: int) -> dict[str, str]:
    """The variables that the engine was started with, keys to a provider among them; ours, where we may not look."""
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        _note("the engine's environment cannot be read: the agent gets that of this shell")
        return dict(os.environ)
    pairs = (one.partition(b"=") for one in data.split(b"\0") if b"=" in one)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _give_back(home: Path, job: int, marker: str) -> None:
    async def ask() -> Job:
        async with Client(home) as client:
            return await client.detach(job, marker)

    try:
        after = asyncio.run(ask())
    except NoEngineError:
        _note(f"no engine serves {home} now; the next one finds J{job} held, and says so")
    except HeadwayError as error:
        _note(error.message)
    else:
        _note(_after(after))


def _after(job: Job) -> str:
    if job.state not in UNFINISHED:
        return f"J{job.id} is {job.state}, as before; `headway retry {job.id}` goes on in this session"
    if job.held_by is not None:
        return f"J{job.id} is held by {job.held_by}; `headway release {job.id}` lets it go on in this session"
    return f"J{job.id} goes on in this session"


def wait_for_reader(message: str) -> None:
    """Show why nothing was opened for as long as somebody needs to read it."""
    _note(f"headway: {message}")
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        input("press enter to go back ")


def _note(line: str) -> None:
    print(line, file=sys.stderr)
