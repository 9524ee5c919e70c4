"""The promise: kill -9 at any moment, under any load, as often as you like: nothing is lost and nothing runs twice.

`HEADWAY_CRASH_KILLS` says how often; `make crash` does it 200 times. `HEADWAY_CRASH_SEED` repeats the choices of a run,
though not its timing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.doctor import examine
from engine.errors import NoEngineError
from engine.home import LOG
from engine.server.client import Client
from engine.store.store import FILE
from tests.conftest import PATIENCE, settings_file
from tests.crash import checks
from tests.crash.foundry import STEPS, Wanted
from tests.crash.ledger import Ledger
from tests.crash.load import Load
from tests.crash.nursery import Engine, Nursery
from tests.crash.work import Work

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("HEADWAY_CRASH_KILLS") or 16)
SEED = int(os.environ.get("HEADWAY_CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
LIFE_SECONDS = 0.7  #: at most, from an engine's first answer on
BIRTH_SECONDS = 0.12  #: about what it takes to come to that on a busy machine
BETWEEN_MS = 9 * 3_600_000  #: each engine lives so much later than the one before, so that there is something to prune
LOOK_EVERY = 4  #: after so many deaths the whole database is looked through
MOST_STEPS = 4_000  #: about what an engine takes under load in its life
GRAVE = ("kill", "posix_spawnp", "rename", "rmdir")  #: steps that are few among all and cannot be taken back
SETTINGS = """\
max_running: 8
grace: 0.3
accounts:
  spare: {agent: shell, env: {}}
