"""Opening the console, on an engine here or elsewhere; and `headway proxy`, what an engine elsewhere is reached by."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from console.start import Look
    from engine.remote.address import Address
    from engine.remote.place import Place


def add_to(app: typer.Typer) -> None:
    app.command()(proxy)


def console(where: Path | Place | Address, look: Look) -> int:
    """Open the console and return its exit code; an engine is started where none serves."""
    from console import launch, start
    from console.desk import Elsewhere

    start.require_terminal()
    if isinstance(where, Path):
        launch.ensure_engine(where)
        return start.run(where, look)
    from engine.remote.address import Address
    from engine.remote.line import far_client

    if isinstance(where, Address):
        address = where
        there = Elsewhere(address.host, str(address), None)
        return start.run(Path(), look, client_factory=lambda _: ctx.away(address), elsewhere=there)
    place = where
    print(f"headway: to {place.host} by {place.ssh[0]}", file=sys.stderr)
    return start.run(
        Path(),
        look,
        client_factory=lambda _: far_client(place, start=True),
        elsewhere=Elsewhere(place.host.rpartition("@")[2], str(place), lambda command: place.argv(command, "-t")),
    )


def run_there(place: Place, *words: str) -> int:
    """Run a command of `headway` at the other machine, on this terminal. Returns its exit code."""
    import subprocess

    from engine.errors import NoEngineError

    try:
        return subprocess.run(place.argv(place.command(*words), "-t"), check=False).returncode
    except OSError as error:
        raise NoEngineError(f"{place.ssh[0]} cannot be started: {error.strerror}") from None


def place_of(address: str, home: str | None, headway: str | None) -> Place:
    """The place that an address names, with the home and the program that options name."""
    from dataclasses import replace

    from engine.remote.place import read_place

    place = read_place(address)
    return replace(place, home=place.home or home, headway=headway or place.headway)


def proxy(
    context: typer.Context,
    start: Annotated[bool, typer.Option("--start", help="Start an engine where none serves this home.")] = False,
) -> None:
    """Carry conversations with this home's engine over standard input and output; ssh://HOST runs this there."""
    import asyncio

    from console import launch
    from engine.errors import UsageError
    from engine.remote.proxy import proxy as carry

    if sys.stdin.isatty() or sys.stdout.isatty():
        raise UsageError("proxy is for another Headway, which starts it over ssh: headway attach ssh://HOST")
    home = ctx.of(context).home
    if start:
        launch.ensure_engine(home)
    asyncio.run(carry(home))
