"""`headway demo`: a rehearsal fleet on a home of its own. No keys, no network; real processes, a real git project."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from engine.events import Event
    from engine.model import Job, JobSpec

_SETTINGS = """\
# A rehearsal: stand-in agents that print what the real ones print.
max_running: 6
grace: 2
permissions: {timeout: %s, default: allow}
"""
_PATIENCE = ("2s", "3m")  #: how long a card waits, without somebody at the console and with
_ENDS_IN_PICTURE = 6  #: jobs that have ended before the picture is drawn: it shows what is done beside what runs
_ENDS_IN_PICTURES = 3  #: the same, where several are drawn one after the other
_ORPHAN_SECONDS = 60.0  #: after which the demo's engine ends by itself, should nobody be left to end it


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="Without the console: run to the end, print a summary.")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Use this home, and leave it there.")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0, help="How fast the stand-ins play; 0 is without pauses.  [default: 1, headless 4]"),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Save an SVG of the queue, or in a directory of each screen, and end."),
    ] = None,
    size: Annotated[str, typer.Option(metavar="COLSxROWS", help="The picture's size.")] = "120x36",
) -> None:
    """Watch a rehearsal fleet at work: the way to learn Headway, and to see that it works on this machine."""
    from engine.errors import RefusedError

    headless = headless or picture is not None or not (sys.stdin.isatty() and sys.stdout.isatty())
    home = (keep or Path(tempfile.mkdtemp(prefix="headway-demo-"))).expanduser().absolute()
    if keep is not None and home.exists() and any(home.iterdir()):
        raise RefusedError(f"{home} is not empty; a demo wants a home of its own")
    pace = speed if speed is not None else (4.0 if headless else 1.0)
    code = 1
    try:
        code = _play(home, headless, pace, picture, size, remove=keep is None)
    finally:
        if keep is None:
            shutil.rmtree(home, ignore_errors=True)
    raise typer.Exit(code)


def _play(home: Path, headless: bool, speed: float, picture: Path | None, size: str, *, remove: bool) -> int:
    import asyncio

    from engine.home import make_home

    make_home(home)
    (home / "headway.yaml").write_text(_SETTINGS % _PATIENCE[not headless], encoding="utf-8")
    if not headless:
        return _with_console(home, speed, remove=remove)
    with _stage(home, speed) as specs:
        if picture is not None:
            asyncio.run(_draw(home, specs, picture, size))
            return 0
        return asyncio.run(_run_headless(home, specs))


@contextmanager
def _stage(home: Path, speed: float) -> Iterator[list[JobSpec]]:
    """A project and an engine to rehearse with; on leaving, what runs is cancelled and the engine stopped."""
    import asyncio

    from console.launch import start_engine
    from engine.rehearsal.fleet import fleet, make_project

    project = home / "rehearsal-project"
    make_project(project)
    engine = start_engine(home, idle_exit=_ORPHAN_SECONDS, env={"HEADWAY_REHEARSAL_SPEED": str(speed)})
    try:
        yield fleet(project)
    finally:
        asyncio.run(_end(home))
        engine.wait()


def _with_console(home: Path, speed: float, *, remove: bool) -> int:
    """The console at once, and the stage set behind it by a process that clears up when the console is gone.

    It hears of that by the end of a pipe, however the console ended: `q`, a lost terminal, a kill.
    """
    from console import start

    start.require_terminal()
    reading, writing = os.pipe()
    stagehand = os.fork()
    if stagehand == 0:
        os.close(writing)
        _work_behind(home, speed, reading, remove=remove)
    os.close(reading)
    try:
        return start.run(home)
    finally:
        os.close(writing)
        os.waitpid(stagehand, 0)


def _work_behind(home: Path, speed: float, reading: int, *, remove: bool) -> NoReturn:
    import asyncio

    from engine.home import LOG

    code = 1
    try:
        os.setsid()
        with (home / LOG).open("ab") as said:
            for fd in (1, 2):
                os.dup2(said.fileno(), fd)
        with _stage(home, speed) as specs:
            asyncio.run(_submit(home, specs))
            os.read(reading, 1)  # returns when the other end is closed
        code = 0
    except Exception as error:  # noqa: BLE001 - the edge of a process: the engine's log is where it is looked for
        print(f"headway: the rehearsal could not be staged: {error}", file=sys.stderr, flush=True)
        os.read(reading, 1)
    finally:
        if remove:
            shutil.rmtree(home, ignore_errors=True)
        os._exit(code)


async def _submit(home: Path, specs: list[JobSpec]) -> list[int]:
    from engine.server.client import Client

    async with Client(home) as client:
        return await client.submit(specs)


async def _draw(home: Path, specs: list[JobSpec], picture: Path, size: str) -> None:
    from contextlib import aclosing

    from console.picture import Picture, read_size
    from console.picture import picture as draw
    from console.screens.places import PLACES
    from engine.events import Event
    from engine.server.client import Client

    cells = read_size(size)
    # What shows agents at work comes first: they do not wait for the painter.
    early = ["workers", "queue", "overview"]
    names = [*early, *(place.name for place in PLACES if place.name not in early)]
    several = picture.is_dir()
    wanted = {name: picture / f"{name}.svg" for name in names} if several else {"queue": picture}
    async with Client(home) as client:
        seq = (await client.status()).seq
        await client.submit(specs)
        async with aclosing(client.follow(seq)) as happenings:
            ends = 0
            async for happening in happenings:
                ends += isinstance(happening, Event) and _is_end(happening)
                if ends == (_ENDS_IN_PICTURES if several else _ENDS_IN_PICTURE):
                    break
        for screen, file in wanted.items():
            await draw(client, file, Picture(screen, cells), at_work=screen == "queue")
            print(file)


async def _run_headless(home: Path, specs: list[JobSpec]) -> int:
    """Run the fleet to its end, a line for each thing that happens; 0 where every job ended as it was rehearsed."""
    from console.cli.notify import silence_line
    from engine.events import Event
    from engine.server.client import Client

    async with Client(home) as client:
        seq = (await client.status()).seq
        ids = await client.submit(specs)
        titles = {job.id: job.title for job in await client.rows(ids)}
        left = set(ids)
        async for happening in client.follow(seq):
            if isinstance(happening, Event):
                _tell(happening, titles)
                if happening.job is not None and _is_end(happening):
                    left.discard(happening.job)
            if not left:
                break
        found = await client.jobs(limit=len(specs))
        told = await client.notify_status()
    code = _summary(found)
    print(silence_line(told))
    return code


def _is_end(event: Event) -> bool:
    from engine import events as log

    return isinstance(event.body, log.Succeeded | log.Failed | log.Cancelled)


def _tell(event: Event, titles: dict[int, str]) -> None:
    from console.format import clean_line, fit, moment
    from engine import events as log

    body = event.body
    match body:
        case log.Launched():
            said = "▸ started"
        case log.Succeeded(result=result):
            said = f"✓ {clean_line(result or 'done')}"
        case log.Failed(failure=failure, reason=reason):
            said = f"✗ {failure}: {clean_line(reason)}"
        case _:
            return
    title = fit(titles.get(event.job or 0, ""), 28)
    print(f"{moment(event.at)[11:]}  J{event.job:<3} {title}  {fit(said, 76).rstrip()}", flush=True)


def _summary(found: list[Job]) -> int:
    from console.format import money, number
    from engine.rehearsal.fleet import is_as_rehearsed

    wrong = [job for job in found if not is_as_rehearsed(job)]
    succeeded = sum(job.state == "succeeded" for job in found)
    failed = sum(job.state == "failed" for job in found)
    tokens = sum(job.input_tokens + job.output_tokens for job in found)
    cost = sum(job.cost_micros or 0 for job in found)
    print(f"\n{len(found)} jobs: {succeeded} succeeded, {failed} failed as rehearsed; "
          f"{number(tokens)} tokens, {money(cost)}")  # fmt: skip
    for job in wrong:
        print(f"J{job.id} was to end otherwise: {job.state} {job.failure or ''} {job.reason or ''}", file=sys.stderr)
    return 1 if wrong else 0


async def _end(home: Path) -> None:
    """Cancel what runs, and stop the engine: a rehearsal leaves nothing behind."""
    from console.cli.verbs import until_ended
    from engine.errors import HeadwayError
    from engine.model import Verb
    from engine.server.client import Client

    try:
        async with Client(home) as client:
            await client.act(Verb.HOLD, everything=True)
            seq = (await client.status()).seq
            if running := [job.id for job in await client.jobs("state:running", limit=1000)]:
                stopping = (await client.act(Verb.CANCEL, running)).stopping
                await until_ended(client, seq, set(stopping))
            await client.shutdown()
    except HeadwayError as error:
        print(f"headway: {error.message}", file=sys.stderr)
