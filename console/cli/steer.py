"""`headway reroute`, `priority`, `snooze`, `edit`, `move`, `cap`, `drain`, `undo`: steering, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JOBS, JSON, about, carry_out

if TYPE_CHECKING:
    from engine.model import ActionLine, Cap, Undone


def add_to(app: typer.Typer) -> None:
    for command in (reroute, priority, snooze, edit, move, cap, drain, undo):
        app.command()(command)


def reroute(
    context: typer.Context,
    jobs: JOBS = None,
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help="Such as claude:opus@work.")] = "",
    to_next: Annotated[
        bool, typer.Option("--to-next", help="The next target of each job's route that can be used.")
    ] = False,
    choices: Annotated[
        bool, typer.Option("--choices", help="Where one job may go: window, cost and success of each target.")
    ] = False,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Let jobs run on another target from their next attempt on: agent, agent:model or agent:model@account.

    With --choices, or with --dry-run and no target, says how each target stands for a job.
    """
    from console.cli.output import print_json
    from console.cli.routes import print_choice
    from console.cli.verbs import job_ids
    from engine.errors import UsageError
    from engine.model import Order, Verb

    if choices or (dry_run and not to and not to_next):
        ids = job_ids(jobs or [])
        if not ids:
            raise UsageError("which job? headway reroute 12 --choices")
        found = [ctx.of(context).ask(lambda client, job=job: client.route_of(job)) for job in ids]  # type: ignore[misc]
        if json:
            print_json(found)
        for one in found if not json else ():
            print_choice(one)
        return
    if not to and not to_next:
        raise UsageError("where to? headway reroute 12 --to claude:opus, or --to-next; --choices shows what there is")
    order = Order(verb=Verb.REROUTE, **about(jobs), to=to or None, to_next=to_next, dry_run=dry_run)
    carry_out(context, order, json=json)


def priority(
    context: typer.Context,
    level: Annotated[int, typer.Argument(min=0, max=9, metavar="N", help="0 is most urgent, 9 least.")],
    jobs: JOBS = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Give waiting jobs another priority: headway priority 1 12 13."""
    from engine.model import Order, Verb

    carry_out(context, Order(verb=Verb.PRIORITY, **about(jobs), priority=level, dry_run=dry_run), json=json)


def snooze(
    context: typer.Context,
    until: Annotated[str, typer.Argument(metavar="WHEN", help="15m, 2h, 1d, a time, or `now` to end it.")],
    jobs: JOBS = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Let jobs wait until a time: headway snooze 2h 12."""
    from engine.errors import UsageError
    from engine.model import Order, Verb

    if until.upper().removeprefix("J").isdecimal() and jobs and not jobs[-1].upper().removeprefix("J").isdecimal():
        raise UsageError(f"the time comes first: headway snooze {jobs[-1]} {until}")
    when = None if until == "now" else until
    carry_out(context, Order(verb=Verb.SNOOZE, **about(jobs), until=when, dry_run=dry_run), json=json)


def edit(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job id, such as 12 or J12.")],
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT", help="The new prompt; - reads standard input. Without it, $EDITOR opens the old one."
        ),
    ] = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Change the prompt of a job that does not run."""
    import sys

    import click

    from console.cli.verbs import job_ids
    from engine.errors import UsageError
    from engine.model import Order, Verb

    ids = job_ids([job])
    if prompt is None:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError(f"there is no terminal for an editor: headway edit {job} PROMPT, or - for standard input")
        detail = ctx.of(context).ask(lambda client: client.job(ids[0]))
        text = click.edit(detail.spec.prompt, extension=".md")
        if text is None or text == detail.spec.prompt:
            from console.cli.output import note

            note("nothing was changed")
            return
    else:
        text = sys.stdin.read() if prompt == "-" else prompt
    carry_out(context, Order(verb=Verb.EDIT, jobs=ids, prompt=text, dry_run=dry_run), json=json)


def move(
    context: typer.Context,
    place: Annotated[str, typer.Argument(metavar="PLACE", help="first, last, before:12 or after:12.")],
    jobs: JOBS = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Move jobs in the queue: headway move first 12. Beside another job, they take its priority."""
    from engine.model import Order, Verb

    carry_out(context, Order(verb=Verb.MOVE, **about(jobs), place=place, dry_run=dry_run), json=json)


def cap(
    context: typer.Context,
    scope: Annotated[
        str | None,
        typer.Argument(metavar="SCOPE", help="all, agent:NAME, account:NAME, target:T, project:P or tag:NAME."),
    ] = None,
    limit: Annotated[int | None, typer.Argument(metavar="N", min=0, max=10_000, help="Attempts at once.")] = None,
    default: Annotated[bool, typer.Option("--default", help="Back to what headway.yaml says.")] = False,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """How many attempts may run at once. Without arguments, all caps; with a scope and a number, set one, at once."""
    from console.cli.output import print_json, print_table
    from engine.errors import UsageError
    from engine.model import Order, Verb

    if scope is None:
        caps: list[Cap] = ctx.of(context).ask(lambda client: client.caps())
        if json:
            print_json(caps)
        else:
            rows = [(one.scope, str(one.limit), str(one.running), one.source) for one in caps]
            print_table(("SCOPE", "CAP", "RUNNING", "SET BY"), rows, stretch=0)
        return
    if (limit is None) != default:
        raise UsageError(f"how many? headway cap {scope} 4, or headway cap {scope} --default")
    carry_out(context, Order(verb=Verb.CAP, scope=scope, limit=limit, dry_run=dry_run), json=json)


def drain(context: typer.Context, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Start nothing more, and end the engine once nothing runs. `headway undo` takes it back before that."""
    from engine.model import ALL, Order, Verb

    carry_out(context, Order(verb=Verb.DRAIN, scope=ALL, dry_run=dry_run), json=json)


def undo(
    context: typer.Context,
    steps: Annotated[int, typer.Option("--steps", "-n", min=1, max=100, help="So many actions, the newest first.")] = 1,
    action: Annotated[int | None, typer.Option("--action", metavar="N", help="This one; --list shows them.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="What was done, newest first.")] = False,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Take back what was done last: holds, cancels, retries, moves, caps. Says what cannot come back."""
    from console.cli.output import print_json, print_table
    from console.format import moment
    from console.said import undone_line
    from engine.errors import NotFoundError, UsageError
    from engine.server.client import Client

    if list_:
        lines: list[ActionLine] = ctx.of(context).ask(lambda client: client.actions())
        if json:
            print_json(lines)
            return
        rows = [
            (
                str(one.id), moment(one.at), one.verb, str(one.jobs or "-"), one.by,
                moment(one.undone_at) if one.undone_at else "",
            )
            for one in lines
        ]  # fmt: skip
        print_table(("ACTION", "AT", "VERB", "JOBS", "BY", "UNDONE"), rows, stretch=4)
        return
    if dry_run and steps > 1:
        raise UsageError("--dry-run shows one step at a time; name one with --action")

    async def ask(client: Client) -> list[Undone]:
        done: list[Undone] = []
        for _ in range(steps):
            try:
                done.append(await client.undo(action, dry_run=dry_run))
            except NotFoundError:
                if not done:
                    raise
                break  # that was the last one
        return done

    found = ctx.of(context).ask(ask)
    if json:
        print_json(found)
    else:
        for one in found:
            print(undone_line(one))
    if not any(one.restored or one.said for one in found):
        raise typer.Exit(5)
