"""Jobs with a history, made through the store's own operations, and a clock that the test moves."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import events as log
from engine.agents.base import Outcome
from engine.model import Failure, Grade, JobSpec, State, Usage
from engine.runner.run_dir import run_dir
from engine.store import Store, claims, dependencies, jobs
from engine.store.fold import rebuild
from engine.store.jobs import Launched, Settlement
from engine.store.rows import SELECT_JOB, JobRow, job_row, read_job
from engine.store.store import FILE
from engine.store.submit import Accepted, Needs, Submission, admit
from engine.store.writer import Transaction
from engine.upkeep.prune import Pruned, Wanted, prune

DAY = 86_400_000
NOW = 1_760_011_200_000  #: 2025-10-09, noon in UTC


def git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(directory), *identity, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def usage(cost: int | None = 1_000, model: str = "opus", grade: Grade = Grade.REPORTED) -> Usage:
    return Usage(model=model, input_tokens=10, output_tokens=5, cache_read_tokens=3, cost_micros=cost, grade=grade)


@dataclass
class Bench:
    """A store in a home, everything that it published, and its clock."""

    store: Store
    home: Path
    now: int = NOW
    published: list[log.Event] = field(default_factory=list)

    def __call__(self) -> int:
        return self.now

    async def submit(
        self,
        title: str = "do it",
        *,
        project: str | None = None,
        after: Sequence[int] = (),
        token: str | None = None,
        batch: str | None = None,
        spec: JobSpec | None = None,
    ) -> int:
        accepted = Accepted(
            spec or JobSpec(prompt=title), title, "claude", "opus", project, None, all_of=Needs(ids=tuple(after))
        )
        admitted = await self.store.write(lambda tx: admit(tx, Submission([accepted], token, "digest", batch)))
        return admitted.ids[0]

    async def start(self, job: int, *, session: str | None = None, workspace: Path | None = None) -> int:
        """Give the job to an attempt that runs; the attempt's id."""

        def claim(tx: Transaction) -> claims.Claim:
            row = read_job(tx.connection, job)
            assert row is not None
            return claims.claim(tx, [row], lambda agent: True, "boot")[0]

        attempt = (await self.store.write(claim)).attempt.id
        facts = Launched(1234, session, str(workspace or "/src/none"), f"headway/{job}-x", None)
        await self.store.write(lambda tx: jobs.launched(tx, attempt, facts))
        return attempt

    async def settle(self, attempt: int, *used: Usage, failure: Failure | None = None) -> None:
        outcome = Outcome(succeeded=failure is None, result="done", failure=failure, reason="it broke", usage=used)

        def settled(tx: Transaction) -> None:
            dependencies.after_end(tx, [jobs.settle(tx, attempt, Settlement(outcome, 0))])

        await self.store.write(settled)

    async def ended(
        self,
        *used: Usage,
        days: float = 40,
        failure: Failure | None = None,
        title: str = "do it",
        project: str | None = None,
        after: Sequence[int] = (),
        workspace: Path | None = None,
        session: str | None = None,
        token: str | None = None,
        batch: str | None = None,
        output: bytes = b"",
    ) -> int:
        """A job that was submitted, ran and ended so many days ago; its run directory holds what it printed."""
        now, self.now = self.now, self.now - round(days * DAY)
        job = await self.submit(title, project=project, after=after, token=token, batch=batch)
        attempt = await self.start(job, workspace=workspace, session=session)
        await self.settle(attempt, *used, failure=failure)
        self.now = now
        if output:
            self.write_run(job, output)
        return job

    def write_run(self, job: int, output: bytes, number: int = 1) -> Path:
        run = run_dir(self.home, job, number)
        run.path.mkdir(parents=True, exist_ok=True)
        run.stdout.write_bytes(output)
        return run.stdout

    async def worked(self, repository: Path, *, days: float = 40, **options: Any) -> tuple[int, Path]:
        """A job that ended in a worktree of its own, as the runner makes them."""
        job = int(self.ask("SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = 'jobs'")[0][0]) + 1
        root = self.home / "worktrees" / f"{job}-x"
        git(repository, "worktree", "add", "--quiet", "-b", f"headway/{job}-x", str(root))
        assert await self.ended(days=days, workspace=root, **options) == job
        return job, root

    async def prune(self, *, days: float = 30, past: tuple[int, int] = (0, 0), **options: Any) -> Pruned:
        wanted = Wanted(self.now - round(days * DAY), past=past, **options)
        return await self.store.write(lambda tx: prune(tx, wanted, "tester"))

    def ask(self, sql: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.home / FILE}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, values).fetchall()

    def ids(self) -> list[object]:
        return [row[0] for row in self.ask("SELECT id FROM jobs ORDER BY id")]

    def told_and_kept(self) -> tuple[dict[int, JobRow], dict[int, JobRow]]:
        """The jobs as the log tells them, and as they are kept."""
        with closing(sqlite3.connect(f"file:{self.home / FILE}?mode=ro", uri=True)) as connection:
            kept = {row.id: row for row in map(job_row, connection.execute(SELECT_JOB))}
            return rebuild(connection), kept

    async def state(self, job: int) -> State:
        (row,) = await self.store.read.rows([job])
        return row.state
