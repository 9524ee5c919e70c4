"""`headway scoreboard`, `compare`: how targets do at each kind of job, with how sure that is."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import JSON, place_of

_Kind = Annotated[str | None, typer.Option(help="Only this kind of job.")]
_Project = Annotated[str | None, typer.Option(help="Only this project: a name of headway.yaml, or a directory.")]
_Since = Annotated[str | None, typer.Option(metavar="SPAN", help="Only jobs that ended in so long: 7d, 12h.")]


def add_to(app: typer.Typer) -> None:
    for command in (scoreboard, compare):
        app.command()(command)


def scoreboard(
    context: typer.Context,
    kind: _Kind = None,
    project: _Project = None,
    since: _Since = None,
    by: Annotated[str, typer.Option(help="How much of a target is told apart: agent, model or account.")] = "model",
    rebuild: Annotated[bool, typer.Option("--rebuild", help="First make all sums anew from the jobs.")] = False,
    json: JSON = False,
) -> None:
    """How each target does at each kind of job: right at first, in the end, rounds, time, money, what came after.

    Kinds are what jobs say: headway submit --kind docs. Days are of UTC.
    """
    from console.cli.output import note, print_json, print_table
    from console.scores import HEADS, cells, remarks
    from engine.model import Scoreboard
    from engine.server.client import Client

    place = place_of(project)

    async def ask(client: Client) -> Scoreboard:
        if rebuild:
            await client.rebuild_scoreboard()
        return await client.scoreboard(kind, place, since, by)

    found = ctx.of(context).ask(ask)
    if json:
        print_json(found)
        return
    if found.lines:
        print_table(HEADS, [cells(line) for line in found.lines], stretch=0)
    else:
        note("nothing has ended yet that fits")
    for line in remarks(found) if found.lines or found.waiting else ():
        note(line)


def compare(
    context: typer.Context,
    targets: Annotated[list[str], typer.Argument(metavar="TARGET...", help="Such as claude codex:gpt-5 opencode.")],
    kind: _Kind = None,
    project: _Project = None,
    since: _Since = None,
    json: JSON = False,
) -> None:
    """Targets side by side at the kinds of job that they share: `best` or `worst` only where intervals lie apart."""
    from console.cli.output import note, print_json, print_table
    from console.scores import compared_lines, verdict

    found = ctx.of(context).ask(lambda client: client.compare(targets, kind, place_of(project), since))
    if json:
        print_json(found)
        return
    if not found:
        note("there is no kind of job that two of them have done; `headway scoreboard` shows what there is")
        return
    for number, one in enumerate(found):
        print(("\n" if number else "") + f"{one.kind or 'no kind'}: {verdict(one)}")
        heads = ("TARGET", "JOBS", "RIGHT AT FIRST", "IN THE END", "TOOK", "COST", "ROUNDS", "AFTER")
        print_table(heads, compared_lines(one), stretch=0)
