"""`headway memory core`, `export`, `import`, `migrate`, `status`: keeping memory, and carrying it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx
from console.cli.memory_desk import ask, scopes_of
from console.cli.verbs import DRY_RUN, JSON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.memory.answers import Moved
    from engine.memory.item import Item
    from engine.memory.portable import Format

PAGE = 1_000  #: items of one request


def add_to(family: typer.Typer) -> None:
    for command in (core, export, import_, migrate, status):
        family.command("import" if command is import_ else None)(command)


def core(
    context: typer.Context,
    scope: Annotated[
        str, typer.Argument(metavar="SCOPE", help="global, project:NAME or DIRECTORY, persona:NAME.")
    ] = "global",
    edit: Annotated[bool, typer.Option("--edit", help="Open it in $EDITOR.")] = False,
    append: Annotated[str | None, typer.Option("--append", metavar="LINE", help="Add a line.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Put this in its place; - reads standard input.")
    ] = None,
    json: JSON = False,
) -> None:
    """The notes that every job of a scope is told: a short Markdown file, written by you."""
    import sys

    import click

    from console.cli.memory_lines import core_lines
    from console.cli.output import note, print_json
    from engine.errors import UsageError

    context_, where = ctx.of(context), scopes_of([scope])[0]
    if sum((edit, append is not None, file is not None)) > 1:
        raise UsageError("give --edit, --append or --file, not several of them")
    now = ask(context_, lambda memory: memory.core(where))
    text: str | None = None
    if append is not None:
        text = f"{now.text}\n{append}" if now.text else append
    elif file is not None:
        text = sys.stdin.read() if str(file) == "-" else _read(file).decode(errors="replace")
    elif edit:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError("there is no terminal for an editor: --append LINE, --file FILE, or edit the file itself")
        text = click.edit(now.text, extension=".md")
    if now.cut and text is not None and file is None:
        raise UsageError(f"{now.path} is longer than memory.core_lines: shorten it there first")
    if text is not None:
        new = text
        now = ask(context_, lambda memory: memory.set_core(where, new), writes=True)
    if json:
        print_json(now)
        return
    print("\n".join(core_lines(now)), end="\n" if now.text else "")
    note(f"{now.path}: {now.lines} lines, {now.tokens} tokens" if now.text else f"{now.path}: nothing yet")


def export(
    context: typer.Context,
    format_: Annotated[str, typer.Option("--format", help="ndjson or markdown.")] = "ndjson",
    scope: Annotated[list[str] | None, typer.Option("--scope", "-s", help="Only of these.  [default: all]")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Into this file instead of standard output.")
    ] = None,
) -> None:
    """Write all that is remembered as text, for people or for another home. Vectors are made anew there."""
    import sys

    from engine.errors import RefusedError, StorageError
    from engine.memory.portable import write
    from engine.upkeep.files import refuse_in_home, written_whole

    form = _format(format_)
    lines = write(_all(ctx.of(context), scopes_of(scope)), form)
    if out is None or str(out) == "-":
        for line in lines:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return
    out = out.absolute()
    refuse_in_home(out, ctx.of(context).home)
    if out.exists() and not out.is_file():
        raise RefusedError(f"{out} is not a plain file; name another one")
    try:
        with written_whole(out) as target:
            for line in lines:
                target.write(line)
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror or error}") from error


def _all(context: ctx.Context, scopes: list[str]) -> Iterator[Item]:
    after = 0
    while True:
        found = _page(context, scopes, after)
        yield from found
        if len(found) < PAGE:
            return
        after = found[-1].id


def _page(context: ctx.Context, scopes: list[str], after: int) -> list[Item]:
    return ask(context, lambda memory: memory.items(scopes, limit=PAGE, after=after))


def _format(word: str) -> Format:
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.memory.portable import Format

    if word not in list(Format):
        raise UsageError(f"--format {word}: not known; {nearest(word, Format)}")
    return Format(word)


def import_(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What headway memory export wrote; - is standard input.")
    ],
    dry_run: DRY_RUN = False,
    json: JSON = False,
) -> None:
    """Bring in what an export holds, NDJSON or Markdown. What is there already, word for word, stays as it is."""
    import sys

    from console.cli.output import print_json
    from console.format import plural
    from engine.memory.answers import Import
    from engine.memory.portable import read

    data = sys.stdin.buffer.read() if str(file) == "-" else _read(file)
    items = read(data, str(file))
    wanted = Import(items=items, dry_run=dry_run)
    total = ask(ctx.of(context), lambda memory: memory.bring_in(wanted), writes=not dry_run)
    if json:
        print_json(total)
    else:
        would = "would bring in" if dry_run else "brought in"
        print(f"{would} {plural(total.added, 'thing')}; {total.known:,} were there already")


def _read(file: Path) -> bytes:
    from engine.errors import NotFoundError, StorageError

    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {file}") from None
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror}") from error


def migrate(
    context: typer.Context,
    to: Annotated[str, typer.Option("--to", help="sqlite or lancedb (the extra headway[lancedb]).")] = "",
    json: JSON = False,
) -> None:
    """Move all that is remembered to another backend, and compare both before the old one is removed.

    If it is stopped, the same command goes on from there.
    """
    from console.cli.output import note, print_json
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.memory.store import Backend

    if to not in list(Backend):
        raise UsageError(f"--to {to or 'what'}? {nearest(to, Backend)}")

    def step() -> Moved:
        return ask(ctx.of(context), lambda memory: memory.migrate(Backend(to)), writes=True)

    done = step()
    while done.more:
        note(f"{done.done:,} of {done.total:,}")
        done = step()
    if json:
        print_json(done)
    else:
        print(f"{done.total:,} things are in {done.to} now, and compared")


def status(context: typer.Context, json: JSON = False) -> None:
    """How much is remembered, where, and what finds it."""
    from console.cli.memory_lines import status_lines
    from console.cli.output import print_json

    found = ask(ctx.of(context), lambda memory: memory.status())
    if json:
        print_json(found)
    else:
        print("\n".join(status_lines(found)))
    if found.problem:
        raise typer.Exit(1)
