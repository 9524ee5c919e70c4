"""`headway prune`, `backup`, `restore`, `export`: keeping a home small, and carrying it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from engine.config import Settings
    from engine.model import State
    from engine.server.client import Client
    from engine.upkeep.backup import BackedUp
    from engine.upkeep.restore import Restored
    from engine.upkeep.wire import Prune, PruneResult

_Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def add_to(app: typer.Typer) -> None:
    for command in (prune, backup, restore, export):
        app.command()(command)


def prune(
    context: typer.Context,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="SPAN", help="How long ago they ended: 12h, 30d, 8w.")
    ] = "30d",
    state: Annotated[
        str | None, typer.Option(help="succeeded, failed, cancelled; commas between.  [default: all three]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    json: _Json = False,
) -> None:
    """Remove ended jobs with their events and files. Their worktrees go into quarantine, their costs stay in the sums.

    Nothing of today is removed, and no job that an unfinished one comes after or whose batch is not done.
    """
    from console.cli.output import print_json
    from engine.upkeep.wire import Prune

    wanted = Prune(older_than, _states(state), dry_run)
    result = _prune(ctx.of(context), wanted)
    if json:
        print_json(result)
    else:
        print("\n".join(_pruned_lines(result)))


def _states(text: str | None) -> list[State]:
    from engine.documents import nearest
    from engine.errors import UsageError
    from engine.model import State
    from engine.upkeep.wire import ENDED

    words = [word for word in (text or "").split(",") if word]
    for word in words:
        if word not in set(ENDED):
            raise UsageError(f"--state {word}: no such end of a job; {nearest(word, ENDED)}")
    return sorted(map(State, words)) if words else sorted(ENDED)


def _prune(context: ctx.Context, wanted: Prune) -> PruneResult:
    """By the engine where one serves this home; else by ourselves, in its place."""
    from msgspec.structs import replace

    from console.cli.output import note
    from engine.errors import NoEngineError

    async def ask(client: Client) -> PruneResult:
        total = await client.prune(wanted)
        while total.more and not wanted.dry_run:
            note(f"{total.jobs:,} jobs so far")
            further = await client.prune(wanted)
            total = replace(total.and_then(further), needed=further.needed)  # those are met again each time
        return total

    try:
        return context.ask(ask)
    except NoEngineError:
        return _prune_alone(context.home, wanted)


def _prune_alone(home: Path, wanted: Prune) -> PruneResult:
    """In the engine's place, which no engine can take meanwhile."""
    import asyncio
    import math
    import os
    from functools import partial

    from engine import __version__
    from engine.clock import now_ms
    from engine.home import Holder, Lock
    from engine.memory.memory import Memory
    from engine.redact import Secrets
    from engine.runner.credentials import resolve
    from engine.store import Store
    from engine.store.store import FILE
    from engine.units import milliseconds
    from engine.upkeep.reading import reading
    from engine.upkeep.service import prune as prune_home

    home = home.resolve()
    with reading(home / FILE, current=False):
        pass  # a home without a database is not made one by asking

    async def work() -> PruneResult:
        settings = _settings(home)
        keep_ms = milliseconds(settings.upkeep.quarantine_for)
        memory = Memory(home, settings, Secrets(), partial(resolve, own={}))
        store = await Store.open(home)
        try:
            done = await prune_home(store, home, wanted, by="operator", keep_ms=keep_ms, seconds=math.inf)
            if not wanted.dry_run:
                await memory.prune(done.before)
            return done
        finally:
            await store.close()
            await memory.close()

    lock = Lock.take(home, Holder(os.getpid(), __version__, now_ms()))
    try:
        return asyncio.run(work())
    finally:
        lock.release()


def _pruned_lines(done: PruneResult) -> Iterator[str]:
    from console.format import moment, plural

    if not done.jobs:
        yield f"nothing to prune: no such job ended before {moment(done.before)}"
    else:
        least = "at least " if done.dry_run and done.more else ""
        yield (
            f"{'would remove' if done.dry_run else 'removed'} {least}{plural(done.jobs, 'job')} that ended before "
            + (f"{moment(done.before)}, with {plural(done.attempts, 'attempt')} and {plural(done.events, 'event')}")
        )
        yield f"  run files   {_size(done.run_bytes)} of {plural(done.runs, 'attempt')}"
        if done.workspaces_moved or done.workspaces_removed:
            removed = f", {done.workspaces_removed:,} removed" if done.workspaces_removed else ""
            yield f"  workspaces  {done.workspaces_moved:,} into quarantine{removed}"
    if done.freed_bytes:
        yield f"  database    {_size(done.freed_bytes)} smaller"
    if done.needed:
        yield f"  left        {plural(done.needed, 'job')}, as unfinished ones come after them or are of their batch"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count:,} bytes"


def backup(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to.  [default: a new file in backups/ of the home]")
    ] = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="With what the attempts printed: a tar.gz instead of a database.")
    ] = False,
    json: _Json = False,
) -> None:
    """Copy the database, memory and headway.yaml into one file, whole and checked, while the engine works or not."""
    from console.cli.output import note, print_json
    from console.format import plural
    from engine.errors import UsageError
    from engine.upkeep.backup import backup as back_up
    from engine.upkeep.backup import default_file

    home = ctx.of(context).home
    if str(file) == "-":
        raise UsageError("a backup goes into a file, and not to standard output: headway backup FILE")
    done = back_up(home, file or default_file(home, runs=runs), _settings_file(home), runs=runs)
    if json:
        print_json(_plain(done))
        return
    print(done.file)
    files = f", {plural(done.runs, 'run file')}" if runs else ""
    running = f", {done.running:,} of them running" if done.running else ""
    things = f", {plural(done.things, 'thing')} remembered" if done.things else ""
    note(f"{_size(done.size)}: {plural(done.jobs, 'job')}{running}{files}{things}")


