"""`headway doctor`, `themes`: what is here, and what wants attention."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.cli import context as ctx

_Json = Annotated[bool, typer.Option("--json", help="Print a JSON array.")]


def add_to(app: typer.Typer) -> None:
    for command in (doctor, themes):
        app.command()(command)


def doctor(
    context: typer.Context,
    deep: Annotated[bool, typer.Option("--deep", help="Also check the database and hold it against its log.")] = False,
    json: _Json = False,
) -> None:
    """Look at this machine, this home and its engine, and say what is wrong and how to mend it."""
    import asyncio
    import os

    from console.cli.output import print_json
    from console.theme import check_themes, own_places
    from engine.doctor import Check, examine

    home = ctx.of(context).home
    checks = asyncio.run(examine(home, deep=deep))
    count, problems = check_themes(own_places(home, os.environ))
    checks.append(Check("themes", not problems, f"{count} found", "; ".join(problems)))
    if json:
        print_json(checks)
    else:
        for check in checks:
            first, *rest = check.found.split("\n")
            print(f"{'✓' if check.ok else '✗' if check.needed else '!'} {check.name:<12} {first}")
            for line in rest:
                print(f"  {'':<12} {line}")
            if not check.ok and check.mend:
                print(f"  {'':<12} {check.mend}")
    if not all(check.ok or not check.needed for check in checks):
        raise typer.Exit(1)


def themes(context: typer.Context, json: _Json = False) -> None:
    """The themes of the console, and what is wrong with your own.

    `theme: NAME` in headway.yaml or :theme NAME in the console chooses one. Your own are files in themes/ of the
    home, or of ~/.config/headway.
    """
    import os

    from console.cli.output import note, print_json
    from console.theme import find_themes, own_places

    home = ctx.of(context).where
    found, problems = find_themes(own_places(home if isinstance(home, Path) else None, os.environ))
    for problem in problems:
        note(problem)
    if json:
        print_json(sorted(found))
    else:
        for name in sorted(found):
            print(name)
    if problems:
        raise typer.Exit(1)
