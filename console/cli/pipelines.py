"""`headway run`, `headway pipelines`: a declared graph of steps, from a plan to a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.verbs import DRY_RUN, JSON, place_of
from engine.paths import expanded

if TYPE_CHECKING:
    from engine.model import PipelineWanted

_VERBS = ("hold", "release", "cancel", "retry")
_USAGE = (
    "headway pipelines, pipelines show NAME, check FILE, runs, status N, hold N, release N, cancel N or retry N"
)  # fmt: skip


def add_to(app: typer.Typer) -> None:
    for command in (run, pipelines):
        app.command()(command)


def run(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="Its name, as headway pipelines shows it.")],
    what: Annotated[str, typer.Argument(metavar="WHAT", help="What it is to be about; - reads standard input.")],
    input_: Annotated[
        list[str] | None, typer.Option("--input", "-i", metavar="NAME=VALUE", help="An input; may be repeated.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="A name of headway.yaml, or a directory.  [default: here]")
    ] = None,
    scratch: Annotated[bool, typer.Option("--scratch", help="No project: empty directories.")] = False,
    base: Annotated[str | None, typer.Option(metavar="COMMIT", help="[default: the project's HEAD]")] = None,
    title: Annotated[str | None, typer.Option(help="A short name; without it, the words' beginning.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag for its jobs; may be repeated.")] = None,
    priority: Annotated[int | None, typer.Option(min=0, max=9, help="0 is most urgent.  [default: 5]")] = None,
    token: Annotated[
        str | None, typer.Option(help="Your own name for this: sent again, it begins nothing twice.")
    ] = None,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Run a pipeline: headway run code "add --json to the list command" -i writer=claude:opus. Prints its number."""
    from engine.model import PipelineWanted

    wanted = PipelineWanted(
        name=pipeline,
        what=_words(what),
        inputs=_inputs(input_ or []),
        project=_project(project, scratch=scratch),
        base=base,
        priority=priority,
        tags=tag or [],
        title=title,
        token=token,
        dry_run=dry_run,
    )
    begin(context, wanted, json=json)


def begin(context: typer.Context, wanted: PipelineWanted, *, json: bool) -> None:
    """Begin it, and tell what came of that."""
    from console.cli.output import note, print_json
    from console.pipelines import preview_line, step_line

    begun = ctx.of(context).ask(lambda client: client.run_pipeline(wanted))
    if json:
        print_json(begun)
    elif begun.pipeline is None:
        print("\n".join(f"would: {step_line(step)}" for step in begun.steps))
        note(preview_line(begun.preview))
    else:
        print(begun.pipeline.id)
        note(f"`headway pipelines status {begun.pipeline.id}` tells how it stands")


def pipelines(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[show NAME | check FILE | runs | status N | hold|release|cancel|retry N]"),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Whose pipelines too.  [default: here]")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="With runs: at most so many.")] = 20,
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Which pipelines there are, whether a file of one is right, and how those stand that were begun.

    A project's own, in .headway/pipelines/, go before those of the home, in pipelines/, and those before the shipped.
    """
    from console.cli.output import print_json, print_table
    from console.pipelines import FILE_HEADS, file_cells, file_lines
    from engine.errors import UsageError

    asker = ctx.of(context)
    match words or ["list"]:
        case ["list"]:
            listed = asker.ask(lambda client: client.pipeline_files(_project(project, scratch=False)))
            if json:
                print_json(listed)
            else:
                print_table(FILE_HEADS, [file_cells(one) for one in listed], stretch=3)
        case ["show", name]:
            one = asker.ask(lambda client: client.pipeline_file(name, _project(project, scratch=False)))
            if json:
                print_json(one)
            else:
                print("\n".join(file_lines(one)))
        case ["check", *files] if files:
            _check(files)
        case ["runs"]:
            _runs(context, limit, json=json)
        case ["status", number]:
            _status(context, _number(number), json=json)
        case [verb, *numbers] if verb in _VERBS and numbers:
            for number in numbers:
                _act(context, verb, _number(number), dry_run=dry_run, json=json)
        case _:
            raise UsageError(_USAGE)


def _runs(context: typer.Context, limit: int, *, json: bool) -> None:
    from console.cli.output import note, print_json, print_table
    from console.pipelines import RUN_HEADS, run_cells
    from engine.clock import now_ms

    found = ctx.of(context).ask(lambda client: client.pipelines(limit))
    if json:
        print_json(found)
    elif found:
        print_table(RUN_HEADS, [run_cells(one, now_ms()) for one in found], stretch=5)
    else:
        note('no pipeline was begun yet: headway run code "what is to be done"')


def _status(context: typer.Context, number: int, *, json: bool) -> None:
    from console.cli.output import print_json, print_table
    from console.pipelines import STEP_HEADS, findings_lines, run_lines, step_cells
    from engine.clock import now_ms

    one = ctx.of(context).ask(lambda client: client.pipeline(number))
    if json:
        print_json(one)
        return
    print("\n".join(run_lines(one)) + "\n")
    print_table(STEP_HEADS, [step_cells(step, now_ms()) for step in one.steps], stretch=6)
    for line in findings_lines(one):
        print(line)


def _act(context: typer.Context, word: str, number: int, *, dry_run: bool, json: bool) -> None:
    from console.cli.output import print_json
    from console.format import job_name
    from console.pipelines import stands
    from engine.model import PipelineVerb

    verb = PipelineVerb(word)
    done = ctx.of(context).ask(lambda client: client.act_on_pipeline(number, verb, dry_run=dry_run))
    if json:
        print_json(done)
        return
    about = [*(job_name(job) for job in done.jobs), *(f"{job_name(job)} (is being stopped)" for job in done.stopping)]
    told = f", with {', '.join(about)}" if about else ""
    print(f"{'would: ' if dry_run else ''}pipeline {number} is {stands(done.pipeline)}{told}")


def _check(files: list[str]) -> None:
    """Exit code 2 with all that is wrong, without an engine."""

    from engine.agents.registry import agents
    from engine.pipelines.finding import read_file

    problems = []
    for name in files:
        found = read_file(expanded(name), "file", agents().keys())
        if found.file.problem is not None:
            problems.append(found.file.problem)
        else:
            print(f"{name}: {len(found.file.steps)} steps, and nothing wrong")
    if problems:
        from engine.errors import UsageError

        raise UsageError("\n".join(problems))


def _words(word: str) -> str:
    import sys

    from engine.errors import UsageError

    text = sys.stdin.read() if word == "-" else word
    if not text.strip():
        raise UsageError("what is it to be about? The words are empty")
    return text


def _inputs(given: list[str]) -> dict[str, str]:
    from engine.errors import UsageError

    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise UsageError(f"input: {one!r} is none; write NAME=VALUE")
        found[name] = value
    return found


def _project(word: str | None, *, scratch: bool) -> str | None:
    from pathlib import Path

    from engine.errors import UsageError

    if scratch and word is not None:
        raise UsageError("--scratch excludes --project: it has none")
    return None if scratch else place_of(word) if word is not None else str(Path.cwd())


def _number(word: str) -> int:
    from engine.errors import UsageError

    digits = word.lstrip("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise UsageError(f"{word!r} is no pipeline's number; `headway pipelines runs` lists them")
    return int(digits)
