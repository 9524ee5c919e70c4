"""`headway limits`: how the rate-limit windows of each account stand, and who waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from engine.window import WindowState

BAR = 10  #: cells of a full window


def add_to(app: typer.Typer) -> None:
    app.command()(limits)


def limits(
    context: typer.Context,
    account: Annotated[str | None, typer.Argument(metavar="[ACCOUNT]", help="Only this one: claude@work.")] = None,
    try_now: Annotated[
        bool, typer.Option("--try", help="Wait no longer for its closed windows: one job goes first, and finds out.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """How the rate-limit windows of each account stand: open, warning, closed or unknown, how much is used, when each
    is reset, who told so and when, and how many jobs wait.
    """
    from console.cli.output import note, print_json, print_table
    from engine.clock import now_ms
    from engine.errors import UsageError

    if try_now and account is None:
        raise UsageError("--try wants an account, such as claude@work")
    known = ctx.of(context).ask(
        lambda client: client.try_now(account) if try_now and account is not None else client.limits()
    )
    found = [one for one in known if account is None or one.account == account]
    if json:
        print_json(found)
        return
    if not found:
        note("no agent has told of a limit yet" if account is None else f"nothing is known of a limit of {account}")
        return
    now = now_ms()
    heads = ("ACCOUNT", "WINDOW", "STATE", "USED", "RESETS", "SAID BY", "SEEN", "WAIT")
    print_table(heads, [_row(one, now) for one in found], stretch=5)


def _row(one: WindowState, now: int) -> tuple[str, ...]:
    from console.format import age, clean_line, number

    name = f"{one.window} ({one.model})" if one.model else one.window
    return (
        clean_line(one.account),
        clean_line(name),
        _state(one),
        _used(one.used),
        _end(one, now),
        clean_line(one.source),
        f"{age(now - one.observed_at)} ago",
        number(one.waiting) if one.waiting else "-",
    )


def _state(one: WindowState) -> str:
    if one.probing is not None:
        return f"{one.standing}, {one.probing} at once"
    return str(one.standing)


def _end(one: WindowState, now: int) -> str:
    """When it is expected to be open; for one that is closed that is when it is tried."""
    from console.ahead import when_text

    at = one.until if one.until is not None else one.resets_at
    return "-" if at is None else when_text(at, now)


def _used(share: float | None) -> str:
    """`█████·····  52%`."""
    if share is None:
        return "-"
    full = min(BAR, int(share * BAR + 0.5))
    return f"{'█' * full}{'·' * (BAR - full)} {share:4.0%}"
