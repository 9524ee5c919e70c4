"""`headway agents`: which agents are here, which accounts they have, and whether each is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from engine.model import AccountStatus, AgentStatus
    from engine.server.client import Client

_Json = Annotated[bool, typer.Option("--json", help="Print a JSON array.")]


def add_to(app: typer.Typer) -> None:
    family = typer.Typer(help="Which agents are here, and whether their accounts are signed in.", rich_markup_mode=None)
    family.callback(invoke_without_command=True)(agents)
    family.command()(check)
    app.add_typer(family, name="agents")


def agents(context: typer.Context, json: _Json = False) -> None:
    """Which agents are here, in which version, and which accounts they have. `check` looks at each login."""
    if context.invoked_subcommand is None:
        _print(_survey(context, None, check=False), json=json)


def check(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this agent.")] = None,
    json: _Json = False,
) -> None:
    """Look at each login and key: there, readable, not expired. Spends no token and asks no provider.

    Exit code 1 where an account cannot work; for a named agent, also where none is set up.
    """
    found = _survey(context, name, check=True)
    _print(found, json=json)
    accounts = [account for agent in found for account in agent.accounts]
    broken = any(account.ok is False for account in accounts) or not all(agent.tools_ok for agent in found)
    unset = name is not None and bool(accounts) and not any(account.ok for account in accounts)
    missing = name is not None and found[0].version is None
    if broken or unset or missing:
        raise typer.Exit(1)


def _survey(context: typer.Context, name: str | None, *, check: bool) -> list[AgentStatus]:
    """By the engine, whose environment the keys are taken from; without one, as one started from here would find it."""
    from console.cli.output import note
    from engine.errors import NoEngineError

    async def ask(client: Client) -> list[AgentStatus]:
        return await client.agents(name, check=check)

    try:
        return ctx.of(context).ask(ask)
    except NoEngineError:
        note("no engine serves this home: this is what one started from here would find")
        return _here(context, name, check=check)


def _here(context: typer.Context, name: str | None, *, check: bool) -> list[AgentStatus]:
    import asyncio
    import os
    from pathlib import Path

    from engine import accounts
    from engine.agents.registry import agents as known
    from engine.agents.registry import read_settings
    from engine.config import find_settings

    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    settings = read_settings(find_settings(ctx.of(context).home, config_home))
    return asyncio.run(accounts.survey(settings, known(), os.environ, name=name, check=check))


def _print(found: list[AgentStatus], *, json: bool) -> None:
    from console.cli.output import print_json

    if json:
        print_json(found)
    else:
        print("\n".join(line for agent in found for line in _lines(agent)))


def _lines(agent: AgentStatus) -> list[str]:
    from console.format import clean_line

    told = agent.version if agent.version is not None else agent.problem
    mark = "✓" if agent.version is not None else "!"
    program = "" if agent.program in (agent.agent, "built in") else f"  ({agent.program})"
    lines = [f"{mark} {agent.agent:<10} {clean_line(told or agent.program)}{program}"]
    for account in agent.accounts:
        lines += _account_lines(account)
    if agent.tools:
        lines.append(f"    {'✓' if agent.tools_ok else '✗'} {'tools':<10} {clean_line(agent.tools)}")
    return lines


def _account_lines(account: AccountStatus) -> list[str]:
    from console.format import clean_line, moment

    mark = {True: "✓", False: "✗", None: "·"}[account.ok]
    until = f", until {moment(account.expires_at)}" if account.expires_at is not None and account.ok else ""
    lines = [f"    {mark} {clean_line(account.name):<10} {clean_line(account.found)}{until}"]
    if account.mend:
        lines.append(f"      {'':<10} {clean_line(account.mend)}")
    return lines
