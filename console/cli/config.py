"""`headway config`: which settings are in effect, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from engine.config import Settings


def add_to(app: typer.Typer) -> None:
    family = typer.Typer(help="The settings file: which one counts, and what is wrong with it.", rich_markup_mode=None)
    family.callback(invoke_without_command=True)(config)
    family.command()(check)
    family.command()(show)
    app.add_typer(family, name="config")


def config(context: typer.Context) -> None:
    """Name the settings file that an engine started now would read, and check it. `show` prints what it comes to."""
    if context.invoked_subcommand is None:
        check(context, None)


def check(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Another one than that in effect.")] = None,
) -> None:
    """Read a settings file as an engine would: its name and ok, or every mistake in it, with exit code 2."""
    found, _ = _read(context, file)
    print(f"{found}: ok" if found is not None else "no headway.yaml: all defaults, ok")


def show(
    context: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False
) -> None:
    """Print every setting as it counts, defaults included."""
    import msgspec
    import yaml

    from console.cli.output import print_json

    found, settings = _read(context, None)
    if json:
        print_json(settings)
        return
    print(f"# {found}" if found is not None else "# no headway.yaml: all defaults")
    print(yaml.safe_dump(msgspec.to_builtins(settings), sort_keys=False, allow_unicode=True), end="")


def _read(context: typer.Context, file: Path | None) -> tuple[Path | None, Settings]:
    import os

    from engine.agents.registry import read_settings
    from engine.config import find_settings

    if file is None:
        config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        file = find_settings(ctx.of(context).home, config_home)
    return file, read_settings(file)
