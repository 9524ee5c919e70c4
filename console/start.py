"""How the console starts: the terminal is looked at and the environment set before Textual is imported."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from console.beat import Link, choose_link
from console.client import EngineClient
from engine.errors import HeadwayError, UsageError

ClientFactory = Callable[[Path], AbstractAsyncContextManager[EngineClient]]

#: Terminals without Unicode glyphs.
_PLAIN = frozenset({"linux", "vt100", "vt102", "vt220"})


def run(home: Path, *, link: str = "auto", ascii: bool = False, client_factory: ClientFactory | None = None) -> int:
    """Open the console on the engine of a home directory, until the operator leaves it.

    `link` is auto, local, ssh or thin. Returns the exit code: 0; 2 where this is no terminal to draw on;
    3 where the home does not exist. An engine that does not answer is waited for on screen.
    """
    try:
        return _start(home, link, ascii, client_factory or _engine_client)
    except HeadwayError as error:
        print(f"headway: {error.message}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def _start(home: Path, link: str, ascii: bool, factory: ClientFactory) -> int:
    chosen = choose_link(link, "SSH_CONNECTION" in os.environ)
    require_terminal()
    colourless = os.environ.pop("NO_COLOR", "") != ""
    _set_environment(chosen)
    _end_with_the_terminal()
    plain = ascii or os.environ.get("TERM") in _PLAIN
    return asyncio.run(_run(home, chosen, plain, colourless, factory))


def require_terminal() -> None:
    """Raises `UsageError` where there is no terminal, or one that nothing can be drawn on."""
    instead = "use the commands instead: headway jobs, headway logs JOB -f (headway --help lists them)"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"the console needs a terminal; {instead}")
    if os.environ.get("TERM", "dumb") in ("", "dumb"):
        raise UsageError(f"the console cannot draw on TERM=dumb; {instead}")


def _end_with_the_terminal() -> None:
    """A lost terminal must end the process, also where a parent (nohup, a supervisor) ignores or blocks the signal.

    Textual alone would live on and burn a core, reading the end of its input again and again.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    threading.Thread(target=_wait_for_hangup, name="terminal", daemon=True).start()


def _wait_for_hangup() -> None:
    hangup = select.poll()
    hangup.register(sys.stdin.fileno(), 0)  # a hang-up is told even to those who ask for nothing
    hangup.poll()
    os._exit(128 + signal.SIGHUP)


def _set_environment(link: Link) -> None:
    """Textual reads these once, when it is imported."""
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    os.environ.setdefault("TEXTUAL_FPS", "60" if link is Link.LOCAL else "15")


def _engine_client(home: Path) -> AbstractAsyncContextManager[EngineClient]:
    from engine.server.client import Client

    return Client(home)


async def _run(home: Path, link: Link, ascii: bool, colourless: bool, factory: ClientFactory) -> int:
    from console.app import ConsoleApp
    from console.desk import Desk
    from console.theme import COLOURLESS, DEFAULT, Ink, load_themes

    theme = COLOURLESS if colourless else "ansi" if link is Link.THIN else None
    async with factory(home) as client:
        desk = Desk(client, Ink(load_themes()[theme or DEFAULT]), _host(), link, ascii)
        app = ConsoleApp(desk, fixed_theme=theme)
        sys.stdout.write("\x1b[22;2t")
        try:
            await app.run_async(mouse=link is Link.LOCAL)
        finally:
            sys.stdout.write("\x1b[23;2t")
            sys.stdout.flush()
    return app.return_code or 0


def _host() -> str:
    return socket.gethostname().split(".")[0] or "here"
