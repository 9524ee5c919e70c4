"""`headway service`: the engine as a service of systemd, and whether it is well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from console.service import Unit

System = Annotated[bool, typer.Option("--system", help="A unit of the machine, in /etc/systemd; needs root.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be written and run, and do nothing.")]

service = typer.Typer(help="The engine as a service of systemd.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(service, name="service")
    app.command()(metrics)


@service.command()
def install(
    context: typer.Context,
    system: System = False,
    user: Annotated[str, typer.Option("--user", help="With --system: whose engine it is. Unset: yours.")] = "",
    drain: Annotated[
        int | None, typer.Option("--drain", metavar="SECONDS", help="At a stop, let what runs end first, for so long.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Write a unit for this home, and start it now and with the machine. Agents outlive its restarts, and a logout."""
    from console.cli.output import note
    from console.service import NAME, shown

    unit = _unit(context, system=system, user=user, drain=drain)
    commands = [[*unit.control, "daemon-reload"], [*unit.control, "enable", "--now", NAME]]
    if not system:
        # Without it systemd ends a user's services when their last session does.
        commands.insert(0, ["loginctl", "enable-linger"])
    if dry_run:
        print(f"# {unit.file}\n{unit.text()}")
        for command in commands:
            print(f"$ {shown(command)}")
        return
    _write(unit)
    note(f"wrote {unit.file}")
    for command in commands:
        _run(command)
    note(f"{NAME}.service serves {unit.home}; `{shown([*unit.control, 'status', NAME])}` tells how it is")


@service.command()
def uninstall(context: typer.Context, system: System = False, dry_run: DryRun = False) -> None:
    """Stop the service and remove its unit. The home stays, and agents that run go on."""
    from console.cli.output import note
    from console.service import NAME, shown
    from engine.errors import NotFoundError

    unit = _unit(context, system=system)
    if not unit.file.exists():
        raise NotFoundError(f"there is no {unit.file}; `headway service install` would write it")
    commands = [[*unit.control, "disable", "--now", NAME], [*unit.control, "daemon-reload"]]
    if dry_run:
        print("\n".join([f"$ {shown(commands[0])}", f"remove {unit.file}", f"$ {shown(commands[1])}"]))
        return
    _run(commands[0])
    unit.file.unlink(missing_ok=True)
    _run(commands[1])
    note(f"removed {unit.file}")


@service.command()
def health(context: typer.Context) -> None:
    """Whether the engine answers and takes work: exit 0, or 1 with the reason. For probes and health checks."""
    from engine.server.client import Client

    async def ask(client: Client) -> tuple[bool, str]:
        found = await client.ready()
        return found.ready, found.why

    ready, why = ctx.of(context).ask(ask)
    print("ready" if ready else f"not ready: {why}")
    if not ready:
        raise typer.Exit(1)


def metrics(context: typer.Context) -> None:
    """The engine's figures in the text format of Prometheus: for its textfile collector, or for your eyes."""
    from engine.server.client import Client

    async def ask(client: Client) -> str:
        return await client.metrics()

    print(ctx.of(context).ask(ask), end="")


def _unit(context: typer.Context, *, system: bool, user: str = "", drain: int | None = None) -> Unit:
    import os
    import shutil
    import sys

    from console.service import Unit, home_of, whose
    from engine.errors import UsageError
    from engine.home import default_home, whole

    if user and not system:
        raise UsageError("--user is for --system: a unit of your own is yours")
    beside = Path(sys.executable).with_name("headway")
    found = beside if beside.exists() else shutil.which("headway")
    if found is None:
        raise UsageError("there is no `headway` on the PATH that a service could start")
    home = ctx.of(context).home
    owner = whose(user, os.environ) if system else ""
    if system and home == whole(default_home(dict(os.environ))):
        home = default_home({}, home_of(owner))
    path = ":".join(dict.fromkeys(os.environ.get("PATH", "").split(":")))
    return Unit(home, Path(found), system, owner, drain, path)


def _write(unit: Unit) -> None:
    from engine.errors import RefusedError

    try:
        unit.file.parent.mkdir(parents=True, exist_ok=True)
        whole = unit.file.with_name(f".{unit.file.name}.new")
        whole.write_text(unit.text(), encoding="utf-8")
        whole.replace(unit.file)
    except OSError as error:
        hint = "; --system needs root" if unit.system else ""
        raise RefusedError(f"{unit.file} cannot be written: {error.strerror}{hint}") from None


def _run(command: list[str]) -> None:
    import subprocess

    from console.service import shown
    from engine.errors import HeadwayError

    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise HeadwayError(f"there is no {command[0]} here; without systemd, start `headway serve` your way") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()[-1]
        raise HeadwayError(f"`{shown(command)}` failed: {said}")
