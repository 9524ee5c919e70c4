"""`headway hold`, `release`, `cancel`, `retry`: what the operator does to jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli import context as ctx
from engine.paths import expanded

if TYPE_CHECKING:
    from engine.model import ActionResult, Order
    from engine.server.client import Client

MOST_JOBS = 100_000  #: of one command
SILENT_SECONDS = 1.0  #: most of what is cancelled has ended by then; else it is said what is waited for

JOBS = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB", help="Job ids (12, J12, 3-7), or a filter: state:failed class:timeout 'age:>1h'."),
]
DRY_RUN = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and what follows, and do nothing.")]
JSON = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
_Everything = Annotated[bool, typer.Option("--all", help="Everything that is and that comes.")]
_Scope = Annotated[
    str | None,
    typer.Option(
        "--scope", help="All that is and comes in it: agent:NAME, account:NAME, target:T, project:P, tag:NAME."
    ),
]


def add_to(app: typer.Typer) -> None:
    for command in (hold, release, cancel, retry):
        app.command()(command)


def hold(
    context: typer.Context,
    jobs: JOBS = None,
    all_: _Everything = False,
    scope: _Scope = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Keep jobs from starting until they are released. What runs goes on."""
    from engine.model import Order, Verb

    named = about(jobs, everything=all_, scope=scope)
    carry_out(context, Order(verb=Verb.HOLD, **named, dry_run=dry_run), json=json)


