"""`headway submit`: jobs from the keyboard, from a file, from a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli import context as ctx
from engine.paths import expanded

if TYPE_CHECKING:
    from engine.job_file import JobFile
    from engine.model import Answer, JobSpec, OnFailure, Permission, Wanted


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
    agent: Annotated[str | None, typer.Option(help="claude, codex, opencode, gemini, llm, shell or rehearsal.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Its model; for llm PROVIDER/MODEL; for rehearsal a scenario, as codex/fix-bug.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="The system prompt, for llm.")] = None,
    schema: Annotated[Path | None, typer.Option(metavar="FILE", help="The JSON Schema of the answer, for llm.")] = None,
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
    base: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="What its worktree begins at.  [default: the project's HEAD]")
    ] = None,
    title: Annotated[str | None, typer.Option(help="A short name; without it, the prompt's beginning.")] = None,
    priority: Annotated[int | None, typer.Option(min=0, max=9, help="0 is most urgent.  [default: 5]")] = None,
    not_before: Annotated[
        str | None, typer.Option(metavar="WHEN", help="A local time (or with Z, UTC), or a delay: 15m, 2h, 1d.")
    ] = None,
    after: Annotated[
        list[str] | None, typer.Option(metavar="JOB", help="Only once this job has succeeded; may be repeated.")
    ] = None,
    after_any: Annotated[
        list[str] | None, typer.Option(metavar="JOB", help="The same, where one of them is enough.")
    ] = None,
    on_failure: Annotated[
        str | None, typer.Option(metavar="WHAT", help="If one of those fails: skip, fail or run.  [default: skip]")
    ] = None,
    deadline: Annotated[str | None, typer.Option(metavar="WHEN", help="Fail it then, if it has not ended.")] = None,
    timeout: Annotated[str | None, typer.Option(metavar="SPAN", help="How long one attempt may take: 30m, 2h.")] = None,
    stall: Annotated[
        str | None, typer.Option(metavar="SPAN", help="How long an attempt may go without an event.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="What its processes may hold together: 500M, 2G.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT", help="What it may cost before it is parked and you are asked: '$2', 200k tokens."
        ),
    ] = None,
    max_attempts: Annotated[int | None, typer.Option(min=1, max=100, help="Attempts before giving up.")] = None,
    repeatable: Annotated[
        bool, typer.Option("--repeatable", help="Running it again from the start does no harm: failures are retried.")
    ] = False,
    permission: Annotated[
        str | None, typer.Option(metavar="WHO", help="Who decides on its agent's tools: preset, ask (you), bypass.")
    ] = None,
    route: Annotated[
        str | None,
        typer.Option(help="A route of headway.yaml. Without it, and without a target: the first that matches."),
    ] = None,
    triage: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Its class, as quick or big, if you know it; routes match it."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="An account of the agent, from headway.yaml.")] = None,
    kind: Annotated[str | None, typer.Option(help="What sort of work it is; forecasts learn by it.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag, for filters and caps; may be repeated.")
    ] = None,
    skill: Annotated[
        list[str] | None, typer.Option("--skill", metavar="NAME", help="A skill for its agent; may be repeated.")
    ] = None,
    persona: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who its agent is to be; `headway personas` lists them.")
    ] = None,
    worker: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Done in this worker, after what waits for it already."),
    ] = None,
    gate: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What must hold before it is done: a gate of headway.yaml, or none.  [default: its "
            "project's, or that of its kind]",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="While a job with this key is unfinished, give that one instead of a new one.")
    ] = None,
    batch: Annotated[
        str | None, typer.Option(help="A name for these jobs together; `headway batches` shows it.")
    ] = None,
    then: Annotated[
        str | None, typer.Option(metavar="PROMPT", help="With --batch: run this once all of them have ended.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Your own name for this submission: sent again, it submits nothing twice.")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(metavar="NAME", help="Run this pipeline with the prompt, as headway run does.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what would become of it, submit nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the accepted jobs as a JSON array.")] = False,
) -> None:
    """Submit a job, or a file of jobs, all or none. Prints the new ids, one a line.

    With -f, the options fill in what the file's entries leave open; an entry without a project gets an empty
    directory of its own.
    """
    from msgspec.structs import replace

    from engine.errors import UsageError
    from engine.model import JobSpec, Wanted, Workspace

    if prompt is None and file is None:
        raise UsageError('give a prompt, or jobs with -f: headway submit "fix the failing test"')
    if prompt is not None and file is not None:
        raise UsageError("give a prompt or jobs with -f, not both")
    if scratch and (project is not None or in_place):
        raise UsageError("--scratch excludes --project and --in-place: it has no project")
    given = {
        "agent": agent,
        "model": model,
        "base": base,
        "title": title,
        "priority": priority,
        "route": route,
        "triage": triage,
        "not_before": not_before,
        "workspace": Workspace.PROJECT if in_place else None,
        "project": directory(project),
        "after": after,
        "after_any": after_any,
        "on_failure": _on_failure(on_failure),
        "deadline": deadline,
        "timeout": timeout,
        "stall": stall,
        "memory": memory,
        "budget": budget,
        "max_attempts": max_attempts,
        "repeatable": repeatable or None,
        "permission": _permission(permission),
        "account": account,
        "kind": kind,
        "tags": tag,
        "skills": skill,
        "persona": persona,
        "worker": worker,
        "gate": gate,
        "key": key,
        "system": system,
        "schema": _schema(schema),
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if pipeline is not None:
        _run(context, pipeline, prompt, chosen, scratch=scratch, token=token, dry_run=dry_run, json=as_json)
        return
    listed: JobFile | None = None
    if file is not None:
        listed = _read_file(file)
        specs = [replace(spec, **{k: v for k, v in chosen.items() if _is_open(spec, k)}) for spec in listed.specs]
    else:
        text = sys.stdin.read() if prompt == "-" else prompt or ""
        if not text.strip():
            raise UsageError("the prompt is empty")
        if not scratch and worker is None:
            chosen.setdefault("project", str(Path.cwd()))
        specs = [replace(JobSpec(prompt=text), **chosen)]
    asked = listed.wanted(specs) if listed is not None else Wanted(specs)
    asked = replace(asked, dry_run=dry_run, token=token, batch=batch or asked.batch)
    if then is not None:
        shared = {
            name: chosen[name] for name in ("agent", "model", "project", "account", "workspace") if name in chosen
        }
        asked = replace(asked, then=replace(JobSpec(prompt=then), **shared))
    answer = _send(context, asked, listed)
    _report(context, answer, len(specs), dry_run, as_json)


def _run(
    context: typer.Context,
    name: str,
    prompt: str | None,
    chosen: Mapping[str, Any],
    *,
    scratch: bool,
    token: str | None,
    dry_run: bool,
    json: bool,
) -> None:
    """Run a pipeline instead. What it says of each of its steps is not said here."""
    from console.cli.pipelines import begin
    from engine.errors import UsageError
    from engine.model import PipelineWanted

    if prompt is None:
        raise UsageError("--pipeline takes a prompt, and no file")
    if wrong := sorted(chosen.keys() - _OF_PIPELINES):
        option = wrong[0].replace("_", "-")
        raise UsageError(
            f"--{option} is for a job: a pipeline says it of each step, or takes it with headway run --input"
        )
    text = sys.stdin.read() if prompt == "-" else prompt
    told = {key: value for key, value in chosen.items() if key != "project"}
    project = None if scratch else chosen.get("project") or str(Path.cwd())
    begin(
        context, PipelineWanted(name=name, what=text, project=project, token=token, dry_run=dry_run, **told), json=json
    )


#: What can be said of a pipeline as of a job.
_OF_PIPELINES = frozenset({"project", "base", "title", "priority", "tags"})


def _send(context: typer.Context, asked: Wanted, listed: JobFile | None) -> Answer:
    """Submit it. A file with mistakes is only held against the engine, to tell what else is wrong in it."""
    from msgspec.structs import replace

    from engine.errors import EntryError, HeadwayError, UsageError

    if listed is not None and not listed.is_right:
        asked = replace(asked, dry_run=True, token=None)
    answer = None
    try:
        answer = ctx.of(context).ask(lambda client: client.send(asked))
    except EntryError as error:
        if listed is None:
            raise UsageError("\n".join(one.message for one in (error, *error.others))) from None
        listed.add(error)
    except HeadwayError:
        if listed is None or listed.is_right:
            raise
    if listed is not None:
        listed.check()
    assert answer is not None, "an error of an entry is one of the file"
    return answer


def _schema(file: Path | None) -> dict[str, object] | None:
    """A file of JSON or YAML that is one object."""
    from engine.documents import parse, text_of

    if file is None:
        return None
    return parse(text_of(file), str(file), dict[str, object])


def _permission(word: str | None) -> Permission | None:
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.model import Permission

    if word is not None and word not in tuple(Permission):
        raise UsageError(f"--permission: there is no {word!r}; {nearest(word, Permission)}")
    return None if word is None else Permission(word)


def _on_failure(word: str | None) -> OnFailure | None:
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.model import OnFailure

    if word is not None and word not in set(OnFailure):
        raise UsageError(f"--on-failure: there is no {word!r}; {nearest(word, OnFailure)}")
    return None if word is None else OnFailure(word)


def _report(context: typer.Context, answer: Answer, count: int, dry_run: bool, as_json: bool) -> None:
    from console.ahead import preview_lines
    from console.cli.output import note, print_json
    from console.format import plural
    from engine.clock import now_ms
    from engine.keyless import INSTEAD

    if dry_run:
        note(f"{count} job{'s' * (count != 1)} would be accepted; nothing was submitted")
        if as_json:
            print_json(answer)
        elif answer.preview is not None:
            print("\n".join(preview_lines(answer.preview, now_ms())))
        return
    if answer.existing:
        note(f"{plural(len(answer.existing), 'job')} of these were there already: the same key, or the same token")
    if answer.batch is not None:
        then = f", then J{answer.follow_up}" if answer.follow_up is not None else ""
        note(f"batch {answer.batch}{then}")
    for job in answer.keyless:
        note(f"J{job}: a key was left out of its words, for they are kept: {INSTEAD}")
    ids = answer.ids
    if as_json:
        print_json(ctx.of(context).ask(lambda client: client.rows(ids)) if ids else [])
        return
    for job in ids:
        print(job)


def _is_open(spec: JobSpec, name: str) -> bool:
    """Whether a file's entry leaves a field as it would be without being named."""
    from engine.model import JobSpec

    return bool(getattr(spec, name) == getattr(JobSpec(prompt="-"), name))


def directory(project: str | None) -> str | None:
    """A directory as the engine needs it, which has another one as its own; a project's name as it is."""
    if project is not None and (project.startswith((".", "~")) or os.sep in project or Path(project).is_dir()):
        return str(expanded(project).resolve())
    return project


def _read_file(name: str) -> JobFile:
    from engine.documents import read_input, text_of
    from engine.job_file import read_job_file

    text = read_input() if name == "-" else text_of(Path(name))
    return read_job_file(text, "standard input" if name == "-" else name)
