"""A git repository with a place for worktrees and nobody's own git settings, and trees of processes."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.runner import procfs, spawn
from tests.runner.gitting import Bench, git
from tests.runner.wood import Wood


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A repository with one commit of a few files."""
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    git(project, "init", "--quiet", "--initial-branch=main")
    (project / "a.txt").write_text("one\ntwo\nthree\n")
    (project / ".gitignore").write_text("*.log\n")
    (project / "sub").mkdir()
    (project / "sub" / "b.txt").write_text("b\n")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "first")
    return Bench(project, home)


@pytest.fixture
async def wood(tmp_path: Path) -> AsyncIterator[Wood]:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    one = Wood(pipe, os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
    yield one
    for who in one.known.values():
        if procfs.is_alive(who):
            os.kill(who.pid, signal.SIGKILL)
    for who in one.known.values():
        if spawn.is_ours(who.pid):
            await spawn.ended(who.pid)
    os.close(one.fd)


@pytest.fixture
def marker() -> str:
    return str(uuid.uuid4())
