"""`headway workers`: persistent workers, which keep a session and a directory and do their jobs one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JSON

if TYPE_CHECKING:
    from engine.worker import Worker, WorkerAnswer, WorkerSpec

_Name = Annotated[str, typer.Argument(metavar="NAME")]


def add_to(app: typer.Typer) -> None:
    family = typer.Typer(help="Workers that stay between jobs.", rich_markup_mode=None)
    family.callback(invoke_without_command=True)(workers)
    family.command("list")(list_)
    for command in (show, add, pause, resume, remove):
        family.command()(command)
    app.add_typer(family, name="workers")


def workers(context: typer.Context, json: JSON = False) -> None:
    """Workers that stay between jobs: each with a session, a directory and a queue. Without a command, lists them."""
    if context.invoked_subcommand is None:
        list_(context, json)


def list_(context: typer.Context, json: JSON = False) -> None:
    """Every worker: who it is, what it does now, how many jobs wait for it."""
    from console.cli.output import note, print_json, print_table

    found = ctx.of(context).ask(lambda client: client.workers())
    if json:
        print_json(found)
        return
    if not found:
        note("there are no workers: headway workers add NAME --persona NAME --project DIR")
        return
    heads = ("NAME", "PERSONA", "STATE", "WAITING", "DONE", "SESSION", "WHERE")
    print_table(heads, [_cells(one) for one in found], stretch=6)
    for one in found:
        if one.problem:
            note(f"{one.name}: {one.problem}")


def show(context: typer.Context, name: _Name, json: JSON = False) -> None:
    """One worker: its session and directory, what it does, what waits for it, what it did last."""
    from console.cli.output import print_json
    from console.format import clean_line, moment

    found = ctx.of(context).ask(lambda client: client.worker(name))
    if json:
        print_json(found)
        return
    one = found.worker
    facts = {
        "state": _state(one),
        "persona": one.spec.persona,
        "project": one.spec.project or "none: an empty directory of its own",
        "runs on": _target(one.spec),
        "session": _session(one),
        "directory": one.workspace,
        "branch": one.branch,
        "kept by": one.by,
        "added": moment(one.added_at),
        "used": moment(one.used_at) if one.used_at else None,
        "waiting": ", ".join(f"J{job}" for job in found.queue[:20]),
        "done": ", ".join(f"J{job}" for job in found.last),
        "wrong": one.problem,
    }
    print(one.name)
    for key, value in facts.items():
        if value:
            print(f"  {key:<10} {clean_line(value)}")


def add(
    context: typer.Context,
    name: _Name,
    persona: Annotated[str | None, typer.Option(metavar="NAME", help="Who it is.")] = None,
    project: Annotated[
        str | None, typer.Option(help="A directory, or a project's name; it gets a worktree.  [default: an empty one]")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="What it runs on, where its persona does not say so.")] = None,
    model: Annotated[str | None, typer.Option(help="Its model.")] = None,
    account: Annotated[str | None, typer.Option(help="An account of the agent.")] = None,
    route: Annotated[str | None, typer.Option(help="Or a route of headway.yaml.")] = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Add a worker. Jobs come to it by submit --worker NAME, one after the other, in the same session and directory."""
    from console.cli.submit import directory
    from engine.worker import WorkerSpec

    where = directory(project)
    if where is not None and not where.startswith(("/", "~")) and Path(where).is_dir():
        where = str(Path(where).resolve())
    spec = WorkerSpec(persona=persona, project=where, agent=agent, model=model, account=account, route=route)
    _carry_out(context, name, "add", spec, dry_run=dry_run, json=json)


def pause(context: typer.Context, name: _Name, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Begin nothing more in it. What runs in it goes on to its end."""
    _carry_out(context, name, "pause", None, dry_run=dry_run, json=json)


def resume(context: typer.Context, name: _Name, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Let it go on with its queue."""
    _carry_out(context, name, "resume", None, dry_run=dry_run, json=json)


def remove(context: typer.Context, name: _Name, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Remove a worker that has no unfinished job. Its directory stays; `undo` brings it back with its session."""
    _carry_out(context, name, "remove", None, dry_run=dry_run, json=json)


def _carry_out(
    context: typer.Context, name: str, verb: str, spec: WorkerSpec | None, *, dry_run: bool, json: bool
) -> None:
    from console.cli.output import note, print_json
    from engine.worker import WorkerOrder, WorkerVerb

    order = WorkerOrder(verb=WorkerVerb(verb), spec=spec, dry_run=dry_run)
    answer: WorkerAnswer = ctx.of(context).ask(lambda client: client.act_on_worker(name, order))
    if json:
        print_json(answer)
        return
    past = {"add": "added", "remove": "removed", "pause": "paused", "resume": "resumed"}
    print(f"{answer.name} {'would be ' if answer.dry_run else ''}{past[answer.verb]}")
    if answer.kept:
        note(f"its directory stays: {answer.kept}")


def _cells(one: Worker) -> tuple[str, ...]:
    where = one.workspace or one.spec.project or "-"
    return one.name, one.spec.persona or "-", _state(one), str(one.waiting), str(one.done), _session(one) or "-", where


def _state(one: Worker) -> str:
    doing = f"J{one.job} {one.state}" if one.job is not None else "idle"
    return f"{doing}, paused by {one.paused_by}" if one.paused_by is not None else doing


def _session(one: Worker) -> str | None:
    if one.session is None:
        return None
    full = f", {one.share:.0%} full" if one.share is not None else ""
    turns = f", {one.turns} turns" if one.turns else ""
    return f"{one.agent} {one.session[:8]}{turns}{full}"


def _target(spec: WorkerSpec) -> str | None:
    if spec.route is not None:
        return f"route {spec.route}"
    target = ":".join(filter(None, (spec.agent, spec.model)))
    return f"{target}@{spec.account}" if spec.account else target or None
