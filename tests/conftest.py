"""What most tests need: a home, an engine that serves it, a client, a repository."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import pytest

from console.launch import start_engine
from engine import events as log
from engine.config import AgentSettings, Settings
from engine.engine import Engine
from engine.events import Event
from engine.model import JobSpec
from engine.server.client import Client
from engine.serving import serving
from tests import fresh
from tests.forked import forks, popen
from tests.waiting import PATIENCE, until


def pytest_configure() -> None:
    fresh.hasten()
    # How long an example takes is the machine's affair.
    hypothesis.settings.register_profile("headway", deadline=None)
    hypothesis.settings.load_profile("headway")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is loaded for the tests stays to the end: looking for garbage in it took a third of the time to collect."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _forked_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that a test starts is forked from a process that has loaded it already."""
    monkeypatch.setattr("console.launch.subprocess", Starting)


class Starting:
    """What `console.launch` uses of `subprocess`."""

    DEVNULL = subprocess.DEVNULL
    Popen = staticmethod(popen)


ENDS = log.Succeeded | log.Failed | log.Cancelled


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit."""
    path = tmp_path / "project"
    path.mkdir()
    (path / "a.txt").write_text("one\n")
    run_git(path, "init", "--quiet", "--initial-branch=main")
    run_git(path, "add", ".")
    run_git(path, "commit", "--quiet", "--message", "first")
    return path


def run_git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(directory), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def settings() -> Settings:
    return Settings(max_running=8, grace=1.0, agents={"shell": AgentSettings()})


@pytest.fixture
async def engine(home: Path, settings: Settings) -> AsyncIterator[Engine]:
    """An engine in this process, without a socket."""
    async with serving(home, settings) as running:
        yield running


async def ended(engine: Engine, jobs: list[int]) -> None:
    """Wait until all of these jobs have ended."""

    async def look() -> bool | None:
        return all(row.ended_at is not None for row in await engine.store.read.rows(jobs)) or None

    await until(engine, look)


def shell(command: str, **options: object) -> JobSpec:
    return JobSpec(prompt=command, agent="shell", **options)  # type: ignore[arg-type]


@dataclass(slots=True)
class Served:
    """An engine in a process of its own, as users run it."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Start it and return its pid once it answers."""
        self.process = start_engine(self.home, env=self.env)
        return self.process.pid

    def kill(self) -> None:
        """kill -9, as the kernel or an impatient operator does it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def headway(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command line against this home."""
        return forks().run(
            ["--home", str(self.home), *arguments], stdin=stdin, timeout=PATIENCE, env={**os.environ, **self.env}
        )

    def json(self, *arguments: str) -> object:
        done = self.headway(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    async def until(self, check: Callable[[Event], bool], *, after: int = 0) -> None:
        """Read the engine's log until an event passes the check."""
        async with asyncio.timeout(PATIENCE), Client(self.home) as client:
            async for event in client.follow(after):
                if isinstance(event, Event) and check(event):
                    return

    async def until_ended(self, jobs: list[int]) -> None:
        left = set(jobs)

        def seen(event: Event) -> bool:
            if isinstance(event.body, ENDS):
                left.discard(event.job or 0)
            return not left

        await self.until(seen)


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    """A served home; whatever runs there when the test ends is cancelled and the engine stopped."""
    one = Served(home)
    yield one
    if one.process is not None:
        if one.process.poll() is not None:
            one.start()
        running = one.json("jobs", "state:running", "--limit", "1000")
        assert isinstance(running, list)
        if running:
            one.headway("cancel", *(str(job["id"]) for job in running))
        one.stop()


def settings_file(home: Path, text: str) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "headway.yaml").write_text(text)
