"""`headway picture`: a screen of the console as an SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.cli import context as ctx


def add_to(app: typer.Typer) -> None:
    app.command()(picture)


def picture(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.svg", help="Where it goes.")],
    screen: Annotated[str, typer.Option("--screen", metavar="NAME", help="overview, queue, workers ...")] = "overview",
    size: Annotated[str, typer.Option(metavar="COLSxROWS", help="In cells.")] = "120x36",
    theme: Annotated[str, typer.Option("--theme", metavar="NAME", help="headway themes lists them.")] = "night",
) -> None:
    """Save a screen of the console as an SVG, as it looks at this moment. In the console: :export FILE.svg."""
    import socket

    from console.picture import Picture, read_size
    from console.picture import picture as draw

    wanted = Picture(screen, read_size(size), theme, socket.gethostname().split(".")[0])
    ctx.of(context).ask(lambda client: draw(client, file, wanted))
    print(file)
