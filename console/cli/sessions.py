"""`headway sessions` and `headway attach`: the agents' conversations, and working in one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import one_id

if TYPE_CHECKING:
    from engine.sessions import Session


def add_to(app: typer.Typer) -> None:
    app.command()(sessions)
    app.command()(attach)


def sessions(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Only of this job.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The agents' conversations, of a job or those used last: how full each is, and what became of it."""
    from console.cli.output import note, print_json, print_table

    number = None if job is None else one_id(job)
    found = ctx.of(context).ask(lambda client: client.sessions(number, limit))
    if json:
        print_json([_with_share(one) for one in found])
        return
    if not found:
        note("no sessions" if number is None else f"J{number} has had no session")
        return
    heads = ("JOB", "SESSION", "STATE", "TARGET", "TRIES", "TURNS", "CONTEXT", "COMPACTED", "USED", "WHY")
    print_table(heads, [_cells(one) for one in found], stretch=9)


def attach(
    context: typer.Context,
    job: Annotated[
        str,
        typer.Argument(metavar="JOB|ssh://HOST|https://HOST:PORT", help="A job id (12); or where an engine is."),
    ],
    read_only: Annotated[bool, typer.Option("--read-only", help="Only look: follow what it says and does.")] = False,
    pause: Annotated[bool, typer.Option("--pause", hidden=True)] = False,
    headway: Annotated[
        str | None, typer.Option("--headway", metavar="PROGRAM", help="With ssh://: headway's path there.")
    ] = None,
    link: Annotated[str, typer.Option("--link", help="With ssh://: auto, local, ssh or thin, as without.")] = "auto",
    ascii_only: Annotated[bool, typer.Option("--ascii", help="With ssh://: draw with ASCII signs only.")] = False,
    mouse: Annotated[bool | None, typer.Option("--mouse/--no-mouse", help="With ssh://: as without.")] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="With https://: the token, for HEADWAY_TOKEN.")
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", metavar="SHA256", help="With https://: its certificate is this one.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", metavar="FILE", help="With https://: who signs its certificate.")
    ] = None,
) -> None:
    """Work in a job's session, in its agent's own screen; the job waits, and goes on in it when you leave.

    What runs of it is parked first, which uses up none of its attempts.

    With ssh://[USER@]HOST[:PORT][/HOME], or https://HOST:PORT and a token, the console opens here on the engine there.
    """
    from console.cli import opening, takeover
    from console.cli.jobs import print_log
    from engine.errors import HeadwayError, UsageError
    from engine.remote.address import Address
    from engine.remote.place import Place

    if job.startswith(("https:", "http:")):
        from console.start import Look

        address = ctx.address_of(job, ctx.of(context).keys.over(token_file, fingerprint, ca_file))
        raise typer.Exit(opening.console(address, Look(link, ascii_only, mouse)))
    if job.startswith("ssh:"):
        from console.start import Look

        place = opening.place_of(job, ctx.of(context).named, headway)
        raise typer.Exit(opening.console(place, Look(link, ascii_only, mouse)))
    number = one_id(job)
    if read_only:
        ctx.of(context).ask(lambda client: print_log(client, number, None, 200, True, False))
        return
    where = ctx.of(context).where
    if isinstance(where, Place):
        raise typer.Exit(opening.run_there(where, "attach", *(["--pause"] if pause else []), str(number)))
    try:
        if isinstance(where, Address):
            raise UsageError(f"a session is worked in on the engine's machine: headway attach ssh://{where.host}")
        code = takeover.at_terminal(where, number)
    except HeadwayError as error:
        if not pause:
            raise
        takeover.wait_for_reader(error.message)
        raise typer.Exit(error.exit_code) from None
    raise typer.Exit(code)


def _with_share(one: Session) -> dict[str, object]:
    import msgspec

    return {**msgspec.to_builtins(one), "share": one.share}


def _cells(one: Session) -> tuple[str, ...]:
    from console.conversation import context_text
    from console.format import age, clean_line
    from engine.clock import now_ms
    from engine.model import Target

    why = one.why or (f"a fork of {one.parent}" if one.parent else "")
    return (
        f"J{one.job}" if one.job is not None else "-", clean_line(one.id), one.state,
        clean_line(str(Target(one.agent, one.model, one.account))), str(one.attempts), str(one.turns),
        context_text(one.context_tokens, one.context_window) or "-", str(len(one.compactions) or "-"),
        age(now_ms() - one.used_at), clean_line(why),
    )  # fmt: skip
