"""A home for one fault: an engine of its own process, jobs that play a scenario, and the log as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import msgspec

from console.fire import wrong_clock
from console.launch import start_engine
from engine.errors import HeadwayError
from engine.events import Event, Launched
from engine.model import UNFINISHED, JobSpec, Verb
from engine.server.client import Client

PATIENCE = 180.0  #: seconds for the jobs of one fault to end
JOBS = 6
#: The last that a job does: work that is done twice is seen here.
MARK = "printf '%s\\n' \"$HEADWAY_JOB\" >>{marks}"


class NoEndError(HeadwayError):
    """Something did not come within the drill's patience."""


@dataclass(slots=True)
class Stage:
    """One for a fault. `events` grows as the engine tells; each with the moment at which it was heard."""

    folder: Path
    settings: str = ""
    own_clock: bool = False
    """Its engine goes by a clock that can be set."""
    engine: Popen[bytes] | None = None
    events: list[tuple[float, Event]] = field(default_factory=list)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def marks(self) -> Path:
        return self.folder / "marks"

    def start(self) -> None:
        """Start an engine on the home. Returns once it answers."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.home / "headway.yaml").write_text(f"max_running: {JOBS}\ngrace: 1\n{self.settings}")
        if self.own_clock:
            clock = {wrong_clock.FILE: str(self.folder / "clock")}
            self.engine = start_engine(self.home, env=clock, program=wrong_clock.__name__)
        else:
            self.engine = start_engine(self.home)

    def set_clock(self, ahead: int) -> None:
        """Set the engine's clock so many seconds ahead of the machine's."""
        assert self.engine is not None and self.own_clock, "its clock is the machine's"
        (self.folder / "clock").write_text(str(ahead))
        self.engine.send_signal(wrong_clock.SIGNAL)

    def kill(self) -> None:
        """kill -9, as the kernel or an impatient operator does it."""
        assert self.engine is not None, "nothing was started"
        self.engine.send_signal(signal.SIGKILL)
        self.engine.wait()

    def stop(self) -> None:
        if self.engine is not None and self.engine.poll() is None:
            self.engine.send_signal(signal.SIGTERM)
            self.engine.wait()

    async def submit(
        self, steps: Sequence[dict[str, object]], resumed: Sequence[dict[str, object]] = (), jobs: int = JOBS
    ) -> list[int]:
        """Jobs that play this, and leave their mark when they have done it. Their ids, once acknowledged."""
        mark = {"do": "run", "command": MARK.format(marks=self.marks)}
        said = {"do": "say", "text": "done"}
        whole = [*steps] if _fails(steps) else [*steps, mark, said]
        again = [*resumed, mark, said]
        path = self.folder / f"scenario-{len(list(self.folder.glob('scenario-*')))}.yaml"
        path.write_bytes(msgspec.json.encode({"about": "a fire drill", "steps": whole, "resumed": again}))
        async with Client(self.home) as client:
            specs = [JobSpec(prompt=f"drill {number}", agent="rehearsal", model=str(path)) for number in range(jobs)]
            return await client.submit(specs)

    async def listen(self) -> None:
        """Hear the log until cancelled, over restarts of the engine, each event once."""
        while True:
            with contextlib.suppress(HeadwayError):
                async with Client(self.home) as client:
                    last = self.events[-1][1].seq if self.events else 0
                    async for item in client.follow(after=last):
                        if isinstance(item, Event):
                            self.events.append((time.monotonic(), item))
                            self._heard.set()
            await asyncio.sleep(0.01)

    async def until(self, check: Callable[[Event], bool], since: float = 0.0) -> tuple[float, Event]:
        """The first event after a moment that passes the check, and when it was heard. Raises `NoEndError`."""
        seen = 0
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    self._heard.clear()
                    for at, event in self.events[seen:]:
                        if at >= since and check(event):
                            return at, event
                    seen = len(self.events)
                    await self._heard.wait()
        except TimeoutError:
            raise NoEndError(f"nothing of the kind was told within {PATIENCE:.0f} s") from None

    async def until_ended(self, jobs: Sequence[int]) -> float:
        """The moment by which all of these have ended. Raises `NoEndError`."""
        kinds = ("succeeded", "failed", "cancelled")
        left = set(jobs)

        def last(event: Event) -> bool:
            if event.body.__struct_config__.tag in kinds:
                left.discard(event.job or 0)
            return not left

        return (await self.until(last))[0]

    async def lost(self, jobs: Sequence[int]) -> int:
        """How many of these have no end, or are not there."""
        async with Client(self.home) as client:
            rows = {row.id: row for row in await client.rows(list(jobs))}
        return sum(job not in rows or rows[job].state in UNFINISHED for job in jobs)

    async def pid(self, job: int) -> int:
        """The process of a job's running attempt."""
        _, event = await self.until(lambda one: one.job == job and isinstance(one.body, Launched))
        assert isinstance(event.body, Launched), "it was waited for"
        return event.body.pid


def _fails(steps: Sequence[dict[str, object]]) -> bool:
    return bool(steps) and steps[-1]["do"] == "fail"


@contextlib.asynccontextmanager
async def stage(folder: Path, settings: str = "", *, own_clock: bool = False) -> AsyncIterator[Stage]:
    """A stage with an engine that is up and heard. Whatever runs on it in the end is ended."""
    folder.mkdir(parents=True, exist_ok=True)
    one = Stage(folder, settings, own_clock)
    await asyncio.to_thread(one.start)
    hearing = asyncio.create_task(one.listen())
    try:
        yield one
    finally:
        hearing.cancel()
        with contextlib.suppress(HeadwayError, OSError):
            if one.engine is not None and one.engine.poll() is None:
                async with Client(one.home) as client:
                    running = [job.id for job in await client.jobs("state:running", 1000)]
                    await client.act(Verb.CANCEL, running)
        await asyncio.to_thread(one.stop)


def kill_group(pid: int) -> None:
    """End an agent as the kernel does when memory is short: all of its group at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
