"""`headway hold`, `release`, `cancel`, `retry`: what the operator does to jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from engine.model import ActionResult, Verb
    from engine.server.client import Client

MOST_JOBS = 100_000  #: of one command

_Jobs = Annotated[list[str] | None, typer.Argument(metavar="JOB...", help="Job ids, such as 12 or J12.")]
_Everything = Annotated[bool, typer.Option("--all", help="Everything that is and that comes.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def add_to(app: typer.Typer) -> None:
    for command in (hold, release, cancel, retry):
        app.command()(command)


def hold(
    context: typer.Context, jobs: _Jobs = None, all_: _Everything = False, dry_run: _DryRun = False, json: _Json = False
) -> None:
    """Keep jobs from starting until they are released. What runs goes on."""
    from engine.model import Verb

    _act(context, Verb.HOLD, jobs, everything=all_, dry_run=dry_run, json=json)


def release(
    context: typer.Context, jobs: _Jobs = None, all_: _Everything = False, dry_run: _DryRun = False, json: _Json = False
) -> None:
    """End a hold. With --all, the hold on everything; jobs that are held one by one stay held."""
    from engine.model import Verb

    _act(context, Verb.RELEASE, jobs, everything=all_, dry_run=dry_run, json=json)


def cancel(
    context: typer.Context,
    jobs: _Jobs = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until the processes are gone.")] = False,
    dry_run: _DryRun = False,
    json: _Json = False,
) -> None:
    """Cancel jobs. A running one is asked to stop, then killed; returns when nothing of it is left alive."""
    from engine.model import Verb

    _act(context, Verb.CANCEL, jobs, dry_run=dry_run, json=json, wait=not no_wait)


def retry(
    context: typer.Context,
    jobs: _Jobs = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin a new session instead of resuming the last.")] = False,
    dry_run: _DryRun = False,
    json: _Json = False,
) -> None:
    """Put ended jobs back into the queue. An agent that can resume its session goes on in it."""
    from engine.model import Verb

    _act(context, Verb.RETRY, jobs, dry_run=dry_run, json=json, fresh=fresh)


def _act(
    context: typer.Context,
    verb: Verb,
    jobs: list[str] | None,
    *,
    everything: bool = False,
    dry_run: bool = False,
    json: bool = False,
    fresh: bool = False,
    wait: bool = False,
) -> None:
    from msgspec.structs import replace

    from console.cli.output import print_json
    from console.said import result_line
    from engine.errors import UsageError

    ids = job_ids(jobs or [])
    if everything and ids:
        raise UsageError(f"give job ids or --all, not both: headway {verb} --all")
    if not everything and not ids:
        raise UsageError(f"which jobs? headway {verb} JOB..., such as: headway {verb} 12")

    async def ask(client: Client) -> ActionResult:
        seq = (await client.status()).seq
        result = await client.act(verb, ids, everything=everything, dry_run=dry_run, fresh=fresh)
        if wait and not dry_run and result.stopping:
            await until_ended(client, seq, set(result.stopping))
            return replace(result, done=sorted([*result.done, *result.stopping]), stopping=[])
        return result

    result = ctx.of(context).ask(ask)
    if json:
        print_json(result)
    else:
        print(("would: " if dry_run else "") + result_line(result, everything=everything))
    if not everything and not result.done and not result.stopping:
        raise typer.Exit(5)


async def until_ended(client: Client, after: int, jobs: set[int]) -> None:
    """Until each of these jobs has ended, by the engine's log."""
    from contextlib import aclosing

    from engine import events as log

    async with aclosing(client.follow(after)) as happenings:
        async for happening in happenings:
            if isinstance(happening, log.Event) and isinstance(
                happening.body, log.Cancelled | log.Succeeded | log.Failed
            ):
                jobs.discard(happening.job or 0)
            if not jobs:
                return


def job_ids(words: list[str]) -> list[int]:
    """Ids as people type them: 12, J12, or 3-7 for a range."""
    from engine.errors import UsageError

    ids: list[int] = []
    for word in words:
        first, dash, last = word.upper().replace("J", "").partition("-")
        numbers = (first, last) if dash else (first,)
        if not all(number.isascii() and number.isdigit() and len(number) <= 18 for number in numbers):
            raise UsageError(f"{word!r} is not a job id; write 12, J12, or 3-7 for several")
        span = range(int(first), int(last) + 1) if dash else range(int(first), int(first) + 1)
        if len(ids) + len(span) > MOST_JOBS:
            raise UsageError(f"{word!r} makes more than {MOST_JOBS:,} jobs; name fewer at once")
        ids.extend(span)
    return ids
