"""The faults: each is put into a stage of its own, and comes back as a card."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from console.fire.card import Card, gap
from console.fire.clock import clock_set
from console.fire.playing import Seen, fail, kind_is, settle, think
from console.fire.ssh import ssh_dropped
from console.fire.stage import JOBS, Stage, kill_group, stage
from engine.errors import HeadwayError
from engine.events import Event, Requeued
from engine.model import JobSpec
from engine.server.client import Client

DISK = "24m"  #: of the file system that is filled
LONG = 1_000_000  #: characters of a job that needs more room than a full disk has left in its journal
GARBAGE = (
    "printf '%s\\n' '{\"type\":\"assistant\",\"message\":{' '\\377\\376' 'rate limit reached' >>/proc/$PPID/fd/1; "
    "head -c 3000000 /dev/zero | tr '\\0' x >>/proc/$PPID/fd/1; echo >>/proc/$PPID/fd/1"
)


async def engine_killed(folder: Path) -> Card:
    """The engine is killed while all its slots are busy, and started again, as a supervisor does."""
    async with stage(folder) as one:
        jobs = await one.submit([think(2.0)], [think(0.5)], jobs=2 * JOBS)
        for job in jobs[:JOBS]:
            await one.pid(job)
        at = time.monotonic()
        await asyncio.to_thread(one.kill)
        await asyncio.to_thread(one.start)
        back = time.monotonic()
        return await settle(one, "engine killed", Seen(at, back, "the next engine answers", jobs))


async def agent_killed(folder: Path) -> Card:
    """One agent is killed in the middle of its work."""
    async with stage(folder) as one:
        jobs = await one.submit([think(3.0)], [think(0.2)])
        pid = await one.pid(jobs[0])
        at = time.monotonic()
        kill_group(pid)
        heard, event = await one.until(lambda event: event.job == jobs[0] and kind_is("requeued")(event), at)
        assert isinstance(event.body, Requeued), "it was waited for"
        told = f"J{jobs[0]} {event.body.failure}"
        return await settle(one, "agent killed", Seen(at, heard, told, jobs))


async def storm(folder: Path) -> Card:
    """Every job meets a closed window at once; it opens again after some seconds."""
    async with stage(folder) as one:
        at = time.monotonic()
        limit = [think(0.2), fail("usage_limit", resets_in=4)]
        jobs = await one.submit(limit, [{"do": "limit", "used": 0.02}, think(0.2)], jobs=3 * JOBS)
        heard, _ = await one.until(kind_is("limit_seen"), at)
        card = await settle(one, "storm of 429", Seen(at, heard, "the window is closed", jobs))
        late = [t for t, event in one.events if kind_is("launched")(event) and heard + 0.5 < t < at + 3.5]
        return replace(card, trouble=card.trouble or (f"{len(late)} calls into the closed window" if late else ""))


async def outage(folder: Path) -> Card:
    """The provider answers nobody for a while."""
    async with stage(folder) as one:
        at = time.monotonic()
        jobs = await one.submit([think(0.1), fail("overloaded")], [think(0.2)])
        heard, _ = await one.until(kind_is("requeued"), at)
        return await settle(one, "provider outage", Seen(at, heard, "overloaded", jobs))


async def hang(folder: Path) -> Card:
    """An agent says nothing any more, and does not end."""
    async with stage(folder, "stall: 2\n") as one:
        at = time.monotonic()
        jobs = await one.submit([think(0.1), fail("hang")], [think(0.2)], jobs=2)
        heard, event = await one.until(kind_is("requeued"), at)
        assert isinstance(event.body, Requeued), "it was waited for"
        return await settle(one, "agent hangs", Seen(at, heard, str(event.body.failure), jobs))


async def disk_full(folder: Path) -> Card:
    """The disk is filled under a running engine, and emptied again."""
    folder.mkdir(parents=True)
    mounted = await asyncio.to_thread(
        subprocess.run,
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "none", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        return Card(fault="disk full", jobs=0, skipped=f"no file system can be mounted: {mounted.stderr.strip()}")
    try:
        async with stage(folder) as one:
            jobs = await one.submit([think(1.5)], [think(0.2)])
            for job in jobs:
                await one.pid(job)
            at = time.monotonic()
            filler = folder / "filler"
            await asyncio.to_thread(_fill, filler)
            refused = ""
            while not refused:
                refused = await _refusal(one, jobs)
            heard = time.monotonic()
            filler.unlink()
            return await settle(one, "disk full", Seen(at, heard, refused, jobs))
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", "--lazy", str(folder)], check=False)


def _fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


async def _refusal(one: Stage, jobs: list[int]) -> str:
    """What a submission is told that needs more room than there is. One that finds room is among the jobs."""
    try:
        async with Client(one.home) as client:
            jobs += await client.submit([JobSpec(prompt=f"true #{'x' * LONG}", agent="shell")])
    except HeadwayError as error:
        full = "is full" in error.message
        return "a submission is told that the disk is full" if full else error.message.splitlines()[0]
    return ""


async def line_cut(folder: Path) -> Card:
    """A reader's line to the engine is cut again and again, as by a lost SSH connection."""
    async with stage(folder) as one:
        at = time.monotonic()
        jobs = await one.submit([think(0.5), think(0.5)], jobs=2 * JOBS)
        seqs: list[int] = []
        ended: set[int] = set()
        cuts = 0
        async with Client(one.home) as client:
            newest = (await client.status()).seq
        while len(ended) < len(jobs):
            async with Client(one.home) as client, aclosing(client.follow(after=seqs[-1] if seqs else 0)) as events:
                taken = 0
                async for item in events:
                    if not isinstance(item, Event):
                        continue
                    seqs.append(item.seq)
                    newest = max(newest, item.seq)
                    taken += 1
                    if kind_is("succeeded", "failed")(item):
                        ended.add(item.job or 0)
                    if taken == 5 or len(ended) == len(jobs):
                        break
            cuts += 1
        told = f"cut {cuts} times, gone on from the last event"
        return await settle(one, "line cut", Seen(at, at, told, jobs), gap(seqs, newest))


async def garbage(folder: Path) -> Card:
    """Agents print broken JSON, bytes that are no text, three million characters in a line, and talk of limits."""
    async with stage(folder) as one:
        at = time.monotonic()
        jobs = await one.submit([{"do": "run", "command": GARBAGE}, think(0.2)])
        heard, _ = await one.until(kind_is("succeeded", "failed"), at)
        card = await settle(one, "garbled lines", Seen(at, heard, "", jobs))
        async with Client(one.home) as client:
            failed = [row.id for row in await client.rows(jobs) if row.state != "succeeded"]
            unknown = sum([(await client.job(job)).attempts[-1].unknown_lines for job in jobs])
        trouble = f"{len(failed)} jobs did not succeed" if failed else "" if unknown else "nothing was seen of it"
        return replace(card, by=f"{unknown} lines were put aside", trouble=card.trouble or trouble)


FAULTS: dict[str, Callable[[Path], Coroutine[Any, Any, Card]]] = {
    "engine": engine_killed,
    "agent": agent_killed,
    "storm": storm,
    "outage": outage,
    "hang": hang,
    "disk": disk_full,
    "clock": clock_set,
    "line": line_cut,
    "ssh": ssh_dropped,
    "garbage": garbage,
}
