"""`headway mcp`: Headway's tools on standard input and output, for an agent that something else starts."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli import context as ctx


def add_to(app: typer.Typer) -> None:
    app.command()(mcp)


def mcp(
    context: typer.Context,
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="A job that runs: what is called is called in its name.")
    ] = None,
) -> None:
    """Serve Headway's tools over MCP on standard input and output, in the name of a running job.

    Agents that Headway starts have them already. This is for one that such a job starts itself (without JOB, by
    $HEADWAY_MCP), and for one that you start by hand beside a job: claude mcp add headway -- headway mcp 12
    """
    import os

    from console.cli.verbs import one_id
    from engine.errors import NotFoundError, UsageError
    from engine.mcp.capability import newest
    from engine.mcp.offering import VARIABLE, command

    if job is None and not os.environ.get(VARIABLE):
        raise UsageError("no job is named, and this is no process of one: headway mcp JOB")
    path = os.environ[VARIABLE] if job is None else newest(ctx.of(context).home, one_id(job))
    if path is None:
        raise NotFoundError(f"{job} does not run, or has none of the tools: mcp: in headway.yaml says who has")
    argv = command(path)
    os.execv(argv[0], argv)
