"""Asks reviewers and the judge: each is a job of its own, in a copy of the result that is not the writer's workspace.

By its token each is asked once, though an engine may be killed before it has noted whom it asked.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from engine.agents.base import Agent
from engine.clock import now_ms
from engine.config import Settings
from engine.dispatch.routebook import Routebook
from engine.errors import HeadwayError
from engine.gate import looking, reviewing
from engine.gate.book import Gate
from engine.gate.looking import Result
from engine.gate.reviewing import Work
from engine.last_words import last_words
from engine.model import NO_GATE, GateLook, JobSpec, Opinion, Review, Source, State, Target, Wanted, Workspace
from engine.redact import Secrets
from engine.runner.run_dir import run_dir
from engine.runner.workspace import Placed, Workspaces
from engine.store import Store, submit
from engine.store.gatings import Opened
from engine.store.rows import JobRow
from engine.submission import accepted

REVIEW_KIND = "review"  #: of the jobs of reviewers and judges, by which what reviewing costs can be told
COPIES = "reviews"  #: below the home: copies of what is no git repository


@dataclass(frozen=True, slots=True)
class Reviewers:
    """One for an engine."""

    home: Path
    store: Store
    workspaces: Workspaces
    agents: Mapping[str, Agent]
    settings: Settings
    secrets: Secrets
    book: Routebook

    async def ask(self, on: Opened, look: GateLook, gate: Gate, targets: list[Target], result: Result) -> list[Review]:
        """Ask each of them. One that cannot be asked is a failed review at once."""
        commit, trouble = "", ""
        if result.placed.root is not None and any(self.agents[one.agent].effects for one in targets):
            try:
                folder = run_dir(self.home, look.job, look.attempt).path / look.folder
                commit = await looking.commit_of(result, _name(look), folder)
            except HeadwayError as error:
                trouble = f"no copy of the result could be made: {error}"
        work = await self._work(on, look, result)
        found = []
        for place, target in enumerate(targets):
            try:
                found.append(await self._ask(on, look, gate, target, place, work, commit, result, trouble))
            except HeadwayError as error:
                found.append(reviewing.failed(str(target), error.message))
        return found

    async def ask_judge(self, on: Opened, look: GateLook, gate: Gate, result: Result) -> Review:
        """Ask who is right. A judge sees the change alone."""
        assert gate.judge is not None, "only a gate that has one"
        text = reviewing.judges_question(await self._work(on, look, result), look.reviews)
        try:
            job = await self._submit(on, gate, gate.judge, text, f"{_token(look)}-judge", {})
        except HeadwayError as error:
            return reviewing.failed(str(gate.judge), error.message)
        return Review(target=str(gate.judge), job=job)

    async def word(self, look: GateLook, review: Review, *, judge: bool = False) -> Review | None:
        """What a reviewer has said; None as long as it works."""
        assert review.job is not None, "it was asked"
        rows = await self.store.read.rows([review.job])
        row = rows[0] if rows else None
        if row is not None and row.ended_at is None:
            return None
        said = await self._said(look, review, row, judge=judge)
        return structs.replace(said, job=review.job)

    def take_copies_away(self, look: GateLook) -> None:
        """Blocks: call it in a thread."""
        for place in range(len(look.reviews)):
            copy = self._copy(look, place)
            shutil.rmtree(copy, ignore_errors=True)
            _hash_of(copy).unlink(missing_ok=True)

    async def _said(self, look: GateLook, review: Review, row: JobRow | None, *, judge: bool) -> Review:
        if row is None:
            return reviewing.failed(review.target, "its job is gone")
        if row.state is not State.SUCCEEDED:
            return reviewing.failed(review.target, f"J{row.id} {row.state}: {row.reason or 'no reason is known'}")
        if not judge and (edits := await self._edits(look, review, row)):
            return reviewing.failed(review.target, f"it changed its copy of the result: {edits}")
        source = Source.JUDGE if judge else Source.REVIEW
        said = reviewing.review(await last_words(self.store, self.home, row.id), review.target, source)
        out_of = self.secrets.out_of
        findings = [structs.replace(one, what=out_of(one.what), proof=out_of(one.proof)) for one in said.findings]
        return structs.replace(said, why=out_of(said.why), findings=findings)

    async def _edits(self, look: GateLook, review: Review, row: JobRow) -> str:
        """What a reviewer changed in its copy; nothing where it kept its hands off."""
        for tried in await self.store.read.attempts(row.id):
            if tried.diff_files:
                return f"{tried.diff_files} files +{tried.diff_added or 0} -{tried.diff_removed or 0}"
        copy = self._copy(look, look.reviews.index(review))
        if copy.is_dir() and await asyncio.to_thread(looking.content_hash, copy) != await asyncio.to_thread(
            _made, copy
        ):
            return "its files are not as they were"
        return ""

    async def _ask(
        self, on: Opened, look: GateLook, gate: Gate, target: Target, place: int, work: Work, commit: str,
        result: Result, trouble: str,
    ) -> Review:  # fmt: skip
        if why := self.book.privacy.barred(target, on.row.project):
            return reviewing.failed(str(target), why)
        where: dict[str, object] = {}
        if self.agents[target.agent].effects:
            if trouble:
                return reviewing.failed(str(target), trouble)
            if commit:
                where = {"project": on.row.project, "base": commit, "workspace": Workspace.WORKTREE}
            else:
                copy = self._copy(look, place)
                if not (made := await asyncio.to_thread(looking.copy, result.placed.directory, copy)):
                    return reviewing.failed(str(target), "the workspace is too large to be copied for a reviewer")
                _hash_of(copy).write_text(made)
                where = {"project": str(copy), "workspace": Workspace.PROJECT}
        text = reviewing.question(replace(work, copy=bool(where)))
        job = await self._submit(on, gate, target, text, f"{_token(look)}-review-{place}", where)
        return Review(target=str(target), job=job)

    async def _submit(
        self, on: Opened, gate: Gate, target: Target, text: str, token: str, where: Mapping[str, object]
    ) -> int:
        answers = self.agents[target.agent].answers
        spec = JobSpec(
            prompt=self.secrets.out_of(text),
            title=f"{'judge' if token.endswith('judge') else 'review'} J{on.row.id}: {on.row.title}",
            agent=target.agent,
            model=target.model,
            account=target.account,
            kind=REVIEW_KIND,
            tags=[f"gate-J{on.row.id}"],
            priority=max(0, on.row.priority - 1),
            timeout=f"{gate.review_ms}ms",
            gate=NO_GATE,
            schema=reviewing.SCHEMA if answers else None,
            **where,  # type: ignore[arg-type]
        )
        wanted = Wanted([spec], token=token)
        submission = accepted(wanted, self.settings, self.agents.keys(), now_ms(), self.book)
        admitted = await self.store.write(submit.Admission(replace(submission, digest=REVIEW_KIND)))
        return admitted.ids[0]

    async def _work(self, on: Opened, look: GateLook, result: Result) -> Work:
        spec = await self.store.read.spec(on.row)
        words = await last_words(self.store, self.home, on.row.id)
        return Work(task=spec.prompt, words=words, patch=result.text, checks=look.checks)

    def _copy(self, look: GateLook, place: int) -> Path:
        return self.home / COPIES / f"{look.id}-{place}"


def _token(look: GateLook) -> str:
    """With its time: a database that was put back may give the number again."""
    return f"gate-{look.id}-{look.at}"


def _name(look: GateLook) -> str:
    return f"J{look.job}-{look.id}"


def _hash_of(copy: Path) -> Path:
    """Beside a copy: what it was when it was made."""
    return copy.with_name(f"{copy.name}.hash")


def _made(copy: Path) -> str:
    """That hash; empty where it cannot be read, and then nobody can say that nothing was changed."""
    try:
        return _hash_of(copy).read_text()
    except OSError:
        return ""


async def forget(where: Placed, look: GateLook) -> None:
    """Nobody reads the result any more."""
    await looking.forget(where, _name(look))


def all_said(reviews: list[Review]) -> bool:
    return all(one.opinion is not None for one in reviews)


def failed_all(reviews: list[Review], why: str) -> list[Review]:
    """Reviews that count for nothing, whatever they say."""
    return [structs.replace(one, opinion=Opinion.FAILED, why=why, findings=[]) for one in reviews]
