"""The engine's answers to what a job is told: what its next attempt would be, and what an earlier one was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import structs

from engine.agents.base import Agent
from engine.briefing import Briefing, Context
from engine.errors import NotFoundError, RefusedError
from engine.foreign import NOT_JSON
from engine.model import State, Workspace
from engine.runner.briefer import earlier_of
from engine.runner.launch import CONTEXT, CONTEXT_BYTES, Launcher
from engine.runner.run_dir import read_regular, run_dir
from engine.runner.workspace import Placed, Wanted
from engine.store import Store, Transaction, claims
from engine.store.claims import Claim
from engine.store.rows import AttemptRow, read_job
from engine.store.writer import RollbackError


class Contexts:
    """One for an engine."""

    def __init__(self, home: Path, store: Store, launcher: Launcher, agents: Mapping[str, Agent]) -> None:
        self._home = home
        self._store = store
        self._launcher = launcher
        self._resumable = frozenset(name for name, agent in agents.items() if agent.resumable)

    async def of_job(self, job: int, attempt: int | None = None, *, ahead: bool = False) -> Briefing:
        """What an attempt was told: the one with that number, else the newest. Or, `ahead`, and for a job that waits to
        start, what the next one would be told now, as far as that can be known before it has a workspace.

        Raises `NotFoundError`, and `RefusedError` for what could not be told any more.
        """
        row = await self._store.look(lambda tx: read_job(tx.connection, job))
        if row is None:
            raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
        waits = row.state in (State.READY, State.BLOCKED)
        if ahead or (waits and attempt is None):
            return await self._ahead(job)
        tried = [one for one in await self._store.read.attempts(job) if one.started_at is not None]
        chosen = [one for one in tried if attempt is None or one.number == attempt]
        if not chosen:
            which = f"attempt {attempt}" if attempt is not None else "attempt that started"
            raise NotFoundError(f"job {job} has no {which}; --ahead shows what its next one would be told")
        return self._told(chosen[-1])

    def _told(self, tried: AttemptRow) -> Briefing:
        run = run_dir(self._home, tried.job, tried.number)
        try:
            data = read_regular(run.path / CONTEXT, CONTEXT_BYTES)
            context = msgspec.json.decode(data or b"", type=Context)
        except NOT_JSON:  # it was told its task alone; or its agent has written over the file
            context = Context(budget=self._launcher.settings.context.tokens, tokens=0)
        return Briefing(
            job=tried.job, attempt=tried.number, target=str(tried.target), context=context, run_dir=str(run.path)
        )

    async def _ahead(self, job: int) -> Briefing:
        claim = await self._store.write(lambda tx: rehearse(tx, job, self._resumable))
        launcher, previous = self._launcher, claim.previous
        agent = launcher.agent(claim.attempt.agent)
        last = previous if previous is not None else claim.desk.last if claim.desk is not None else None
        if last is not None and last.workspace is not None and Path(last.workspace).is_dir():
            top = Path(last.workspace)
            placed = Placed(top, root=top, repository=top, branch=last.branch, base=last.base)
        else:
            wanted = Wanted(
                job=job,
                title=claim.job.title,
                project=claim.job.project if agent.effects else None,
                workspace=claim.spec.workspace or Workspace.WORKTREE,
                worker=claim.desk.name if claim.desk is not None else None,
            )
            placed = await launcher.workspaces.foreseen(wanted)
        brief = await launcher.briefer.of(claim, agent, placed, await earlier_of(self._store, claim))
        out_of = launcher.secrets.out_of
        pieces = [structs.replace(one, text=out_of(one.text)) for one in brief.told.context.pieces]
        context = structs.replace(brief.told.context, pieces=pieces)
        return Briefing(job=job, target=str(claim.attempt.target), context=context)


def rehearse(tx: Transaction, job: int, resumable: frozenset[str]) -> Claim:
    """Give a job to an attempt as if it might start, and take that back."""
    row = read_job(tx.connection, job)
    if row is None:
        raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
    if row.state in (State.RUNNING, State.GATING):
        raise RefusedError(f"J{job} runs: what its next attempt is told depends on how this one ends")
    ready = structs.replace(row, state=State.READY, held_by=None, not_before=None)
    raise RollbackError(claims.claim(tx, [ready], resumable.__contains__, "")[0])
