"""Jobs on an engine in this process, and waiting for what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from engine.engine import Engine
from engine.model import JobSpec, State
from engine.store.rows import AttemptRow, JobRow
from engine.submission import Wanted
from tests import waiting


async def submit(engine: Engine, *specs: JobSpec) -> list[int]:
    return (await engine.submit(Wanted(list(specs)))).ids


async def until(engine: Engine, holds: Callable[[], Awaitable[bool]]) -> None:
    """Look at each event of the engine until something holds."""

    async def look() -> bool | None:
        return await holds() or None

    await waiting.until(engine, look)


async def launched(engine: Engine, job: int, number: int = 1) -> AttemptRow:
    """An attempt of a job, once its process runs."""

    async def holds() -> bool:
        return any(one.number == number and one.started_at for one in await engine.store.read.attempts(job))

    await until(engine, holds)
    return (await engine.store.read.attempts(job))[number - 1]


async def settled(engine: Engine, job: int, number: int = 1) -> tuple[JobRow, AttemptRow]:
    """A job and one of its attempts, once that has ended."""

    async def holds() -> bool:
        return any(one.number == number and one.ended_at for one in await engine.store.read.attempts(job))

    await until(engine, holds)
    return await engine.row(job), (await engine.store.read.attempts(job))[number - 1]


async def ended(engine: Engine, job: int) -> tuple[JobRow, list[AttemptRow]]:
    """A job with its attempts, once it has ended."""

    async def holds() -> bool:
        return (await engine.row(job)).ended_at is not None

    await until(engine, holds)
    return await engine.row(job), await engine.store.read.attempts(job)


async def held(engine: Engine, job: int) -> JobRow:
    """A job, once it is back in the queue and held."""

    async def holds() -> bool:
        row = await engine.row(job)
        return row.state is State.READY and row.held_by is not None

    await until(engine, holds)
    return await engine.row(job)


def rehearsal(directory: Path, steps: list[dict[str, object]], resumed: list[dict[str, object]] | None = None) -> str:
    """A scenario for the rehearsal agent, as the model that plays it."""
    path = directory / f"scenario-{len(list(directory.glob('scenario-*')))}.yaml"
    path.write_text(json.dumps({"about": "test", "steps": steps, "resumed": resumed or []}))
    return str(path)
