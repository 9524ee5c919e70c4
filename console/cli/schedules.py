"""`headway schedules`: jobs by the clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JSON

if TYPE_CHECKING:
    from engine.model import JobSpec
    from engine.schedule import Firing, Schedule, ScheduleAnswer, ScheduleOrder, ScheduleSpec

_Name = Annotated[str, typer.Argument(metavar="NAME")]
_Cron = Annotated[
    str | None,
    typer.Option("--cron", metavar="LINE", help="'30 2 * * MON-FRI', or @hourly, @daily, @weekly."),
]
_Zone = Annotated[
    str | None, typer.Option("--tz", metavar="ZONE", help="An IANA time zone.  [default: this machine's]")
]
_Jitter = Annotated[str | None, typer.Option(metavar="SPAN", help="Move each time by up to so much: 5m.")]
_Missed = Annotated[
    str | None, typer.Option(metavar="WHAT", help="Of times without an engine: skip, once, all.  [default: once]")
]
_Most = Annotated[int | None, typer.Option(min=1, max=1_000, help="With --missed all: of so many.  [default: 24]")]
_Overlap = Annotated[
    str | None,
    typer.Option(metavar="WHAT", help="While an earlier job of it is unfinished: skip (the default), queue, replace."),
]
_Deadline = Annotated[
    str | None, typer.Option(metavar="SPAN", help="A time that is older when an engine comes to it is missed.")
]
_File = Annotated[
    str | None, typer.Option("--file", "-f", metavar="FILE", help="A schedule in YAML, as in headway.yaml; - reads it.")
]
_Prompt = Annotated[str | None, typer.Argument(help="The prompt, or the command line for --agent shell.")]
_Agent = Annotated[str | None, typer.Option(help="The agent of its jobs.")]
_Model = Annotated[str | None, typer.Option(help="Its model.")]
_Project = Annotated[str | None, typer.Option(help="A directory, or a project's name in headway.yaml.")]
_Title = Annotated[str | None, typer.Option(help="The title of its jobs.")]
_Priority = Annotated[int | None, typer.Option(min=0, max=9, help="0 is most urgent.")]
_Account = Annotated[str | None, typer.Option(help="An account of the agent, from headway.yaml.")]
_Timeout = Annotated[str | None, typer.Option(metavar="SPAN", help="How long one attempt may take.")]
_Tag = Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.")]
_Persona = Annotated[str | None, typer.Option(metavar="NAME", help="Who the agent of its jobs is to be.")]
_Worker = Annotated[str | None, typer.Option(metavar="NAME", help="The worker that its jobs are done in.")]
_Skill = Annotated[list[str] | None, typer.Option("--skill", metavar="NAME", help="A skill; may be repeated.")]


def add_to(app: typer.Typer) -> None:
    family = typer.Typer(help="Jobs by the clock.", rich_markup_mode=None)
    family.callback(invoke_without_command=True)(schedules)
    family.command("list")(list_)
    family.command("next")(next_)
    for command in (show, add, edit, remove, pause, resume, run):
        family.command()(command)
    app.add_typer(family, name="schedules")


def schedules(context: typer.Context, json: JSON = False) -> None:
    """Jobs by the clock. Without a command, lists them."""
    if context.invoked_subcommand is None:
        list_(context, json)


def list_(context: typer.Context, json: JSON = False) -> None:
    """All schedules: when each comes next, and what became of its last time."""
    from console.cli.output import note, print_json, print_table

    found = ctx.of(context).ask(lambda client: client.schedules())
    if json:
        print_json(found)
        return
    if not found:
        note("no schedule yet: headway schedules add NAME --cron '@daily' PROMPT, or schedules: in headway.yaml")
        return
    print_table(("NAME", "NEXT", "LAST", "CRON", "ZONE", "BY", "JOB"), [_cells(one) for one in found], stretch=6)
    for one in found:
        if one.problem is not None:
            note(f"{one.name}: {one.problem}")


def show(context: typer.Context, name: _Name, json: JSON = False) -> None:
    """A schedule: what it asks for, its next times, and what became of its newest."""
    from console.cli.output import print_json, print_table
    from console.format import clean_line, moment

    found = ctx.of(context).ask(lambda client: client.schedule(name))
    if json:
        print_json(found)
        return
    print("\n".join(_lines(found.schedule)))
    if found.firings:
        print()
        rows = [
            (moment(one.fire_at), one.outcome.replace("_", " "), _job(one), clean_line(one.reason))
            for one in found.firings
        ]
        print_table(("TIME", "WHAT", "JOB", "WHY"), rows, stretch=3)


def next_(
    context: typer.Context,
    name: _Name,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=100, help="So many.")] = 5,
    json: JSON = False,
) -> None:
    """When it comes next."""
    from console.cli.output import note, print_json

    found = ctx.of(context).ask(lambda client: client.schedule(name, count)).schedule
    if json:
        print_json(found.next)
        return
    if found.paused_by is not None:
        note(f"{name} is paused by {found.paused_by}: headway schedules resume {name}")
    for at in found.next:
        print(_when(at, found.zone))


def add(
    context: typer.Context,
    name: _Name,
    prompt: _Prompt = None,
    cron: _Cron = None,
    zone: _Zone = None,
    jitter: _Jitter = None,
    missed: _Missed = None,
    most: _Most = None,
    overlap: _Overlap = None,
    deadline: _Deadline = None,
    agent: _Agent = None,
    model: _Model = None,
    project: _Project = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Work in the project itself.")] = False,
    title: _Title = None,
    priority: _Priority = None,
    account: _Account = None,
    timeout: _Timeout = None,
    tag: _Tag = None,
    skill: _Skill = None,
    persona: _Persona = None,
    worker: _Worker = None,
    file: _File = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Add a schedule: headway schedules add nightly --cron '30 2 * * *' --project ~/src/api "Run the long tests".

    Its jobs start in a directory of their own unless --project says where. `undo` takes it back.
    """
    from engine.errors import UsageError
    from engine.model import JobSpec
    from engine.schedule import ScheduleSpec

    job = _job_options(prompt, agent, model, project, in_place, title, priority, account, timeout, tag, skill)
    job |= {key: value for key, value in (("persona", persona), ("worker", worker)) if value is not None}
    given = _own_options(cron, zone, jitter, missed, most, overlap, deadline)
    if file is not None:
        spec = _changed(_read_file(file), given, job)
    elif cron is None or prompt is None:
        raise UsageError("say when and what: --cron '30 2 * * *' \"PROMPT\", or both in a file with -f")
    else:
        spec = _changed(ScheduleSpec(cron=cron, job=JobSpec(prompt=prompt)), given, job)
    _carry_out(context, name, "add", spec, dry_run=dry_run, json=json)


