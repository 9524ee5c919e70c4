"""Real trees of processes: all of an attempt is found and ended, however it hides, and nobody else is touched."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.runner import cgroup, procfs, spawn, tree
from engine.runner.cgroup import Cgroups
from engine.runner.reaper import become_subreaper
from engine.runner.tree import MARKER, Tree
from tests.runner.wood import HIDDEN, HIDING, PATIENCE, SLEEP, Wood, sleeper


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Every pid that anything in this process sends a signal to."""
    seen: set[int] = set()
    kill = os.kill

    def noting(pid: int, number: int) -> None:
        seen.add(pid)
        kill(pid, number)

    monkeypatch.setattr(os, "kill", noting)
    return seen


@pytest.fixture
def group(tmp_path: Path, marker: str) -> Iterator[Path]:
    groups = Cgroups.detect(tmp_path)
    made = groups.create(marker)
    if made is None:
        groups.close()
        pytest.skip("no cgroup can be had here")
    yield made
    cgroup.kill(made)
    groups.close()


async def test_everything_of_an_attempt_is_found_and_nothing_else(wood: Wood, marker: str) -> None:
    root = wood.start(HIDING, marker=marker)
    wood.start(sleeper("other"), marker=f"{marker}x")
    wood.start(sleeper("same-start"), marker=marker[:-1])
    wood.start(sleeper("unmarked"), env={"NOTE": f"{MARKER}={marker}"})
    await wood.hear("other", "same-start", "unmarked")
    mine = await wood.hear(*HIDDEN)
    assert Tree(root, marker, None).members() == mine


async def test_all_of_it_is_ended_and_nobody_else_is_signalled(wood: Wood, marker: str, signalled: set[int]) -> None:
    root = wood.start(HIDING, marker=marker)
    wood.start(HIDING.replace('echo "', 'echo "other-'), marker=str(uuid.uuid4()))
    mine = await wood.hear(*HIDDEN)
    await wood.hear(*(f"other-{name}" for name in HIDDEN))
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, None), PATIENCE)
    assert wood.alive(*HIDDEN) == set()
    assert wood.alive(*(f"other-{name}" for name in HIDDEN)) == {f"other-{name}" for name in HIDDEN}
    assert signalled == mine


async def test_what_does_not_listen_is_killed_when_the_grace_is_over(wood: Wood, marker: str) -> None:
    deaf = "trap '' TERM INT HUP"
    root = wood.start(
        f"{deaf}; setsid {sleeper('deaf')} & {sleeper('deaf-2')} & {SLEEP.format(name='shim')}", marker=marker
    )
    await wood.hear("deaf", "deaf-2", "shim")
    begun = asyncio.get_running_loop().time()
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, None), 0.2)
    assert asyncio.get_running_loop().time() - begun >= 0.2, "it had its grace"
    assert wood.alive() == set()


async def test_what_listens_is_given_the_time_to_tidy_up(wood: Wood, marker: str, tmp_path: Path) -> None:
    script = (
        f'trap \'echo tidy >{tmp_path}/tidy; exit 0\' TERM; echo "shim $$" >"$0"; while :; do sleep 600 & wait; done'
    )
    root = wood.start(script, marker=marker)
    await wood.hear("shim")
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, None), PATIENCE)
    assert (tmp_path / "tidy").read_text() == "tidy\n"
    assert Tree(root, marker, None).members() == set()


async def test_what_is_started_on_being_asked_to_end_is_ended_too(wood: Wood, marker: str) -> None:
    late = 'sh -c \'echo "late $$" >"$0"; exec sleep 600\' "$0"'
    script = f'on_term() {{ (setsid {late} &); exit 0; }}; trap on_term TERM; echo "shim $$" >"$0"; sleep 600 & wait'
    root = wood.start(script, marker=marker)
    await wood.hear("shim")
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, None), PATIENCE)
    assert Tree(root, marker, None).members() == set()
    assert wood.alive() == set()


