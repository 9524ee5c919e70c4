"""`headway gates`, `headway gate`: what must hold before a job is done, and what was found of it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import JSON, one_id


def add_to(app: typer.Typer) -> None:
    for command in (gates, gate):
        app.command()(command)


def gates(context: typer.Context, json: JSON = False) -> None:
    """The gates of headway.yaml: what must hold before a job is done."""
    from console.cli.output import note, print_json, print_table
    from console.gates import HEADS, cells

    found = ctx.of(context).ask(lambda client: client.gates())
    if json:
        print_json(found)
    elif not found:
        note("headway.yaml names no gate, under gates:")
    else:
        print_table(HEADS, [cells(one) for one in found], stretch=3)


def gate(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only what it would do, and who would read it.")] = False,
    json: JSON = False,
) -> None:
    """What the gate of a job asks for, and each of its looks: evidence, checks with their output, claims, reviews."""
    from console.cli.output import print_json
    from console.gates import look_lines, plan_lines

    found = ctx.of(context).ask(lambda client: client.gate(one_id(job)))
    if json:
        print_json(found.plan if dry_run else found)
        return
    print("\n".join(plan_lines(found.plan)))
    if not dry_run and found.looks:
        print("\n".join(look_lines(found.looks, whole=True)))
