"""`headway token` and `headway audit`: who may come over the network, and who called what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import JSON

if TYPE_CHECKING:
    from engine.model.access import AuditLine, Token

token = typer.Typer(help="Tokens for those who come over the network.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(token, name="token")
    app.command()(audit)


@token.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is; it stands in the log and in the audit.")],
    role: Annotated[
        str, typer.Option("--role", help="viewer reads; operator does things to work; admin to the engine, too.")
    ] = "viewer",
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="SPAN", help="It opens nothing after that: 30d. Unset: never.")
    ] = None,
    json: JSON = False,
) -> None:
    """Make a token, and print it: this once. The engine keeps a hash of it alone.

    An operator submits jobs, and so runs commands with the rights of the engine.
    """
    from console.cli.output import note, print_json
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.model.access import GIVEN, Role, TokenWanted

    if role not in list(GIVEN):
        raise UsageError(f"--role {role}: {nearest(role, list(GIVEN))}")
    wanted = TokenWanted(name=name, role=Role(role), expires=expires)
    made = ctx.of(context).ask(lambda client: client.add_token(wanted))
    if json:
        print_json(made)
        return
    print(made.secret)
    note(f"the token {name} of {Role(role).one}, told this once; HEADWAY_TOKEN or --token-file gives it to headway")


@token.command("list")
def list_(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Those that were revoked or have expired, too.")] = False,
    json: JSON = False,
) -> None:
    """The tokens that open the door."""
    from console.cli.output import note, print_json, print_table
    from engine.clock import now_ms

    now = now_ms()
    found = [one for one in ctx.of(context).ask(lambda client: client.tokens()) if all_ or _stands(one, now)]
    if json:
        print_json(found)
        return
    if not found:
        note("no token: nobody comes over the network; `headway token add NAME --role operator` makes one")
        return
    print_table(("NAME", "ROLE", "ADDED", "BY", "USED", "EXPIRES"), [_cells(one, now) for one in found], stretch=3)


@token.command()
def revoke(
    context: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="As `token list` has it.")]
) -> None:
    """Shut the door to a token, at once and for good: what is open with it is shut, too."""
    from console.cli.output import note

    gone = ctx.of(context).ask(lambda client: client.revoke_token(name))
    note(f"the token {gone.name} of {gone.role.one} opens nothing any more")


def audit(
    context: typer.Context,
    since: Annotated[str | None, typer.Option("--since", metavar="SPAN", help="Only of so long: 2h, 7d.")] = None,
    who: Annotated[str | None, typer.Option("--who", metavar="NAME", help="A user, a token, or a job: J12.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 100,
    json: JSON = False,
) -> None:
    """Every verb that was called: when, by whom, from where, what, and what came of it; refusals, too."""
    from console.cli.output import note, print_json, print_table

    found = ctx.of(context).ask(lambda client: client.audit(since, who, limit))
    if json:
        print_json(found)
        return
    if not found:
        note("nobody called a verb" + (f" in the last {since}" if since else ""))
        return
    heads = ("WHEN", "WHO", "ROLE", "FROM", "STATUS", "WHAT", "SAID")
    print_table(heads, [_line(one) for one in found], stretch=5)


def _stands(one: Token, now: int) -> bool:
    return one.revoked_at is None and (one.expires_at is None or one.expires_at > now)


def _cells(one: Token, now: int) -> tuple[str, ...]:
    from console.format import age, clean_line, moment

    if one.revoked_at is not None:
        ends = "revoked"
    elif one.expires_at is None:
        ends = "never"
    else:
        ends = f"in {age(one.expires_at - now)}" if one.expires_at > now else "has expired"
    used = f"{age(max(0, now - one.used_at))} ago" if one.used_at is not None else "never"
    return clean_line(one.name), one.role, moment(one.added_at), clean_line(one.by), used, ends


def _line(one: AuditLine) -> tuple[str, ...]:
    from console.format import clean_line, job_name, moment

    place = f"{one.door} {one.address}".strip()
    if one.job is not None and one.door != "mcp":
        place += f", {job_name(one.job)}"
    return (
        moment(one.at), clean_line(one.who), one.role or "-", clean_line(place), str(one.status),
        clean_line(one.what), clean_line(one.said),
    )  # fmt: skip
