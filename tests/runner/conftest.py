"""A git repository, a place for worktrees, and nobody's own git settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner.gitting import Bench, git


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
