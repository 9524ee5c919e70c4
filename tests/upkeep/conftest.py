"""One store in a home of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine import events as log
from engine.store import Store
from engine.upkeep.backup import backup
from tests.upkeep.samples import NOW, Bench, git, usage


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    clock: list[Bench] = []
    published: list[log.Event] = []
    store = await Store.open(home, published.extend, lambda: clock[0].now if clock else NOW)
    one = Bench(store, home, published=published)
    clock.append(one)
    yield one
    await store.close()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one commit, and nobody's own git settings."""
    user, path = tmp_path / "user", tmp_path / "project"
    user.mkdir()
    path.mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    git(path, "init", "--quiet", "--initial-branch=main")
    (path / ".gitignore").write_text("*.log\n")
    (path / "a.txt").write_text("one\n")
    git(path, "add", ".")
    git(path, "commit", "--quiet", "--message", "first")
    return path


@pytest.fixture
async def saved(bench: Bench, tmp_path: Path) -> Path:
    """A backup of two jobs, one of which runs; the home has one more since, and no engine."""
    await bench.ended(usage(), title="ended", output=b"printed\n")
    await bench.start(await bench.submit("running"))
    (bench.home / "headway.yaml").write_text("grace: 2\n")
    backup(bench.home, tmp_path / "copy.db", bench.home / "headway.yaml")
    backup(bench.home, tmp_path / "copy.tar.gz", bench.home / "headway.yaml", runs=True)
    await bench.submit("later")
    await bench.store.close()
    return tmp_path / "copy.db"
