"""`headway spend`: what was used and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from engine.money import Spend, SpendLine

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    app.command()(spend)


def spend(
    context: typer.Context,
    by: Annotated[
        str, typer.Option("--by", metavar="WHAT", help="day, project, account, target, model, kind or job.")
    ] = "day",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="today, 7d, 2026-11-01, all; unset is fourteen days."),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: exact tokens, dollars.")] = False,
    json: _Json = False,
) -> None:
    """What was used and what it cost, running attempts included. Each sum shows how well its worst part is known."""
    from console.cli.output import note, print_json, print_table
    from console.money import csv_lines, heads, remarks, row
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.money import By

    if by not in list(By):
        raise UsageError(f"{by!r} is nothing to put sums together by; {nearest(by, list(By))}")
    found = ctx.of(context).ask(lambda client: client.spend(By(by), since))
    if json:
        print_json(found)
    elif csv:
        print("\n".join(csv_lines(found)))
    elif not found.lines:
        note("nothing was used in this time")
    else:
        print_table(heads(found), [row(found, one) for one in _shown(found)], stretch=0)
        for line in remarks(found):
            note(line)


def _shown(found: Spend) -> list[SpendLine]:
    return [*found.lines, found.total] if len(found.lines) > 1 else found.lines
