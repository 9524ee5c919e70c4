"""`headway serve` and `headway shutdown`: the engine without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.cli import context as ctx


def add_to(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(shutdown)
    app.command()(reload)


def serve(
    context: typer.Context,
    ready_fd: Annotated[int | None, typer.Option("--ready-fd", hidden=True)] = None,
    idle_exit: Annotated[
        float | None, typer.Option("--idle-exit", metavar="SECONDS", help="End after so long without work and readers.")
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(
            "--drain",
            metavar="SECONDS",
            help="On SIGTERM start nothing more, and give what runs so long to end. Unset: it runs on.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Serve TCP too, with TLS and tokens (headway token)."),
    ] = None,
    form: Annotated[str, typer.Option("--log", metavar="FORM", help="The log's lines: text, or json.")] = "text",
    log_file: Annotated[
        Path | None, typer.Option("--log-file", metavar="FILE", help="Log to a file, which is begun anew at 10 MiB.")
    ] = None,
) -> None:
    """Serve this home headless, until SIGTERM. Running agents outlive the engine; the next one adopts them.

    SIGHUP takes the settings as they are now: the engine starts anew in this very process, if they are right.
    """
    import asyncio
    import os
    import signal
    import sys

    from engine.agents.registry import read_settings
    from engine.config import Settings, find_settings
    from engine.errors import UsageError
    from engine.home import make_home
    from engine.logs import Form, set_up
    from engine.server.serve import Terms
    from engine.server.serve import serve as serve_home

    if form not in list(Form):
        raise UsageError(f"--log: {form!r} is no form of a log; there are {', '.join(Form)}")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the engine is up, and while it is started anew
    home = ctx.of(context).home
    make_home(home)
    try:
        set_up(Form(form), log_file)
    except OSError as error:
        raise UsageError(f"--log-file: {log_file}: {error.strerror}") from None
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")

    def read() -> Settings:
        return read_settings(find_settings(home, config_home))

    if asyncio.run(serve_home(home, read(), Terms(ready_fd, idle_exit, drain, listen, read))):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        words = _without(sys.argv[1:], "--ready-fd")
        os.execv(sys.executable, [sys.executable, "-m", "console.cli", *words])


def _without(words: list[str], option: str) -> list[str]:
    """A command line without an option that has a word of its own."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == option:
            next(rest, None)
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept


def shutdown(
    context: typer.Context,
    drain: Annotated[bool, typer.Option("--drain", help="Start nothing more, and let what runs finish first.")] = False,
) -> None:
    """Stop the engine of this home. Running agents go on, and the next engine adopts them."""
    from console.cli.output import note
    from engine.errors import NoEngineError
    from engine.home import wait_until_free
    from engine.server.client import Client

    async def ask(client: Client) -> int:
        status = await client.status()
        await client.shutdown(drain=drain)
        if drain and status.counts.running:
            note(f"waiting for {status.counts.running} running to finish")
        try:
            async for _ in client.follow(status.seq):
                pass  # until the engine is gone
        except NoEngineError:
            pass
        return 0 if drain else status.counts.running

    where = ctx.of(context).where
    left = ctx.of(context).ask(ask)
    if isinstance(where, Path):
        wait_until_free(where)
    note("the engine has stopped" + (f"; {left} running go on, and the next engine adopts them" if left else ""))


def reload(context: typer.Context) -> None:
    """Have the engine take headway.yaml and its certificate as they are now. What is wrong is said, and changes none.

    It starts anew in its process, within about a second: agents run on, and consoles come back by themselves.
    """
    from console.cli.output import note

    ctx.of(context).ask(lambda client: client.reload())
    note("the settings are right; the engine starts anew with them")
