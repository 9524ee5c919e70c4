"""Git as a user runs it, and workspaces as the launcher asks for them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from engine.model import DiffStat, Workspace
from engine.runner.run_dir import RunDir, run_dir
from engine.runner.workspace import Placed, Wanted, Workspaces

IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *IDENTITY, *arguments]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")


@dataclass
class Bench:
    project: Path
    home: Path

    def __post_init__(self) -> None:
        self.workspaces = Workspaces(self.home)

    def run(self, job: int = 1, number: int = 1) -> RunDir:
        run = run_dir(self.home, job, number)
        run.path.mkdir(parents=True, exist_ok=True)
        return run

    async def prepare(
        self,
        title: str = "Fix it",
        *,
        job: int = 1,
        number: int = 1,
        project: Path | None = None,
        wanted: Workspace = Workspace.WORKTREE,
        base: str | None = None,
        branch: str | None = None,
        first: bool = False,
    ) -> Placed:
        asked = Wanted(job, title, str(project or self.project), wanted, base, branch, first=first)
        return await self.workspaces.prepare(asked, self.run(job, number))

    async def measure(self, placed: Placed) -> DiffStat | None:
        return await self.workspaces.measure(placed, self.run())

    @property
    def patch(self) -> Path:
        return self.run().diff

    def branches(self) -> list[str]:
        return git(self.project, "branch", "--format=%(refname:short)").split()

    def worktrees(self) -> int:
        return git(self.project, "worktree", "list", "--porcelain").count("worktree ")


def contents(root: Path) -> dict[str, tuple[bytes, bool]]:
    """Every file below a directory that git would keep: its bytes and whether it can be run."""
    names = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
    ).stdout
    found = {}
    for name in filter(None, names.split(b"\0")):
        path = Path(str(root)) / name.decode(errors="surrogateescape")
        if path.is_symlink():
            found[str(path.relative_to(root))] = (str(path.readlink()).encode(), False)
        elif path.is_file():
            found[str(path.relative_to(root))] = (path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found
