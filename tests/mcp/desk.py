"""A real engine with attempts that hold a capability, and the official SDK's client on their shims."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import StdioServerParameters
from mcp.client.client import Client

from engine import events as log
from engine.config import AgentSettings, McpSettings, ProjectSettings, Settings
from engine.engine import Engine
from engine.mcp import shim
from engine.mcp.capability import FILE
from engine.model import JobSpec, Wanted
from engine.runner.run_dir import run_dir
from tests.conftest import PATIENCE
from tests.waiting import until

#: What an attempt in a project is offered, in the order of the list.
OFFERED = ("ask_operator", "report_progress", "submit_job", "job_status", "recall", "remember", "hand_off")
HOLD = "exec sleep 600"  #: what an attempt does while something else speaks in its name


def settings(project: Path | None = None, **mcp: object) -> Settings:
    """Shell jobs with all tools, so that the test can be their agent."""
    projects = {"p": ProjectSettings(path=str(project))} if project is not None else {}
    return Settings(
        max_running=8,
        grace=1.0,
        agents={"shell": AgentSettings(mcp=True)},
        projects=projects,
        mcp=McpSettings(**mcp),  # type: ignore[arg-type]
    )


def server(capability: Path) -> StdioServerParameters:
    return StdioServerParameters(command=sys.executable, args=["-I", "-S", str(shim.__file__), str(capability)])


@contextlib.asynccontextmanager
async def client(capability: Path, mode: str = "auto") -> AsyncIterator[Client]:
    """The SDK's client on a shim of that capability."""
    async with asyncio.timeout(PATIENCE), Client(server(capability), mode=mode) as one:  # type: ignore[arg-type]
        yield one


async def call(one: Client, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Whether a call went well, and what it said."""
    result = await one.call_tool(tool, arguments)
    (content,) = result.content
    return not result.is_error, content.text  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt that runs."""

    job: int
    attempt: int
    capability: Path


async def held(engine: Engine, **spec: object) -> Held:
    """A shell job that runs until it is cancelled."""
    job = JobSpec(prompt=HOLD, agent="shell", **spec)  # type: ignore[arg-type]
    return await launched(engine, (await engine.submit(Wanted([job]))).ids[0])


async def launched(engine: Engine, job: int) -> Held:
    """A job's first attempt, once it runs."""

    async def look() -> Held | None:
        for event in await engine.store.read.events(0, 10_000, job):
            if isinstance(event.body, log.Launched):
                return Held(job, event.attempt or 0, run_dir(engine.home, job, 1).path / FILE)
        return None

    return await until(engine, look)
