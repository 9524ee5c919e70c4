"""`headway personas`: who agents can be for a job, and how to write one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import JSON
from engine.paths import expanded

if TYPE_CHECKING:
    from engine.personas.persona import Head, Persona

_Project = Annotated[
    str | None,
    typer.Option("--project", metavar="DIR", help="With the personas of this project: its name, or a directory."),
]


def add_to(app: typer.Typer) -> None:
    family = typer.Typer(help="Personas: who agents can be for a job.", rich_markup_mode=None)
    family.callback(invoke_without_command=True)(personas)
    family.command("list")(list_)
    for command in (show, check, new):
        family.command()(command)
    app.add_typer(family, name="personas")


def personas(context: typer.Context, project: _Project = None, json: JSON = False) -> None:
    """Personas: who agents can be for a job. Without a command, lists them."""
    if context.invoked_subcommand is None:
        list_(context, project, json)


def list_(context: typer.Context, project: _Project = None, json: JSON = False) -> None:
    """Every persona that a job could have: of the project, of this home, and yours; the first of a name stands."""
    from console.cli.output import note, print_json, print_table
    from console.format import clean_line, plural

    found = _found(context, project)
    if json:
        print_json(found)
        return
    if not found:
        note("there are no personas yet: headway personas new NAME")
        return
    rows = [
        (one.name, one.source, str(one.tokens or "-"), _runs_on(one.head), clean_line(one.problem or one.description))
        for one in found
    ]
    print_table(("NAME", "FROM", "TOKENS", "RUNS ON", "WHO"), rows, stretch=4)
    for one in found:
        if one.shadows:
            note(f"{one.name}: {one.path} stands before {', '.join(one.shadows)}")
    if broken := sum(one.problem is not None for one in found):
        note(f"{plural(broken, 'persona')} of these cannot be had: headway personas show NAME says why")


def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    project: _Project = None,
    json: JSON = False,
) -> None:
    """The file of a persona; on standard error where it is from, and what is to know of it."""
    from console.cli.output import note, print_json
    from engine.documents import nearest
    from engine.errors import NotFoundError

    found = _found(context, project)
    chosen = next((one for one in found if one.name == name), None)
    if chosen is None:
        hint = nearest(name, (one.name for one in found)) if found else "there are none"
        raise NotFoundError(f"there is no persona {name!r}; {hint}")
    if json:
        print_json(chosen)
        return
    note(f"{chosen.source}: {chosen.path}, {chosen.tokens} tokens, sha256 {chosen.sha256[:12] or '-'}")
    for remark in (*([chosen.problem] if chosen.problem else []), *chosen.warnings):
        note(remark)
    for other in chosen.shadows:
        note(f"it stands before {other}")
    try:
        print(Path(chosen.path).read_text(encoding="utf-8", errors="replace"), end="")
    except OSError as error:
        raise NotFoundError(f"{chosen.path} cannot be read: {error.strerror}") from None


def check(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Without one, all of them.")] = None,
    project: _Project = None,
    json: JSON = False,
) -> None:
    """Whether personas can be had, and whether what they name is there. Exit code 1 where something is wrong."""
    from console.cli.output import print_json
    from engine.errors import NotFoundError

    found = _found(context, project)
    if missing := [name for name in names or () if name not in {one.name for one in found}]:
        raise NotFoundError(f"there is no persona {missing[0]!r}; `headway personas` lists them")
    chosen = [one for one in found if not names or one.name in names]
    wrong = {one.path: _wrong(context, one, project) for one in chosen}
    if json:
        print_json([{"name": one.name, "path": one.path, "wrong": wrong[one.path]} for one in chosen])
    else:
        for one in chosen:
            print(f"{one.name}: {'right' if not wrong[one.path] else 'wrong'}  {one.path}")
            for line in wrong[one.path]:
                print(f"  {line}")
    if any(wrong.values()):
        raise typer.Exit(1)


def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits and . _ -")],
    description: Annotated[
        str, typer.Option("--description", "-d", help='Who it is: "Reviews changes for what breaks in production."')
    ] = "Says in one sentence who it is.",
    yours: Annotated[
        bool, typer.Option("--yours", help="In $XDG_CONFIG_HOME/headway/personas, for all homes.")
    ] = False,
    json: JSON = False,
) -> None:
    """Begin a persona: a folder with a PERSONA.md to fill in, in this home. Prints its path."""
    import os
    import re

    from console.cli.output import print_json
    from engine.context.skills import config_home
    from engine.errors import RefusedError, UsageError
    from engine.home import make_home
    from engine.personas.finding import FOLDER
    from engine.personas.persona import FILE, NAME
    from engine.personas.template import template

    if not re.fullmatch(NAME, name):
        raise UsageError(f"{name[:64]!r} is no name of a persona: letters, digits and . _ -, at most 64")
    above = config_home(os.environ) / "headway" if yours else ctx.of(context).home
    place = above / FOLDER / name
    if not yours:
        make_home(ctx.of(context).home)  # else the first engine would find a directory that is no home
    try:
        place.mkdir(parents=True)
        (place / FILE).write_text(template(name, description), encoding="utf-8")
    except FileExistsError:
        raise RefusedError(f"{place} is there already") from None
    except OSError as error:
        raise RefusedError(f"{place} cannot be made: {error.strerror}") from None
    if json:
        print_json({"path": str(place / FILE)})
    else:
        print(place / FILE)


def _runs_on(head: Head | None) -> str:
    if head is None:
        return "-"
    if head.route is not None:
        return f"route {head.route}"
    target = ":".join(filter(None, (head.agent, head.model)))
    return f"{target}@{head.account}" if head.account else target or "as the job says"


def _wrong(context: typer.Context, one: Persona, project: str | None) -> list[str]:
    """What keeps it from being had, and what it names that is not there."""
    import os

    from engine.agents.registry import agents
    from engine.config import find_settings, load_settings
    from engine.context.skills import config_home, skills_for
    from engine.documents import nearest

    if one.head is None or one.problem is not None:
        return [one.problem or "it has no head"]
    head, known = one.head, agents()
    settings = load_settings(find_settings(ctx.of(context).home, config_home(os.environ)), known)
    skills = [
        skill.name for skill in skills_for(_directory(project, dict(settings.projects)), settings) if not skill.problem
    ]
    named: list[tuple[str, str | None, list[str]]] = [
        ("agent", head.agent, list(known)),
        ("route", head.route, list(settings.routes)),
        ("account", head.account, list(settings.accounts)),
        *(("skills", name, skills) for name in head.skills),
    ]
    wrong = [
        f"{key}: there is no {key.removesuffix('s')} {name!r}; {nearest(name, there) if there else 'there are none'}"
        for key, name, there in named
        if name is not None and name not in there
    ]
    if head.route is not None and (head.agent or head.model or head.account):
        wrong.append("route: it names its target itself, by agent, model or account: one of the two")
    return wrong


def _directory(project: str | None, named: dict[str, object]) -> str | None:
    found = named.get(project or "")
    if found is not None:
        return str(getattr(found, "directory", project))
    return str(expanded(project).resolve()) if project is not None else None


def _found(context: typer.Context, project: str | None) -> list[Persona]:
    """Read here, as the engine of this home would: it need not run."""
    import os

    from engine.agents.registry import agents
    from engine.config import find_settings, load_settings
    from engine.context.personas import Personas
    from engine.context.skills import config_home

    home = ctx.of(context).home
    settings = load_settings(find_settings(home, config_home(os.environ)), agents())
    return Personas.of(home, settings).every(_directory(project, dict(settings.projects)))
