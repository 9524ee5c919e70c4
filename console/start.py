"""How the console starts: the terminal is looked at and the environment set before Textual is imported."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from console.beat import Link, choose_link
from console.client import EngineClient
from engine.errors import HeadwayError, UsageError

if TYPE_CHECKING:
    from console.app import ConsoleApp
    from console.desk import Elsewhere

ClientFactory = Callable[[Path], AbstractAsyncContextManager[EngineClient]]

#: Terminals without Unicode glyphs, and those with 16 colours at most.
_PLAIN = frozenset({"linux", "vt100", "vt102", "vt220"})
_SIXTEEN = _PLAIN | {"ansi", "xterm", "xterm-16color", "rxvt", "screen", "tmux", "cygwin", "putty"}

#: The themes for them; `console.theme` has them among its files.
COLOURLESS, SIXTEEN = "mono", "ansi"


@dataclass(frozen=True, slots=True)
class Look:
    """How the console is drawn. `link` is auto, local, ssh or thin; `mouse` None is as the link has it."""

    link: str = "auto"
    ascii: bool = False
    mouse: bool | None = None
    stock_painter: bool = False
    """Let Textual write whole regions, as it does by itself: for a terminal that the painter does not get on with."""


def run(
    home: Path,
    look: Look | None = None,
    *,
    client_factory: ClientFactory | None = None,
    elsewhere: Elsewhere | None = None,
) -> int:
    """Open the console on the engine of a home directory, or on one elsewhere, until the operator leaves it.

    Returns the exit code: 0; 2 where this is no terminal to draw on; 3 where the home does not exist; 128 and the
    signal's number where one ended it. An engine that does not answer is waited for on screen.
    """
    try:
        return _start(home, look or Look(), client_factory or _engine_client, elsewhere)
    except HeadwayError as error:
        print(f"headway: {error.message}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def _start(home: Path, look: Look, factory: ClientFactory, elsewhere: Elsewhere | None) -> int:
    link = choose_link(look.link, "SSH_CONNECTION" in os.environ)
    require_terminal()
    theme = fixed_theme(os.environ, link)
    os.environ.pop("NO_COLOR", None)
    _set_environment(link)
    _end_with_the_terminal()
    plain = look.ascii or os.environ.get("TERM") in _PLAIN
    return asyncio.run(_run(home, replace(look, ascii=plain), link, theme, factory, elsewhere))


def fixed_theme(environment: Mapping[str, str], link: Link) -> str | None:
    """The theme that the terminal needs whatever the settings say; None where it can show any."""
    if environment.get("NO_COLOR"):
        return COLOURLESS
    few = environment.get("TERM") in _SIXTEEN and not environment.get("COLORTERM")
    return SIXTEEN if few or link is Link.THIN else None


def in_browser(environment: Mapping[str, str]) -> bool:
    """`headway web` has started this console: its standard input and output are a browser's."""
    return "web_driver" in environment.get("TEXTUAL_DRIVER", "")


def require_terminal() -> None:
    """Raises `UsageError` where there is no terminal, or one that nothing can be drawn on."""
    if in_browser(os.environ):
        return
    instead = "use the commands instead: headway jobs, headway logs JOB -f (headway --help lists them)"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"the console needs a terminal; {instead}")
    if os.environ.get("TERM", "dumb") in ("", "dumb"):
        raise UsageError(f"the console cannot draw on TERM=dumb; {instead}")


def _end_with_the_terminal() -> None:
    """A lost terminal must end the process, also where a parent (nohup, a supervisor) ignores or blocks the signal.

    Textual alone would live on and burn a core, reading the end of its input again and again.
    """
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


async def _run(
    home: Path, look: Look, link: Link, theme: str | None, factory: ClientFactory, elsewhere: Elsewhere | None
) -> int:
    gc.disable()  # what is read now stays to the end: looking for garbage in it only delays the first paint
    from console.app import ConsoleApp
    from console.desk import Desk
    from console.theme import DEFAULT, Ink, load_themes, own_places

    async with factory(home) as client:
        host = elsewhere.host if elsewhere is not None else _host()
        places = own_places(home if elsewhere is None else None, os.environ)
        desk = Desk(
            client, Ink(load_themes()[theme or DEFAULT]), host, link, look.ascii,
            elsewhere=elsewhere, theme_places=places,
        )  # fmt: skip
        app = ConsoleApp(desk, fixed_theme=theme, stock_painter=look.stock_painter)
        gc.freeze()
        gc.enable()
        _leave_on_signals(app)
        with _title_kept():
            await app.run_async(mouse=link is Link.LOCAL if look.mouse is None else look.mouse)
    return app.return_code or 0


@contextmanager
def _title_kept() -> Iterator[None]:
    """The terminal's title is put back; a browser takes nothing but what Textual packs for it."""
    if in_browser(os.environ):
        yield
        return
    terminal = sys.__stdout__ or sys.stdout  # a command's own output is cleaned of what only a terminal obeys
    terminal.write("\x1b[22;2t")
    try:
        yield
    finally:
        terminal.write("\x1b[23;2t")
        terminal.flush()


def _leave_on_signals(app: ConsoleApp) -> None:
    """Who ends the console from outside gets the terminal back as it was."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, app.exit, None, 128 + number)


def _host() -> str:
    return socket.gethostname().split(".")[0] or "here"
