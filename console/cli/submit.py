"""`headway submit`: jobs from the keyboard, from a file, from a pipe."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from engine.model import JobSpec
    from engine.submission import JobFile


def add_to(app: typer.Typer) -> None:
    app.command("submit")(submit)


def submit(
    context: typer.Context,
    prompt: Annotated[
        str | None, typer.Argument(help="The prompt, or the command line for --agent shell. - reads standard input.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="FILE", help="Jobs from a YAML file; - is standard input.")
    ] = None,
    agent: Annotated[str | None, typer.Option(help="claude, shell or rehearsal.")] = None,
    model: Annotated[str | None, typer.Option(help="The agent's model; for rehearsal, a scenario.")] = None,
    project: Annotated[
        str | None,
        typer.Option(
            help="A directory, or a project's name in headway.yaml. Without it, for a prompt: this directory."
        ),
    ] = None,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="No project: an empty directory of the job's own.")
    ] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Work in the project itself, not in a git worktree of it.")
    ] = False,
    title: Annotated[str | None, typer.Option(help="A short name; without it, the prompt's beginning.")] = None,
    priority: Annotated[int | None, typer.Option(min=0, max=9, help="0 is most urgent.  [default: 5]")] = None,
    not_before: Annotated[
        str | None, typer.Option(metavar="WHEN", help="A local time (or with Z, UTC), or a delay: 15m, 2h, 1d.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, submit nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the accepted jobs as a JSON array.")] = False,
) -> None:
    """Submit a job, or a file of jobs, all or none. Prints the new ids, one a line.

    With -f, the options fill in what the file's entries leave open; an entry without a project gets an empty
    directory of its own.
    """
    from msgspec.structs import replace

    from engine.errors import EntryError, UsageError
    from engine.model import JobSpec, Workspace

    if prompt is None and file is None:
        raise UsageError('give a prompt, or jobs with -f: headway submit "fix the failing test"')
    if prompt is not None and file is not None:
        raise UsageError("give a prompt or jobs with -f, not both")
    if scratch and (project is not None or in_place):
        raise UsageError("--scratch excludes --project and --in-place: it has no project")
    given = {
        "agent": agent,
        "model": model,
        "title": title,
        "priority": priority,
        "not_before": not_before,
        "workspace": Workspace.PROJECT if in_place else None,
        "project": _directory(project),
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    listed: JobFile | None = None
    if file is not None:
        listed = _read_file(file)
        specs = [replace(spec, **{k: v for k, v in chosen.items() if _is_open(spec, k)}) for spec in listed.specs]
    else:
        text = sys.stdin.read() if prompt == "-" else prompt or ""
        if not text.strip():
            raise UsageError("the prompt is empty")
        if not scratch:
            chosen.setdefault("project", str(Path.cwd()))
        specs = [replace(JobSpec(prompt=text), **chosen)]
    try:
        ids = ctx.of(context).ask(lambda client: client.submit(specs, dry_run=dry_run))
    except EntryError as error:
        raise listed.explain(error) if listed is not None else UsageError(error.message) from None
    _report(context, ids, len(specs), dry_run, as_json)


def _report(context: typer.Context, ids: list[int], count: int, dry_run: bool, as_json: bool) -> None:
    from console.cli.output import note, print_json

    if dry_run:
        note(f"{count} job{'s' * (count != 1)} would be accepted; nothing was submitted")
    if as_json:
        print_json(ctx.of(context).ask(lambda client: client.rows(ids)) if ids else [])
        return
    for job in ids:
        print(job)


def _is_open(spec: JobSpec, name: str) -> bool:
    """Whether a file's entry leaves a field as it would be without being named."""
    from engine.model import JobSpec

    return bool(getattr(spec, name) == getattr(JobSpec(prompt="-"), name))


def _directory(project: str | None) -> str | None:
    """A directory as the engine needs it, which has another one as its own; a project's name as it is."""
    if project is not None and (project.startswith((".", "~")) or os.sep in project or Path(project).is_dir()):
        return str(Path(project).expanduser().resolve())
    return project


def _read_file(name: str) -> JobFile:
    from engine.errors import UsageError
    from engine.submission import read_job_file

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{name} cannot be read: {said}") from None
    return read_job_file(text, "standard input" if name == "-" else name)
