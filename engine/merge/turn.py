"""One merge, one step at a time. Each step reads how things stand, so that the next engine goes on from any of them.

`queued`: the job's work becomes a commit, and that one a commit on top of the branch. `checking`: checks run on it in a
checkout of its own. `landing`: the branch is moved to it. What was to be landed is written down before the branch is
moved: whoever finds it there afterwards knows that it was done.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs

from engine.config import Settings
from engine.errors import HeadwayError, RefusedError
from engine.gate.checks import Check, run_checks
from engine.gate.places import place_of
from engine.merge import back, change, landing, plot
from engine.merge.keeping import ref_of
from engine.merge.landing import Branch
from engine.model import CheckResult, Conflict, Merge, MergeState, State
from engine.redact import Secrets
from engine.runner.cells import Cells
from engine.runner.environment import environment
from engine.runner.git import GitError, git
from engine.runner.run_dir import RunDir, run_dir
from engine.runner.tree import MARKER
from engine.store import Store, merge_cards, merges, sending_back
from engine.store.rows import AttemptRow, JobRow

logger = logging.getLogger(__name__)

T = TypeVar("T")

SHELL = "shell"  #: the agent whose environment checks get: they are commands too
OUTPUT_CHARS = 4_000  #: of what a check printed, in the database: its end; the run directory has more
NAMED = 5  #: files that a line names


@dataclass(frozen=True, slots=True)
class Turn:
    """Brings merges on, one repository at a time."""

    home: Path
    store: Store
    settings: Settings
    secrets: Secrets
    cells: Cells

    async def step(self, merge: Merge) -> None:
        """One step. What goes wrong with the repository is asked about; other errors are the caller's."""
        try:
            match merge.state:
                case MergeState.QUEUED:
                    await self._prepare(merge)
                case MergeState.CHECKING:
                    await self._check(merge)
                case MergeState.LANDING:
                    await self._land(merge)
                case MergeState.RETURNING:
                    await self._hand_back(merge)
        except (GitError, RefusedError) as error:
            await self._stick(merge, error.message)

    # ---- queued

    async def _prepare(self, merge: Merge) -> None:
        row, tried = await self._job(merge)
        if row.state is not State.SUCCEEDED:
            await self._stick(merge, f"J{row.id} {row.state}, and only what went well is merged")
            return
        branch = Branch(Path(merge.project), merge.target)
        source = await self.source(merge.job, merge.title, branch.repository, tried)
        await git(
            branch.repository, "update-ref", ref_of(self.home, "merges", merge.id), source
        )  # so that git does not clear it away
        onto = await branch.tip()
        merged = await change.put_on(branch.repository, onto, source)
        if merged.conflicts:
            conflicts = [self.named(one, onto, merge.target, source, merge.job) for one in merged.conflicts]
            await self._stick(merge, clash(conflicts), source=source, onto=onto, conflicts=conflicts, candidate=None)
            return
        if merged.tree == await git(branch.repository, "rev-parse", f"{onto}^{{tree}}"):
            why = f"there is nothing to merge: {merge.target} has all of it"
            await self._clear(merge)
            await self._move(merge, MergeState.MERGED, why=why, source=source, onto=onto)
            return
        candidate = await change.commit(branch.repository, merged.tree, (onto,), message(merge))
        if marked := await change.marks_left(branch.repository, onto, candidate):
            await self._stick(merge, f"marks of a conflict are left in {named(marked)}", source=source, onto=onto)
            return
        await self._move(
            merge, MergeState.CHECKING, source=source, onto=onto, candidate=candidate, conflicts=[], results=[]
        )

    async def source(self, job: int, title: str, repository: Path, tried: AttemptRow | None) -> str:
        """The commit that holds a job's work. Raises `RefusedError` where it has none."""
        if tried is None or tried.branch is None:
            raise RefusedError(f"J{job} has no branch of its own: it worked in its project directly, or outside git")
        root = await back.worktree([Path(tried.workspace)] if tried.workspace else [])
        if root is not None and await landing.common_dir(root) == await landing.common_dir(repository):
            return await change.work_of(root, self._run(tried), title)
        try:
            return await git(repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{tried.branch}^{{commit}}")
        except GitError:
            raise RefusedError(f"J{job} changed nothing: its worktree and its branch were removed") from None

    # ---- checking

    async def _check(self, merge: Merge) -> None:
        assert merge.candidate is not None, "it is written with the state"
        results: list[CheckResult] = []
        if merge.checks:
            root, env = plot.plot_of(self.home, merge.id), {MARKER: self._marker(merge)}
            await plot.lay_out(Path(merge.project), root, merge.candidate, env)
            results = await self._run_checks(merge, root)
            await plot.clear_away(Path(merge.project), root)
        failed = [one for one in results if not one.passed]
        if failed:
            why = f"on top of {merge.target} `{failed[0].command}` fails: {failed[0].word}"
            await self._stick(merge, why, results=results)
            return
        await self._move(merge, MergeState.LANDING, results=results)

    async def _run_checks(self, merge: Merge, root: Path) -> list[CheckResult]:
        marker = self._marker(merge)
        given = environment(os.environ, (), {}, self.settings.agent(SHELL), merge.job, marker)
        _, tried = await self._job(merge)
        folder = None if tried is None else self._run(tried).path / f"merge-{merge.id}"
        checks = [Check(command, merge.check_ms / 1000) for command in merge.checks]
        agent = SHELL if tried is None else tried.agent
        place = await place_of(self.cells, agent, merge.project, root, given, marker, folder)
        results = await run_checks(checks, place)
        return [structs.replace(one, output=self.secrets.out_of(one.output)[-OUTPUT_CHARS:]) for one in results]

    # ---- landing

    async def _land(self, merge: Merge) -> None:
        assert merge.candidate is not None and merge.onto is not None, "they are written with the state"
        branch = Branch(Path(merge.project), merge.target)
        await landing.finish_left(self._marker(merge))
        if not await branch.has(merge.candidate):
            if await branch.tip() != merge.onto:
                await self._again(merge)
                return
            if why := await landing.not_ready(branch):
                await self._stick(merge, why)
                return
            try:
                await _whole(landing.move(branch, merge.onto, merge.candidate, {MARKER: self._marker(merge)}))
            except GitError:
                if not await branch.has(merge.candidate):
                    if await branch.tip() == merge.onto:
                        raise
                    await self._again(merge)
                    return
        await self._clear(merge)
        await self._move(merge, MergeState.MERGED)

    async def _again(self, merge: Merge) -> None:
        """Somebody else has moved the branch: what was checked is not what it would become."""
        await self._move(merge, MergeState.QUEUED, why=f"{merge.target} was moved meanwhile", candidate=None)

    # ---- back to its writer

    async def _hand_back(self, merge: Merge) -> None:
        row, tried = await self._job(merge)
        branch = Branch(Path(merge.project), merge.target)
        source = await self.source(merge.job, merge.title, branch.repository, tried)
        assert tried is not None and tried.branch is not None, "it has a source"
        if row.ended_at is None:  # the operator was quicker
            await self._move(merge, MergeState.QUEUED, candidate=None, card=None)
            return
        await git(branch.repository, "update-ref", ref_of(self.home, "merges", merge.id), source)
        root = await back.worktree([Path(tried.workspace)] if tried.workspace else [])
        handed = await _whole(back.hand_back(root, tried.branch, branch, source))
        card = await self.store.look(partial(sending_back.asked, merge=merge))
        spec = await self.store.read.spec(row)
        prompt = back.with_findings(spec.prompt, self.secrets.out_of(back.findings(card.merge, handed, card.words)))
        spec = structs.replace(spec, prompt=prompt)
        again = sending_back.Again(merge, spec, handed.onto, card.by)
        if why := await self.store.write(lambda tx: sending_back.send(tx, again)):
            await self._stick(merge, why)

    # ---- shared

    async def _job(self, merge: Merge) -> tuple[JobRow, AttemptRow | None]:
        rows = await self.store.read.rows([merge.job])
        if not rows:
            raise RefusedError(f"J{merge.job} was pruned")
        attempts = [one for one in await self.store.read.attempts(merge.job) if one.workspace is not None]
        return rows[0], attempts[-1] if attempts else None

    def _run(self, tried: AttemptRow) -> RunDir:
        return run_dir(self.home, tried.job, tried.number)

    def _marker(self, merge: Merge) -> str:
        """Of this home and this merge: so that the processes of no other are taken for its own."""
        return uuid.uuid5(uuid.NAMESPACE_URL, f"{self.home.as_uri()}/merges/{merge.id}").hex

    def named(self, one: Conflict, onto: str, target: str, source: str, job: int) -> Conflict:
        """A conflict with the names of its sides in the marks."""
        told = one.hunks.replace(onto, target).replace(source, f"J{job}")
        return structs.replace(one, hunks=self.secrets.out_of(told))

    async def _move(self, merge: Merge, to: MergeState, why: str = "", **fields: Any) -> None:
        await self.store.write(lambda tx: merges.move(tx, merge, to, why=why, **fields))

    async def _stick(self, merge: Merge, why: str, **found: Any) -> None:
        await self.store.write(lambda tx: merge_cards.stick(tx, merge, self.secrets.out_of(why), **found))

    async def _clear(self, merge: Merge) -> None:
        """What it needed no more. That it cannot be cleared away changes nothing."""
        with suppress(HeadwayError):
            await git(Path(merge.project), "update-ref", "-d", ref_of(self.home, "merges", merge.id))
        with suppress(HeadwayError):
            await plot.clear_away(Path(merge.project), plot.plot_of(self.home, merge.id))


def message(merge: Merge) -> str:
    return f"{merge.title}\n\nHeadway-Job: J{merge.job}\n"


def clash(conflicts: Sequence[Conflict]) -> str:
    """`a.txt and b.txt are changed on both sides`."""
    names = [one.file for one in conflicts]
    return f"{named(names)} {'is' if len(names) == 1 else 'are'} changed on both sides"


def named(names: Sequence[str]) -> str:
    shown = list(names[:NAMED]) + ([f"{len(names) - NAMED} more"] if len(names) > NAMED else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


async def _whole(work: Awaitable[T]) -> T:
    """What touches somebody's files is not stopped halfway, though this engine is to end."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
