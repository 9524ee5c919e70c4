"""`headway serve` and `headway shutdown`: the engine without a screen."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli import context as ctx


def add_to(app: typer.Typer) -> None:
    app.command()(serve)
    app.command()(shutdown)


def serve(
    context: typer.Context,
    ready_fd: Annotated[int | None, typer.Option("--ready-fd", hidden=True)] = None,
    idle_exit: Annotated[
        float | None, typer.Option("--idle-exit", metavar="SECONDS", help="End after so long without work and readers.")
    ] = None,
) -> None:
    """Serve this home headless, until SIGTERM. Running agents outlive the engine; the next one adopts them."""
    import asyncio
    import logging
    import os
    import sys
    from pathlib import Path

    from engine.agents.registry import read_settings
    from engine.config import find_settings
    from engine.home import make_home
    from engine.server.serve import Terms
    from engine.server.serve import serve as serve_home

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    home = ctx.of(context).home
    make_home(home)
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    settings = read_settings(find_settings(home, config_home))
    asyncio.run(serve_home(home, settings, Terms(ready_fd, idle_exit)))


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

    left = ctx.of(context).ask(ask)
    wait_until_free(ctx.of(context).home)
    note("the engine has stopped" + (f"; {left} running go on, and the next engine adopts them" if left else ""))
