"""`headway tap`: what passes between running agents and their providers, where their accounts ask for it."""

from __future__ import annotations

from typing import Annotated

import typer

from console.cli import context as ctx


def add_to(app: typer.Typer) -> None:
    app.command()(tap)


def tap(
    context: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False
) -> None:
    """The calls of running attempts whose accounts have a tap: how many, what was refused, tokens, until when."""
    from console.cli.output import note, print_json, print_table
    from console.format import moment

    found = ctx.of(context).ask(lambda client: client.taps())
    if json:
        print_json(found)
        return
    if not found:
        note("nothing that runs is tapped; an account with an API key is, by tap: true in headway.yaml")
        return
    rows = [
        (
            f"J{one.job}",
            one.account,
            one.upstream,
            f"{one.calls} ({one.running} now)",
            f"{one.refused} refused, {one.failed} failed" if one.refused or one.failed else "",
            f"{one.input_tokens + one.cache_read_tokens + one.cache_write_tokens:,} in, {one.output_tokens:,} out",
            ""
            if one.status is None
            else f"{one.status}, until {moment(one.retry_at)}"
            if one.retry_at
            else f"{one.status}",
        )
        for one in found
    ]
    print_table(("job", "account", "provider", "calls", "", "tokens", "last answer"), rows, stretch=2)
