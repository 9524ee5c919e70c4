"""kill -9 before and after each step of git: no merge is lost, and none is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path

import pytest

from engine import events as log
from engine.errors import HeadwayError
from engine.model import MERGE_ENDED, Merge, MergeState, MergeWanted, Verb
from engine.server.client import Client
from tests.conftest import PATIENCE, Served, run_git, settings_file, shell

#: Steps that change something, and what the command lines of git for them have in them.
STEPS = {
    "keep": " update-ref refs/headway/merges/",
    "try": " merge-tree --write-tree ",
    "commit": " commit-tree ",
    "plot": " worktree add --force --quiet --detach ",
    "clear": " worktree remove --force --force ",
    "land": " merge --ff-only ",
    "move": " update-ref -m headway ",
    "forget": " update-ref -d refs/headway/merges/",
}

BEFORE = ("commit", "land", "move")

#: Stands for git: it kills the engine once after each of those steps, and once before some of them.
GIT = """#!/bin/sh
step=
early=
case " $* " in
{cases}esac
if [ -n "$early" ] && [ -e {armed} ] && mkdir "{folder}/$step-before" 2>/dev/null; then kill -9 $PPID; exit 1; fi
{git} "$@"
code=$?
if [ -n "$step" ] && [ -e {armed} ] && mkdir "{folder}/$step-after" 2>/dev/null; then kill -9 $PPID; fi
exit $code
"""


@pytest.fixture
def deaths(tmp_path: Path, served: Served) -> Path:
    """Where each death leaves its name. They begin once `armed` is there."""
    folder, bin_ = tmp_path / "deaths", tmp_path / "bin"
    folder.mkdir()
    bin_.mkdir()
    cases = "".join(
        f'*"{words}"*) step={name}; early={"1" if name in BEFORE else ""} ;;\n' for name, words in STEPS.items()
    )
    script = GIT.format(cases=cases, armed=folder / "armed", folder=folder, git=shutil.which("git"))
    (bin_ / "git").write_text(script)
    (bin_ / "git").chmod(0o755)
    served.env["PATH"] = f"{bin_}:{os.environ['PATH']}"
    return folder


async def until_over(served: Served) -> list[Merge]:
    """Start the engine again whenever it has died, until nothing is left to do."""
    async with asyncio.timeout(2 * PATIENCE):
        while True:
            assert served.process is not None
            if served.process.poll() is not None:
                with contextlib.suppress(HeadwayError):  # it may die while it starts
                    served.start()
            with contextlib.suppress(HeadwayError):
                async with Client(served.home) as client:
                    seq = (await client.status()).seq
                    found = await client.merges()
                    if all(one.state in MERGE_ENDED for one in found):
                        return found
                    async for _ in client.follow(seq):
                        break


async def test_a_merge_survives_the_death_of_its_engine_at_every_step(
    served: Served, deaths: Path, repository: Path
) -> None:
    settings_file(
        served.home, f"grace: 1\nprojects: {{it: {{path: {repository}, merge: {{checks: ['test -e a.txt']}}}}}}\n"
    )
    run_git(repository, "branch", "release")
    served.start()
    async with Client(served.home) as client:
        jobs = await client.submit([shell(f"echo {n} >new{n}.txt", project="it") for n in range(6)])
        await served.until_ended(jobs)
        await client.act(Verb.HOLD, everything=True)
        await client.queue_merges(MergeWanted(jobs=jobs[:4]))
        await client.queue_merges(MergeWanted(jobs=jobs[4:], into="release"))
        (deaths / "armed").touch()
        with contextlib.suppress(HeadwayError):
            await client.act(Verb.RELEASE, everything=True)
    found = await until_over(served)
    assert [one.state for one in found] == [MergeState.MERGED] * 6
    died = {one.name for one in deaths.iterdir()} - {"armed"}
    assert died == {f"{step}-after" for step in STEPS} | {f"{step}-before" for step in BEFORE}
    # Each once, in order, on the branch that it was for; and the user's files are as the branch has them.
    for branch, mine in (("main", found[:4]), ("release", found[4:])):
        listed = run_git(repository, "rev-list", "--reverse", branch).split("\n")[1:]
        assert listed == [one.candidate for one in mine]
    assert run_git(repository, "status", "--porcelain") == ""
    assert run_git(repository, "for-each-ref", "refs/headway/merges") == ""
    assert not any((served.home / "merges").iterdir())
    async with Client(served.home) as client:
        moved = [one.body for one in await client.events(after=0, limit=1_000) if isinstance(one.body, log.MergeMoved)]
    assert sum(body.state is MergeState.MERGED for body in moved) == 6
