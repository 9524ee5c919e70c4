"""What speaks Ray, without Ray."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.cluster import driver, link
from engine.cluster.driver import Driver
from engine.cluster.words import Answer, Free, Settled


def told(name: str, number: str, **more: object) -> dict[str, Any]:
    resources = {"slots": 2.0, "memory": 100.0, f"node:{number}": 1.0}
    return {
        "NodeID": number, "NodeName": name, "NodeManagerAddress": f"10.0.0.{number}", "Alive": True,
        "Resources": resources, "Labels": {"ray.io/node-id": number, "region": "eu"}, **more,
    }  # fmt: skip


def test_of_two_machines_of_one_name_the_one_that_has_attempts_stays() -> None:
    first, second = told("rack", "2"), told("rack", "1")
    (seen,) = driver._nodes([first], {})
    assert (seen.id, seen.offers, seen.labels, seen.trouble) == (
        "2", {"slots": 2.0, "memory": 100.0}, {"region": "eu"}, "",
    )  # fmt: skip
    (seen,) = driver._nodes([first, second], {"rack": "2"})
    assert seen.id == "2", "the second is no news of the first"
    assert "another machine, 10.0.0.1, has joined by the same name" in seen.trouble
    (seen,) = driver._nodes([{**first, "Alive": False}, second], {"rack": "2"})
    assert (seen.id, seen.trouble) == ("1", ""), "it came back"


async def test_whoever_asks_is_answered_whatever_ray_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(free: Free) -> Answer:
        raise RuntimeError("of all things\nat length")

    monkeypatch.setattr(driver, "_free", fails)
    said: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def say(message: object) -> None:
        said.set_result(message)

    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_unix_connection(sock=ours)
    with theirs:
        one = Driver(Settled("127.0.0.1:1", "n", "/h", []), writer)
        monkeypatch.setattr(one, "say", say)
        one.take(Free(7, ["1"]))
        async with asyncio.timeout(20):
            answer = await said
        writer.close()
    assert answer == Answer(7, unreachable="the cluster failed: RuntimeError: of all things")


def test_a_project_with_an_engine_of_its_own_is_not_taken_for_this_one(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('that of the project')")
    done = subprocess.run(
        [sys.executable, *link.COMMAND], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert "that of the project" not in done.stderr
    assert done.stderr.startswith("headway: the cluster cannot be reached: OSError"), done.stderr


async def test_a_driver_that_ends_is_started_anew_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray ends it a minute after its head is gone. The engine does not go with it."""
    dies = "import os, sys; print('headway: no head', file=sys.stderr, flush=True); os.read(0, 1 << 16); os._exit(1)"
    monkeypatch.setattr(link, "COMMAND", ("-c", dies))
    monkeypatch.setattr(link, "AGAIN_SECONDS", 0.01)
    line = link.DriverLink(Settled("127.0.0.1:1", "n", "/h", []), {}, tmp_path)
    ends: asyncio.Queue[str] = asyncio.Queue()
    line.watch(lambda: ends.put_nowait(line.trouble))
    running = asyncio.create_task(line.run())
    try:
        async with asyncio.timeout(60):
            getting = asyncio.gather(*(ends.get() for _ in range(3)))
            await asyncio.wait({running, getting}, return_when=asyncio.FIRST_COMPLETED)
        assert not running.done(), running.exception()
        assert await getting == ["no head"] * 3
    finally:
        running.cancel()