def release(
    context: typer.Context,
    jobs: JOBS = None,
    all_: _Everything = False,
    scope: _Scope = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """End a hold. With --all or --scope, the hold on that; jobs that are held one by one stay held."""
    from engine.model import Order, Verb

    named = about(jobs, everything=all_, scope=scope)
    carry_out(context, Order(verb=Verb.RELEASE, **named, dry_run=dry_run), json=json)


def cancel(
    context: typer.Context,
    jobs: JOBS = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until the processes are gone.")] = False,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Cancel jobs. A running one is asked to stop, then killed; returns when nothing of it is left alive.

    What had ended before it could be stopped is left as it ended, and said.
    """
    from engine.model import Order, Verb

    carry_out(context, Order(verb=Verb.CANCEL, **about(jobs), dry_run=dry_run), json=json, wait=not no_wait)


def retry(
    context: typer.Context,
    jobs: JOBS = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin a new session instead of resuming the last.")] = False,
    fork: Annotated[
        bool, typer.Option("--fork", help="Go on in a copy of the last session, which stays as it is.")
    ] = False,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Put ended jobs back into the queue, and with them those that were skipped because of them.

    An agent that can resume its session goes on in it.
    """
    from engine.model import Order, Verb

    carry_out(context, Order(verb=Verb.RETRY, **about(jobs), fresh=fresh, fork=fork, dry_run=dry_run), json=json)


def about(jobs: list[str] | None, *, everything: bool = False, scope: str | None = None) -> dict[str, Any]:
    """What an order is about, from the words of a command: ids, a filter, or a scope."""
    from engine.errors import UsageError
    from engine.model import ALL

    words = jobs or []
    if sum((bool(words), everything, scope is not None)) > 1:
        raise UsageError("give jobs, --all or --scope, not several of them")
    if everything or scope is not None:
        return {"scope": scope if scope is not None else ALL}
    if any(":" in word for word in words):
        return {"filter": " ".join(quoted(word) for word in words)}
    return {"jobs": job_ids(words)}


def place_of(project: str | None) -> str | None:
    """A directory that is there becomes absolute: the engine works elsewhere. All else is a name of the settings."""

    if project is None or not expanded(project).is_dir():
        return project
    return str(expanded(project).resolve())


def quoted(word: str) -> str:
    """A shell word as one term of a filter, whatever spaces it holds."""
    import shlex

    return shlex.quote(word) if any(character.isspace() for character in word) else word


#: What a verb takes besides jobs comes in an order of its own.
_SUCH_AS = {
    "priority": "headway priority 1 12",
    "move": "headway move first 12",
    "snooze": "headway snooze 2h 12",
    "reroute": "headway reroute 12 --to claude:opus",
}


def carry_out(context: typer.Context, order: Order, *, json: bool = False, wait: bool = False) -> None:
    """Send an order, and tell what came of it. Exit code 4 where no job matched, 5 where nothing was done."""
    from console.cli.output import note, print_json
    from console.said import result_line
    from engine.errors import UsageError

    if not order.jobs and order.filter is None and order.scope is None:
        raise UsageError(f"which jobs? such as: {_SUCH_AS.get(order.verb, f'headway {order.verb} 12')}")

    async def ask(client: Client) -> ActionResult:
        seq = (await client.status()).seq
        result = await client.carry_out(order)
        if wait and not order.dry_run and result.stopping:
            return await _stopped(client, seq, result)
        return result

    try:
        result = ctx.of(context).ask(ask)
    except KeyboardInterrupt:
        if wait:
            note("not waited for: the engine goes on stopping what runs")
        raise
    found = result.done or result.stopping or result.skipped or order.scope is not None
    if json:
        print_json(result)
    elif not found:
        note(f"no job matches {order.filter}")
    else:
        scope = order.scope or ""
        if order.verb == "cap":
            scope += " to what headway.yaml says" if order.limit is None else f" to {order.limit}"
        print("\n".join([result_line(result, scope=scope), *_followed(result)]))
    if not found:
        raise typer.Exit(4)
    if order.scope is None and not result.done and not result.stopping:
        raise typer.Exit(5)


def _followed(result: ActionResult) -> list[str]:
    from console.ahead import preview_lines
    from console.said import also_lines
    from engine.clock import now_ms

    return also_lines(result) + ([] if result.preview is None else preview_lines(result.preview, now_ms()))


async def _stopped(client: Client, seq: int, result: ActionResult) -> ActionResult:
    """Wait for what is being stopped, and tell what became of it: one may have ended by itself meanwhile."""
    import asyncio

    from msgspec.structs import replace

    from console.cli.output import note
    from console.format import job_name, plural
    from engine.errors import NoEngineError

    count = len(result.stopping)
    name = job_name(result.stopping[0]) if count == 1 else plural(count, "job")
    waiting = asyncio.create_task(until_ended(client, seq, set(result.stopping)))
    try:
        if not (await asyncio.wait({waiting}, timeout=SILENT_SECONDS))[0]:
            note(f"stopping {name}: asked to end, and killed after the grace; ^C does not wait for it")
        ends = await waiting
    except NoEngineError:
        raise NoEngineError(f"the engine ended while {name} was being stopped; the next one goes on with it") from None
    finally:
        waiting.cancel()
    skipped = {why: list(jobs) for why, jobs in result.skipped.items()}
    for job, state in sorted(ends.items()):
        if state != "cancelled":
            skipped.setdefault(f"{state} before it could be stopped", []).append(job)
    gone = [job for job, state in ends.items() if state == "cancelled"]
    return replace(result, done=sorted([*result.done, *gone]), stopping=[], skipped=skipped)


async def until_ended(client: Client, after: int, jobs: set[int]) -> dict[int, str]:
    """Wait until each of these jobs has ended, by the engine's log; how each has."""
    from contextlib import aclosing

    from engine import events as log
    from engine.errors import NoEngineError

    ends: dict[int, str] = {}
    async with aclosing(client.follow(after)) as happenings:
        async for happening in happenings:
            if not isinstance(happening, log.Event) or happening.job not in jobs:
                continue
            match happening.body:
                case log.Cancelled():
                    ends[happening.job] = "cancelled"
                case log.Succeeded():
                    ends[happening.job] = "succeeded"
                case log.Failed():
                    ends[happening.job] = "failed"
            if len(ends) == len(jobs):
                return ends
    raise NoEngineError("the engine ended")  # and with it the stream, before all of them had


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


def one_id(word: str) -> int:
    """The one job that a word names."""
    from engine.errors import UsageError

    ids = job_ids([word])
    if len(ids) != 1:
        raise UsageError(f"{word!r} names {len(ids)} jobs; this command takes one")
    return ids[0]