async def test_what_waits_for_something_that_it_began_after_it_was_asked_has_it_ended(
    wood: Wood, marker: str, tmp_path: Path
) -> None:
    """A shell between two commands of a loop does: it hears that it shall end once the next one has."""
    loop = "while :; do sleep 600; done"
    script = f'trap \'sleep 600; echo tidy >{tmp_path}/tidy; exit 0\' TERM; echo "shim $$" >"$0"; {loop}'
    root = wood.start(script, marker=marker)
    await wood.hear("shim")
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, None), 2 * PATIENCE)
    assert (tmp_path / "tidy").read_text() == "tidy\n"
    assert Tree(root, marker, None).members() == set()


async def test_a_stopped_process_is_ended_all_the_same(wood: Wood, marker: str) -> None:
    root = wood.start(SLEEP.format(name="shim"), marker=marker)
    (pid,) = await wood.hear("shim")
    os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, None), 0.05)
    assert wood.alive() == set()


async def test_nothing_is_called_over_while_the_kernel_holds_on_to_it(
    wood: Wood, marker: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = wood.start(f"trap '' TERM; {SLEEP.format(name='shim')}", marker=marker)
    await wood.hear("shim")
    monkeypatch.setattr(tree, "KILL_ROUNDS", 3)
    monkeypatch.setattr(tree, "ROUND_SECONDS", 0.01)
    send, rounds = tree._signal, 0

    def held(pids: set[int], number: signal.Signals) -> None:
        """For some rounds it waits for something and does not die."""
        nonlocal rounds
        rounds += number is signal.SIGKILL
        if number is not signal.SIGKILL or rounds > 7:
            send(pids, number)

    monkeypatch.setattr(tree, "_signal", held)
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, None), 0)
    assert wood.alive() == set()
    assert [f"still there after {n} times: [{root.pid}]" in caplog.text for n in (3, 6, 9)] == [True, True, False]


async def test_without_grace_all_is_over_at_once(wood: Wood, marker: str) -> None:
    root = wood.start(f"trap '' TERM; {SLEEP.format(name='shim')}", marker=marker)
    await wood.hear("shim")
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, None), 0)
    assert wood.alive() == set()


async def test_stopping_what_has_ended_already_does_nothing(wood: Wood, marker: str, signalled: set[int]) -> None:
    root = wood.start("exit 0", marker=marker)
    await spawn.ended(root.pid)
    await tree.stop(Tree(root, marker, None), PATIENCE)
    await tree.stop(Tree(None, marker, None), PATIENCE)
    assert signalled == set()


# Pids are used again


async def test_a_pid_that_belongs_to_somebody_else_by_now_is_left_alone(wood: Wood, signalled: set[int]) -> None:
    bystander = wood.start(f"{sleeper('child')} & {SLEEP.format(name='bystander')}")
    await wood.hear("bystander", "child")
    for stale in (replace(bystander, started=bystander.started - 1), replace(bystander, boot="an earlier boot")):
        old = Tree(stale, str(uuid.uuid4()), None)
        assert old.members() == set()
        await tree.stop(old, PATIENCE)
    assert signalled == set()
    assert wood.alive("bystander", "child") == {"bystander", "child"}


async def test_what_outlived_its_shim_is_found_by_its_mark_and_by_its_session(wood: Wood, marker: str) -> None:
    script = f'(setsid {sleeper("marked")} &); (env -i PATH="$PATH" {sleeper("bare")} &); read x <"$0.end"'
    os.mkfifo(f"{wood.pipe}.end")
    root = wood.start(script, marker=marker)
    marked, bare = await wood.hear("marked"), await wood.hear("bare")
    Path(f"{wood.pipe}.end").write_text("\n")
    await spawn.ended(root.pid)
    assert Tree(root, marker, None).members() == marked | bare
    assert Tree(root, marker, None, adopted=True).members() == marked, "its number may be another session's by now"
    assert Tree(None, marker, None, adopted=True).members() == marked, "where the shim died before it could say"
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, None), PATIENCE)
    assert wood.alive() == set()


