"""Checks on real processes: what they say, how long they may take, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.gate.checks import HEAD_BYTES, TAIL_BYTES, Check, Place, _Heard, run_checks
from engine.model import CheckResult
from engine.runner.tree import MARKER, Tree
from tests.conftest import PATIENCE

PATH = {"PATH": os.environ["PATH"]}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "a $(touch x) 'directory"
    folder.mkdir()
    return Place(folder, PATH, uuid.uuid4().hex, tmp_path / "run", grace=1.0)


def left(place: Place) -> set[int]:
    return Tree(None, place.marker, None).members()


async def check(place: Place, command: str, seconds: float = PATIENCE) -> CheckResult:
    (result,) = await run_checks([Check(command, seconds)], place)
    return result


async def test_a_check_says_what_it_printed_and_how_it_ended(place: Place) -> None:
    good = await check(place, "echo out; echo err >&2; pwd")
    assert (good.code, good.passed, good.word) == (0, True, "ok")
    assert good.output == f"out\nerr\n{place.directory}\n"
    assert place.folder is not None
    assert (place.folder / good.file).read_text() == good.output
    bad = await check(place, "exit 3")
    assert (bad.code, bad.passed, bad.word) == (3, False, "exit 3")
    killed = await check(place, "kill -9 $$")
    assert (killed.code, killed.passed) == (137, False)


async def test_a_check_sees_nothing_of_the_engine(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "secret")
    told = (await check(place, "env; cat; ls /proc/self/fd | wc -l")).output
    assert "secret" not in told
    assert f"{MARKER}={place.marker}" in told


async def test_what_a_check_leaves_behind_is_ended_with_it(place: Place) -> None:
    result = await check(place, "setsid sleep 1000 & sleep 1000 & echo begun")
    assert (result.code, result.output) == (0, "begun\n")
    assert not left(place)


async def test_a_check_that_takes_too_long_is_ended_with_all_that_it_started(place: Place) -> None:
    command = (
        "trap '' TERM; setsid sh -c 'trap \"\" TERM; echo begun; while :; do sleep 1; done' & while :; do sleep 1; done"
    )
    result = await check(place, command, 0.5)
    assert (result.code, result.late, result.passed, result.word) == (None, True, False, "too slow")
    assert not left(place)


async def test_an_endless_output_is_cut_in_its_middle(place: Place) -> None:
    result = await check(place, "echo first; seq 1 200000; echo last")
    assert result.passed
    assert result.output.startswith("first\n1\n2\n")
    assert result.output.endswith("199999\n200000\nlast\n")
    assert f"... {result.cut:,} bytes left out ..." in result.output
    assert len(result.output) < HEAD_BYTES + TAIL_BYTES + 100


async def test_checks_run_in_their_order_and_can_stop_at_the_first_that_fails(place: Place) -> None:
    checks = [Check("echo one >>file"), Check("false"), Check("cat file")]
    every = await run_checks(checks, place)
    assert [one.passed for one in every] == [True, False, True]
    assert every[-1].output == "one\n"
    assert len(await run_checks(checks, place, all_of_them=False)) == 2


async def test_a_workspace_that_is_gone_is_no_verdict_of_the_check(place: Place) -> None:
    place.directory.rmdir()
    result = await check(place, "true")
    assert (result.passed, result.word, result.code) == (False, "not run", None)


async def test_an_engine_that_stops_leaves_no_check_behind(place: Place) -> None:
    command = "echo $$ >begun; setsid sleep 1000 & sleep 1000"
    running = asyncio.create_task(run_checks([Check(command)], place))
    async with asyncio.timeout(PATIENCE):
        while not (place.directory / "begun").exists():
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not left(place)


async def test_what_a_killed_engine_left_is_ended_before_the_check_runs_again(place: Place) -> None:
    """It still holds the port, or the lock, that the check needs."""
    leftover = await asyncio.create_subprocess_exec("sleep", "1000", env={**PATH, MARKER: place.marker})
    assert leftover.pid in left(place)
    assert (await check(place, "true")).passed
    assert await leftover.wait() < 0


@given(st.lists(st.binary(max_size=HEAD_BYTES)))
def test_the_beginning_and_the_end_are_kept_however_it_comes(pieces: list[bytes]) -> None:
    heard = _Heard()
    for piece in pieces:
        heard.add(piece)
    whole = b"".join(pieces)
    assert bytes(heard.head) == whole[:HEAD_BYTES]
    assert whole.endswith(bytes(heard.tail))
    assert len(heard.head) + len(heard.tail) + heard.left_out == len(whole)
    assert len(heard.tail) <= TAIL_BYTES
