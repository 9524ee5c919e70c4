"""When an agent was last heard, by what its adapter reads in its output."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from engine.agents.base import Agent
from engine.agents.registry import agents
from engine.hub import Hub
from engine.model import Target
from engine.runner.follow import Follower
from engine.runner.watch import Watch
from engine.window import Reading, Standing

LONG_AGO = 1_000.0


def watching(agent: Agent) -> Watch:
    watch = Watch(1, 1, Target(agent.name), agent.parser(), Hub(), lambda readings: None)
    watch.heard -= LONG_AGO
    return watch


def quiet(watch: Watch) -> float:
    return time.monotonic() - watch.heard


async def test_any_line_of_a_command_is_heard_and_of_an_agent_what_its_adapter_makes_an_event_of() -> None:
    shell, claude = watching(agents()["shell"]), watching(agents()["claude"])
    for watch in (shell, claude):
        watch.sink([])
        assert quiet(watch) >= LONG_AGO
    shell.sink([b"line"])
    assert quiet(shell) < LONG_AGO
    claude.sink([b'{"type":"keep_alive"}', b""])
    assert quiet(claude) >= LONG_AGO
    claude.sink([b'{"type":"system","subtype":"init","session_id":"x"}'])
    assert quiet(claude) < LONG_AGO
    shell.close()
    claude.close()


async def test_what_was_printed_before_an_adoption_breaks_no_silence(tmp_path: Path) -> None:
    follower, path = Follower(), tmp_path / "stdout"
    path.write_bytes(b"old\n" * 10)
    watch = watching(agents()["shell"])
    printed = path.stat().st_size
    watch.adopt(LONG_AGO, lambda: follower.position(1) > printed)
    follower.add(1, path, watch.sink)
    task = asyncio.create_task(follower.run())
    async with asyncio.timeout(30):
        await follower.grown(1)
        assert follower.position(1) == printed
        assert quiet(watch) >= LONG_AGO
        with path.open("ab") as file:
            file.write(b"new\n")
        await follower.grown(1)
    assert quiet(watch) < LONG_AGO
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    watch.close()


LIMIT = (
    b'{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":9999999999,'
    b'"rateLimitType":"five_hour"}}'
)


async def test_what_an_earlier_engine_has_let_lie_was_said_when_the_agent_last_said_something() -> None:
    """Read again after a restart, a reading is as old as the silence; what comes then is new."""
    seen: list[Reading] = []
    claude, old = agents()["claude"], [True]
    watch = Watch(1, 1, Target("claude", "opus", "work"), claude.parser(), Hub(), seen.extend)
    watch.adopt(3_600, lambda: not old[0])
    watch.sink([LIMIT])
    old[0] = False
    watch.sink([LIMIT])
    first, second = seen
    assert (first.standing, first.source, first.asked) == (Standing.CLOSED, "claude rate_limit_event", "opus")
    assert 3_599_000 <= second.at - first.at <= 3_700_000
    watch.close()