def edit(
    context: typer.Context,
    name: _Name,
    prompt: _Prompt = None,
    cron: _Cron = None,
    zone: _Zone = None,
    jitter: _Jitter = None,
    missed: _Missed = None,
    most: _Most = None,
    overlap: _Overlap = None,
    deadline: _Deadline = None,
    agent: _Agent = None,
    model: _Model = None,
    project: _Project = None,
    title: _Title = None,
    priority: _Priority = None,
    account: _Account = None,
    timeout: _Timeout = None,
    tag: _Tag = None,
    skill: _Skill = None,
    persona: _Persona = None,
    worker: _Worker = None,
    file: _File = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Change what is given, and leave the rest; with -f, all of it. `undo` takes it back."""
    from engine.errors import UsageError

    job = _job_options(prompt, agent, model, project, False, title, priority, account, timeout, tag, skill)
    job |= {key: value for key, value in (("persona", persona), ("worker", worker)) if value is not None}
    given = _own_options(cron, zone, jitter, missed, most, overlap, deadline)
    if file is None and not job and not given:
        raise UsageError("say what to change, such as --cron '0 3 * * *'")
    before = _read_file(file) if file is not None else None
    spec = before or ctx.of(context).ask(lambda client: client.schedule(name)).schedule.spec
    _carry_out(context, name, "edit", _changed(spec, given, job), dry_run=dry_run, json=json)


def remove(context: typer.Context, name: _Name, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Remove a schedule. Its jobs stay. `undo` brings it back."""
    _carry_out(context, name, "remove", None, dry_run=dry_run, json=json)


def pause(context: typer.Context, name: _Name, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Submit nothing until it is resumed."""
    _carry_out(context, name, "pause", None, dry_run=dry_run, json=json)


def resume(context: typer.Context, name: _Name, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Go on from now. What came in between is not caught up with."""
    _carry_out(context, name, "resume", None, dry_run=dry_run, json=json)


def run(context: typer.Context, name: _Name, dry_run: DRY_RUN = False, json: JSON = False) -> None:
    """Submit its job now, beside its times. Prints the job's id."""
    _carry_out(context, name, "run", None, dry_run=dry_run, json=json)


def _carry_out(
    context: typer.Context, name: str, verb: str, spec: ScheduleSpec | None, *, dry_run: bool, json: bool
) -> None:
    from console.cli.output import print_json
    from engine.schedule import ScheduleOrder, ScheduleVerb

    order: ScheduleOrder = ScheduleOrder(verb=ScheduleVerb(verb), spec=spec, dry_run=dry_run)
    answer: ScheduleAnswer = ctx.of(context).ask(lambda client: client.order_schedule(name, order))
    if json:
        print_json(answer)
        return
    for line in _told(answer):
        print(line)


def _told(answer: ScheduleAnswer) -> list[str]:
    from console.cli.output import note

    would = "would be " if answer.dry_run else ""
    past = {"add": "added", "edit": "changed", "remove": "removed", "pause": "paused", "resume": "resumed"}
    schedule = answer.schedule
    if answer.verb == "run":
        if answer.job is None:
            note("a job would be submitted; nothing was")
            return []
        return [str(answer.job)]
    lines = [f"{answer.name} {would}{past[answer.verb]}"]
    if schedule is not None and schedule.next:
        lines.append(f"{schedule.says}, {schedule.zone}")
        lines += [f"  {_when(at, schedule.zone)}" for at in schedule.next]
    return lines


def _own_options(
    cron: str | None,
    zone: str | None,
    jitter: str | None,
    missed: str | None,
    most: int | None,
    overlap: str | None,
    deadline: str | None,
) -> dict[str, Any]:
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.schedule import Missed, Overlap

    for option, word, words in (("missed", missed, list(Missed)), ("overlap", overlap, list(Overlap))):
        if word is not None and word not in words:
            raise UsageError(f"--{option}: there is no {word!r}; {nearest(word, words)}")
    given = {
        "cron": cron,
        "zone": zone,
        "jitter": jitter,
        "missed": None if missed is None else Missed(missed),
        "most": most,
        "overlap": None if overlap is None else Overlap(overlap),
        "deadline": deadline,
    }
    return {name: value for name, value in given.items() if value is not None}


def _job_options(
    prompt: str | None,
    agent: str | None,
    model: str | None,
    project: str | None,
    in_place: bool,
    title: str | None,
    priority: int | None,
    account: str | None,
    timeout: str | None,
    tags: list[str] | None,
    skills: list[str] | None,
) -> dict[str, Any]:
    from console.cli.submit import directory
    from engine.model import Workspace

    given = {
        "prompt": prompt,
        "agent": agent,
        "model": model,
        "project": directory(project),
        "workspace": Workspace.PROJECT if in_place else None,
        "title": title,
        "priority": priority,
        "account": account,
        "timeout": timeout,
        "tags": tags,
        "skills": skills,
    }
    return {name: value for name, value in given.items() if value is not None}


def _changed(spec: ScheduleSpec, given: dict[str, Any], job: dict[str, Any]) -> ScheduleSpec:
    from msgspec.structs import replace

    wanted: JobSpec = replace(spec.job, **job)
    return replace(spec, **given, job=wanted)


def _read_file(name: str) -> ScheduleSpec:
    from engine.documents import parse, read_input, text_of
    from engine.schedule import ScheduleSpec

    text = read_input() if name == "-" else text_of(Path(name))
    return parse(text, "standard input" if name == "-" else name, ScheduleSpec)


def _cells(one: Schedule) -> tuple[str, ...]:
    from console.format import clean_line

    due = (
        f"paused by {one.paused_by}" if one.paused_by is not None else _when(one.next[0], one.zone) if one.next else "-"
    )
    last = "-" if one.last is None else f"{one.last.outcome.replace('_', ' ')} {_job(one.last)}".removesuffix(" -")
    return one.name, due, last, one.spec.cron, one.zone, one.by, clean_line(one.spec.job.title or one.spec.job.prompt)


def _lines(one: Schedule) -> list[str]:
    from console.format import clean_line, moment

    spec = one.spec
    facts = {
        "says": f"{one.says}, {one.zone}  ({spec.cron})",
        "by": f"{one.by}, since {moment(one.added_at)}",
        "paused": None if one.paused_by is None else f"by {one.paused_by}",
        "problem": one.problem,
        "jitter": str(spec.jitter) if spec.jitter else None,
        "missed": f"{spec.missed}{f', of {spec.most}' if spec.missed == 'all' else ''}",
        "overlap": str(spec.overlap),
        "deadline": None if spec.deadline is None else str(spec.deadline),
        "job": clean_line(spec.job.title or spec.job.prompt),
        "target": spec.job.agent and f"{spec.job.agent}{f':{spec.job.model}' if spec.job.model else ''}",
        "project": spec.job.project,
        "next": _when(one.next[0], one.zone) if one.next else None,
    }
    return [one.name, *(f"  {name:<9} {value}" for name, value in facts.items() if value)] + [
        f"  {'':<9} {_when(at, one.zone)}" for at in one.next[1:]
    ]


def _job(firing: Firing) -> str:
    from console.format import job_name

    return "-" if firing.job is None else job_name(firing.job)


def _when(at: int, zone: str) -> str:
    """A time in the schedule's own zone, and how far away it is."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from console.format import age
    from engine.clock import now_ms

    local = datetime.fromtimestamp(at / 1000, ZoneInfo(zone))
    return f"{local:%a %Y-%m-%d %H:%M:%S %Z}, in {age(max(0, at - now_ms()))}"
