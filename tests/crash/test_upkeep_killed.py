"""The promise: an engine that dies in the middle of its upkeep leaves nothing half done.

Each chore is killed before one of its steps after the other, and then done by the next engine.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import tarfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.runner.run_dir import run_dir
from engine.store import Store
from engine.store.store import FILE
from engine.upkeep.kept import opened
from engine.upkeep.quarantine import ABOUT, Away, Leaving, retire
from tests.crash import checks
from tests.crash.foundry import Said, Wanted
from tests.crash.nursery import Nursery
from tests.upkeep.samples import DAY, NOW, Bench, git, usage

pytestmark = pytest.mark.long

MOST = 6  #: deaths of one chore; with HEADWAY_CRASH_KILLS it dies before each of its steps
OUTPUT = b"a line of output\n" * 2_000
SETTINGS = "upkeep: {compress_after: 1d, runs_for: 90d, worktrees_for: 7d, quarantine_for: 10d}\n"
LATER = 2 * DAY


@dataclass(slots=True)
class Scene:
    """A home with work behind it, and the repository of that work, to be put back as they were."""

    place: Path
    pristine: Path
    dirty: int = 0
    """A job that left work in its worktree."""
    clean: int = 0
    old: int = 0
    """One whose run files may go."""

    @property
    def home(self) -> Path:
        return self.place / "home"

    @property
    def repository(self) -> Path:
        return self.place / "project"

    def again(self) -> None:
        shutil.rmtree(self.place)
        shutil.copytree(self.pristine, self.place, symlinks=True)

    async def make(self) -> None:
        self.home.mkdir(parents=True, mode=0o700)
        (self.home / "headway.yaml").write_text(SETTINGS)
        self.repository.mkdir()
        git(self.repository, "init", "--quiet", "--initial-branch=main")
        (self.repository / "a.txt").write_text("one\n")
        git(self.repository, "add", ".")
        git(self.repository, "commit", "--quiet", "--message", "first")
        bench = Bench(await Store.open(self.home, clock=lambda: bench.now), self.home)
        away, root = await bench.worked(self.repository, days=50)
        (root / "long-ago.txt").write_text("work")
        kept = Away(self.home, NOW - 30 * DAY, 10 * DAY, defaultdict(asyncio.Lock))
        assert not await retire(kept, Leaving(root, away, "succeeded", branch=f"headway/{away}-x"))
        self.dirty, root = await bench.worked(self.repository, days=40, output=OUTPUT)
        (root / "new.txt").write_text("work")
        self.clean, _ = await bench.worked(self.repository, days=40, output=OUTPUT)
        self.old = await bench.ended(usage(), days=100, output=OUTPUT)
        await bench.ended(usage(), days=3, output=OUTPUT)
        await bench.store.close()
        shutil.copytree(self.place, self.pristine, symlinks=True)

    def work(self) -> list[Path]:
        """Where what the job left in its worktree is."""
        return [path for path in self.home.rglob("new.txt") if path.read_text() == "work"]

    def leftovers(self) -> list[str]:
        """What nobody would look for: drafts of files, and boxes of the quarantine with nothing in them."""
        found = [path for path in self.home.rglob("*") if path.suffix == ".tmp" or path.name.startswith(".headway")]
        found += [box for box in (self.home / "quarantine").glob("*") if {one.name for one in box.iterdir()} <= {ABOUT}]
        return [str(path.relative_to(self.home)) for path in found]

    def spent(self) -> int:
        """All that was ever paid, pruned or not."""
        with closing(sqlite3.connect(self.home / FILE)) as connection:
            query = "SELECT (SELECT total(cost_micros) FROM usage) + (SELECT total(cost_micros) FROM pruned_usage)"
            return int(connection.execute(query).fetchone()[0])


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    one = Scene(tmp_path / "place", tmp_path / "pristine")
    await one.make()
    return one


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    async with Nursery() as one:
        yield one


async def do(nursery: Nursery, scene: Scene, chore: str, *, steps: int = 0, later: int = 0) -> Said:
    process = await nursery.bear(Wanted(str(scene.home), later, steps, chore=chore))
    return await process.dead


def sound(scene: Scene) -> None:
    with closing(sqlite3.connect(scene.home / FILE)) as connection:
        checks.sound(connection)


async def test_a_round_loses_no_work_and_the_next_one_ends_it(nursery: Nursery, scene: Scene) -> None:
    whole = await do(nursery, scene, "tidy")
    assert whole.code == 0, (scene.home / "engine.log").read_text()
    for number in chosen(whole.took):
        scene.again()
        said = await do(nursery, scene, "tidy", steps=number)
        told = f"killed before step {number} of {whole.took}, {said.before}"
        for job in (scene.dirty, scene.clean):
            with opened(run_dir(scene.home, job, 1).stdout) as file:
                assert file is not None, told
                assert file.read() == OUTPUT, told
        assert len(scene.work()) == 1, told
        sound(scene)

        assert (await do(nursery, scene, "tidy", later=LATER)).code == 0, told
        assert [path.name for path in run_dir(scene.home, scene.dirty, 1).path.iterdir()] == ["stdout.gz"], told
        assert not (scene.home / "runs" / str(scene.old)).exists(), told
        assert list((scene.home / "worktrees").iterdir()) == [], told
        (work,) = scene.work()
        assert work.is_relative_to(scene.home / "quarantine"), told
        assert git(work.parent, "status", "--porcelain") == "?? new.txt", told
        assert "prunable" not in git(scene.repository, "worktree", "list", "--porcelain"), told
        assert list(scene.home.rglob("long-ago.txt")) == [], told
        assert scene.leftovers() == [], told


async def test_a_prune_loses_no_sum_and_the_next_engine_ends_it(nursery: Nursery, scene: Scene) -> None:
    before = scene.spent()
    whole = await do(nursery, scene, "prune")
    assert whole.code == 0, (scene.home / "engine.log").read_text()
    for number in chosen(whole.took):
        scene.again()
        said = await do(nursery, scene, "prune", steps=number)
        told = f"killed before step {number} of {whole.took}, {said.before}"
        assert len(scene.work()) == 1, told
        assert scene.spent() == before, told

        for chore in ("prune", "tidy"):
            assert (await do(nursery, scene, chore, later=LATER)).code == 0, told
        sound(scene)
        assert scene.spent() == before, told
        with closing(sqlite3.connect(scene.home / FILE)) as connection:
            ids = {str(row[0]) for row in connection.execute("SELECT id FROM jobs")}
        assert len(ids) == 1, told
        assert {path.name for path in (scene.home / "runs").iterdir()} == ids, told
        assert list((scene.home / "worktrees").iterdir()) == [], told
        (work,) = scene.work()
        assert git(work.parent, "status", "--porcelain") == "?? new.txt", told
        assert scene.leftovers() == [], told


@pytest.mark.parametrize("chore", ["back up", "back up with runs"])
async def test_a_backup_is_whole_or_not_there_and_the_next_one_clears_up(
    nursery: Nursery, scene: Scene, chore: str
) -> None:
    whole = await do(nursery, scene, chore)
    assert whole.code == 0, (scene.home / "engine.log").read_text()
    for number in chosen(whole.took):
        scene.again()
        said = await do(nursery, scene, chore, steps=number)
        told = f"killed before step {number} of {whole.took}, {said.before}"
        for file in (scene.home / "backups").glob("headway-*"):
            assert backed_up(file) == 5, told

        assert (await do(nursery, scene, chore, later=LATER)).code == 0, told
        there = list((scene.home / "backups").iterdir())
        assert [path.name for path in there if path.name.startswith(".")] == [], told
        assert {backed_up(path) for path in there} == {5}, told


def chosen(took: int) -> list[int]:
    """The steps before which a chore dies."""
    every = range(1, took + 1)
    if "HEADWAY_CRASH_KILLS" in os.environ:
        return list(every)
    return sorted(random.sample(every, min(MOST, took)))


def backed_up(file: Path) -> int:
    """How many jobs are in a backup, which has to be whole."""
    database = file
    if file.name.endswith(".gz"):
        with tarfile.open(file) as archive:
            archive.extractall(file.parent.with_name("unpacked"), filter="data")
        database = file.parent.with_name("unpacked") / FILE
    with closing(sqlite3.connect(f"file:{database}?immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])
