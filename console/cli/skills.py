"""`headway skills`: which skills there are, what jobs were given, how they do, and how to write one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import JSON
from engine.paths import expanded

if TYPE_CHECKING:
    from engine.skills.skill import Given, Skill

_Project = Annotated[
    str | None,
    typer.Option("--project", metavar="DIR", help="With the skills of this project: its name, or a directory."),
]


def add_to(app: typer.Typer) -> None:
    family = typer.Typer(help="Skills: what agents can be given beside their task.", rich_markup_mode=None)
    family.callback(invoke_without_command=True)(skills)
    family.command("list")(list_)
    for command in (show, validate, new, stats, why):
        family.command()(command)
    app.add_typer(family, name="skills")


def skills(context: typer.Context, project: _Project = None, json: JSON = False) -> None:
    """Skills: what agents can be given beside their task. Without a command, lists them."""
    if context.invoked_subcommand is None:
        list_(context, project, json)


def list_(context: typer.Context, project: _Project = None, json: JSON = False) -> None:
    """Every skill that a job could be given: of the project, of yours, and those that ship; the first of a name."""
    from console.cli.output import note, print_json, print_table
    from console.format import plural

    found = _found(context, project)
    if json:
        print_json(found)
        return
    print_table(("NAME", "FROM", "TOKENS", "WHAT FOR"), [_cells(one) for one in found], stretch=3)
    shadowing = [one for one in found if one.shadows]
    for one in shadowing:
        note(f"{one.name}: {one.path} stands before {', '.join(one.shadows)}")
    if broken := sum(one.problem is not None for one in found):
        note(f"{plural(broken, 'skill')} of these cannot be given: headway skills show NAME says why")


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    project: _Project = None,
    json: JSON = False,
) -> None:
    """The text of a skill; on standard error where it is from, and what is to know of it."""
    from console.cli.output import note, print_json
    from engine.documents import nearest
    from engine.errors import NotFoundError

    found = _found(context, project)
    chosen = next((skill for skill in found if skill.name == name), None)
    if chosen is None:
        raise NotFoundError(f"there is no skill {name!r}; {nearest(name, (skill.name for skill in found))}")
    if json:
        print_json(chosen)
        return
    note(f"{chosen.source}: {chosen.path}, {chosen.files} files, sha256 {chosen.sha256[:12] or '-'}")
    for remark in (*([chosen.problem] if chosen.problem else []), *chosen.warnings):
        note(remark)
    for other in chosen.shadows:
        note(f"it stands before {other}")
    try:
        print(Path(chosen.path).read_text(encoding="utf-8", errors="replace"), end="")
    except OSError as error:
        raise NotFoundError(f"{chosen.path} cannot be read: {error.strerror}") from None


def validate(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders with a SKILL.md.")],
    json: JSON = False,
) -> None:
    """Hold skills against the format, as its reference validator does, and more. Exit code 1 where one breaks it."""
    from console.cli.output import print_json
    from engine.skills.validation import validate as verdict_on

    verdicts = {str(folder): verdict_on(folder) for folder in folders}
    if json:
        print_json([{"folder": name, "errors": one.errors, "advice": one.advice} for name, one in verdicts.items()])
    else:
        for name, one in verdicts.items():
            print(f"{name}: {'valid' if not one.errors else 'not valid'}")
            for line in one.errors:
                print(f"  error: {line}")
            for line in one.advice:
                print(f"  advice: {line}")
    if any(one.errors for one in verdicts.values()):
        raise typer.Exit(1)


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lowercase letters, digits and hyphens.")],
    description: Annotated[
        str, typer.Option("--description", "-d", help='What it does and when: "Checks X. Use when Y."')
    ] = "Says what it does in one sentence. Use when ...",
    folder: Annotated[
        Path | None,
        typer.Option("--in", metavar="DIR", help="The folder of skills.  [default: $XDG_CONFIG_HOME/headway/skills]"),
    ] = None,
    json: JSON = False,
) -> None:
    """Begin a skill of your own: a folder with a SKILL.md to fill in. Prints its path."""
    import os

    from console.cli.output import print_json
    from engine.context.skills import config_home
    from engine.errors import RefusedError, UsageError
    from engine.skills.finding import user_folder
    from engine.skills.rules import unusable
    from engine.skills.template import template

    if wrong := unusable({"name": name, "description": description}):
        raise UsageError(f"skills new: {wrong}")
    place = (folder or user_folder(config_home(os.environ))) / name
    try:
        place.mkdir(parents=True)
        (place / "SKILL.md").write_text(template(name, description), encoding="utf-8")
    except FileExistsError:
        raise RefusedError(f"{place} is there already") from None
    except OSError as error:
        raise RefusedError(f"{place} cannot be made: {error.strerror}") from None
    if json:
        print_json({"path": str(place / "SKILL.md")})
    else:
        print(place / "SKILL.md")


def stats(context: typer.Context, json: JSON = False) -> None:
    """How often each skill was given and read, and how the attempts that had it ended."""
    from console.cli.output import note, print_json, print_table
    from console.format import age
    from engine.clock import now_ms

    found = ctx.of(context).ask(lambda client: client.skill_counts())
    if json:
        print_json(found)
        return
    if not found:
        note("no attempt was given a skill yet: headway submit --skill NAME, or skills: match: on in headway.yaml")
        return
    now = now_ms()
    rows = [
        (
            one.name, str(one.given), str(one.used), str(one.told), str(one.own), str(one.left_out),
            str(one.succeeded), str(one.failed), f"{age(now - one.last_at)} ago",
        )
        for one in found
    ]  # fmt: skip
    print_table(("NAME", "GIVEN", "READ", "TOLD", "OWN", "LEFT OUT", "DONE", "FAILED", "LAST"), rows, stretch=0)


def why(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB")],
    json: JSON = False,
) -> None:
    """Which skills a job was given and why, and which its next attempt would be."""
    from console.cli.output import note, print_json, print_table
    from console.cli.verbs import one_id

    number = one_id(job)
    found = ctx.of(context).ask(lambda client: client.skills_of(number))
    if json:
        print_json(found)
        return
    rows = [_given_cells(str(attempt), one) for attempt, listed in found.attempts.items() for one in listed]
    rows += [_given_cells("next", one) for one in found.ahead]
    if rows:
        print_table(("ATTEMPT", "SKILL", "FROM", "HOW", "READ", "SCORE", "WHY"), rows, stretch=6)
    else:
        note(f"J{number} was given no skill: it names none, and none was matched")


def _given_cells(attempt: str, given: Given) -> tuple[str, ...]:
    from console.format import clean_line

    read = {True: "yes", False: "no", None: "-"}[given.used]
    return (
        attempt, given.name, given.source, given.how.replace("_", " "), read,
        "-" if given.score is None else f"{given.score:g}",
        clean_line(f"{given.reason}{f'; {given.note}' if given.note else ''}"),
    )  # fmt: skip


def _cells(skill: Skill) -> tuple[str, ...]:
    from console.format import clean_line

    return skill.name, skill.source, str(skill.tokens or "-"), clean_line(skill.problem or skill.description)


def _found(context: typer.Context, project: str | None) -> list[Skill]:
    """Read here, as the engine of this home would: it need not run."""
    import os

    from engine.agents.registry import agents
    from engine.config import find_settings, load_settings
    from engine.context.skills import config_home, skills_for

    settings = load_settings(find_settings(ctx.of(context).home, config_home(os.environ)), agents())
    named = settings.projects.get(project or "")
    directory = named.directory if named is not None else project
    if named is None and directory is not None:
        directory = str(expanded(directory).resolve())
    return skills_for(directory, settings)
