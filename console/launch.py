"""Starting an engine for a home where none serves: a process of its own, which the console only talks to."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.errors import HeadwayError, NoEngineError, RefusedError, UsageError
from engine.home import LOG, make_home
from engine.logs import make_room

_SAID = "headway: "  #: how the command line begins its last words, which may be several lines
_KINDS = {one.exit_code: one for one in (UsageError, RefusedError)}
IDLE_EXIT_SECONDS = 300.0  #: after which an engine that the console started ends, without work and without a console


def ensure_engine(home: Path) -> bool:
    """See to it that an engine serves the home; True where one had to be started.

    Raises `HeadwayError` with the engine's own words where it does not come up.
    """
    if _answers(home):
        return False
    try:
        start_engine(home, idle_exit=IDLE_EXIT_SECONDS)
    except RefusedError:
        if not _answers(home):  # another console was quicker
            raise
        return False
    return True


def start_engine(
    home: Path, *, idle_exit: float | None = None, env: Mapping[str, str] | None = None, program: str = "console.cli"
) -> subprocess.Popen[bytes]:
    """Start `headway serve` in a session of its own and return once it answers. `program`: the module that it is."""
    make_home(home)
    log = home / LOG
    make_room(log)
    reading, writing = os.pipe()
    command = [sys.executable, "-m", program, "--home", str(home), "serve", "--ready-fd", str(writing)]
    if idle_exit is not None:
        command += ["--idle-exit", str(idle_exit)]
    log.touch(mode=0o600)
    with log.open("ab") as said:
        before = said.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            pass_fds=(writing,),
            env=_environment(env or {}),
        )
    os.close(writing)
    with os.fdopen(reading, "rb") as ready:
        if ready.read(6) == b"ready\n":
            return process
    process.wait()
    raise _failure(log, before, process.returncode)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours without the marks of an attempt: an engine that an agent starts is no part of the agent's job."""
    own = {name: value for name, value in os.environ.items() if name not in ("HEADWAY_ATTEMPT", "HEADWAY_JOB")}
    return {**own, **more}


def _failure(log: Path, before: int, code: int) -> HeadwayError:
    with log.open("rb") as said:
        said.seek(before)
        lines = said.read().decode(errors="replace").strip().splitlines()
    kind = _KINDS.get(code, HeadwayError)
    said_at = max((at for at, line in enumerate(lines) if line.startswith(_SAID)), default=None)
    if said_at is not None:
        return kind("\n".join(lines[said_at:]).removeprefix(_SAID))
    last = lines[-1] if lines else f"the engine ended with exit code {code}"
    return kind(f"{last}; {log} says more")


def _answers(home: Path) -> bool:
    from engine.server.client import Client

    async def ask() -> bool:
        try:
            async with Client(home) as client:
                await client.status()
        except NoEngineError:
            return False
        return True

    return asyncio.run(ask())