def _plain(done: BackedUp | Restored) -> dict[str, object]:
    """A result as JSON knows it: with its paths as text."""
    from dataclasses import asdict

    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(done).items()}


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `headway backup` wrote.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read all of it, say what it holds, and change nothing.")
    ] = False,
    json: _Json = False,
) -> None:
    """Put a backup in the place of this home's database, which is moved aside. No engine may serve the home."""
    from console.cli.output import print_json
    from engine.upkeep.restore import rehearse
    from engine.upkeep.restore import restore as put_back

    home, file = ctx.of(context).home, file.absolute()
    done = rehearse(file, home) if dry_run else put_back(file, home, _settings_file(home))
    if json:
        print_json(_plain(done))
    else:
        print("\n".join(_restored_lines(home, done, would=dry_run)))


def _restored_lines(home: Path, done: Restored, *, would: bool) -> Iterator[str]:
    from console.format import plural

    yield f"{'whole: would restore' if would else 'restored'} {plural(done.jobs, 'job')} into {home}"
    if done.aside is not None:
        yield f"  before      {done.aside}: what was there; remove it once it is not missed"
    if done.running:
        yield f"  running     {plural(done.running, 'attempt')} when the backup was taken: the next start judges each,"
        yield "              and adopts it, settles it from its files, or tries again"
    if done.held:
        yield f"  held        {plural(done.held, 'job')} that went on since the backup, so that nothing is done twice:"
        yield "              `headway jobs held:restore` lists them; then `headway release` or `headway cancel`"
    if done.strangers:
        yield f"  unknown     {plural(done.strangers, 'attempt')} of the database before may still run, and no engine"
        yield f"              will know of them: find them by `ls {home / 'runs'}` and `ps`"
    if done.runs:
        yield f"  run files   of {plural(done.runs, 'attempt')}"
    if done.memory:
        yield "  memory      that of the backup" + ("" if would else "; what was there before is memory.db.before-*")
    if done.core_beside:
        yield f"  core files  {done.core_beside:,} differ and were left; those of the backup are beside, as *.restored"
    if done.settings == "restored":
        yield "  settings    headway.yaml of the backup"
    elif done.settings == "beside":
        yield f"  settings    left as they are; those of the backup are in {home / 'headway.yaml.restored'}"


def export(
    context: typer.Context,
    filter_: Annotated[
        list[str] | None, typer.Argument(metavar="FILTER", help="Such as: state:failed 'age:<7d' project:api")
    ] = None,
    what: Annotated[str, typer.Option(help="jobs, with their attempts and usage, or events.")] = "jobs",
    format_: Annotated[str, typer.Option("--format", help="ndjson or csv.")] = "ndjson",
    out: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Into this file instead of standard output.")
    ] = None,
) -> None:
    """Write jobs or events for other programs, oldest first, straight from the database. Works without an engine.

    Times are milliseconds UTC, and beside them ISO 8601. In CSV a text that a spreadsheet would compute (it begins
    with =, +, - or @) gets a ' before it; NDJSON has it as it is.
    """
    import sys

    from engine.store.filter import parse
    from engine.store.store import FILE
    from engine.upkeep.export import Format, What, export

    home = ctx.of(context).home
    kind, form = What(_choice("--what", what, What)), Format(_choice("--format", format_, Format))
    projects = {name: one.directory for name, one in _settings(home, strict=False).projects.items()}
    lines = export(home / FILE, kind, form, parse(" ".join(filter_ or []), projects=projects))
    if out is None or str(out) == "-":
        _write(lines, sys.stdout.buffer)
    else:
        _write_file(lines, out.absolute(), home)


def _write_file(lines: Iterable[bytes], out: Path, home: Path) -> None:
    """Into a plain file, which is whole or as it was; or into a pipe or a device that is there."""
    from engine.errors import RefusedError, StorageError
    from engine.upkeep.backup import is_database
    from engine.upkeep.files import refuse_in_home, written_whole

    try:
        if out.exists() and not out.is_file():
            if out.is_dir():
                raise RefusedError(f"{out} is a directory; name a file in it")
            with out.open("wb") as there:
                _write(lines, there)
            return
        out = out.resolve()
        refuse_in_home(out, home)
        if out.exists() and is_database(out):
            raise RefusedError(f"{out} is a database of Headway; name another file")
        with written_whole(out) as file:
            _write(lines, file)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror or error}") from error


def _write(lines: Iterable[bytes], file: BinaryIO) -> None:
    for line in lines:
        file.write(line)
    file.flush()


def _choice(option: str, word: str, words: Iterable[str]) -> str:
    from engine.documents import nearest
    from engine.errors import UsageError

    known = [str(one) for one in words]
    if word not in known:
        raise UsageError(f"{option} {word}: not known; {nearest(word, known)}")
    return word


def _settings_file(home: Path) -> Path | None:
    import os

    from engine.config import find_settings

    return find_settings(home, Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"))


def _settings(home: Path, *, strict: bool = True) -> Settings:
    """The settings in effect. Not `strict`: a mistake in them stops no export, which only takes names from there."""
    from engine.agents.registry import agents
    from engine.config import Settings, load_settings
    from engine.errors import UsageError

    try:
        return load_settings(_settings_file(home), agents())
    except UsageError:
        if strict:
            raise
        return Settings()
