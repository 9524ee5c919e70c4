"""`headway routes`: where jobs may run, in which order, and what is done when they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import JSON

if TYPE_CHECKING:
    from engine.model.route import RouteChoice, RouteStatus


def add_to(app: typer.Typer) -> None:
    app.command()(routes)


def routes(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="The route of this job, and why.")] = None,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="PROMPT", help="Which route a job with this prompt would take, and why."),
    ] = None,
    project: Annotated[str | None, typer.Option(help="With --explain: its project.")] = None,
    kind: Annotated[str | None, typer.Option(help="With --explain: its kind.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="With --explain: a tag; may be repeated.")] = None,
    triage: Annotated[str | None, typer.Option(help="With --explain: its class.")] = None,
    route: Annotated[str | None, typer.Option(help="With --explain: the route that it names.")] = None,
    json: JSON = False,
) -> None:
    """The routes of headway.yaml, and how their targets stand; or which route one job takes, and why."""
    from console.cli.output import note, print_json
    from console.cli.verbs import one_id
    from engine.errors import UsageError
    from engine.model.route import RouteQuery

    if job is not None and explain is not None:
        raise UsageError("give a job, or a prompt with --explain, not both")
    if explain is None and (project or kind or tag or triage or route):
        raise UsageError('say what the job is about: headway routes --explain "fix the tests" --tag ci')
    client = ctx.of(context)
    if job is not None or explain is not None:
        query = RouteQuery(prompt=explain or "", project=project, kind=kind, tags=tag or [], triage=triage, route=route)
        number = one_id(job) if job is not None else None
        found = client.ask(lambda c: c.route_of(number) if number is not None else c.explain_route(query))
        print_json(found) if json else print_choice(found)
        return
    listed = client.ask(lambda c: c.routes())
    if json:
        print_json(listed)
    elif not listed:
        note("headway.yaml names no route, under routes:; what it may say there is in docs/routes.md")
    for one in listed if not json else ():
        _print_route(one)


def _print_route(one: RouteStatus) -> None:
    from console.cli.output import print_table
    from console.moves import HEADS, route_lines, target_cells
    from engine.clock import now_ms

    now = now_ms()
    print("\n".join(route_lines(one)))
    print_table(HEADS, [target_cells(target, now) for target in one.targets], stretch=7)
    print()


def print_choice(found: RouteChoice) -> None:
    """Which route a job takes, how each target stands, what would be done."""
    from console.cli.output import print_table
    from console.moves import HEADS, choice_lines, target_cells
    from engine.clock import now_ms

    now = now_ms()
    print("\n".join(choice_lines(found)))
    if found.targets:
        print()
        print_table(HEADS, [target_cells(target, now) for target in found.targets], stretch=7)