def reap(orphan: int) -> None:
    os.waitpid(orphan, 0)


@pytest.fixture
def subreaper() -> Iterator[None]:
    assert become_subreaper()
    yield
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


@pytest.mark.parametrize("hidden", ["", 'env -i PATH="$PATH" '], ids=["marked", "bare"])
@pytest.mark.usefixtures("subreaper")
async def test_a_subreaper_sees_cheaply_what_outlived_its_shim(wood: Wood, marker: str, hidden: str) -> None:
    os.mkfifo(f"{wood.pipe}.end")
    root = wood.start(f'({hidden}{sleeper("stray")} &); read x <"$0.end"', marker=marker)
    stray = await wood.hear("stray")
    whole = Tree(root, marker, None)
    Path(f"{wood.pipe}.end").write_text("\n")
    await spawn.ended(root.pid)
    assert stray <= set(procfs.children()), "it came to us"
    assert whole.strays(subreaper=True) == stray
    async with asyncio.timeout(PATIENCE):
        await tree.stop(whole, PATIENCE)
    assert wood.alive() == set()
    for pid in stray:
        reap(pid)


@pytest.mark.usefixtures("subreaper")
async def test_the_strays_of_another_attempt_are_not_ours(wood: Wood, marker: str) -> None:
    os.mkfifo(f"{wood.pipe}.end")
    other = wood.start(f'({sleeper("stray")} &); read x <"$0.end"', marker=str(uuid.uuid4()))
    (stray,) = await wood.hear("stray")
    Path(f"{wood.pipe}.end").write_text("\n")
    await spawn.ended(other.pid)
    mine = wood.start("exit 0", marker=marker)
    await spawn.ended(mine.pid)
    assert Tree(mine, marker, None).strays(subreaper=True) == set()
    os.kill(stray, signal.SIGKILL)
    reap(stray)


# With a cgroup

JOIN = 'echo $$ >"$GROUP/cgroup.procs"; '
#: Only a group finds this one: no mark, no descent, no session of the attempt.
LOST = 'setsid sh -c "echo nowhere \\$\\$ >\\"\\$0\\"; exec sleep 600" "$0" &'
NOWHERE = f'(env -i PATH="$PATH" setsid sh -c \'({LOST})\' "$0" &)'


async def test_a_group_finds_even_what_has_left_every_trace(wood: Wood, marker: str, group: Path) -> None:
    root = wood.start(f"{JOIN}{NOWHERE}\n{HIDING}", marker=marker, env={"GROUP": str(group)})
    everything = await wood.hear(*HIDDEN, "nowhere")
    whole = Tree(root, marker, group)
    assert whole.members() == everything
    os.kill(root.pid, signal.SIGKILL)
    await spawn.ended(root.pid)
    assert whole.strays(subreaper=False) == everything - {root.pid}
    async with asyncio.timeout(PATIENCE):
        await tree.stop(whole, 0.2)
    assert wood.alive() == set()


async def test_a_group_is_given_back_when_it_is_empty(wood: Wood, marker: str, group: Path, tmp_path: Path) -> None:
    groups = Cgroups(group.parent)
    root = wood.start(f"{JOIN}{SLEEP.format(name='shim')}", marker=marker, env={"GROUP": str(group)})
    await wood.hear("shim")
    groups.remove(group)
    assert groups.of(marker) == group, "not while something is in it"
    async with asyncio.timeout(PATIENCE):
        await tree.stop(Tree(root, marker, group), PATIENCE)
    groups.remove(group)
    assert groups.of(marker) is None


def test_where_there_are_no_groups_nothing_is_asked_of_them(tmp_path: Path) -> None:
    none = Cgroups(None)
    assert (none.create("x"), none.of("x")) == (None, None)
    none.remove(None)
    none.close()
    assert cgroup.members(tmp_path / "gone") == set()
    cgroup.kill(tmp_path / "gone")
