"""`headway merge`, `headway merges`: the work of jobs comes to the branch of its project."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JSON, job_ids


def add_to(app: typer.Typer) -> None:
    for command in (merge, merges):
        app.command()(command)


def merge(
    context: typer.Context,
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="In the order in which they are to be merged.")],
    into: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="[default: what the project says, else its checkout's branch]")
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="CMD", help="Has to exit with 0.  [default: the project's merge: checks:]"),
    ] = None,
    check_timeout: Annotated[str | None, typer.Option(metavar="SPAN", help="What a check may take.")] = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Queue the work of jobs for the branch of their project: one after the other, each checked on top of the last.

    The branch is only ever moved forward, to a commit on which the checks passed; where it is checked out, only while
    that working tree is clean. What does not fit becomes a card. undo takes out of the queue what is not merged yet.
    """
    from console.cli.output import note, print_json
    from console.merging import conflict_lines, foreseen_line
    from engine.model import MergeWanted

    wanted = MergeWanted(jobs=job_ids(jobs), into=into, checks=check, check_timeout=check_timeout, dry_run=dry_run)
    done = ctx.of(context).ask(lambda client: client.queue_merges(wanted))
    if json:
        print_json(done)
    elif dry_run:
        for one in done.foreseen:
            print("\n".join([foreseen_line(one), *conflict_lines(one.conflicts)]))
    else:
        for queued in done.merges:
            print(queued.id)
        note("`headway merges` tells how they stand")


def merges(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[N | drop N]", help="Everything on one; or take it out of the queue.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Of those that are over: at most so many.")] = 20,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """The merge queue: what waits, in its order, and what became of the newest."""
    from console.cli.output import note, print_json, print_table
    from console.merging import HEADS, cells, lines
    from engine.clock import now_ms
    from engine.errors import UsageError

    asker = ctx.of(context)
    match words or []:
        case []:
            found = asker.ask(lambda client: client.merges(limit))
            if json:
                print_json(found)
            elif found:
                print_table(HEADS, [cells(one, now_ms()) for one in found], stretch=7)
            else:
                note("nothing was merged yet: headway merge 12")
        case [number] if number != "drop":
            one = asker.ask(lambda client: client.merge(_number(number)))
            if json:
                print_json(one)
            else:
                print("\n".join(lines(one)))
        case ["drop", number]:
            dropped = asker.ask(lambda client: client.drop_merge(_number(number), dry_run=dry_run))
            if json:
                print_json(dropped)
            else:
                print(f"{'would: ' if dry_run else ''}J{dropped.job} is not merged into {dropped.target}")
        case _:
            raise UsageError("headway merges, headway merges N, or headway merges drop N")


def _number(word: str) -> int:
    from engine.errors import UsageError

    digits = word.lstrip("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise UsageError(f"{word!r} is no merge's number; `headway merges` lists them")
    return int(digits)
