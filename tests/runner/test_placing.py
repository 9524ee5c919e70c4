"""Files that lie in a workspace while an attempt runs: hidden from git, and gone afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.runner import placing
from engine.runner.run_dir import RunDir, run_dir
from engine.runner.workspace import Placed
from tests.conftest import run_git

FILES = {".gemini/settings.json": b"{}"}


@pytest.fixture
def run(home: Path) -> RunDir:
    found = run_dir(home, 1, 1)
    found.make()
    return found


@pytest.fixture
def placed(home: Path, repository: Path) -> Placed:
    root = home / "worktrees" / "1-x"
    run_git(repository, "worktree", "add", "--quiet", "-b", "headway/1-x", str(root))
    return Placed(root, root=root, repository=repository, branch="headway/1-x")


async def test_git_does_not_see_them_and_nothing_is_left(placed: Placed, repository: Path, run: RunDir) -> None:
    before = (repository / ".git" / "info" / "exclude").read_bytes()
    assert await placing.place(FILES, placed, run, "marker")
    (placed.directory / ".gemini" / "mine.md").write_text("the agent's own")
    assert run_git(placed.directory, "status", "--porcelain", "-uall") == "?? .gemini/mine.md", "ours alone is hidden"
    for _ in range(2):
        placing.take_away(run)
        assert [one.name for one in (placed.directory / ".gemini").iterdir()] == ["mine.md"]
        assert (repository / ".git" / "info" / "exclude").read_bytes() == before
    (placed.directory / ".gemini" / "mine.md").unlink()


async def test_what_is_there_already_stands(placed: Placed, repository: Path, run: RunDir) -> None:
    theirs = placed.directory / ".gemini" / "settings.json"
    theirs.parent.mkdir()
    theirs.write_text("theirs")
    assert not await placing.place(FILES, placed, run, "marker")
    placing.take_away(run)
    assert theirs.read_text() == "theirs"
    theirs.unlink()
    theirs.parent.rmdir()
    theirs.parent.symlink_to(repository)
    assert not await placing.place(FILES, placed, run, "marker"), "no link is followed"
    assert not await placing.place(FILES, Placed(repository, root=repository), run, "marker"), "the user's own"


async def test_what_the_agent_made_of_it_stays(placed: Placed, run: RunDir) -> None:
    assert await placing.place(FILES, placed, run, "marker")
    file = placed.directory / ".gemini" / "settings.json"
    file.write_text("changed")
    placing.take_away(run)
    assert file.read_text() == "changed"


async def test_a_record_that_leads_elsewhere_is_not_believed(placed: Placed, run: RunDir, tmp_path: Path) -> None:
    assert await placing.place(FILES, placed, run, "marker")
    victim = tmp_path / "victim"
    victim.write_bytes(b"{}")
    record = run.path / placing.RECORD
    record.write_text(record.read_text().replace(str(placed.directory / ".gemini/settings.json"), str(victim)))
    placing.take_away(run)
    assert victim.exists()
