"""How much memory attempts hold, by real processes, and what is left for more."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from engine.agents.registry import agents
from engine.config import Settings
from engine.model import Failure, Resources
from engine.runner import cgroup, meter, spawn, tree
from engine.runner.meter import Meter
from engine.runner.resources import NOTHING
from engine.runner.tree import Tree
from tests.runner.wood import PATIENCE, SLEEP, Wood

MIB = 1 << 20

#: Holds so many MiB, of which as many forks as are asked for share all.
HOLD = (
    "import os, sys, time; held = bytearray(b'x') * (int(sys.argv[2]) << 20)\n"
    "for n in range(int(sys.argv[3])):\n"
    "    if os.fork() == 0: time.sleep(600)\n"
    "open(sys.argv[1], 'w').write(f'full {os.getpid()}\\n'); time.sleep(600)"
)


def holding(mib: int, forks: int = 0) -> str:
    return f'exec {sys.executable} -I -S -c "$HOLD" "$0" {mib} {forks}'


@pytest.fixture
async def scale(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Meter]:
    monkeypatch.setattr(meter, "SAMPLE_SECONDS", 0.02)
    one = Meter(Settings(memory_reserve="100M"), agents())
    task = asyncio.create_task(one.run())
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def seen(scale: Meter, attempt: int, samples: int = 1) -> None:
    """Until it has been measured so many times more."""
    one = scale._running[attempt]
    wanted, see = one.samples + samples, type(one).see
    done = asyncio.Event()

    def noting(self: meter.Measured, sample: meter.Sample, at: float) -> None:
        see(self, sample, at)
        if one.samples >= wanted:
            done.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter.Measured, "see", noting)
        async with asyncio.timeout(PATIENCE):
            await done.wait()


async def started(wood: Wood, marker: str, script: str) -> Tree:
    root = wood.start(script, marker=marker, env={"HOLD": HOLD})
    await wood.hear("full")
    return Tree(root, marker, None)


async def test_it_sees_what_a_tree_holds_and_remembers_the_most(wood: Wood, marker: str, scale: Meter) -> None:
    whole = await started(wood, marker, f"( {holding(60)} ) & {SLEEP.format(name='shim')}")
    scale.expect(7, "shell")
    assert scale.peak(7) is None
    scale.begin(7, whole, NOTHING)
    await seen(scale, 7)
    assert 60 * MIB < (scale.peak(7) or 0) < 90 * MIB
    (full,) = await wood.hear("full")
    os.kill(full, signal.SIGKILL)
    assert await spawn.all_ended([full], PATIENCE)
    await seen(scale, 7, 2)
    assert 60 * MIB < (scale.peak(7) or 0) < 90 * MIB
    assert (scale._running[7].held or 0) < 20 * MIB


async def test_it_counts_processes_and_the_time_that_they_used_also_of_those_that_are_gone(
    wood: Wood, marker: str, scale: Meter
) -> None:
    script = f'{sys.executable} -I -S -c "$BURN"; ( {holding(10)} ) & {SLEEP.format(name="shim")}'
    root = wood.start(script, marker=marker, env={"HOLD": HOLD, "BURN": "[hash(n) for n in range(3_000_000)]"})
    await wood.hear("full")
    scale.expect(7, "shell")
    assert (scale.now(7), scale.took(7)) == (None, meter.Took())
    scale.begin(7, Tree(root, marker, None), NOTHING)
    await seen(scale, 7)
    now = scale.now(7)
    assert now is not None
    assert (now.cpu_ms or 0) > 50, "the child that has ended counts with the shell that waited for it"
    assert (now.processes or 0) >= 2
    assert scale.took(7).processes_peak == now.processes
    scale.used(7, 10**6)
    await seen(scale, 7)
    assert scale.took(7).cpu_ms == 10**6, "what was used does not fall"


async def test_what_forks_share_is_counted_once_against_the_cap(wood: Wood, marker: str, scale: Meter) -> None:
    whole = await started(wood, marker, holding(60, forks=6))
    scale.expect(7, "shell")
    scale.begin(7, whole, Resources(memory=150 * MIB))
    await seen(scale, 7, 2)
    await tree.stop(whole, 0)
    assert not scale._running[7].over.is_set()
    assert (scale.peak(7) or 0) < 150 * MIB


async def test_one_that_holds_more_than_it_may_is_told_of_with_both_figures(
    wood: Wood, marker: str, scale: Meter
) -> None:
    whole = await started(wood, marker, holding(60))
    scale.expect(7, "shell")
    scale.begin(7, whole, Resources(memory=50 * MIB))
    async with asyncio.timeout(PATIENCE):
        cut = await scale.over(7)
    assert cut.failure is Failure.OUT_OF_MEMORY
    assert cut.reason.startswith("ended by its memory limit of 50 MiB, at 6")


async def test_an_agent_is_expected_to_take_what_its_attempts_took(wood: Wood, marker: str, scale: Meter) -> None:
    assert scale.memory().of("claude") == 300 * MIB
    scale.expect(1, "shell")  # with nothing running an agent is not kept waiting by what it took
    whole = await started(wood, marker, holding(60))
    scale.expect(7, "claude")
    scale.begin(7, whole, NOTHING)
    await seen(scale, 7)
    await seen(scale, 7, meter.LEAST_SAMPLES)
    assert scale.memory().of("claude") == 300 * MIB, "it runs, and may grow: many like it would be started too early"
    scale.release(7)
    assert 60 * MIB < scale.memory().of("claude") < 90 * MIB
    scale.learn([("claude", 500 * MIB), ("gone", 1)])
    assert scale.memory().of("claude") == 500 * MIB


async def test_an_attempt_has_its_memory_kept_for_it_before_it_has_started(
    scale: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "_available", lambda: 1_000 * MIB)
    assert scale.memory().free == 900 * MIB
    scale.expect(1, "claude")
    assert scale.memory().free == 600 * MIB
    scale.release(1)
    assert scale.memory().free == 900 * MIB


async def test_a_budget_is_kept_whatever_is_free(
    wood: Wood, marker: str, scale: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "_available", lambda: 64_000 * MIB)
    monkeypatch.setattr(scale, "_budget", 1_000 * MIB)
    scale.expect(1, "claude")
    assert scale.memory().free == 700 * MIB, "what it is expected to take counts before it is measured"
    scale.expect(7, "shell")
    scale.begin(7, await started(wood, marker, holding(60)), NOTHING)
    await seen(scale, 7)
    assert 600 * MIB < scale.memory().free < 640 * MIB, "and what it holds once it is"
    assert Meter(Settings(memory_budget="1G"), agents()).memory().free <= 1 << 30


async def test_the_machine_is_not_asked_again_at_once(scale: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scale.memory().free
    monkeypatch.setattr(psutil, "virtual_memory", lambda: pytest.fail("asked again"))
    assert scale.memory().free == first


async def test_with_nothing_to_measure_it_sleeps(scale: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look(*given: object) -> dict[int, meter.Sample]:
        looks.append(1)
        return {}

    monkeypatch.setattr(meter, "_measure", look)
    monkeypatch.setattr(meter, "SAMPLE_SECONDS", 0.0)
    scale.expect(1, "shell")
    for _ in range(50):
        await asyncio.sleep(0)
    assert looks == []


def test_a_group_that_counts_time_is_believed(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 7654321\nuser_usec 7000000\n")
    assert cgroup.cpu_ms(tmp_path) == 7_654
    assert cgroup.cpu_ms(tmp_path / "gone") is None


def group(path: Path, **files: str) -> Path:
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / f"memory.{name}").write_text(text)
    return path


def test_the_tightest_group_around_us_says_what_there_is_and_the_page_cache_does_not_count(tmp_path: Path) -> None:
    stat = f"anon {50 * MIB}\nfile {30 * MIB}\nshmem {10 * MIB}\n"
    around = group(tmp_path / "a", max=f"{500 * MIB}\n", current=f"{90 * MIB}\n", stat=stat)
    inside = group(tmp_path / "a" / "b", max="max\n", current=f"{90 * MIB}\n", stat=stat)
    assert cgroup.held(around) == 70 * MIB
    assert cgroup.room([inside, around]) == 430 * MIB
    assert cgroup.room([inside]) is None
    assert cgroup.room([tmp_path / "gone"]) is None
    assert cgroup.held(tmp_path / "gone") is None


def test_a_container_has_less_than_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = "file 0\nshmem 0\n"
    own = group(tmp_path / "own", max=f"{300 * MIB}\n", current=f"{90 * MIB}\n", stat=stat)
    monkeypatch.setattr(cgroup, "own_groups", lambda: [own])
    assert Meter(Settings(memory_reserve=0), agents()).memory().free == 210 * MIB


async def test_a_group_that_counts_memory_is_believed(wood: Wood, marker: str, scale: Meter, tmp_path: Path) -> None:
    stat = f"file {5 * MIB}\nshmem 0\n"
    own = group(tmp_path / "own", current=f"{75 * MIB}\n", stat=stat)
    scale.expect(7, "shell")
    scale.begin(7, Tree(None, marker, own), NOTHING)
    await seen(scale, 7)
    assert scale.peak(7) == 70 * MIB
