"""`headway server`: what the engine needs to be reached over the network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.cli import context as ctx

server = typer.Typer(help="The way to the engine over the network.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(server, name="server")


@server.callback()
def _only() -> None:
    """More than one command may come: so that the first is named, too."""


@server.command()
def certificate(
    context: typer.Context,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST", help="What clients call this machine; again for more. Unset: its name."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="For how long a new one is good.")] = 365,
    renew: Annotated[bool, typer.Option("--renew", help="Make another one: clients have to pin it anew.")] = False,
) -> None:
    """Show the fingerprint that clients pin; a pair is made in the home where there is none (needs headway[tls]).

    A pair of your own is named in headway.yaml: server: certificate, key.
    """
    import os
    import socket

    from console.cli.output import note
    from engine.agents.registry import read_settings
    from engine.config import find_settings
    from engine.errors import RefusedError, UsageError
    from engine.home import make_home
    from engine.server.network import CERTIFICATE, FOLDER, KEY, fingerprint, pair

    home = ctx.of(context).home
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    settings = read_settings(find_settings(home, config_home)).server
    own = settings.certificate is None
    folder = home / FOLDER
    if renew and not own:
        raise UsageError(f"headway.yaml names {settings.certificate}: renew that one where it comes from")
    if own and (renew or not (folder / CERTIFICATE).is_file()):
        try:
            from engine.server.certificate import make
        except ImportError:
            raise UsageError("making a certificate needs the extra tls: pip install 'headway[tls]'") from None
        make_home(home)
        try:
            make(folder / CERTIFICATE, folder / KEY, name or [socket.getfqdn(), "localhost", "127.0.0.1"], days)
        except (OSError, ValueError) as error:
            raise RefusedError(f"{folder / CERTIFICATE} cannot be made: {error}") from None
        note(f"made {folder / CERTIFICATE}; an engine that runs takes it at its next start, or reload")
    print(f"sha256:{fingerprint(pair(settings, home)[0])}")
