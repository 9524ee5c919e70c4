"""All running attempts in one look: the same answer as each tree gives by itself, and it is remembered."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from pathlib import Path

from engine.runner import procfs, spawn
from engine.runner.census import Census
from engine.runner.tree import Tree
from tests.runner.wood import HIDDEN, HIDING, SLEEP, Wood, sleeper


async def test_each_process_is_counted_for_its_own_attempt(wood: Wood, marker: str) -> None:
    other = str(uuid.uuid4())
    first = Tree(wood.start(HIDING, marker=marker), marker, None)
    second = Tree(wood.start(HIDING.replace('echo "', 'echo "other-'), marker=other), other, None)
    wood.start(sleeper("stranger"))
    await wood.hear("stranger", *HIDDEN, *(f"other-{name}" for name in HIDDEN))
    while min(len(first.members()), len(second.members())) < len(HIDDEN):
        await asyncio.sleep(0.01)  # each has told its name, and some have yet to start what they wait for
    census = Census()
    for _ in range(2):
        found = census.take({1: first, 2: second})
        assert found == {1: first.members(), 2: second.members()}
    assert len(found[1]) == len(HIDDEN)
    assert census.take({2: second}) == {2: second.members()}, "what has ended is not asked about any more"


async def test_one_that_has_left_its_tree_is_still_its_attempts(wood: Wood, marker: str) -> None:
    """It cleared its environment, and then its parent died: only what was known before tells whose it is."""
    lost_one = 'env -i PATH="$PATH" setsid sh -c "echo lost \\$\\$ >$0; exec sleep 600"'
    middle = f"sh -c '{lost_one} & {SLEEP.format(name='middle')}' \"$0\""
    whole = Tree(wood.start(f"{middle} & {SLEEP.format(name='shim')}", marker=marker), marker, None)
    (lost,) = await wood.hear("lost")
    (between,) = await wood.hear("middle")
    await wood.hear("shim")
    census = Census()
    assert lost in census.take({1: whole})[1]
    os.kill(between, signal.SIGKILL)
    await spawn.all_ended([between], 30)
    assert lost not in whole.members(), "else this shows nothing"
    assert lost in census.take({1: whole})[1]


async def test_an_orphan_is_found_by_its_marker_though_it_was_seen_before_its_attempt_was_known(
    wood: Wood, marker: str
) -> None:
    os.mkfifo(f"{wood.pipe}.end")
    root = wood.start(f'(setsid {sleeper("orphan")} &); read x <"$0.end"', marker=marker)
    (orphan,) = await wood.hear("orphan")
    other = str(uuid.uuid4())
    second = Tree(wood.start(sleeper("second"), marker=other), other, None)
    await wood.hear("second")
    Path(f"{wood.pipe}.end").write_text("\n")
    await spawn.ended(root.pid)
    census = Census()
    census.take({2: second})
    assert census.take({1: Tree(root, marker, None, adopted=True), 2: second})[1] == {orphan}


async def test_the_number_of_a_shim_that_is_another_process_by_now_is_not_believed(wood: Wood) -> None:
    stranger = wood.start(f"{sleeper('child')} & {SLEEP.format(name='stranger')}")
    await wood.hear("child", "stranger")
    stale = procfs.Identity(stranger.pid, stranger.started - 1, stranger.boot)
    assert Census().take({1: Tree(stale, str(uuid.uuid4()), None)}) == {1: set()}
