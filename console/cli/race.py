"""`headway race`: one prompt on several targets, and who did it best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JSON, one_id, place_of

if TYPE_CHECKING:
    from engine.model import Race


def add_to(app: typer.Typer) -> None:
    app.command()(race)


def race(
    context: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="PROMPT | show N | pick N JOB | list", help="The prompt; - reads it.")
    ],
    on: Annotated[list[str] | None, typer.Option("--on", metavar="TARGET", help="Two or more of them.")] = None,
    check: Annotated[
        list[str] | None, typer.Option("--check", metavar="CMD", help="Has to exit with 0 in each workspace.")
    ] = None,
    check_timeout: Annotated[str, typer.Option(metavar="SPAN", help="What a check may take.")] = "10m",
    judge: Annotated[
        str | None, typer.Option(metavar="TARGET", help="Reads what passed its checks, and says which is best.")
    ] = None,
    first: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Decide once K have ended well; the others are cancelled.")
    ] = None,
    project: Annotated[
        str | None,
        typer.Option("--project", "-p", help="A git project: a name of headway.yaml, or a directory.  [default: here]"),
    ] = None,
    scratch: Annotated[bool, typer.Option("--scratch", help="No project: an empty directory for each.")] = False,
    base: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="What all begin at.  [default: the project's HEAD]")
    ] = None,
    title: Annotated[str | None, typer.Option(help="A short name; without it, the prompt's beginning.")] = None,
    kind: Annotated[str | None, typer.Option(help="What sort of work it is; the scoreboard tells by it.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag for its jobs; may be repeated.")] = None,
    priority: Annotated[int | None, typer.Option(min=0, max=9, help="0 is most urgent.  [default: 5]")] = None,
    timeout: Annotated[str | None, typer.Option(metavar="SPAN", help="What one attempt may take.")] = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Give one prompt to several targets, each in a worktree of its own from one commit, and find out who did it best.

    Once they have ended, checks run in each worktree, and a judge may read what is left. headway race show 3 tells how
    it stands, headway race pick 3 12 is your own choice (undo takes it back), headway race list shows all. Nothing is
    merged: the winner's branch is named, and the others are kept for reading.
    """
    from engine.errors import UsageError
    from engine.model import RaceWanted

    if words[0] in ("show", "pick", "list") and on is None:
        _read(context, words, dry_run=dry_run, json=json)
        return
    if len(words) > 1:
        raise UsageError(f"the prompt is one word for the shell; quote it: headway race {' '.join(words)!r}")
    if not on or len(on) < 2:
        raise UsageError('on whom? headway race "fix the bug" --on claude:opus --on codex')
    wanted = RaceWanted(
        prompt=_prompt(words[0]),
        on=on,
        project=_project(project, scratch=scratch),
        base=base,
        checks=check or [],
        check_timeout=check_timeout,
        judge=judge,
        first=first,
        title=title,
        kind=kind,
        tags=tag or [],
        priority=priority,
        timeout=timeout,
        dry_run=dry_run,
    )
    begun = ctx.of(context).ask(lambda client: client.begin_race(wanted))
    _begun(begun, dry_run=dry_run, json=json)


def _begun(begun: Race, *, dry_run: bool, json: bool) -> None:
    from console.cli.output import note, print_json
    from console.format import job_name

    if json:
        print_json(begun)
        return
    runners = ", ".join(f"{job_name(one.job)} {one.target}" for one in begun.entries)
    if dry_run:
        print(f"would: {', '.join(one.target for one in begun.entries)} from {(begun.base or 'nothing')[:12]}")
    else:
        print(begun.id)
        note(f"race {begun.id}: {runners}; `headway race show {begun.id}` tells how it stands")


def _read(context: typer.Context, words: list[str], *, dry_run: bool, json: bool) -> None:
    from console.cli.output import note, print_json, print_table
    from console.races import HEADS, LIST_HEADS, cells, failed_lines, foot_lines, head_lines, list_cells
    from engine.errors import UsageError

    asker = ctx.of(context)
    match words:
        case ["list"]:
            found = asker.ask(lambda client: client.races())
            if json:
                print_json(found)
            elif found:
                print_table(LIST_HEADS, [list_cells(one) for one in found], stretch=5)
            else:
                note('no race yet: headway race "fix the bug" --on claude:opus --on codex')
        case ["show", number]:
            one = asker.ask(lambda client: client.race(_number(number)))
            if json:
                print_json(one)
                return
            print("\n".join(head_lines(one)) + "\n")
            print_table(HEADS, [cells(one, entry) for entry in one.entries], stretch=9)
            print("\n" + "\n".join([*foot_lines(one), *failed_lines(one)]))
        case ["pick", number, job]:
            chosen = one_id(job)
            picked = asker.ask(lambda client: client.pick(_number(number), chosen, dry_run=dry_run))
            if json:
                print_json(picked)
            else:
                was = f", and not J{picked.was}" if picked.was is not None else ""
                branch = f"; its branch is {picked.branch}" if picked.branch else ""
                print(f"{'would: ' if dry_run else ''}J{picked.job} wins race {picked.race}{was}{branch}")
        case _:
            raise UsageError("headway race show N, headway race pick N JOB, or headway race list")


def _number(word: str) -> int:
    from engine.errors import UsageError

    digits = word.lstrip("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise UsageError(f"{word!r} is no race's number; `headway race list` shows them")
    return int(digits)


def _prompt(word: str) -> str:
    import sys

    from engine.errors import UsageError

    text = sys.stdin.read() if word == "-" else word
    if not text.strip():
        raise UsageError("the prompt is empty")
    return text


def _project(word: str | None, *, scratch: bool) -> str | None:
    from pathlib import Path

    from engine.errors import UsageError

    if scratch and word is not None:
        raise UsageError("--scratch excludes --project: it has none")
    return None if scratch else place_of(word) if word is not None else str(Path.cwd())
