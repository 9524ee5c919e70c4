"""`headway nodes`, `headway node` and `headway cluster`: further machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JSON

if TYPE_CHECKING:
    from engine.model.node import Node

NAMED = 5  #: of the jobs on a machine, so many are named

_Name = Annotated[str, typer.Argument(metavar="NAME")]


def add_to(app: typer.Typer) -> None:
    app.command()(nodes)
    one = typer.Typer(help="One machine of the cluster.", rich_markup_mode=None, no_args_is_help=True)
    one.command()(drain)
    one.command()(undrain)
    app.add_typer(one, name="node")
    family = typer.Typer(
        help="The cluster of machines that attempts run on.", rich_markup_mode=None, no_args_is_help=True
    )
    family.command("join-command")(join_command)
    app.add_typer(family, name="cluster")


def nodes(
    context: typer.Context,
    agents: Annotated[bool, typer.Option("--agents", help="With the agents that each has, and their logins.")] = False,
    json: JSON = False,
) -> None:
    """The machines of the cluster: what they offer, what runs on them, when they were heard last."""
    from console.cli.output import note, print_json, print_table
    from console.format import clean_line
    from engine.model.account import BUILT_IN

    found = ctx.of(context).ask(lambda client: client.nodes(agents=agents))
    if json:
        print_json(found)
        return
    if not found.connected:
        note(found.trouble)
    elif not found.nodes:
        note(f"no machine has joined {found.address} yet: headway cluster join-command prints how")
    if found.nodes:
        heads = ("NODE", "STATE", "JOBS", "OFFERS", "LABELS", "MEMORY", "HEADWAY", "SEEN")
        print_table(heads, [_cells(one) for one in found.nodes], stretch=3)
    for one in found.nodes:
        if one.trouble:
            note(f"{one.name}: {one.trouble}")
        for agent in one.agents:
            logins = ", ".join(f"{account.name}: {account.found}" for account in agent.accounts)
            told = agent.problem or f"{agent.version or BUILT_IN}{f': {logins}' if logins else ''}"
            print(f"  {one.name}  {agent.agent:<9} {clean_line(told)}")


def drain(
    context: typer.Context,
    name: _Name,
    move: Annotated[bool, typer.Option("--move", help="End what runs there, to begin anew elsewhere.")] = False,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Begin nothing more on a machine. What runs there goes on to its end; `undo` opens it again."""
    _drain(context, name, back=False, move=move, dry_run=dry_run, json=json)


def undrain(context: typer.Context, name: _Name, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Let a machine take attempts again."""
    _drain(context, name, back=True, move=False, dry_run=dry_run, json=json)


def _drain(context: typer.Context, name: str, *, back: bool, move: bool, dry_run: bool, json: bool) -> None:
    from console.cli.output import print_json
    from engine.model.node import Draining

    wanted = Draining(node=name, back=back, move=move, dry_run=dry_run)
    done = ctx.of(context).ask(lambda client: client.drain_node(wanted))
    if json:
        print_json(done)
        return
    moved = ", and its work moved" if move else ""
    print(f"{name} {'would be' if dry_run else 'is'} {'open' if back else 'drained'}{moved}")


def join_command(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", help="What the machine is called here.  [default: its hostname]")] = "",
    resource: Annotated[
        list[str], typer.Option("--resource", metavar="NAME=N", help="What it offers, as targets ask for it.")
    ] = [],  # noqa: B006 - typer's own way
    label: Annotated[
        list[str], typer.Option("--label", metavar="NAME=VALUE", help="What it is, as targets ask for it.")
    ] = [],  # noqa: B006
) -> None:
    """Print the command by which a machine joins, for a shell on that machine: Ray's own."""
    from engine.model.node import Join

    resources = {key: _number(key, value) for key, value in map(_pair, resource)}
    wanted = Join(name=name, resources=resources, labels=dict(map(_pair, label)))
    print(ctx.of(context).ask(lambda client: client.join_command(wanted)))


def _pair(text: str) -> tuple[str, str]:
    from engine.errors import UsageError

    key, sign, value = text.partition("=")
    if not key or not sign or not value:
        raise UsageError(f"{text!r}: write NAME=VALUE")
    return key, value


def _number(key: str, value: str) -> float:
    from engine.errors import UsageError

    try:
        return float(value)
    except ValueError:
        raise UsageError(f"{key}={value}: a resource is a number") from None


def _cells(one: Node) -> tuple[str, ...]:
    from console.format import moment

    offers = ", ".join(f"{name} {one.taken.get(name, 0):g}/{count:g}" for name, count in one.offers.items())
    labels = ", ".join(f"{name}={value}" for name, value in one.labels.items())
    memory = f"{one.memory_free / (1 << 30):.1f} of {one.memory / (1 << 30):.1f} GiB free" if one.memory else "-"
    state = f"{one.state} by {one.held_by}" if one.state == "drained" and one.held_by else str(one.state)
    more = f" +{len(one.running) - NAMED}" if len(one.running) > NAMED else ""
    jobs = " ".join(f"J{job}" for job in one.running[:NAMED]) + more
    seen = moment(one.last_seen) if one.last_seen else "never"
    return one.name, state, jobs or "-", offers or "-", labels or "-", memory, one.version or "-", seen