"""


@dataclass(frozen=True, slots=True)
class Blow:
    """When an engine dies: so long after its birth or its first answer, at its n-th event, or before its n-th step."""

    kind: str
    seconds: float = LIFE_SECONDS
    events: int = 1 << 62
    steps: int = 0
    step: str = ""

    @classmethod
    def any(cls, rng: random.Random) -> Blow:
        match rng.randrange(8):
            case 0:
                return cls("some time after its birth", seconds=rng.uniform(0, BIRTH_SECONDS))
            case 1 | 2:
                return cls("some time after it answered", seconds=rng.uniform(0, LIFE_SECONDS))
            case 3 | 4:
                return cls("after an event", events=rng.randrange(1, 120))
            case 5:
                return cls("before any step", steps=round(MOST_STEPS ** rng.uniform(0.5, 1)))
            case _:
                step = rng.choice((*sorted(STEPS), *GRAVE * 4))
                return cls("before a certain step", steps=round(12 ** rng.random()), step=step)


@dataclass(slots=True)
class House:
    """A home, and all that happened in it."""

    home: Path
    work: Work
    rng: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    engines: int = 0

    async def live_and_die(self, nursery: Nursery) -> None:
        """One engine, from its birth to its violent death."""
        blow = Blow.any(self.rng)
        engine = await self._born(nursery, blow)
        if blow.kind == "some time after its birth":
            await asyncio.wait({engine.dead}, timeout=blow.seconds)
        elif await engine.ready:
            await self._under_load(engine, blow)
        engine.send(signal.SIGKILL)
        said = await engine.dead
        assert said.code == -signal.SIGKILL, f"engine {self.engines} ended by itself, with {said.code}"
        self._count(blow, said.before, answered=await engine.ready)

    async def _born(self, nursery: Nursery, blow: Blow) -> Engine:
        self.engines += 1
        env = {"HEADWAY_CGROUPS": self.rng.choice(("off", ""))}
        return await nursery.bear(Wanted(str(self.home), self.engines * BETWEEN_MS, blow.steps, blow.step, env))

    async def _under_load(self, engine: Engine, blow: Blow) -> None:
        last = self.ledger.seq + blow.events
        load = Load(self.home, self.ledger, self.work, self.rng)
        async with load.put():
            heard = asyncio.create_task(self.ledger.until(lambda: self.ledger.seq >= last))
            await asyncio.wait({engine.dead, heard}, timeout=blow.seconds, return_when=asyncio.FIRST_COMPLETED)
            engine.send(signal.SIGKILL)
            heard.cancel()

    def _count(self, blow: Blow, before: str, *, answered: bool) -> None:
        self.ledger.count[f"killed {blow.kind}"] += 1
        if not answered:
            self.ledger.count["killed and had not answered"] += 1
        if before:
            self.ledger.count[f"killed before {before}()"] += 1

    def look(self, to: Path) -> None:
        """While no engine lives: the database is sound, and has what was acknowledged."""
        if not (self.home / FILE).exists():
            return
        with checks.copied(self.home, to) as connection:
            if not connection.execute("PRAGMA user_version").fetchone()[0]:
                return  # the first one died before it had made its tables
            rows = checks.sound(connection)
            self.ledger.markers |= checks.markers(connection)
            newest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
        checks.nothing_is_missing(self.ledger, rows, newest[0] if newest else 0)

    async def end(self, nursery: Nursery) -> None:
        """Everything is let go and runs to its end; then the last engine stops as it should."""
        engine = await self._born(nursery, Blow("asked to stop"))
        assert await engine.ready, (self.home / "engine.log").read_text()[-2_000:]
        load = Load(self.home, self.ledger, self.work, self.rng)
        async with Client(self.home) as client, asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(client))
            await load.send_again(client)
            await load.let_all_end(client)
            newest = (await client.status()).seq
            await self.ledger.until(lambda: self.ledger.seq >= newest)
            engine.send(signal.SIGTERM)
            await following
        assert (await engine.dead).code == 0

    async def _follow(self, client: Client) -> None:
        with contextlib.suppress(NoEngineError):
            await self.ledger.follow(client)

    async def judge(self, place: Path) -> None:
        """All of the books."""
        connection = sqlite3.connect(self.home / FILE)
        try:
            rows = checks.sound(connection)
            lines = self.work.read()
            self.ledger.markers |= checks.markers(connection)
            self.ledger.markers |= {marker for attempts in lines.started.values() for marker in attempts}
            checks.told_as_logged(connection, self.ledger, rows)
            checks.answered_as_kept(self.ledger)
            checks.each_ended_once(self.ledger)
            checks.each_ran_once(connection, self.ledger, lines)
            checks.each_failed_as_it_must(connection, self.ledger)
            checks.each_success_ran_to_its_end(connection, self.ledger, lines)
        finally:
            connection.close()
        checks.nothing_lives(self.ledger.markers, place)
        checks.no_defect_was_logged(self.home / LOG)
        (deep,) = [check for check in await examine(self.home, deep=True) if check.name == "log"]
        assert (deep.ok, deep.found) == (True, f"{len(rows)} jobs are as the log tells them")

    def tell(self, seconds: float) -> str:
        told = "\n".join(f"  {n:6,} {what}" for what, n in sorted(self.ledger.count.items()))
        return (
            f"{told}\n{self.engines} engines lived and died in {seconds:.0f} s: {len(self.ledger.jobs):,} jobs, "
            f"{len(self.ledger.markers):,} attempts seen; HEADWAY_CRASH_KILLS={KILLS} HEADWAY_CRASH_SEED={SEED}"
        )


async def test_nothing_is_lost_or_run_twice_however_often_the_engine_is_killed(
    home: Path, tmp_path: Path, repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    settings_file(home, SETTINGS)
    rng = random.Random(SEED)
    house = House(home, Work(tmp_path / "work", repository, rng), rng)
    house.work.prepare()
    try:
        async with Nursery() as nursery:
            for number in range(1, KILLS + 1):
                async with asyncio.timeout(PATIENCE):
                    await house.live_and_die(nursery)
                if number % LOOK_EVERY == 0 or number == KILLS:
                    house.look(tmp_path / "copy")
            async with asyncio.timeout(3 * PATIENCE):  # some forty jobs are left
                await house.end(nursery)
        await house.judge(tmp_path)
    finally:
        with capfd.disabled() if "HEADWAY_CRASH_KILLS" in os.environ else contextlib.nullcontext():
            print(house.tell(time.monotonic() - began))
