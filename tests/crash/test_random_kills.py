"""The promise: kill -9 at any moment, under any load, as often as you like: nothing is lost and nothing runs twice.

`HEADWAY_CRASH_KILLS` says how often; `make crash` does it 200 times. `HEADWAY_CRASH_SEED` repeats the choices of a run,
though not its timing.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine import events as log
from engine.errors import NoEngineError
from engine.server.client import Client
from engine.store.rows import JobRow
from engine.store.store import FILE
from engine.upkeep.reading import reading
from tests.conftest import PATIENCE, settings_file
from tests.crash.checks import sound, sound_copy
from tests.crash.load import Ledger, Life, follow, released
from tests.crash.nursery import Engine, Nursery

KILLS = int(os.environ.get("HEADWAY_CRASH_KILLS", "24"))
SEED = int(os.environ.get("HEADWAY_CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
LIFE_SECONDS = 0.8  #: at most, once an engine answers
BETWEEN_MS = 9 * 3_600_000  #: each engine lives so much later than the one before, so that there is something to prune
LOOK_EVERY = 4  #: after so many deaths the whole database is looked through


@dataclass(frozen=True, slots=True)
class Blow:
    """When an engine dies: so long after its birth or its first answer, at its n-th event, or before its n-th step."""

    after_birth: float | None = None
    after_answer: float | None = None
    events: int = 0
    steps: int = 0

    @classmethod
    def any(cls, rng: random.Random) -> Blow:
        match rng.randrange(8):
            case 0:
                return cls(after_birth=rng.uniform(0, 0.25))
            case 1 | 2:
                return cls(after_answer=rng.uniform(0, LIFE_SECONDS))
            case 3 | 4:
                return cls(events=rng.randrange(1, 120))
            case _:
                return cls(steps=round(1_500 ** rng.random()))

    @property
    def kind(self) -> str:
        return next(name for name in ("after_birth", "after_answer", "events", "steps") if getattr(self, name))


@dataclass(slots=True)
class House:
    """A home, and all that happened in it."""

    home: Path
    lines: Path
    rng: random.Random
    ledger: Ledger
    engines: int = 0

    async def live_and_die(self, nursery: Nursery) -> None:
        """One engine, from its birth to its violent death."""
        blow = Blow.any(self.rng)
        env = {"HEADWAY_CGROUPS": self.rng.choice(("off", ""))}
        self.engines += 1
        engine = await nursery.bear(later_ms=self.engines * BETWEEN_MS, steps=blow.steps, env=env)
        dying = asyncio.create_task(engine.dead())
        if blow.after_birth is not None:
            await asyncio.wait({dying}, timeout=blow.after_birth)
            engine.send(signal.SIGKILL)
            self.ledger.count["dead before it answered"] += not await engine.ready()
        elif await engine.ready():
            await self._under_load(engine, blow, dying)
        else:
            self.ledger.count["dead before it answered"] += 1
        await dying
        code = await nursery.bury()
        assert code == -signal.SIGKILL, f"engine {self.engines} ended by itself with {code}, before {blow}"
        self.ledger.count[f"killed: {blow.kind}"] += 1

    async def _under_load(self, engine: Engine, blow: Blow, dying: asyncio.Task[None]) -> None:
        life = Life(self.home, self.lines, self.ledger, self.rng, self.engines)
        last = self.ledger.seq + blow.events if blow.events else 1 << 62
        async with life.lived():
            heard = asyncio.create_task(self.ledger.until(lambda: self.ledger.seq >= last))
            seconds = LIFE_SECONDS if blow.after_answer is None else blow.after_answer
            await asyncio.wait({dying, heard}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            engine.send(signal.SIGKILL)
            await dying
            heard.cancel()

    def look(self, to: Path) -> None:
        """While no engine lives: the database is sound, and has what was acknowledged."""
        rows = sound_copy(self.home, to)
        missing = {job for job in self.ledger.acknowledged - rows.keys() if not self._may_be_pruned(job)}
        assert not missing, f"jobs {sorted(missing)} were acknowledged and are not there"

    def _may_be_pruned(self, job: int) -> bool:
        told = self.ledger.jobs.get(job)
        return told is not None and told.ended

    async def end(self, nursery: Nursery) -> None:
        """Everything is released and runs to its end; then the last engine stops as it should."""
        engine = await nursery.bear(later_ms=(self.engines + 1) * BETWEEN_MS)
        assert await engine.ready(), (self.home / "engine.log").read_text()[-2_000:]
        dying = asyncio.create_task(engine.dead())
        life = Life(self.home, self.lines, self.ledger, self.rng, self.engines + 1)
        async with Client(self.home) as client, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._followed(client))
            await life._begin(client)
            assert not self.ledger.pending
            await released(client, self.ledger)
            assert (await client.status()).counts.unfinished == 0
            engine.send(signal.SIGTERM)
        await dying
        assert await nursery.bury() == 0

    async def _followed(self, client: Client) -> None:
        with suppress(NoEngineError):
            await follow(client, self.ledger)


async def test_nothing_is_lost_or_run_twice_however_often_the_engine_is_killed(home: Path, tmp_path: Path) -> None:
    print(f"HEADWAY_CRASH_SEED={SEED} HEADWAY_CRASH_KILLS={KILLS}")
    began = time.monotonic()
    settings_file(home, "max_running: 8\ngrace: 0.3\n")
    house = House(home, tmp_path / "lines", random.Random(SEED), Ledger())
    house.lines.touch()
    try:
        async with Nursery(home) as nursery:
            for number in range(1, KILLS + 1):
                async with asyncio.timeout(PATIENCE):
                    await house.live_and_die(nursery)
                if number % LOOK_EVERY == 0 or number == KILLS:
                    house.look(tmp_path / "copy")
            async with asyncio.timeout(PATIENCE):
                await house.end(nursery)
        with reading(home / FILE) as connection:
            rows = sound(connection)
            everything_was_kept(connection.execute, house.ledger, rows)
            every_attempt_ran_once(connection.execute, house, rows)
        await nothing_is_left(house, rows)
    finally:
        told = ", ".join(f"{n} {name}" for name, n in sorted(house.ledger.count.items()))
        print(f"{house.engines} engines in {time.monotonic() - began:.1f} s: {told}", file=sys.stderr)


type_ = Callable[..., Awaitable[None]]


def everything_was_kept(ask: Callable[..., object], ledger: Ledger, rows: dict[int, JobRow]) -> None:
    """What was answered is there, what was not is there once or not at all, and the log is as it was shown."""
    gone = ledger.jobs.keys() - rows.keys()
    assert rows.keys() <= ledger.jobs.keys()
    assert len(gone) == ledger.pruned, "what is not there was pruned"
    assert all(told.ended for told in ledger.jobs.values())
    titles = Counter(told.title for told in ledger.jobs.values())
    assert max(titles.values()) == 1
    for sent in ledger.sent:
        entries = list(zip(sent.answer.ids, sent.wanted.jobs, strict=True))
        if sent.wanted.then is not None:
            assert sent.answer.follow_up is not None
            entries.append((sent.answer.follow_up, sent.wanted.then))
        for job, spec in entries:
            told = ledger.jobs[job]
            assert told.title == spec.title or (spec.key is not None and told.key == spec.key), (job, spec, told)
    kept = {
        seq: log.Event(seq=seq, at=at, job=job, attempt=attempt, body=msgspec.json.decode(body, type=log.AnyBody))
        for seq, at, job, attempt, body in ask("SELECT seq, at, job, attempt, body FROM events")  # type: ignore[attr-defined]
    }
    shown = {seq: event for seq, event in ledger.events.items() if event.job not in gone}
    kept = {seq: event for seq, event in kept.items() if seq <= ledger.seq}
    assert shown == kept
    actions = {row[0] for row in ask("SELECT id FROM actions")}  # type: ignore[attr-defined]
    assert ledger.actions <= actions
